//! Rules of `[keep]` and `[log]`, and what the daemon needs of them.

use crate::model::log::Levels;
use crate::model::retention::Retention;

use super::derive;
use super::file::File;
use super::report::Report;
use super::words::{number, quoted};

/// Checks how long the past is kept, and what is logged.
pub fn check(file: &File, report: &mut Report) {
    let keep = &file.keep;
    if keep.readings_days < keep.readings_fine_days && report.stands("keep.readings_fine_days") {
        report.error(
            "keep.readings_fine_days",
            format!("{} days", number(keep.readings_fine_days)),
            format!("at most readings_days, {} days", number(keep.readings_days)),
        );
    }
    if let Some(level) = &file.log.level
        && let Err(why) = Levels::parse(level)
    {
        report.error("log.level", quoted(level), format!("levels like info,ocpp=debug: {why}"));
    }
}

/// How long the past is kept.
pub fn retention(file: &File) -> Retention {
    let keep = &file.keep;
    let days = |days: f64| derive::seconds(days * 86_400.0);
    Retention {
        readings: days(keep.readings_days),
        readings_fine: days(keep.readings_fine_days.min(keep.readings_days)),
        readings_max: u64::from(keep.readings_max),
        setpoints: days(keep.setpoints_days),
        events: days(keep.events_days),
        sessions_max: u64::from(keep.sessions_max),
    }
}

/// What is logged.
pub fn levels(file: &File) -> Option<Levels> {
    file.log.level.as_deref().and_then(|level| Levels::parse(level).ok())
}
