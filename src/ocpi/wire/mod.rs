//! The objects of OCPI as one version-neutral model: the fields of 2.3.0 with those of 2.2.1 among
//! them. [`super::codec`] writes them as either version and reads both.
//!
//! Parsing is permissive (unknown fields, open enums, null lists); whether an object is good enough
//! to be sent is asked of [`super::validate`]. Nulls and empty lists never leave.

pub mod cdr;
pub mod control;
pub mod credentials;
pub mod location;
pub mod session;
pub mod tariff;
pub mod token;
