//! The work behind a prediction: it waits, draws, charges and ends it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::sandbox::draw::Sketch;
use crate::sandbox::faults::Mode;
use crate::sandbox::lock::lock;
use crate::sandbox::replicate::prediction_state::{Prediction, PredictionEnd, PredictionProgress, now, phase};
use crate::sandbox::replicate::requests::{ParsedRequest, PictureInput};
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::VendorCall;

impl Prediction {
    /// Starts the work, which goes on whether or not anybody waits.
    pub(in crate::sandbox) fn start(
        call: &mut VendorCall,
        parsed: ParsedRequest,
        deadline: Option<Duration>,
    ) -> Arc<Prediction> {
        let ParsedRequest { model, version, input, picture } = parsed;
        let guard = call.take_guard();
        // A tenth of a second to five seconds, whatever the time on the clock.
        let by_time = call.vendor.rates.per_second.contains_key(&model);
        let micros = by_time.then_some(100_000 + call.seed % 4_900_000);
        let prediction = call.shared.predictions.keep(|id| Prediction {
            id,
            model,
            version,
            input,
            created: Instant::now(),
            created_at: now(),
            time: call.time,
            micros,
            progress: watch::Sender::new(PredictionProgress::Running(guard)),
            worker: Mutex::new(None),
        });
        let work = PredictionWorker {
            shared: Arc::clone(&call.shared),
            origin: call.origin.clone(),
            vendor: Arc::clone(&call.vendor),
            outcome: PredictionOutcome::of(call, picture),
        };
        let worker = tokio::spawn(work.run(Arc::clone(&prediction), deadline));
        *lock(&prediction.worker) = Some(worker.abort_handle());
        prediction
    }
}

/// What a prediction becomes when its time is over.
#[derive(Debug)]
pub(super) enum PredictionOutcome {
    /// Pictures.
    Pictures { picture: PictureInput, sketches: Vec<Sketch> },
    /// A good end without pictures.
    Empty,
    /// The content is refused.
    Refused,
}

impl PredictionOutcome {
    pub(super) fn of(call: &VendorCall, picture: PictureInput) -> PredictionOutcome {
        if call.refuses(&picture.prompt) {
            return PredictionOutcome::Refused;
        }
        if call.fault == Mode::NoPictures {
            return PredictionOutcome::Empty;
        }
        let seed = picture.seed.unwrap_or(call.seed);
        let sketch =
            |index| Sketch { format: picture.format, ..call.sketch(&picture.prompt, seed, index, picture.size) };
        let sketches = (0..picture.count).map(sketch).collect();
        PredictionOutcome::Pictures { sketches, picture }
    }
}

/// A prediction's worker.
#[derive(Debug)]
pub(super) struct PredictionWorker {
    pub(super) shared: Arc<SandboxState>,
    /// Where the links lead.
    pub(super) origin: String,
    pub(super) vendor: Arc<Vendor>,
    pub(super) outcome: PredictionOutcome,
}

impl PredictionWorker {
    pub(super) async fn run(self, prediction: Arc<Prediction>, deadline: Option<Duration>) {
        if let Some(deadline) = deadline.filter(|deadline| *deadline < prediction.time) {
            tokio::time::sleep(deadline).await;
            let started = phase(deadline, prediction.time) == "processing";
            prediction.end(|| Some(if started { PredictionEnd::Canceled } else { PredictionEnd::Aborted }));
            return;
        }
        // Counted from its creation, not from when this worker was first run.
        tokio::time::sleep(prediction.time.saturating_sub(prediction.created.elapsed())).await;
        prediction.end(|| self.finish(&prediction.model, prediction.micros));
    }

    /// Charges and gives the links; the files are drawn when they are fetched. Time costs also when nothing comes of it.
    pub(super) fn finish(self, model: &str, micros: Option<u64>) -> Option<PredictionEnd> {
        let billing = &self.shared.vendor_state(Name::Replicate).billing;
        let drawn = if let PredictionOutcome::Pictures { picture, .. } = &self.outcome { picture.count } else { 0 };
        let timed = micros.and_then(|micros| self.vendor.rates.seconds(model, micros));
        if let Some(usd) = timed {
            billing.charge_call(model, usd, drawn)?;
        }
        let (picture, sketches) = match self.outcome {
            PredictionOutcome::Empty => return Some(PredictionEnd::Succeeded(json!([]))),
            PredictionOutcome::Refused => {
                return Some(PredictionEnd::Failed(
                    "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
                ));
            }
            PredictionOutcome::Pictures { picture, sketches } => (picture, sketches),
        };
        if timed.is_none() {
            billing.charge(model, self.vendor.price_of(model, picture.size, None), picture.count, 0)?;
        }
        let put = |sketch| json!(format!("{}{}", self.origin, self.shared.picture_links.put(Name::Replicate, sketch)));
        let mut links: Vec<Value> = sketches.into_iter().map(put).collect();
        Some(PredictionEnd::Succeeded(if picture.single {
            links.pop().unwrap_or(Value::Null)
        } else {
            Value::Array(links)
        }))
    }
}
