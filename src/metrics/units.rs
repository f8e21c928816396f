//! Easel's exact units in the floating point that Prometheus speaks.

use std::time::Duration;

use crate::money::Usd;

/// A duration as the floating-point seconds that histograms take.
pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Dollars for Prometheus, which knows only floating point. Never read back.
pub fn dollars(usd: Usd) -> f64 {
    usd.nanos() as f64 / 1e9
}
