//! Floor 2: what the site is and what has happened, in the field's words and no protocol's.
//!
//! Reading order: [`diagram`] (the electrical tree) → [`constraint`] (its named limits) → [`meter`]
//! → [`site`] (all that the controller is configured with) → [`session`] → [`bound`] (a limit with
//! its cause) → [`ask`] (what a charge point is asked beside its limits) → [`token`]
//! → [`reservation`] → [`message`] (reports from
//! and commands to the field) → [`event`] → [`record`].

pub mod ask;
pub mod bound;
pub mod campaign;
pub mod constraint;
pub mod diagram;
pub mod drivers;
pub mod event;
pub mod feed;
pub mod limit;
pub mod log;
pub mod machine;
pub mod message;
pub mod meter;
pub mod partner;
pub mod policy;
pub mod preference;
pub mod record;
pub mod reservation;
pub mod retention;
pub mod security;
pub mod session;
pub mod site;
pub mod tariff;
pub mod token;
pub mod update;
pub mod upload;
pub mod user;
