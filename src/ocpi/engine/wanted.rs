//! What a driver wants, where a partner's session carries it in a text: the `meter_id` of some
//! sites, as that of Barcelona in the paper.

use crate::ground::time::Utc;
use crate::ocpi::text::Time;

/// What a driver wants, as a text carried it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// State of charge on arrival, percent.
    pub arrival_percent: Option<f64>,
    /// State of charge that is wanted, percent.
    pub target_percent: Option<f64>,
    /// Usable capacity of the battery.
    pub capacity_kwh: Option<f64>,
    /// Energy.
    pub energy_kwh: Option<f64>,
    /// When the car leaves.
    pub departure: Option<Utc>,
}

/// Reads a text by a pattern like `{arrival_soc};{target_soc};{departure}`: what stands between the
/// braces is read, everything else must be there as it is. None where the text is something else,
/// as a plain meter id is.
pub fn wanted_in(pattern: &str, text: &str) -> Option<Wanted> {
    let mut wanted = Wanted::default();
    let (mut pattern, mut text) = (pattern, text);
    while let Some((literal, rest)) = pattern.split_once('{') {
        text = text.strip_prefix(literal)?;
        let (name, after) = rest.split_once('}')?;
        pattern = after;
        let next = after.split('{').next().unwrap_or_default();
        let (value, remains) = if next.is_empty() {
            if after.is_empty() { (text, "") } else { return None }
        } else {
            let end = text.find(next)?;
            (&text[..end], &text[end..])
        };
        text = remains;
        let number = || value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        match name {
            "arrival_soc" => wanted.arrival_percent = Some(number()?),
            "target_soc" => wanted.target_percent = Some(number()?),
            "capacity_kwh" => wanted.capacity_kwh = Some(number()?),
            "energy_kwh" => wanted.energy_kwh = Some(number()?),
            "departure" => wanted.departure = Some(Time::parse(value)?.0),
            _ => {}
        }
    }
    (text == pattern).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_id_may_carry_what_the_driver_wants() {
        let pattern = "soc={arrival_soc};to={target_soc};leave={departure}";
        let wanted = wanted_in(pattern, "soc=35;to=80;leave=2024-03-04T17:00:00Z").unwrap();
        assert_eq!((wanted.arrival_percent, wanted.target_percent), (Some(35.0), Some(80.0)));
        assert_eq!(wanted.departure, Utc::parse("2024-03-04T17:00:00Z"));
        assert_eq!(wanted_in(pattern, "METER-0815"), None, "a plain meter id stays one");
        assert_eq!(wanted_in(pattern, "soc=lots;to=80;leave=2024-03-04T17:00:00Z"), None);
    }
}
