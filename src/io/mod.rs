//! Floor 5: the real plant. Sockets, the broker, the clock and systemd; nothing here understands
//! what it carries.
//!
//! Reading order: [`clock`] → [`inbox`] (how everything reaches the controller) → [`secret`] →
//! [`credentials`] → [`gate`] (who may come in) → [`certificate`] → [`authority`] → [`tls`] →
//! [`stream`] → [`vault`] → `body` → [`uploads`] (files of chargers) → `handshake` →
//! [`strangers`] → `link` (one charge point) → [`websocket`] (all of them) → [`renewal`] →
//! [`signing`] → [`doors`] → [`broker`] → [`mqtt`] → [`post`] → [`contact`] → [`sources`] →
//! [`journal`] → [`key`] → [`log`] → [`platform`] (systemd, memory and disk) → [`end`] (signals) →
//! [`starts`] (what a program that dies does) → [`https`] → [`users`] → [`user_order`] →
//! [`roster`] (who may use the page) → [`local`] → [`terminal`] → [`pace`] → [`partner`] (partners
//! over HTTP) → [`fetch`] (bundles of updates) → [`rauc`].

pub mod authority;
mod body;
pub mod broker;
pub mod certificate;
pub mod clock;
pub mod contact;
pub mod credentials;
pub mod doors;
pub mod end;
pub mod fetch;
pub mod field;
pub mod gate;
mod handshake;
pub mod https;
pub mod inbox;
pub mod journal;
pub mod key;
mod link;
pub mod local;
pub mod log;
pub mod mqtt;
pub mod pace;
pub mod partner;
pub mod platform;
pub mod post;
pub mod rauc;
pub mod renewal;
pub mod roster;
pub mod secret;
pub mod signing;
pub mod solver;
pub mod sources;
pub mod starts;
pub mod strangers;
pub mod stream;
pub mod terminal;
pub mod tls;
pub mod uploads;
pub mod user_order;
pub mod users;
pub mod vault;
pub mod websocket;
