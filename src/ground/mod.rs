//! Floor 1: units, time, identifiers and step functions. Imports nothing of ours, holds no clock.

pub mod calendar;
pub mod crowd;
pub mod ids;
pub mod quantiles;
pub mod series;
pub mod spread;
pub mod time;
pub mod units;
pub mod zone;
