//! A weather service for the demonstration: every six hours it puts a forecast of the sun into a
//! file, as something that downloads one would. It knows the clouds and is a little too sunny.

use std::path::PathBuf;

use serde_json::json;
use tokio::task::JoinHandle;

use crate::ground::series::Series;
use crate::ground::time::{Duration, Utc};
use crate::io::clock::Clock;
use crate::model::feed::{Feed, FeedKind, Place};

/// So often …
const EVERY: Duration = Duration::hours(6);
/// … for so long …
const AHEAD_H: i64 = 48;
/// … and this much too sunny.
const TOO_SUNNY: f64 = 1.08;

/// The feed that reads it.
pub fn feed(path: PathBuf, zone: &str, most_kw: f64) -> Feed {
    Feed {
        id: "weather".to_owned(),
        kind: FeedKind::Pv,
        place: Place::File(path),
        series: Some("/hours".to_owned()),
        times: None,
        issued: Some("/issued".to_owned()),
        time_key: "time".to_owned(),
        value_key: "kw".to_owned(),
        zone: zone.to_owned(),
        factor: 1.0,
        least: 0.0,
        most: most_kw,
    }
}

/// Writes the file, and keeps it until the task is aborted. `roof` is what the roof will really
/// give, in W with generation negative.
pub fn keep(path: PathBuf, roof: Series<f64>, clock: Clock) -> JoinHandle<()> {
    let write = move |clock: &Clock| {
        if let Some(now) = clock.now().utc {
            // Where it cannot be written the demonstration goes on without.
            let _ = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            let _ = std::fs::write(&path, text(&roof, now));
        }
    };
    write(&clock);
    tokio::spawn(async move {
        loop {
            clock.sleep(EVERY).await;
            write(&clock);
        }
    })
}

fn text(roof: &Series<f64>, now: Utc) -> String {
    let hour = Duration::hours(1).as_millis();
    let first = Utc::from_millis(now.as_millis().div_euclid(hour) * hour);
    let mean = |from: Utc| {
        let quarters = (0..4).filter_map(|quarter| roof.at(from + Duration::minutes(15 * quarter)));
        let kw = -quarters.sum::<f64>() / 4.0 / 1000.0 * TOO_SUNNY;
        // No minus before nothing.
        if 0.0 < kw { (kw * 100.0).round() / 100.0 } else { 0.0 }
    };
    let hours = (0..AHEAD_H).map(|hour| {
        let from = first + Duration::hours(hour);
        json!({ "time": from, "kw": mean(from) })
    });
    json!({ "issued": now, "hours": hours.collect::<Vec<_>>() }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::source;

    #[test]
    fn what_is_written_can_be_read() {
        let now = Utc::parse("2019-05-13T05:20:00Z").expect("a time");
        let steps = (0..96).map(|hour| (now + Duration::hours(hour - 12), -1000.0 * hour as f64));
        let text = text(&Series::new(steps.collect()), now);
        let feed = feed(PathBuf::from("forecast.json"), "Europe/Paris", 100.0);
        let read = source::read(&feed, text.as_bytes(), now).expect("a forecast");
        assert_eq!((read.issued, read.steps.len()), (now, 48));
        assert_eq!(read.until, Utc::parse("2019-05-15T05:00:00Z").expect("a time"));
    }
}
