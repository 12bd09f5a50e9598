//! How a forecast or price from outside stands.

use crate::ground::time::{Instant, Utc};

/// How a feed stands.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedState {
    /// Since when it is waited for.
    pub(super) since: Instant,
    /// When the last good document came.
    pub(super) heard: Option<Utc>,
    /// When that was issued.
    pub(super) issued: Option<Utc>,
    /// Until when it says something.
    pub(super) until: Option<Utc>,
    /// Why it is of no use at present; none while all is well.
    pub(super) trouble: Option<String>,
    /// What came before the clock was trusted.
    pub(super) waiting: Option<Vec<u8>>,
}

impl FeedState {
    /// Nothing heard yet.
    pub fn new(now: Instant) -> Self {
        Self { since: now, heard: None, issued: None, until: None, trouble: None, waiting: None }
    }
}
