//! One prompt, rewritten: looked up, or asked for under the provider's own limits, and paid for.
//!
//! It waits no longer than the config says, and never more than half of the time that is left, so that the other half
//! is there to draw in. A call is made once: there is no second try for something that can be done without.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::breaker::{BreakerTarget, ModelOperation, Pause};
use crate::cache::{RewriteKey, RewriteTurn};
use crate::concurrency_limit::{Admission, Occupancy, Slot};
use crate::config::plan::Enrich;
use crate::failure::{Class, Failure};
use crate::gateway::call_rates::RatedCall;
use crate::gateway::durable_ledger::OpenedAttempt;
use crate::gateway::enrich::outcome::Enriched;
use crate::gateway::enrich::rewrite_cache_scope::RewriteCacheScope;
use crate::gateway::enrich::rewrite_limits::RewriteLimits;
use crate::gateway::routed_request::RoutedRequest;
use crate::ledger::entry::Purpose;
use crate::ledger::{BilledModel, Charge, Hold, Intent, Rejections};
use crate::metrics::seconds;
use crate::money::Usd;
use crate::pricing::TextTokens;
use crate::pricing::charged_amount::{ChargedAmount, CostSource};
use crate::pricing::undelivered::Charged;
use crate::provider::Call;
use crate::provider::anthropic::{self, RewriteReply, RewriteRequest};
use crate::upstream::transport::{AllowedTargets, Bounds, HeldReply, TransportError};

/// The largest answer in bytes that is read, a thousand times as long as one is.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// A prompt that is to be rewritten.
pub(super) struct Rewriting<'a> {
    /// The request with the caller's own prompt, prefix and suffix around it.
    pub(super) spec: &'a RoutedRequest,
    pub(super) enrich: &'a Enrich,
    pub(super) rewrite_scope: &'a RewriteCacheScope,
    /// The caller's own prompt.
    pub(super) caller: &'a str,
    pub(super) rewrite_limits: RewriteLimits,
}

/// What came of it.
pub(super) struct Rewritten {
    pub(super) enriched: Enriched,
    /// The new words, where there are any to use.
    pub(super) words: Option<Arc<str>>,
    /// What it adds to the invoice.
    pub(super) cost: Usd,
    /// What was paid for it, in advance or not, or may have been.
    pub(super) promised: Usd,
}

impl Rewritten {
    /// Nothing was sent.
    fn not(enriched: Enriched) -> Rewritten {
        Rewritten { enriched, words: None, cost: Usd::ZERO, promised: Usd::ZERO }
    }
}

