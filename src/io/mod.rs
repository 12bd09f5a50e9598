//! Floor 5: the real plant. Sockets, the broker, the clock and systemd; nothing here understands
//! what it carries.
//!
//! Reading order: [`clock`] → [`inbox`] (how everything reaches the controller) → `handshake` →
//! `link` (one charge point) → [`websocket`] (all of them) → [`mqtt`] → [`sources`] → [`journal`] → [`key`] →
//! [`log`] → [`platform`] (systemd, memory and disk).

pub mod clock;
pub mod field;
mod handshake;
pub mod inbox;
pub mod journal;
pub mod key;
mod link;
pub mod log;
pub mod mqtt;
pub mod partner;
pub mod platform;
pub mod solver;
pub mod sources;
pub mod websocket;
