//! Versions in their order. Bundles are refused by it, so what cannot be ordered is refused too.

use std::cmp::Ordering;

/// A version like `1.10.2` or `2.0.0-rc.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: Vec<u64>,
    /// What stands after the first hyphen; a version without it is later than any with it.
    before: Option<Vec<Part>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

/// Numbers of a version; more are nobody's.
const NUMBERS_MAX: usize = 8;

impl Version {
    /// Reads one; none where it has no order. What follows a plus does not count.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let text = text.split('+').next().unwrap_or_default();
        let (core, before) = match text.split_once('-') {
            Some((core, before)) => (core, Some(before)),
            None => (text, None),
        };
        let numbers: Option<Vec<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
        let mut numbers = numbers.filter(|numbers| numbers.len() <= NUMBERS_MAX)?;
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        let part = |part: &str| match part.parse() {
            Ok(number) => Part::Number(number),
            Err(_) => Part::Word(part.to_owned()),
        };
        let before = before.map(|before| before.split(['.', '-']).map(part).collect());
        Some(Self { numbers, before })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (&self.before, &other.before) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(own), Some(theirs)) => own.cmp(theirs),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The later of two; what has no order gives way.
pub fn later(one: Option<String>, other: &str) -> Option<String> {
    let Some(one) = one else { return Some(other.to_owned()) };
    match (Version::parse(&one), Version::parse(other)) {
        (Some(first), Some(second)) if first < second => Some(other.to_owned()),
        (None, Some(_)) => Some(other.to_owned()),
        _ => Some(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_their_order() {
        let order =
            ["0.9", "1.0.0-alpha", "1.0.0-rc.2", "1.0.0-rc.10", "1", "1.0.1", "1.9", "1.10"];
        for pair in order.windows(2) {
            let both = (Version::parse(pair[0]), Version::parse(pair[1]));
            assert!(both.0 < both.1, "{pair:?} {both:?}");
        }
        assert_eq!(Version::parse("v2.0.0+build7"), Version::parse("2.0"));
        for odd in ["", "two", "1..2", "1.x", "-1", "1.2.3.4.5.6.7.8.9"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_least_version_only_rises() {
        assert_eq!(later(None, "1.0").as_deref(), Some("1.0"));
        assert_eq!(later(Some("1.2".to_owned()), "1.10").as_deref(), Some("1.10"));
        assert_eq!(later(Some("1.10".to_owned()), "1.2").as_deref(), Some("1.10"));
        assert_eq!(later(Some("1.10".to_owned()), "odd").as_deref(), Some("1.10"));
    }
}
