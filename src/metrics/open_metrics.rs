//! The metrics page as OpenMetrics, in which a bucket may name a trace that fell into it: an exemplar.
//!
//! The text that Prometheus has read all along has no room for exemplars, and the metrics crate writes nothing else. The two
//! differ in the names of counters' families, in the exemplars and in the last line, so this goes over the text of the crate.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::TextEncoder;
use prometheus::proto::{MetricFamily, MetricType};

/// Buckets that have an exemplar at most: as many as 64 routes have with one cache result each. Beyond, those that have one get
/// newer ones and no others begin.
const MOST_EXEMPLARS: usize = 1_024;

/// The ending of a counter's name that its family's has not.
const TOTAL: &str = "_total";

/// A trace that fell into a bucket.
struct Exemplar {
    trace_id: String,
    value: f64,
    at: SystemTime,
}

/// The last trace that fell into each bucket, by the bucket's name with its labels.
#[derive(Default)]
pub struct Exemplars(Mutex<HashMap<String, Exemplar>>);

impl Exemplars {
    /// Notes that `trace_id` was observed with `value` in a bucket, whose `series` is written as on the page.
    pub(super) fn note(&self, series: String, trace_id: &str, value: f64, at: SystemTime) {
        let mut known = self.lock();
        if known.len() < MOST_EXEMPLARS || known.contains_key(&series) {
            known.insert(series, Exemplar { trace_id: trace_id.to_owned(), value, at });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Exemplar>> {
        // Whole between statements, whatever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page.
pub(super) fn render(families: &[MetricFamily], exemplars: &Exemplars) -> Result<String, prometheus::Error> {
    let known = exemplars.lock();
    let mut page = String::new();
    for family in families {
        let text = TextEncoder::new().encode_to_string(std::slice::from_ref(family))?;
        let (name, counts) = (family.name(), family.get_field_type() == MetricType::COUNTER);
        for line in text.lines() {
            // Writing to a String cannot fail.
            let _ = match line.strip_prefix("# ") {
                Some(about) if counts => writeln!(page, "# {}", about_counter(about, name)),
                _ => match line.rsplit_once(' ').and_then(|(series, _)| known.get(series)) {
                    Some(Exemplar { trace_id, value, at }) => {
                        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                        writeln!(page, "{line} # {{trace_id=\"{trace_id}\"}} {value} {at:.3}")
                    }
                    None => writeln!(page, "{line}"),
                },
            };
        }
    }
    page.push_str("# EOF\n");
    Ok(page)
}

/// What a line says about a counter, `HELP name words` or `TYPE name counter`, under its family's name.
fn about_counter(about: &str, name: &str) -> String {
    match name.strip_suffix(TOTAL) {
        Some(family) => about.replacen(name, family, 1),
        // One that does not end so cannot be told as a counter.
        None => about.strip_suffix(" counter").map_or_else(|| about.to_owned(), |rest| format!("{rest} unknown")),
    }
}
