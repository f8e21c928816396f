//! Predictions at the sandbox's Replicate: started, worked on, ended once, remembered for a while.
//!
//! A prediction is `starting`, then `processing`, then ended, whoever asks. It holds its place in flight until then,
//! and it is charged by succeeding, or, where time is charged, by having run. HTTP is `mod.rs`'s business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::sandbox::billing::CallGuard;
use crate::sandbox::call::Call;
use crate::sandbox::draw::Sketch;
use crate::sandbox::faults::Mode;
use crate::sandbox::replicate::models::Picture;
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::{Desk, lock};

/// Predictions that can be asked about; older ones are forgotten, as the vendor forgets them after an hour.
const REMEMBERED: usize = 10_000;

/// What is to be drawn, and the request's own words for it.
#[derive(Debug)]
pub(in crate::sandbox) struct Order {
    /// `owner/name`, as invoices have it.
    pub model: String,
    /// As the request gave it.
    pub version: String,
    /// As the request gave it.
    pub input: Map<String, Value>,
    pub picture: Picture,
}

/// Every prediction that can still be asked about.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Predictions(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    next: u64,
    by_number: BTreeMap<u64, Arc<Prediction>>,
}

impl Predictions {
    pub(in crate::sandbox) fn get(&self, id: &str) -> Option<Arc<Prediction>> {
        let number = u64::from_str_radix(id.strip_prefix("sandbox")?, 16).ok()?;
        lock(&self.0).by_number.get(&number).cloned()
    }

    /// Keeps what `make` makes of a new id, and forgets the oldest.
    fn keep(&self, make: impl FnOnce(String) -> Prediction) -> Arc<Prediction> {
        let mut all = lock(&self.0);
        all.next += 1;
        let number = all.next;
        let prediction = Arc::new(make(format!("sandbox{number:08x}")));
        all.by_number.insert(number, Arc::clone(&prediction));
        while all.by_number.len() > REMEMBERED {
            if let Some((_, oldest)) = all.by_number.pop_first() {
                oldest.end(|| Some(Ending::Aborted));
            }
        }
        prediction
    }

    /// Ends everything that still runs, uncharged.
    pub(in crate::sandbox) fn stop(&self) {
        for prediction in lock(&self.0).by_number.values() {
            prediction.end(|| Some(Ending::Aborted));
        }
    }
}

/// One prediction.
#[derive(Debug)]
pub(in crate::sandbox) struct Prediction {
    id: String,
    model: String,
    version: String,
    input: Map<String, Value>,
    created: Instant,
    created_at: String,
    time: Duration,
    /// How long it computes, where it is charged by that; drawn by lot.
    micros: Option<u64>,
    progress: watch::Sender<Progress>,
    /// Its worker, once there is one.
    worker: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
enum Progress {
    /// Holds its place in flight.
    Running(#[expect(dead_code, reason = "held for its Drop")] Option<CallGuard>),
    Ended(Ending),
}

/// How a prediction can end.
#[derive(Clone, Debug, PartialEq)]
enum Ending {
    Succeeded(Value),
    Failed(&'static str),
    Canceled,
    /// Ended before it started.
    Aborted,
}

impl Prediction {
    /// Starts the work, which goes on whether or not anybody waits.
    pub(in crate::sandbox) fn start(call: &mut Call, order: Order, deadline: Option<Duration>) -> Arc<Prediction> {
        let Order { model, version, input, picture } = order;
        let guard = call.take_guard();
        // A tenth of a second to five seconds, whatever the time on the clock.
        let by_time = call.vendor.rates.per_second.contains_key(&model);
        let micros = by_time.then_some(100_000 + call.luck % 4_900_000);
        let prediction = call.desk.predictions.keep(|id| Prediction {
            id,
            model,
            version,
            input,
            created: Instant::now(),
            created_at: now(),
            time: call.time,
            micros,
            progress: watch::Sender::new(Progress::Running(guard)),
            worker: Mutex::new(None),
        });
        let work = Work {
            desk: Arc::clone(&call.desk),
            origin: call.origin.clone(),
            vendor: Arc::clone(&call.vendor),
            outcome: Outcome::of(call, picture),
        };
        let worker = tokio::spawn(work.run(Arc::clone(&prediction), deadline));
        *lock(&prediction.worker) = Some(worker.abort_handle());
        prediction
    }

