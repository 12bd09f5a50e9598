//! Floor 3: OCPI 2.2.1 and 2.3.0 without a socket. Pure: requests, responses and rows are values.
//!
//! Reading order: [`decimal`], [`text`] → [`wire`] (the objects) → [`codec`] (as either version has
//! them) → [`validate`] → [`http`], [`address`] → [`period`], [`price`] (what a session costs) →
//! [`engine`] (what is said to whom, and when).

pub mod address;
pub mod charger;
pub mod codec;
pub mod decimal;
pub mod engine;
pub mod http;
pub mod period;
pub mod price;
pub mod text;
pub mod validate;
pub mod wire;
