//! Predictions at the sandbox's Replicate: started, worked on, ended once, remembered for a while.
//!
//! A prediction is `starting`, then `processing`, then ended, whether or not a client polls it. It holds its place in
//! flight until then, and it is charged by succeeding, or, where time is charged, by having run. HTTP is `mod.rs`'s
//! business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::sandbox::billing::CallGuard;
use crate::sandbox::lock::lock;

/// Predictions that can be polled; older ones are forgotten, as the vendor forgets them after an hour.
const REMEMBERED: usize = 10_000;

/// Every prediction that can still be polled.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Predictions(Mutex<PredictionsState>);

#[derive(Debug, Default)]
struct PredictionsState {
    next: u64,
    by_number: BTreeMap<u64, Arc<Prediction>>,
}

impl Predictions {
    pub(in crate::sandbox) fn get(&self, id: &str) -> Option<Arc<Prediction>> {
        let number = u64::from_str_radix(id.strip_prefix("sandbox")?, 16).ok()?;
        lock(&self.0).by_number.get(&number).cloned()
    }

    /// Keeps what `make` makes of a new id, and forgets the oldest.
    pub(super) fn keep(&self, make: impl FnOnce(String) -> Prediction) -> Arc<Prediction> {
        let mut all = lock(&self.0);
        all.next += 1;
        let number = all.next;
        let prediction = Arc::new(make(format!("sandbox{number:08x}")));
        all.by_number.insert(number, Arc::clone(&prediction));
        while all.by_number.len() > REMEMBERED {
            if let Some((_, oldest)) = all.by_number.pop_first() {
                oldest.end(|| Some(PredictionEnd::Aborted));
            }
        }
        prediction
    }

    /// Ends everything that still runs, uncharged.
    pub(in crate::sandbox) fn stop(&self) {
        for prediction in lock(&self.0).by_number.values() {
            prediction.end(|| Some(PredictionEnd::Aborted));
        }
    }
}

/// One prediction.
#[derive(Debug)]
pub(in crate::sandbox) struct Prediction {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) version: String,
    pub(super) input: Map<String, Value>,
    pub(super) created: Instant,
    pub(super) created_at: String,
    pub(super) time: Duration,
    /// How long it computes, where it is charged by that; a random time.
    pub(super) micros: Option<u64>,
    pub(super) progress: watch::Sender<PredictionProgress>,
    /// Its worker, once there is one.
    pub(super) worker: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
pub(super) enum PredictionProgress {
    /// Holds its place in flight.
    Running(#[expect(dead_code, reason = "held for its Drop")] Option<CallGuard>),
    Ended(PredictionEnd),
}

/// How a prediction can end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PredictionEnd {
    Succeeded(Value),
    Failed(&'static str),
    Canceled,
    /// Ended before it started.
    Aborted,
}

impl Prediction {
    /// Ends as `ending` says, if it has not ended yet; the place in flight is free at once. `ending` is only called
    /// when the end is its own, so whatever it charges is charged once; `None` stands for a failure.
    pub(super) fn end(&self, ending: impl FnOnce() -> Option<PredictionEnd>) {
        let ended = self.progress.send_if_modified(|progress| {
            let running = matches!(progress, PredictionProgress::Running(_));
            if running {
                *progress = PredictionProgress::Ended(ending().unwrap_or(PredictionEnd::Failed("Prediction failed")));
            }
            running
        });
        if ended && let Some(worker) = lock(&self.worker).take() {
            worker.abort();
        }
    }

    /// Ends it uncharged, unless it has ended already.
    pub(in crate::sandbox) fn cancel(&self) {
        self.end(|| Some(PredictionEnd::Canceled));
    }

    /// Returns when it has ended.
    pub(in crate::sandbox) async fn ended(&self) {
        // The sender is `self`, so waiting cannot fail.
        drop(self.progress.subscribe().wait_for(|progress| matches!(progress, PredictionProgress::Ended(_))).await);
    }

