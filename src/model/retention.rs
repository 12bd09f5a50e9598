//! How long the past is kept.

use crate::ground::time::Duration;

/// What is forgotten, and when: by age from the newest row of the same kind, and by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Readings are kept this long …
    pub readings: Duration,
    /// … those older than this one each [`Retention::COARSE`] …
    pub readings_fine: Duration,
    /// … and no more than these in all.
    pub readings_max: u64,
    /// Setpoints with their causes explain complaints.
    pub setpoints: Duration,
    /// Events.
    pub events: Duration,
    /// Sessions and their transactions.
    pub sessions_max: u64,
}

impl Retention {
    /// The step of readings that were thinned.
    pub const COARSE: Duration = Duration::minutes(15);
}

/// Readings are for curves of recent sessions: five weeks, or 35 days of 12 busy chargers with a
/// reading a minute for 11 hours a day; some 60 MB at the most. Setpoints: a quarter of a year.
/// Events: a year, some 10 MB at the most. Sessions: ten years of 30 a day.
impl Default for Retention {
    fn default() -> Self {
        Self {
            readings: Duration::hours(35 * 24),
            readings_fine: Duration::hours(35 * 24),
            readings_max: 300_000,
            setpoints: Duration::hours(92 * 24),
            events: Duration::hours(366 * 24),
            sessions_max: 110_000,
        }
    }
}