    /// Ends as `ending` says, if it has not ended yet; the place in flight is free at once. `ending` is only called
    /// when the end is its own, so whatever it charges is charged once; `None` stands for a failure.
    fn end(&self, ending: impl FnOnce() -> Option<Ending>) {
        let ended = self.progress.send_if_modified(|progress| {
            let running = matches!(progress, Progress::Running(_));
            if running {
                *progress = Progress::Ended(ending().unwrap_or(Ending::Failed("Prediction failed")));
            }
            running
        });
        if ended && let Some(worker) = lock(&self.worker).take() {
            worker.abort();
        }
    }

    /// Ends it uncharged, unless it has ended already.
    pub(in crate::sandbox) fn cancel(&self) {
        self.end(|| Some(Ending::Canceled));
    }

    /// Returns when it has ended.
    pub(in crate::sandbox) async fn ended(&self) {
        // The sender is `self`, so waiting cannot fail.
        drop(self.progress.subscribe().wait_for(|progress| matches!(progress, Progress::Ended(_))).await);
    }

    /// The prediction object. `origin` is the sandbox as the asker knows it.
    pub(in crate::sandbox) fn body(&self, origin: &str) -> Value {
        let (status, output, error) = match &*self.progress.borrow() {
            Progress::Running(_) => (phase(self.created.elapsed(), self.time), Value::Null, Value::Null),
            Progress::Ended(Ending::Succeeded(output)) => ("succeeded", output.clone(), Value::Null),
            Progress::Ended(Ending::Failed(why)) => ("failed", Value::Null, json!(why)),
            Progress::Ended(Ending::Canceled) => ("canceled", Value::Null, Value::Null),
            Progress::Ended(Ending::Aborted) => ("aborted", Value::Null, Value::Null),
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
fn phase(elapsed: Duration, time: Duration) -> &'static str {
    if elapsed < time / 5 { "starting" } else { "processing" }
}

/// What a prediction becomes when its time is over.
#[derive(Debug)]
enum Outcome {
    /// Pictures.
    Pictures { picture: Picture, sketches: Vec<Sketch> },
    /// A good end without pictures.
    Empty,
    /// The content is refused.
    Refused,
}

impl Outcome {
    fn of(call: &Call, picture: Picture) -> Outcome {
        if call.refuses(&picture.prompt) {
            return Outcome::Refused;
        }
        if call.fate == Mode::NoPictures {
            return Outcome::Empty;
        }
        let seed = picture.seed.unwrap_or(call.luck);
        let sketch =
            |index| Sketch { format: picture.format, ..call.sketch(&picture.prompt, seed, index, picture.size) };
        let sketches = (0..picture.count).map(sketch).collect();
        Outcome::Pictures { sketches, picture }
    }
}

/// A prediction's worker.
#[derive(Debug)]
struct Work {
    desk: Arc<Desk>,
    /// Where the links lead.
    origin: String,
    vendor: Arc<Vendor>,
    outcome: Outcome,
}

impl Work {
    async fn run(self, prediction: Arc<Prediction>, deadline: Option<Duration>) {
        if let Some(deadline) = deadline.filter(|deadline| *deadline < prediction.time) {
            tokio::time::sleep(deadline).await;
            let started = phase(deadline, prediction.time) == "processing";
            prediction.end(|| Some(if started { Ending::Canceled } else { Ending::Aborted }));
            return;
        }
        // Counted from its creation, not from when this worker was first run.
        tokio::time::sleep(prediction.time.saturating_sub(prediction.created.elapsed())).await;
        prediction.end(|| self.finish(&prediction.model, prediction.micros));
    }

    /// Charges and gives the links; the files are drawn when they are fetched. Time costs also when nothing comes of it.
    fn finish(self, model: &str, micros: Option<u64>) -> Option<Ending> {
        let billing = &self.desk.book(Name::Replicate).billing;
        let drawn = if let Outcome::Pictures { picture, .. } = &self.outcome { picture.count } else { 0 };
        let timed = micros.and_then(|micros| self.vendor.rates.seconds(model, micros));
        if let Some(usd) = timed {
            billing.charge_call(model, usd, drawn)?;
        }
        let (picture, sketches) = match self.outcome {
            Outcome::Empty => return Some(Ending::Succeeded(json!([]))),
            Outcome::Refused => {
                return Some(Ending::Failed(
                    "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
                ));
            }
            Outcome::Pictures { picture, sketches } => (picture, sketches),
        };
        if timed.is_none() {
            billing.charge(model, self.vendor.price_of(model, picture.size, None), picture.count, 0)?;
        }
        let put = |sketch| json!(format!("{}{}", self.origin, self.desk.shelf.put(Name::Replicate, sketch)));
        let mut links: Vec<Value> = sketches.into_iter().map(put).collect();
        Some(Ending::Succeeded(if picture.single { links.pop().unwrap_or(Value::Null) } else { Value::Array(links) }))
    }
}

fn now() -> String {
    humantime::format_rfc3339_micros(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::image::{Format, Size};
    use crate::money::Usd;
    use crate::sandbox::{Settings, dice};

    fn desk() -> Arc<Desk> {
        let mut settings = Settings::default();
        settings.vendors.replicate.latency = Duration::from_secs(10);
        Arc::new(Desk::new("http://sandbox".to_owned(), settings))
    }

    fn start(desk: &Arc<Desk>, deadline: Option<u64>) -> Arc<Prediction> {
        let picture = Picture {
            prompt: "a red bicycle".to_owned(),
            size: Size::new(64, 64),
            count: 2,
            format: Format::Png,
            seed: None,
            single: false,
        };
        let order = Order { model: "owner/model".to_owned(), version: "hidden".to_owned(), input: Map::new(), picture };
        Prediction::start(
            &mut Call::admit(desk, Name::Replicate, &HeaderMap::new()),
            order,
            deadline.map(Duration::from_secs),
        )
    }

    fn status(prediction: &Prediction) -> String {
        prediction.body("")["status"].as_str().unwrap_or_default().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_prediction_starts_works_and_succeeds_in_its_own_time() {
        let desk = desk();
        let prediction = start(&desk, None);
        assert_eq!(status(&prediction), "starting");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(status(&prediction), "processing");
        assert_eq!((desk.invoice().total, desk.invoice().vendors.replicate.in_flight), (Some(Usd::ZERO), 1));
        prediction.ended().await;
        assert_eq!(prediction.created.elapsed(), Duration::from_secs(10));
        assert_eq!(status(&prediction), "succeeded");
        assert_eq!(desk.invoice().total, Some(Usd::from_nanos(80_000_000)));
        assert_eq!(desk.invoice().vendors.replicate.in_flight, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_before_its_end_breaks_it_off_uncharged() {
        let desk = desk();
        let (early, late) = (start(&desk, Some(1)), start(&desk, Some(5)));
        let in_time = start(&desk, Some(11));
        early.ended().await;
        late.ended().await;
        assert_eq!((status(&early), status(&late)), ("aborted".to_owned(), "canceled".to_owned()));
        assert_eq!(desk.invoice().total, Some(Usd::ZERO));
        in_time.ended().await;
        assert_eq!(status(&in_time), "succeeded");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cancelled_is_never_charged_later() {
        let desk = desk();
        let prediction = start(&desk, None);
        prediction.cancel();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(status(&prediction), "canceled");
        assert_eq!((desk.invoice().total, desk.invoice().vendors.replicate.in_flight), (Some(Usd::ZERO), 0));
    }

    #[test]
    fn every_vendor_has_dice_of_its_own() {
        let settings = Settings::default();
        let throws: std::collections::BTreeSet<u64> = Name::ALL.map(|name| dice(&settings, name).u64(..)).into();
        assert_eq!(throws.len(), Name::ALL.len());
    }
}
