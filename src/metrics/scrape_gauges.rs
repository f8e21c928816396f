//! Figures that are looked up for one scrape and belong to it alone.
//!
//! A gauge that all scrapes share would have to be emptied before it is filled, and whoever scrapes meanwhile would see
//! holes in it. Here each scrape makes gauges of its own, so scrapes change nothing and never meet.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec};

use crate::metrics::naming::opts;

/// The figures of one scrape.
#[derive(Default)]
pub struct Scrape {
    families: Vec<MetricFamily>,
}

impl Scrape {
    /// A figure without labels.
    ///
    /// # Errors
    /// When the name is no metric's.
    pub fn count(&mut self, name: &str, help: &str, value: i64) -> Result<(), prometheus::Error> {
        self.counts(name, help, [], [([], value)])
    }

    /// A figure for each of the given values of its labels.
    ///
    /// # Errors
    /// When a name is no metric's or no label's.
    pub fn counts<const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; LABELS],
        values: impl IntoIterator<Item = ([String; LABELS], i64)>,
    ) -> Result<(), prometheus::Error> {
        let gauges = IntGaugeVec::new(opts(name, help), &labels)?;
        for (of, value) in values {
            gauges.get_metric_with_label_values(&of)?.set(value);
        }
        self.take(&gauges);
        Ok(())
    }

    /// The same of dollars or seconds, which are no whole numbers.
    ///
    /// # Errors
    /// When a name is no metric's or no label's.
    pub fn amounts<const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; LABELS],
        values: impl IntoIterator<Item = ([String; LABELS], f64)>,
    ) -> Result<(), prometheus::Error> {
        let gauges = GaugeVec::new(opts(name, help), &labels)?;
        for (of, value) in values {
            gauges.get_metric_with_label_values(&of)?.set(value);
        }
        self.take(&gauges);
        Ok(())
    }

    /// A family without a single sample is not valid exposition text.
    fn take(&mut self, gauges: &impl Collector) {
        self.families.extend(gauges.collect().into_iter().filter(|family| !family.get_metric().is_empty()));
    }

    /// What was looked up.
    pub(super) fn into_families(self) -> Vec<MetricFamily> {
        self.families
    }
}
