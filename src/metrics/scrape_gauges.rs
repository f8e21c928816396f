//! Figures that are looked up for one scrape and belong to it alone: gauges, and counters that somebody else counts.
//!
//! A gauge that all scrapes share would have to be emptied before it is filled, and whoever scrapes meanwhile would see
//! holes in it. Here each scrape makes gauges of its own, so scrapes change nothing and never meet.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, IntCounterVec, IntGaugeVec, Opts};

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

    /// What has been counted since the start, by somebody who never counts down.
    ///
    /// # Errors
    /// When the name is no metric's.
    pub fn total(&mut self, name: &str, help: &str, value: u64) -> Result<(), prometheus::Error> {
        self.totals(name, help, [], [([], value)])
    }

    /// The same for each of the given values of its labels.
    ///
    /// # Errors
    /// When a name is no metric's or no label's.
    pub fn totals<const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; LABELS],
        values: impl IntoIterator<Item = ([String; LABELS], u64)>,
    ) -> Result<(), prometheus::Error> {
        let counters = IntCounterVec::new(opts(name, help), &labels)?;
        for (of, value) in values {
            counters.get_metric_with_label_values(&of)?.inc_by(value);
        }
        self.take(&counters);
        Ok(())
    }

    /// What the system tells of the process, by the names that Prometheus's own libraries give it, without a prefix.
    ///
    /// # Errors
    /// When a name is no metric's.
    pub fn process(&mut self, process: &Process) -> Result<(), prometheus::Error> {
        let cpu = CounterVec::new(Opts::new("process_cpu_seconds_total", "CPU time of all threads."), &[])?;
        cpu.get_metric_with_label_values::<&str>(&[])?.inc_by(process.cpu_seconds);
        self.take(&cpu);
        for (name, help, value) in [
            ("process_open_fds", "File descriptors that are open.", process.open_fds),
            ("process_max_fds", "File descriptors that may be open.", process.max_fds),
            ("process_threads", "Threads.", process.threads),
            ("process_resident_memory_bytes", "Memory that is in RAM.", process.resident_bytes),
            ("process_virtual_memory_bytes", "Memory that has addresses.", process.virtual_bytes),
        ] {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &[])?;
            gauge.get_metric_with_label_values::<&str>(&[])?.set(value);
            self.take(&gauge);
        }
        let help = "When the process started, in Unix seconds.";
        let start = GaugeVec::new(Opts::new("process_start_time_seconds", help), &[])?;
        start.get_metric_with_label_values::<&str>(&[])?.set(process.start_seconds);
        self.take(&start);
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

/// What the system tells of the process.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Seconds of CPU that its threads have had.
    pub cpu_seconds: f64,
    /// File descriptors that are open.
    pub open_fds: i64,
    /// As many as may be.
    pub max_fds: i64,
    /// Threads.
    pub threads: i64,
    /// Bytes in RAM.
    pub resident_bytes: i64,
    /// Bytes that have addresses.
    pub virtual_bytes: i64,
    /// When it started, in Unix seconds.
    pub start_seconds: f64,
}
