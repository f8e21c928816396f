//! Asks a judge outside of Easel about a picture: an HTTP service of the operator's that knows what no arithmetic on pixels
//! does.
//!
//! A judge is asked about so many pictures at once and no more. Judges are kept by address, so that this holds over a reload
//! too. Whoever asks waits no longer than the judge's `timeout`: for its turn, for the connection and for the answer
//! together. A judge never sees a key of a provider or the name of a client, and what it says is a stranger's text.
//!
//! A question with the picture in it is in memory from its turn until its answer: four thirds of the file, beside the picture
//! itself, for each of `concurrency` questions. It is counted nowhere; the picture counts where it is held already.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use http::{HeaderMap, HeaderValue, Method, header};
use prometheus::{HistogramVec, IntCounterVec};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::clock::Clock;
use crate::config::plan::OutsideJudge;
use crate::gateway::outside_judge::answer::read;
pub use crate::gateway::outside_judge::answer::{JudgeAnswer, JudgeFault, JudgeVerdict};
pub use crate::gateway::outside_judge::question::JudgeQuestion;
use crate::gateway::outside_judge::signature::SIGNATURE;
use crate::gateway::outside_judge::turns::JudgeTurns;
use crate::metrics::{Metrics, seconds};
use crate::provider::Call;
use crate::upstream::transport::{AllowedTargets, Bounds, Transport, TransportError};

mod answer;
mod question;
pub mod signature;
mod turns;

/// Longest wait for a connection, within the judge's own timeout; a judge is next door or in the same region.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest answer. One with eight reasons has a few hundred bytes.
const ANSWER: usize = 64 * 1024;
/// Judges that are remembered though the config in force does not name them: requests that began before a reload still ask
/// them. A config names a handful, so that many changes of all of them find room.
const FORMER: usize = 64;

/// The judges that are asked, by address.
pub struct OutsideJudges {
    turns: DashMap<Url, Arc<JudgeTurns>>,
    /// How many of them the config in force names.
    named: AtomicUsize,
    clock: Clock,
    hash_seed: u64,
    /// Answers by route and verdict: `easel_judge_total`.
    verdicts: IntCounterVec,
    /// What they took, by route: `easel_judge_seconds`.
    seconds: HistogramVec,
}

impl OutsideJudges {
    /// None yet. `clock` dates signatures, `hash_seed` is the secret that prompts are hashed with.
    pub fn new(clock: Clock, hash_seed: u64, metrics: &Metrics) -> OutsideJudges {
        let (verdicts, seconds) = (metrics.judge_verdicts.clone(), metrics.judge_seconds.clone());
        OutsideJudges { turns: DashMap::new(), named: AtomicUsize::new(0), clock, hash_seed, verdicts, seconds }
    }

    /// Takes over the judges of a new config: what was taken of their turns stays taken. Of one that several routes name
    /// the smallest `concurrency` holds, as it is the judge's own.
    pub fn keep_only<'a>(&self, judges: impl IntoIterator<Item = &'a OutsideJudge>) {
        let mut bounds: HashMap<&Url, usize> = HashMap::new();
        for judge in judges {
            let bound = bounds.entry(&judge.url).or_insert(judge.concurrency);
            *bound = judge.concurrency.min(*bound);
        }
        self.turns.retain(|url, _| bounds.contains_key(url));
        self.named.store(bounds.len(), Ordering::Release);
        for (url, bound) in bounds {
            self.turns.entry(url.clone()).or_insert_with(|| JudgeTurns::new(bound)).resize(bound);
        }
    }

    /// Asks `judge` and counts what came of it. Who leaves early gives its turn back.
    pub async fn ask(&self, transport: &Transport, judge: &OutsideJudge, question: &JudgeQuestion<'_>) -> JudgeAnswer {
        let began = Instant::now();
        let answer = match self.exchange(transport, judge, question, began + judge.timeout).await {
            Ok(body) => read(&body, judge.min_score),
            Err(fault) => JudgeAnswer::from(fault),
        };
        let verdict = answer.verdict.as_str();
        self.verdicts.with_label_values(&[question.route, verdict]).inc();
        self.seconds.with_label_values(&[question.route]).observe(seconds(began.elapsed()));
        if let JudgeVerdict::Failed(fault) = &answer.verdict {
            // Its address may hold a secret, so the log has the route.
            log::warn!("route {}: the judge of its pictures gave no verdict: {verdict}: {fault}", question.route);
        }
        answer
    }

    /// The body of its answer.
    async fn exchange(
        &self,
        transport: &Transport,
        judge: &OutsideJudge,
        question: &JudgeQuestion<'_>,
        deadline: Instant,
    ) -> Result<bytes::Bytes, JudgeFault> {
        let turns = self.turns_of(judge).ok_or(JudgeFault::Busy)?;
        let _turn = timeout_at(deadline, turns.take()).await.map_err(|_| JudgeFault::Busy)?;
        if Instant::now() >= deadline {
            // Its turn came with the end of its time.
            return Err(JudgeFault::Busy);
        }
        let call = timeout_at(deadline, self.call(judge, question)).await.map_err(|_| JudgeFault::Timeout)??;
        // Each question has a connection of its own: one that the judge has given up meanwhile would lose a question.
        let (silence, idle, reach) = (None, Duration::ZERO, AllowedTargets::Anywhere);
        let bounds = Bounds { deadline, connect: CONNECT, silence, idle, body: ANSWER, reach };
        let reply = transport.send(&call, bounds).await.map_err(fault)?.reply;
        match reply.status {
            200..300 => Ok(reply.body),
            status => Err(JudgeFault::Status(status)),
        }
    }

    /// The request, signed where there is a key.
    async fn call(&self, judge: &OutsideJudge, question: &JudgeQuestion<'_>) -> Result<Call, JudgeFault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let sealed = question.sealed(judge, self.hash_seed, self.clock.now().millis() / 1000).await;
        if let Some(signature) = sealed.signature {
            headers.insert(SIGNATURE, signature);
        }
        Ok(Call { method: Method::POST, url: judge.url.clone(), headers, body: sealed.body })
    }

    /// The turns at a judge; `None` when too many are remembered already that the config in force does not name.
    fn turns_of(&self, judge: &OutsideJudge) -> Option<Arc<JudgeTurns>> {
        if let Some(turns) = self.turns.get(&judge.url) {
            return Some(turns.clone());
        }
        if self.turns.len() >= self.named.load(Ordering::Acquire) + FORMER {
            return None;
        }
        Some(self.turns.entry(judge.url.clone()).or_insert_with(|| JudgeTurns::new(judge.concurrency)).clone())
    }
}

/// Why there is no answer.
fn fault(error: TransportError) -> JudgeFault {
    match error {
        TransportError::TimedOut { .. } => JudgeFault::Timeout,
        TransportError::Unreachable(_) | TransportError::Lost(_) | TransportError::Private => JudgeFault::Unreachable,
        TransportError::TooLarge => JudgeFault::Malformed("it is larger than 64 KiB"),
        TransportError::Unreadable(_) => JudgeFault::Malformed("its coding is not read"),
    }
}

#[cfg(test)]
mod tests;