impl Rewriting<'_> {
    pub(super) async fn run(&self) -> Rewritten {
        let deadline = self.deadline();
        let (key, keep) = (self.key(), self.enrich.keep.filter(|_| self.rewrite_scope.remember));
        let Some(keep) = keep else { return self.ask(None, deadline).await };
        let cache = &self.spec.shared.cache;
        match timeout_at(deadline, cache.rewritten(&key, now())).await {
            Ok(Ok(words)) => self.if_readable(words, Enriched::Cached),
            Ok(Err(turn)) => self.ask(Some((turn, keep)), deadline).await,
            Err(_) => Rewritten::not(Enriched::Failed(Class::TimeoutAmbiguous)),
        }
    }

    /// When the caller's own prompt is drawn instead.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let half = self.spec.deadline.saturating_duration_since(now) / 2;
        now + self.enrich.timeout.min(self.enrich.provider.timeout).min(half)
    }

    /// All that decides what is written, and for whom.
    fn key(&self) -> RewriteKey {
        let whose = [self.rewrite_scope.tenant.to_string(), self.caller.to_owned()];
        let parts: Vec<String> = whose.into_iter().chain(self.enrich.meaning()).collect();
        RewriteKey::of(parts.iter().map(String::as_str))
    }

    /// The rewritten prompt, if every offer that could draw the caller's own can read it.
    fn if_readable(&self, words: Arc<str>, enriched: Enriched) -> Rewritten {
        let whole = self.spec.matched.route.prompt.with_prefix_and_suffix(&words);
        match whole.chars().count() <= self.rewrite_limits.chars {
            true => Rewritten { words: Some(words), ..Rewritten::not(enriched) },
            false => Rewritten::not(Enriched::TooLong),
        }
    }

    /// Asks the model; what it writes is kept if there is a `turn` to.
    async fn ask(&self, turn: Option<(RewriteTurn<'_>, Duration)>, deadline: Instant) -> Rewritten {
        let Enrich { provider, writer, system, max_tokens, .. } = self.enrich;
        let (account, max_tokens) = (&provider.account, *max_tokens);
        let wish = RewriteRequest { account, writer, system, max_tokens, prompt: self.caller };
        let call = match anthropic::ask(&wish) {
            Ok(call) => call,
            Err(failure) => return self.failed(&failure),
        };
        let Some(most) = self.affordable(&call) else { return Rewritten::not(Enriched::OverPrice) };
        let slot = match self.slot(deadline).await {
            Ok(slot) => slot,
            Err(why) => return Rewritten::not(why),
        };
        let pass = match self.spec.shared.breakers.pass(self.breaker_target(), now()) {
            Ok(pass) => pass,
            Err(paused_until) => return Rewritten::not(Enriched::Paused(paused_until.pause)),
        };
        let rated = RatedCall::write(provider, writer, self.spec.priority);
        if rated.take(&self.spec.shared.call_rates, now()).is_err() {
            return Rewritten::not(Enriched::Paused(Pause::RateSpent));
        }
        let hold = match self.open(most).await {
            Ok(hold) => hold,
            Err(why) => return Rewritten::not(why),
        };
        let began = Instant::now();
        let told = self.send(&wish, &call, deadline).await;
        self.tell_lane(slot.sent(), began, told.as_ref().err().map(|failed| &failed.failure));
        drop(slot);
        self.measure(&told, began.elapsed());
        let paid = self.settle(hold, &told, most, began.elapsed()).await;
        match told {
            Ok(written) => {
                pass.succeeded(now());
                Rewritten { cost: paid.cost, promised: paid.promised, ..self.written(written, turn) }
            }
            Err(FailedCall { failure, .. }) => {
                pass.failed(&failure, provider.breaker, fastrand::u32(0..=1000), now());
                Rewritten { cost: paid.cost, promised: paid.promised, ..self.failed(&failure) }
            }
        }
    }

    /// Tells the concurrency limit how a call went.
    fn tell_lane(&self, sent: &Occupancy, began: Instant, failure: Option<&Failure>) {
        let lane = self.spec.shared.lane(&self.enrich.provider);
        match failure {
            Some(failure) if failure.too_many() => lane.refused(sent, failure.scope, began.into_std(), now()),
            Some(_) => {}
            None => lane.went_well(sent, began.into_std(), now()),
        }
    }

    /// What the circuit breakers of the call are kept for.
    fn breaker_target(&self) -> BreakerTarget<'_> {
        let Enrich { provider, writer, .. } = self.enrich;
        let account = provider.account.fingerprint();
        BreakerTarget { provider: &provider.name, account, model: &writer.name, operation: ModelOperation::Write }
    }

    /// Sets `most` aside and writes it down.
    async fn open(&self, most: Usd) -> Result<Hold, Enriched> {
        let (Enrich { provider, writer, .. }, spec) = (self.enrich, self.spec);
        let durable_ledger = &spec.shared.durable_ledger;
        if !durable_ledger.may_pay() {
            return Err(Enriched::LedgerUnwritable);
        }
        let intent = Intent {
            request: spec.request_id.clone(),
            owner: spec.owner(&provider.name, &writer.name),
            purpose: Purpose::Enrich,
            pictures: 0,
            estimate: most,
            chosen: "",
            billed_model: BilledModel { provider: provider.clone(), model: None },
            budgets: [spec.caller.budgets(), &spec.matched.route.budgets, &provider.budgets],
        };
        let opened: OpenedAttempt = durable_ledger.open(intent).map_err(|_| Enriched::OverBudget)?;
        opened.written().await.map_err(|(hold, _)| {
            durable_ledger.release(hold);
            Enriched::LedgerUnwritable
        })
    }

    /// Books what the call cost. An answer is paid for whatever it says; a call that was never answered, or by something
    /// that says nothing, may have been charged, `most` at the most.
    async fn settle(&self, hold: Hold, told: &Result<RewriteReply, FailedCall>, most: Usd, took: Duration) -> CallCost {
        let (usd, source, uncertain) = match told {
            Ok(written) => match self.enrich.writer.price.of(&written.tokens) {
                Some(usd) => (usd, CostSource::Usage, Usd::ZERO),
                None => (most, CostSource::Estimate, Usd::ZERO),
            },
            Err(FailedCall { open: true, .. }) => {
                let charged = |usd, uncertain| (usd, CostSource::Estimate, uncertain);
                match self.enrich.provider.billing.charges.abandoned {
                    Some(Charged::No) => (Usd::ZERO, CostSource::Nothing, Usd::ZERO),
                    Some(Charged::Yes) => charged(most, Usd::ZERO),
                    Some(Charged::Maybe) | None => (Usd::ZERO, CostSource::Nothing, most),
                }
            }
            Err(FailedCall { open: false, .. }) => (Usd::ZERO, CostSource::Nothing, Usd::ZERO),
        };
        let amount = ChargedAmount::Total { usd, billed: 0 };
        let (outcome, images) = (outcome(told), Vec::new());
        let (tiers, fee, rejections) = (None, Usd::ZERO, Rejections::default());
        let charge = Charge { amount, source, tiers, fee, uncertain, refused: 0, rejections, outcome, took, images };
        let settled = self.spec.shared.durable_ledger.settle(hold, charge).await.settlement;
        let promised = settled.usd.saturating_add(settled.prepaid).saturating_add(uncertain);
        CallCost { cost: settled.usd, promised }
    }

    /// The most a call can cost, if that leaves the pictures their money. No token is shorter than a byte of the body
    /// it comes from.
    fn affordable(&self, call: &Call) -> Option<Usd> {
        let input = u64::try_from(call.body.len()).unwrap_or(u64::MAX);
        let tokens = TextTokens { input, output: self.enrich.max_tokens.into(), ..TextTokens::default() };
        let most = self.enrich.writer.price.of(&tokens)?;
        self.rewrite_limits.usd.is_none_or(|spare| most <= spare).then_some(most)
    }

    /// A slot at the provider, waited for no longer than it is worth.
    async fn slot(&self, deadline: Instant) -> Result<Slot, Enriched> {
        let (shared, provider) = (&self.spec.shared, &self.enrich.provider);
        if let Some(paused_until) = shared.breakers.paused_until(self.breaker_target(), now()) {
            return Err(Enriched::Paused(paused_until.pause));
        }
        match shared.lane(provider).admit(&self.spec.claim(self.spec.priority, &self.enrich.writer.name)) {
            Admission::Slot(slot) => Ok(slot),
            Admission::Full => Err(Enriched::AtCapacity),
            Admission::Wait(ticket) => {
                let until = deadline.min(Instant::now() + provider.concurrency.max_wait);
                let came = timeout_at(until, ticket).await;
                came.ok().flatten().ok_or(Enriched::AtCapacity)
            }
        }
    }

    async fn send(
        &self,
        wish: &RewriteRequest<'_>,
        call: &Call,
        deadline: Instant,
    ) -> Result<RewriteReply, FailedCall> {
        let body = self.spec.snapshot.plan.server.limits.response_body.min(LONGEST_ANSWER);
        let (connect, idle) = (self.enrich.provider.connect_timeout, self.enrich.provider.idle_timeout);
        let bounds = Bounds { deadline, connect, silence: None, idle, body, reach: AllowedTargets::Anywhere };
        let sent = self.spec.shared.transport.send(call, bounds).await;
        let HeldReply { reply, held: _held } = sent.map_err(|trouble| {
            let failure = match trouble {
                TransportError::TooLarge => Failure::new(Class::Malformed, "the answer is longer than any prompt"),
                trouble => trouble.failure(),
            };
            FailedCall::of(failure, None)
        })?;
        anthropic::read(wish, &reply).map_err(|failure| FailedCall::of(failure, Some(reply.status)))
    }

    /// An answer.
    fn written(&self, written: RewriteReply, turn: Option<(RewriteTurn<'_>, Duration)>) -> Rewritten {
        let told = match written.text {
            Ok(words) => {
                let words: Arc<str> = words.into();
                if let Some((turn, keep)) = turn {
                    turn.fill(words.clone(), keep, now());
                }
                self.if_readable(words, Enriched::Written)
            }
            Err(why) => Rewritten::not(Enriched::Unwritten(why)),
        };
        if told.words.is_none() {
            let (route, name) = (&self.spec.matched.route.name, &self.enrich.name);
            log::warn!("route {route}: {name} wrote nothing to use: {}", told.enriched.as_str());
        }
        told
    }

    /// A call that failed.
    fn failed(&self, failure: &Failure) -> Rewritten {
        log::warn!("route {}: {} failed: {failure}", self.spec.matched.route.name, self.enrich.name);
        Rewritten::not(Enriched::Failed(failure.class))
    }

    fn measure(&self, told: &Result<RewriteReply, FailedCall>, took: Duration) {
        let outcome = outcome(told);
        let (provider, model) = (self.enrich.provider.name.as_str(), self.enrich.writer.name.as_str());
        let metrics = &self.spec.shared.metrics;
        metrics.attempts.with_label_values(&[provider, model, outcome]).inc();
        metrics.attempt_seconds.with_label_values(&[provider, model]).observe(seconds(took));
    }
}

/// A call that brought no words.
struct FailedCall {
    failure: Failure,
    /// Whether it is not known if the vendor carried it out and charged it.
    open: bool,
}

impl FailedCall {
    /// `status` is the answer's, `None` where none was read to its end.
    fn of(failure: Failure, status: Option<u16>) -> FailedCall {
        FailedCall { open: failure.leaves_the_bill_open(status), failure }
    }
}

/// What a call cost.
struct CallCost {
    cost: Usd,
    promised: Usd,
}

/// The word for metric and ledger.
fn outcome(told: &Result<RewriteReply, FailedCall>) -> &'static str {
    match told {
        Ok(RewriteReply { text: Ok(_), .. }) => "ok",
        Ok(RewriteReply { text: Err(why), .. }) => Enriched::Unwritten(*why).as_str(),
        Err(FailedCall { failure, .. }) => failure.class.as_str(),
    }
}

/// The clock as the policies take it; a paused test clock pauses this too.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
