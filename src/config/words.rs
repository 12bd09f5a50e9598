//! Small phrases that all checks share, so that one mistake reads the same wherever it is made.

use crate::ground::units::Amps;

/// The entry that was probably meant by `name`: one that begins with it, or the nearest by typing
/// errors, if it is near at all.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Shorter beginnings fit too much.
    const BEGINNING_MIN: usize = 3;
    let wanted = name.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let lower = candidate.to_lowercase();
        let distance = if wanted == lower {
            0
        } else if wanted.len() >= BEGINNING_MIN && lower.starts_with(&wanted) {
            1
        } else {
            strsim::damerau_levenshtein(&wanted, &lower)
        };
        let near = distance <= 1 + wanted.chars().count() / 3;
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `a, b or c`, each quoted.
pub fn one_of<'a>(choices: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = choices.into_iter().map(quoted).collect();
    join(&quoted, "or")
}

/// `a, b and c`.
pub fn join(parts: &[String], last: &str) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

/// `a, b, c and 4 more`: no more than a person reads.
pub fn list(parts: &[String]) -> String {
    const SHOWN_MAX: usize = 6;
    if parts.len() <= SHOWN_MAX {
        return join(parts, "and");
    }
    format!("{} and {} more", parts[..SHOWN_MAX].join(", "), parts.len() - SHOWN_MAX)
}

/// The text in quotes, shortened if it is very long.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text).escape_debug())
}

/// The text as it is, shortened if it is very long.
pub fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 48;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether what stands at this key must not be repeated: problems end in logs.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["token", "password", "secret"].iter().any(|word| key.contains(word))
}

/// A number as a person writes it: `6`, `62.318`, never `6.0`.
pub fn number(value: f64) -> String {
    let value = (value * 1000.0).round() / 1000.0;
    format!("{value}")
}

/// `12 A`, `62.318 A`.
pub fn amps(current: Amps) -> String {
    format!("{} A", number(current.as_f64()))
}
