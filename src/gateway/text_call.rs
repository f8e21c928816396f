//! One paid call to a model that reads or writes words: a prompt rewritten, two prompts compared, texts made vectors.
//!
//! It takes what any call takes: a slot in the provider's lane, the circuit breakers' word, the rates, and money set aside
//! on the ledger within every budget. It is made once, waits no longer than its deadline, and is settled whatever came of
//! it. Nobody needs to wait for it: a task in the background makes it as well as a request. What it is asked for, and what
//! is done without an answer, is its caller's business.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::breaker::{BreakerTarget, ModelOperation, Pass, Pause};
use crate::concurrency_limit::{Admission, Claim, Occupancy, Slot};
use crate::config::plan::{Budget, Priority, Provider, TextModel};
use crate::failure::{Class, Failure};
use crate::gateway::breaker_log::log_breaker_changes;
use crate::gateway::call_rates::RatedCall;
use crate::gateway::durable_ledger::OpenedAttempt;
use crate::gateway::shared::Shared;
use crate::ledger::entry::{Owner, Purpose};
use crate::ledger::{BilledModel, Charge, Hold, Intent, Rejections};
use crate::metrics::seconds;
use crate::money::Usd;
use crate::pricing::TextTokens;
use crate::pricing::charged_amount::{ChargedAmount, CostSource};
use crate::pricing::undelivered::Charged;
use crate::provider::openai_text::EmbedReply;
use crate::provider::{Call, ChatReply, Reply};
use crate::upstream::transport::{AllowedTargets, Bounds, HeldReply, TransportError};

/// The largest answer of words in bytes that is read, a thousand times as long as one is.
pub const LONGEST_CHAT: usize = 1024 * 1024;

/// A call, and for whom.
pub struct TextCall<'a> {
    pub shared: &'a Shared,
    /// The id under which it stands on the ledger: the request's, or one of the task's own.
    pub request_id: Arc<str>,
    /// Whose it is.
    pub owner: Owner,
    /// What it is made for.
    pub purpose: Purpose,
    /// What the client, the route and the provider may spend: all that it must fit in.
    pub budgets: [&'a [Budget]; 3],
    pub provider: &'a Arc<Provider>,
    pub model: &'a TextModel,
    /// The class in which it waits for a slot and takes of the rates.
    pub priority: Priority,
    /// When nobody wants its answer any more.
    pub deadline: Instant,
    /// What it may cost at most; `None` where only the budgets bound it.
    pub most: Option<Usd>,
    /// Bytes of the longest answer that is read.
    pub longest_reply: usize,
}

/// What a text call brings, as it is priced and counted.
pub trait TextAnswer {
    /// What it took; `None` where the vendor does not say.
    fn tokens(&self) -> Option<TextTokens>;

    /// The word for metric and ledger: `ok`, or why there is nothing to use.
    fn outcome(&self) -> &'static str;
}

/// What came of a call.
pub struct TextCallResult<T> {
    /// The answer, or why there is none.
    pub told: Result<T, NoTextCall>,
    /// What it adds to the invoice.
    pub cost: Usd,
    /// What was paid for it, in advance or not, or may have been.
    pub promised: Usd,
}

/// Why a call brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTextCall {
    /// It failed, or took too long. Every other reason means that nothing was sent.
    Failed(Failure),
    /// The model is paused after trouble.
    Paused(Pause),
    /// No slot was free in time.
    AtCapacity,
    /// It may cost more than it is worth.
    OverPrice,
    /// A budget would be passed.
    OverBudget,
    /// The ledger cannot be written.
    LedgerUnwritable,
}

impl NoTextCall {
    /// The word for log, metric and header.
    pub fn as_str(&self) -> &'static str {
        match self {
            NoTextCall::Failed(failure) => failure.class.as_str(),
            NoTextCall::Paused(pause) => pause.as_str(),
            NoTextCall::AtCapacity => "at_capacity",
            NoTextCall::OverPrice => "over_price",
            NoTextCall::OverBudget => "over_budget",
            NoTextCall::LedgerUnwritable => "ledger_unwritable",
        }
    }
}

impl TextAnswer for ChatReply {
    fn tokens(&self) -> Option<TextTokens> {
        self.tokens
    }

    fn outcome(&self) -> &'static str {
        self.text.as_ref().err().map_or("ok", |why| why.as_str())
    }
}

