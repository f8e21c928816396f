//! What Prometheus scrapes: every counter and histogram, made once.
//!
//! Labels are closed enums or names from the config, never a caller's words, so their number is bounded. Money stays in
//! whole nano-dollars in the ledger; only the scrape turns it into the floating point that Prometheus speaks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};

use crate::ledger::Ledger;
use crate::ledger::sliding_window::Cost;
use crate::metrics::accepted_cost::AcceptedCost;
use crate::metrics::naming::opts;
use crate::metrics::open_metrics::Exemplars;
use crate::metrics::spend::SpendCollector;

mod accepted_cost;
mod naming;
mod open_metrics;
mod scrape_gauges;
mod spend;
#[cfg(test)]
mod tests;
mod units;

pub use crate::metrics::scrape_gauges::{Process, Scrape};
pub use units::{dollars, seconds};

/// Buckets for requests and attempts, in seconds: a cache hit takes under a millisecond, a high-quality picture minutes.
const SECONDS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.025, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 180.0];

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    /// Requests answered.
    pub requests: IntCounterVec,
    /// Their duration.
    pub request_seconds: HistogramVec,
    /// Calls to providers.
    pub attempts: IntCounterVec,
    /// Their duration.
    pub attempt_seconds: HistogramVec,
    /// Pictures that vendors drew, by what became of them.
    pub images: IntCounterVec,
    /// Those that came and were not delivered, by the first reason against each.
    pub rejected: IntCounterVec,
    /// Those that were delivered although a check spoke against them, by every such check.
    pub flagged: IntCounterVec,
    /// Offers not asked.
    pub skipped: IntCounterVec,
    /// Calls that were late: hedges by what became of them, and why there was none.
    pub hedges: IntCounterVec,
    /// Looks into the cache.
    pub cache_requests: IntCounterVec,
    /// Prompts that were to be rewritten, by what became of it.
    pub enrichments: IntCounterVec,
    /// Requests with an idempotency key, by how they were answered.
    pub idempotency: IntCounterVec,
    /// Image requests being served.
    pub requests_in_flight: IntGauge,
    /// Bytes of request bodies held.
    pub request_body_bytes: IntGauge,
    /// Bytes of pictures that wait to be looked at.
    pub quality_queue_bytes: IntGauge,
    /// Rejected pictures that were to be kept for a look, by what became of them.
    pub rejected_files: IntCounterVec,
    /// How long pictures were looked at, the wait for it and a judge outside included.
    pub quality_seconds: Histogram,
    /// Bytes of providers' replies held.
    pub response_body_bytes: IntGauge,
    /// Connections that are open, by listener.
    pub connections: IntGaugeVec,
    /// Connections that Easel closed without an answer to a request having closed them, by listener and why.
    pub connections_closed: IntCounterVec,
    /// 1 when the last change of a listener's certificate was taken, else 0.
    pub certificate_reload_success: IntGaugeVec,
    /// When a listener's certificate ends, in Unix seconds.
    pub certificate_end: IntGaugeVec,
    /// 1 when the last reload was taken, else 0.
    pub reload_success: IntGauge,
    /// When it was taken, in Unix seconds.
    pub reload_timestamp: IntGauge,
    /// The config's version.
    pub config_version: IntGauge,
    /// Upgrades that came to nothing, by why.
    pub upgrades_refused: IntCounterVec,
    /// Lines of the access log that were lost because nobody took them in time.
    pub access_lines_dropped: IntCounter,
    /// The same of the diagnostics.
    pub diagnostic_lines_dropped: IntCounter,
    /// 0 inactive, 1 pending, 2 firing.
    pub alert_state: IntGaugeVec,
    /// Messages to webhooks, by what became of them.
    pub alert_notifications: IntCounterVec,
    /// Verdicts of clients on pictures, by what became of them.
    pub feedback: IntCounterVec,
    /// Prompts that were to be embedded for the cache, by what came of it.
    pub cache_embeddings: IntCounterVec,
    /// Requests that would have been served by an embedding, on routes in shadow mode.
    pub cache_shadow_hits: IntCounterVec,
    /// Requests that missed kept pictures by one pair of words, by what came of asking about it.
    pub near_misses: IntCounterVec,
    /// What judges outside of Easel said of pictures, or why nothing.
    pub judge_verdicts: IntCounterVec,
    /// How long they took, the wait for a turn included.
    pub judge_seconds: HistogramVec,
    /// Spans that a collector took.
    pub trace_spans: IntCounter,
    /// Those that none took, by the reason.
    pub trace_spans_dropped: IntCounterVec,
    exemplars: Exemplars,
}

impl Metrics {
    /// Where each alert stands: its name, what it looks at, and 1 pending or 2 firing.
    pub fn alert_states(&self) -> Vec<(String, String, i64)> {
        let families = self.alert_state.collect();
        let metrics = families.iter().flat_map(|family| family.get_metric());
        let state = |metric: &prometheus::proto::Metric| {
            let label = |name: &str| {
                let label = metric.get_label().iter().find(|label| label.name() == name);
                label.map(|label| label.value().to_owned()).unwrap_or_default()
            };
            // 0, 1 and 2 are whole in floating point, too.
            (label("alert"), label("name"), metric.get_gauge().get_value() as i64)
        };
        metrics.map(state).collect()
    }

