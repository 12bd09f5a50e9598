//! Floor 5: what is told over MQTT, and what is heard there. Pure: a view becomes messages, a
//! message becomes an order; `io/post.rs` carries them, `announce.rs` joins the two.
//!
//! ```text
//! <topic>/availability            online | offline (the broker says so when the box is gone)
//! <topic>/site/state              JSON of the site
//! <topic>/evse/<name>/state       JSON of an EVSE
//! <topic>/site/limit_kw/set       a command: no more than this for all chargers together
//! <topic>/evse/<name>/limit_a/set a command: no more than this for an EVSE
//! homeassistant/device/…/config   what Home Assistant needs to find all of it
//! ```
//! Everything that is told is retained, so that whoever subscribes knows it at once; commands that
//! were retained are not taken, since nobody can say how old they are. Tokens are not told.
//!
//! Reading order: [`topics`] → [`facts`] (what is told) → [`discovery`] → [`pace`] (when) →
//! [`command`] (what is heard).

pub mod command;
pub mod discovery;
pub mod facts;
pub mod pace;
pub mod topics;