impl TextAnswer for EmbedReply {
    fn tokens(&self) -> Option<TextTokens> {
        self.tokens
    }

    fn outcome(&self) -> &'static str {
        "ok"
    }
}

impl TextCall<'_> {
    /// Sends `call`, whose answer has at most `output` tokens, and reads what comes back.
    pub async fn run<T: TextAnswer>(
        &self,
        call: &Call,
        output: u32,
        read: impl Fn(&Reply) -> Result<T, Failure>,
    ) -> TextCallResult<T> {
        let (most, hold, slot, pass) = match self.reserve(call, output).await {
            Ok(reserved) => reserved,
            Err(why) => return TextCallResult { told: Err(why), cost: Usd::ZERO, promised: Usd::ZERO },
        };
        let began = Instant::now();
        let told = self.send(call, read).await;
        self.tell_lane(slot.sent(), began, told.as_ref().err().map(|failed| &failed.failure));
        drop(slot);
        let (took, outcome) = (began.elapsed(), outcome(&told));
        self.measure(outcome, took);
        let paid = self.settle(hold, &told, most, (outcome, took)).await;
        let told = match told {
            Ok(answer) => {
                pass.succeeded(now());
                Ok(answer)
            }
            Err(FailedCall { failure, .. }) => {
                pass.failed(&failure, self.provider.breaker, fastrand::u32(0..=1000), now());
                Err(NoTextCall::Failed(failure))
            }
        };
        log_breaker_changes(&self.shared.breakers);
        TextCallResult { told, cost: paid.cost, promised: paid.promised }
    }

    /// All that it takes: the most it can cost, set aside, a slot, and the breakers' pass.
    async fn reserve(&self, call: &Call, output: u32) -> Result<(Usd, Hold, Slot, Pass), NoTextCall> {
        let most = self.affordable(call, output).ok_or(NoTextCall::OverPrice)?;
        let slot = self.slot().await?;
        let passed = self.shared.breakers.pass(self.breaker_target(), now());
        let pass = passed.map_err(|paused_until| NoTextCall::Paused(paused_until.pause))?;
        let rated = RatedCall::write(self.provider, self.model, self.priority);
        let taken = rated.take(&self.shared.call_rates, now());
        taken.map_err(|_| NoTextCall::Paused(Pause::RateSpent))?;
        Ok((most, self.open(most).await?, slot, pass))
    }

    /// The most a call can cost, if that is not too much. No token is shorter than a byte of the body it comes from.
    fn affordable(&self, call: &Call, output: u32) -> Option<Usd> {
        let input = u64::try_from(call.body.len()).unwrap_or(u64::MAX);
        let tokens = TextTokens { input, output: output.into(), ..TextTokens::default() };
        let most = self.model.price.of(&tokens)?;
        self.most.is_none_or(|spare| most <= spare).then_some(most)
    }

    /// A slot at the provider, waited for no longer than it is worth.
    async fn slot(&self) -> Result<Slot, NoTextCall> {
        if let Some(paused_until) = self.shared.breakers.paused_until(self.breaker_target(), now()) {
            return Err(NoTextCall::Paused(paused_until.pause));
        }
        let (tenant, model) = (self.owner.tenant.clone(), self.owner.model.clone());
        match self.shared.lane(self.provider).admit(&Claim { priority: self.priority, tenant, model }) {
            Admission::Slot(slot) => Ok(slot),
            Admission::Full => Err(NoTextCall::AtCapacity),
            Admission::Wait(ticket) => {
                let until = self.deadline.min(Instant::now() + self.provider.concurrency.max_wait);
                let came = timeout_at(until, ticket).await;
                came.ok().flatten().ok_or(NoTextCall::AtCapacity)
            }
        }
    }

    /// What the circuit breakers of the call are kept for.
    fn breaker_target(&self) -> BreakerTarget<'_> {
        let account = self.provider.account.fingerprint();
        let (provider, model) = (&self.provider.name, &self.model.name);
        BreakerTarget { provider, account, model, operation: ModelOperation::Write }
    }

    /// Sets `most` aside and writes it down.
    async fn open(&self, most: Usd) -> Result<Hold, NoTextCall> {
        let durable_ledger = &self.shared.durable_ledger;
        if !durable_ledger.may_pay() {
            return Err(NoTextCall::LedgerUnwritable);
        }
        let intent = Intent {
            request: self.request_id.clone(),
            owner: self.owner.clone(),
            purpose: self.purpose,
            pictures: 0,
            estimate: most,
            chosen: "",
            billed_model: BilledModel { provider: self.provider.clone(), model: None },
            budgets: self.budgets,
        };
        let opened: OpenedAttempt = durable_ledger.open(intent).map_err(|_| NoTextCall::OverBudget)?;
        opened.written().await.map_err(|(hold, _)| {
            durable_ledger.release(hold);
            NoTextCall::LedgerUnwritable
        })
    }

    async fn send<T>(&self, call: &Call, read: impl Fn(&Reply) -> Result<T, Failure>) -> Result<T, FailedCall> {
        let Provider { connect_timeout: connect, idle_timeout: idle, .. } = **self.provider;
        let (deadline, body, reach) = (self.deadline, self.longest_reply, AllowedTargets::Anywhere);
        let bounds = Bounds { deadline, connect, silence: None, idle, body, reach };
        let sent = self.shared.transport.send(call, bounds).await;
        let HeldReply { reply, held: _held } = sent.map_err(|trouble| {
            let failure = match trouble {
                TransportError::TooLarge => Failure::new(Class::Malformed, "the answer is longer than any"),
                trouble => trouble.failure(),
            };
            FailedCall::of(failure, None)
        })?;
        read(&reply).map_err(|failure| FailedCall::of(failure, Some(reply.status)))
    }

    /// Tells the concurrency limit how a call went.
    fn tell_lane(&self, sent: &Occupancy, began: Instant, failure: Option<&Failure>) {
        let lane = self.shared.lane(self.provider);
        match failure {
            Some(failure) if failure.too_many() => lane.refused(sent, failure.scope, began.into_std(), now()),
            Some(_) => {}
            None => lane.went_well(sent, began.into_std(), now()),
        }
    }

    /// Books what the call cost. An answer is paid for whatever it says; a call that was never answered, or by something
    /// that says nothing, may have been charged, `most` at the most.
    async fn settle<T: TextAnswer>(
        &self,
        hold: Hold,
        told: &Result<T, FailedCall>,
        most: Usd,
        (outcome, took): (&'static str, Duration),
    ) -> CallCost {
        let (usd, source, uncertain) = match told {
            Ok(answer) => match answer.tokens().and_then(|tokens| self.model.price.of(&tokens)) {
                Some(usd) => (usd, CostSource::Usage, Usd::ZERO),
                None => (most, CostSource::Estimate, Usd::ZERO),
            },
            Err(FailedCall { open: true, .. }) => {
                let charged = |usd, uncertain| (usd, CostSource::Estimate, uncertain);
                match self.provider.billing.charges.abandoned {
                    Some(Charged::No) => (Usd::ZERO, CostSource::Nothing, Usd::ZERO),
                    Some(Charged::Yes) => charged(most, Usd::ZERO),
                    Some(Charged::Maybe) | None => (Usd::ZERO, CostSource::Nothing, most),
                }
            }
            Err(FailedCall { open: false, .. }) => (Usd::ZERO, CostSource::Nothing, Usd::ZERO),
        };
        let amount = ChargedAmount::Total { usd, billed: 0 };
        let (tiers, fee, rejections, images) = (None, Usd::ZERO, Rejections::default(), Vec::new());
        let charge = Charge { amount, source, tiers, fee, uncertain, refused: 0, rejections, outcome, took, images };
        let settled = self.shared.durable_ledger.settle(hold, charge).await.settlement;
        let promised = settled.usd.saturating_add(settled.prepaid).saturating_add(uncertain);
        CallCost { cost: settled.usd, promised }
    }

    fn measure(&self, outcome: &'static str, took: Duration) {
        let (provider, model) = (self.provider.name.as_str(), self.model.name.as_str());
        let metrics = &self.shared.metrics;
        metrics.attempts.with_label_values(&[provider, model, outcome]).inc();
        metrics.attempt_seconds.with_label_values(&[provider, model]).observe(seconds(took));
    }
}

/// A call that brought nothing.
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
fn outcome<T: TextAnswer>(told: &Result<T, FailedCall>) -> &'static str {
    match told {
        Ok(answer) => answer.outcome(),
        Err(FailedCall { failure, .. }) => failure.class.as_str(),
    }
}

/// The clock as the policies take it; a paused test clock pauses this too.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