    /// Fresh metrics in a registry of their own; `ledger` is read at every scrape.
    ///
    /// # Errors
    /// When two metrics share a name, which a test rules out.
    pub fn new(ledger: &Arc<Ledger>) -> Result<Metrics, prometheus::Error> {
        let made = MetricsBuilder(Registry::new());
        let log_dropped =
            made.counters("log_dropped_total", "Lines of the logs that nobody took in time.", &["log"])?;
        let (connections, connections_closed, certificate_reload_success) = made.listeners()?;
        let (reload_success, reload_timestamp, config_version) = made.config()?;
        let (alert_state, alert_notifications) = made.alerts()?;
        let metrics = Metrics {
            requests: made.counters("requests_total", "Requests answered.", &["route", "outcome"])?,
            request_seconds: made.seconds("request_seconds", "Time to answer a request.", &["route", "cache"])?,
            attempts: made.counters("attempts_total", "Calls to providers.", &["provider", "model", "outcome"])?,
            attempt_seconds: made.call_seconds()?,
            images: made.counters(
                "images_total",
                "Pictures by what became of them.",
                &["provider", "model", "verdict"],
            )?,
            rejected: made.rejected()?,
            flagged: made.flagged()?,
            skipped: made.counters("skipped_total", "Offers not asked.", &["provider", "reason"])?,
            hedges: made.hedges()?,
            cache_requests: made.counters("cache_requests_total", "Looks into the cache.", &["route", "result"])?,
            enrichments: made.enrichments()?,
            idempotency: made.idempotency()?,
            requests_in_flight: made.gauge("requests_in_flight", "Image requests being served.")?,
            request_body_bytes: made.gauge("request_body_bytes", "Bytes of image requests' bodies held at once.")?,
            quality_queue_bytes: made.gauge("quality_queue_bytes", "Bytes of pictures waiting to be looked at.")?,
            rejected_files: made.rejected_files()?,
            quality_seconds: made.quality_seconds()?,
            response_body_bytes: made.gauge("response_body_bytes", "Bytes of providers' replies held at once.")?,
            connections,
            connections_closed,
            certificate_reload_success,
            certificate_end: made.certificate_end()?,
            reload_success,
            reload_timestamp,
            config_version,
            upgrades_refused: made.counters(
                "upgrades_refused_total",
                "Upgrades asked for that came to nothing.",
                &["reason"],
            )?,
            access_lines_dropped: log_dropped.with_label_values(&["access"]),
            diagnostic_lines_dropped: log_dropped.with_label_values(&["diagnostic"]),
            alert_state,
            alert_notifications,
            feedback: made.counters("feedback_total", "Verdicts of clients on pictures.", &["verdict", "outcome"])?,
            cache_embeddings: made.counters(
                "cache_embeddings_total",
                "Prompts that were to be embedded for the cache, by what came of it.",
                &["route", "outcome"],
            )?,
            cache_shadow_hits: made.counters(
                "cache_shadow_hits_total",
                "Requests that a route in shadow mode would have served by an embedding.",
                &["route"],
            )?,
            near_misses: made.counters(
                "near_misses_total",
                "Near misses of the cache that a judge could be asked about, by what came of it.",
                &["route", "outcome"],
            )?,
            judge_verdicts: made.counters("judge_total", "What judges said of pictures.", &["route", "verdict"])?,
            judge_seconds: made.seconds("judge_seconds", "Time of a judge, its queue included.", &["route"])?,
            trace_spans: made.counter("trace_spans_total", "Spans that a collector took.")?,
            trace_spans_dropped: made.counters(
                "trace_spans_dropped_total",
                "Spans that no collector took, by the reason.",
                &["reason"],
            )?,
            exemplars: Exemplars::default(),
            registry: made.0,
        };
        metrics.registry.register(Box::new(SpendCollector::new(ledger.clone())?))?;
        metrics.registry.register(Box::new(build_info()?))?;
        Ok(metrics)
    }

    /// Tells from now on what accepted pictures cost; `costs` is asked at every scrape.
    ///
    /// # Errors
    /// When it is called twice.
    pub fn tell_costs(&self, costs: impl Fn() -> Vec<Cost> + Send + Sync + 'static) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(AcceptedCost::new(costs)?))
    }

