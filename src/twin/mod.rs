//! Floor 5: the digital twin, in virtual time. Pure.
//!
//! Reading order: [`random`] → [`scenario`] (who comes, what goes wrong) → [`car`] → [`profile`]
//! → [`wire`] → [`settings`] → [`connector`] → [`output`] → [`charge_point`] with its `calls` →
//! [`electric`] → [`meters`] → [`plant`]. [`sample`] makes small sites and days.

mod calls;
pub mod car;
pub mod charge_point;
pub mod connector;
pub mod electric;
pub mod meters;
pub mod output;
pub mod plant;
pub mod profile;
pub mod random;
pub mod sample;
pub mod scenario;
pub mod settings;
pub mod wire;
