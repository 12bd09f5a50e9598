//! Floor 3: what is to be expected of sun, building load and prices. Pure; learned on site.
//!
//! [`quarters`] (what was measured, by quarter hour) → [`pv`] and [`load`] (what will come, with
//! its spread) ← [`blend`] (a received forecast, weighted by its proven error); [`record`] keeps
//! how far each was off, for people. [`price`] is the tariff over a [`known`] day-ahead series,
//! [`peak`] the highest import so far. [`source`] reads what comes from outside.

pub mod blend;
pub mod known;
pub mod load;
pub mod peak;
pub mod price;
pub mod pv;
mod pv_fit;
pub mod quarters;
pub mod record;
mod ridge;
pub mod source;
