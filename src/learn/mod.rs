//! Floor 3: what the site has seen of its drivers and their cars: how long they stay, what they
//! take, and how far what they say is true. Pure; nothing of it leaves the box, all of it can be
//! forgotten.
//!
//! [`stay`] (what is observed) → [`habits`] (what is expected of a car that stands there, and of
//! those to come) → [`spread`] (a distribution as a few weighted cases); [`vehicle`] is the car of
//! a token, [`shortage`] what all of them missed lately. `keep` writes it down for the store.

pub mod arrivals;
pub mod habits;
mod keep;
mod kernel;
pub mod shortage;
pub mod stay;
pub mod vehicle;