    /// The prediction object. `origin` is the sandbox as the asker knows it.
    pub(in crate::sandbox) fn body(&self, origin: &str) -> Value {
        let (status, output, error) = match &*self.progress.borrow() {
            PredictionProgress::Running(_) => (phase(self.created.elapsed(), self.time), Value::Null, Value::Null),
            PredictionProgress::Ended(PredictionEnd::Succeeded(output)) => ("succeeded", output.clone(), Value::Null),
            PredictionProgress::Ended(PredictionEnd::Failed(why)) => ("failed", Value::Null, json!(why)),
            PredictionProgress::Ended(PredictionEnd::Canceled) => ("canceled", Value::Null, Value::Null),
            PredictionProgress::Ended(PredictionEnd::Aborted) => ("aborted", Value::Null, Value::Null),
        };
        let own = format!("{origin}/replicate/v1/predictions/{}", self.id);
        let mut body = json!({
            "id": self.id,
            "model": self.model,
            "version": self.version,
            "input": self.input,
            "logs": "",
            "output": output,
            "data_removed": false,
            "error": error,
            "source": "api",
            "status": status,
            "created_at": self.created_at,
            "urls": {"get": own, "cancel": format!("{own}/cancel"), "web": own},
        });
        if let (Some(micros), "succeeded" | "failed") = (self.micros, status) {
            // Of six decimals a float's shortest digits are the very same.
            let seconds = micros as f64 / 1e6;
            body["metrics"] = json!({"predict_time": seconds, "total_time": seconds + 0.04});
        } else if status == "succeeded" {
            body["metrics"] = json!({"predict_time": self.time.as_secs_f64(), "total_time": self.time.as_secs_f64()});
        }
        body
    }
}

/// The first fifth of the time is spent starting.
pub(super) fn phase(elapsed: Duration, time: Duration) -> &'static str {
    if elapsed < time / 5 { "starting" } else { "processing" }
}

pub(super) fn now() -> String {
    humantime::format_rfc3339_micros(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::image::{Format, Size};
    use crate::money::Usd;
    use crate::sandbox::Settings;
    use crate::sandbox::replicate::requests::{ParsedRequest, PictureInput};
    use crate::sandbox::settings::Name;
    use crate::sandbox::state::SandboxState;
    use crate::sandbox::state::vendor_rng;
    use crate::sandbox::vendor_call::VendorCall;

    fn shared() -> Arc<SandboxState> {
        let mut settings = Settings::default();
        settings.vendors.replicate.latency = Duration::from_secs(10);
        Arc::new(SandboxState::new("http://sandbox".to_owned(), settings))
    }

    fn start(shared: &Arc<SandboxState>, deadline: Option<u64>) -> Arc<Prediction> {
        let picture = PictureInput {
            prompt: "a red bicycle".to_owned(),
            size: Size::new(64, 64),
            count: 2,
            format: Format::Png,
            seed: None,
            single: false,
        };
        let parsed =
            ParsedRequest { model: "owner/model".to_owned(), version: "hidden".to_owned(), input: Map::new(), picture };
        Prediction::start(
            &mut VendorCall::admit(shared, Name::Replicate, &HeaderMap::new()),
            parsed,
            deadline.map(Duration::from_secs),
        )
    }

    fn status(prediction: &Prediction) -> String {
        prediction.body("")["status"].as_str().unwrap_or_default().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_prediction_starts_works_and_succeeds_in_its_own_time() {
        let shared = shared();
        let prediction = start(&shared, None);
        assert_eq!(status(&prediction), "starting");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(status(&prediction), "processing");
        assert_eq!((shared.invoice().total, shared.invoice().vendors.replicate.in_flight), (Some(Usd::ZERO), 1));
        prediction.ended().await;
        assert_eq!(prediction.created.elapsed(), Duration::from_secs(10));
        assert_eq!(status(&prediction), "succeeded");
        assert_eq!(shared.invoice().total, Some(Usd::from_nanos(80_000_000)));
        assert_eq!(shared.invoice().vendors.replicate.in_flight, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_before_its_end_breaks_it_off_uncharged() {
        let shared = shared();
        let (early, late) = (start(&shared, Some(1)), start(&shared, Some(5)));
        let in_time = start(&shared, Some(11));
        early.ended().await;
        late.ended().await;
        assert_eq!((status(&early), status(&late)), ("aborted".to_owned(), "canceled".to_owned()));
        assert_eq!(shared.invoice().total, Some(Usd::ZERO));
        in_time.ended().await;
        assert_eq!(status(&in_time), "succeeded");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cancelled_is_never_charged_later() {
        let shared = shared();
        let prediction = start(&shared, None);
        prediction.cancel();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(status(&prediction), "canceled");
        assert_eq!((shared.invoice().total, shared.invoice().vendors.replicate.in_flight), (Some(Usd::ZERO), 0));
    }

    #[test]
    fn every_vendor_has_a_random_generator_of_its_own() {
        let settings = Settings::default();
        let numbers: std::collections::BTreeSet<u64> = Name::ALL.map(|name| vendor_rng(&settings, name).u64(..)).into();
        assert_eq!(numbers.len(), Name::ALL.len());
    }
}
