//! How many requests are under way, counted by guards that give back what they took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntGauge;

/// A place among those that are counted, given back when dropped.
pub struct InFlightGuard(Arc<AtomicUsize>);

impl InFlightGuard {
    /// Takes a place, and says how many are taken with it.
    pub fn take(count: &Arc<AtomicUsize>) -> (InFlightGuard, usize) {
        let now = count.fetch_add(1, Ordering::AcqRel) + 1;
        (InFlightGuard(count.clone()), now)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A gauge that is one higher until this is dropped.
pub struct GaugeGuard(IntGauge);

impl GaugeGuard {
    /// Raises the gauge.
    pub fn new(gauge: IntGauge) -> GaugeGuard {
        gauge.inc();
        GaugeGuard(gauge)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