    /// The text Prometheus reads, with what was looked up for it.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render(&self, looked_up: Scrape) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.families(looked_up))
    }

    /// The same as OpenMetrics, which has exemplars.
    ///
    /// # Errors
    /// As [`Metrics::render`].
    pub fn render_open_metrics(&self, looked_up: Scrape) -> Result<String, prometheus::Error> {
        open_metrics::render(&self.families(looked_up), &self.exemplars)
    }

    fn families(&self, looked_up: Scrape) -> Vec<prometheus::proto::MetricFamily> {
        let mut families = self.registry.gather();
        families.extend(looked_up.into_families());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        families
    }

    /// Counts a request that was answered. `trace_id` names its trace, where that is recorded; `at` is the present.
    pub fn answered(&self, (route, cache): (&str, &str), took: Duration, trace_id: Option<&str>, at: SystemTime) {
        let took = seconds(took);
        self.request_seconds.with_label_values(&[route, cache]).observe(took);
        if let Some(trace_id) = trace_id {
            let bucket = SECONDS.iter().find(|bound| took <= **bound);
            let bound = bucket.map_or_else(|| "+Inf".to_owned(), f64::to_string);
            // As the page has it. Routes' names and the cache's words are plain ones that nothing has to be escaped in.
            let series = format!("easel_request_seconds_bucket{{cache=\"{cache}\",route=\"{route}\",le=\"{bound}\"}}");
            self.exemplars.note(series, trace_id, took, at);
        }
    }
}

/// Makes metrics and registers them.
struct MetricsBuilder(Registry);

impl MetricsBuilder {
    /// Those that are open, those that were closed, and whether a certificate was taken.
    fn listeners(&self) -> Result<(IntGaugeVec, IntCounterVec, IntGaugeVec), prometheus::Error> {
        let closed = "Connections that Easel closed for what they did or did not do.";
        let certificate = "1 when the last change of the certificate was taken.";
        Ok((
            self.gauges("connections", "Connections that are open.", &["listener"])?,
            self.counters("connections_closed_total", closed, &["listener", "reason"])?,
            self.gauges("certificate_reload_success", certificate, &["listener"])?,
        ))
    }

    fn certificate_end(&self) -> Result<IntGaugeVec, prometheus::Error> {
        let help = "When the certificate that is shown ends, in Unix seconds.";
        self.gauges("certificate_end_timestamp_seconds", help, &["listener"])
    }

    /// Whether the last reload was taken, when, and the config's version.
    fn config(&self) -> Result<(IntGauge, IntGauge, IntGauge), prometheus::Error> {
        Ok((
            self.gauge("config_reload_success", "1 when the last config reload was taken.")?,
            self.gauge("config_last_reload_timestamp_seconds", "When the config in force was taken.")?,
            self.gauge("config_version", "Number of the config in force.")?,
        ))
    }

    /// How alerts stand, and messages about them.
    fn alerts(&self) -> Result<(IntGaugeVec, IntCounterVec), prometheus::Error> {
        let sent = "Messages to the webhooks of alerts, by what became of them.";
        Ok((
            self.gauges("alert_state", "Alerts: 0 inactive, 1 pending, 2 firing.", &["alert", "name"])?,
            self.counters("alert_notifications_total", sent, &["alert", "outcome"])?,
        ))
    }

    fn rejected(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Pictures that came and were not delivered, by the first reason against each.";
        self.counters("rejected_total", help, &["provider", "model", "reason"])
    }

    fn flagged(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Pictures that were delivered although a check spoke against them, by that check.";
        self.counters("flagged_total", help, &["provider", "model", "reason"])
    }

    fn rejected_files(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Rejected pictures that were to be kept for a look, by what became of them.";
        self.counters("rejected_files_total", help, &["outcome"])
    }

    fn quality_seconds(&self) -> Result<Histogram, prometheus::Error> {
        let help = "Time to look at a picture, the wait for a thread and a judge outside included.";
        let opts = HistogramOpts { common_opts: opts("quality_seconds", help), buckets: SECONDS.to_vec() };
        self.keep(Histogram::with_opts(opts)?)
    }

    fn call_seconds(&self) -> Result<HistogramVec, prometheus::Error> {
        self.seconds("attempt_seconds", "Time of a call, polling included.", &["provider", "model"])
    }

    fn enrichments(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Prompts that were to be rewritten, by what became of it.";
        self.counters("enrichments_total", help, &["route", "outcome"])
    }

    fn hedges(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Calls that were late: hedges by what became of them, and why there was none.";
        self.counters("hedges_total", help, &["route", "outcome"])
    }

    fn idempotency(&self) -> Result<IntCounterVec, prometheus::Error> {
        let help = "Requests with an idempotency key, by how they were answered.";
        self.counters("idempotency_requests_total", help, &["result"])
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.keep(IntCounterVec::new(opts(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.keep(IntCounter::with_opts(opts(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.keep(IntGaugeVec::new(opts(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.keep(IntGauge::with_opts(opts(name, help))?)
    }

    fn seconds(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts { common_opts: opts(name, help), buckets: SECONDS.to_vec() };
        self.keep(HistogramVec::new(opts, labels)?)
    }

    fn keep<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn build_info() -> Result<Gauge, prometheus::Error> {
    let labels = HashMap::from([("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    let gauge = Gauge::with_opts(opts("build_info", "The running build.").const_labels(labels))?;
    gauge.set(1.0);
    Ok(gauge)
}
