//! A forecast figure with its spread.

use serde::{Deserialize, Serialize};

/// A forecast of one step: a value that is exceeded in 90, 50 and 10 of 100 cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Exceeded in 90 of 100 cases.
    pub low: f64,
    /// As often above as below.
    pub mid: f64,
    /// Exceeded in 10 of 100 cases.
    pub high: f64,
}

impl Quantiles {
    /// What is certain.
    pub const fn certain(value: f64) -> Self {
        Self { low: value, mid: value, high: value }
    }

    /// The mean, where the middle is more often passed than reached (Swanson's rule).
    pub fn mean(self) -> f64 {
        0.3 * self.low + 0.4 * self.mid + 0.3 * self.high
    }
}
