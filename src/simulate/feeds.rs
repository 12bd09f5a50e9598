//! What the world outside tells a site that plans: day-ahead prices and CO2, forecasts of the sun.
//!
//! Prices of a day are known from 13:00 local time of the day before; nothing later is told. A
//! forecast of the sun is issued every six hours for two days.

use crate::ground::calendar::Calendar;
use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};
use crate::model::feed::{FeedKind, Received};

use super::account::market_prices;
use super::world::World;

/// The minute of the local day at which the prices of the next one are published.
const PUBLISHED: i16 = 13 * 60;
/// A forecast of the sun is issued this often …
const ISSUED_EVERY: Duration = Duration::hours(6);
/// … for so long.
const LOOKS_AHEAD: Duration = Duration::hours(48);

/// What was told so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feeds {
    prices_until: Option<Utc>,
    sun_at: Option<Utc>,
}

impl Feeds {
    /// What is to be told at this moment.
    pub fn due(&mut self, world: &World, now: Utc) -> Vec<(FeedKind, Received)> {
        let mut due = Vec::new();
        let zone = Calendar::new(&world.site.zone);
        let local = zone.local(now);
        let days = if local.minute < PUBLISHED { 1 } else { 2 };
        let until = zone.moment(local.day_number + days, 0);
        if self.prices_until.is_none_or(|told| told < until) {
            self.prices_until = Some(until);
            for (kind, series) in [(FeedKind::Price, &world.price), (FeedKind::Co2, &world.co2)] {
                let Some(series) = series else { continue };
                let mut received = market_prices(series, now, until, now);
                if kind == FeedKind::Co2 {
                    received.steps.iter_mut().for_each(|(_, value)| *value *= 1000.0);
                }
                due.push((kind, received));
            }
        }
        if let Some(series) = &world.pv_forecast
            && self.sun_at.is_none_or(|at| ISSUED_EVERY <= now.since(at))
        {
            self.sun_at = Some(now);
            due.push((FeedKind::Pv, sun(series, now)));
        }
        due
    }
}

/// A forecast in kW of a series in W.
fn sun(series: &Series<f64>, now: Utc) -> Received {
    let until = now + LOOKS_AHEAD;
    let first = series.at(now).map(|watts| (now, watts / 1000.0));
    let inside = series.steps().iter().filter(|(at, _)| now < *at && *at < until);
    let steps = first.into_iter().chain(inside.map(|(at, watts)| (*at, watts / 1000.0)));
    Received { until, ..Received::new("the file of forecasts", now, steps.collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::world::Preferences;
    use crate::twin::sample::yard;

    #[test]
    fn prices_of_tomorrow_are_known_from_one_o_clock() {
        let midnight = Utc::parse("2019-03-01T00:00:00Z").expect("a time");
        let hours = (0..72).map(|hour| (midnight + Duration::hours(hour), hour as f64));
        let mut site = yard();
        site.zone = "UTC".to_owned();
        let world = World {
            site,
            config_text: String::new(),
            sessions: Vec::new(),
            from: midnight,
            until: midnight + Duration::hours(72),
            power: std::collections::BTreeMap::new(),
            price: Some(Series::new(hours.collect())),
            co2: None,
            pv_forecast: None,
            preferences: Preferences::None,
        };
        let mut feeds = Feeds::default();
        let mut told = |hour: i64| {
            let due = feeds.due(&world, midnight + Duration::hours(hour));
            due.first().map(|(_, received)| received.until.since(midnight).as_hours())
        };
        assert_eq!(told(0), Some(24.0));
        assert_eq!(told(12), None);
        assert_eq!(told(13), Some(48.0));
        assert_eq!(told(24), None);
        assert_eq!(told(37), Some(72.0));
    }
}
