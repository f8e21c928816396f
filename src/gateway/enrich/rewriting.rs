//! One prompt, rewritten: looked up, or asked for under the provider's own limits, and paid for.
//!
//! It waits no longer than the config says, and never more than half of the time that is left, so that the other half
//! is there to draw in. A call is made once: there is no second try for something that can be done without.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::cache::{PartsKey, RewriteTurn};
use crate::config::plan::Enrich;
use crate::gateway::enrich::outcome::Enriched;
use crate::gateway::enrich::rewrite_cache_scope::RewriteCacheScope;
use crate::gateway::enrich::rewrite_limits::RewriteLimits;
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::text_call::{LONGEST_CHAT, NoTextCall, TextCall, TextCallResult};
use crate::ledger::entry::Purpose;
use crate::money::Usd;
use crate::provider::{ChatReply, ChatRequest, text};

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
            Err(_) => Rewritten::not(Enriched::TimedOut),
        }
    }

    /// When the caller's own prompt is drawn instead.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let half = self.spec.deadline.saturating_duration_since(now) / 2;
        now + self.enrich.timeout.min(self.enrich.provider.timeout).min(half)
    }

    /// All that decides what is written, and for whom.
    fn key(&self) -> PartsKey {
        let whose = [self.rewrite_scope.tenant.to_string(), self.caller.to_owned()];
        let parts: Vec<String> = whose.into_iter().chain(self.enrich.meaning()).collect();
        PartsKey::of(parts.iter().map(String::as_str))
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
        let (account, kind, max_tokens) = (&provider.account, provider.kind, *max_tokens);
        let wish = ChatRequest { account, model: writer, system, user: self.caller, max_tokens };
        let call = match text::chat(kind, &wish) {
            Ok(call) => call,
            Err(failure) => return self.failed(NoTextCall::Failed(failure)),
        };
        let text_call = self.text_call(deadline);
        let TextCallResult { told, cost, promised } =
            text_call.run(&call, wish.most_tokens(), |reply| text::read_chat(kind, &wish, reply)).await;
        let rewritten = match told {
            Ok(written) => self.written(written, turn),
            Err(why) => self.failed(why),
        };
        Rewritten { cost, promised, ..rewritten }
    }

    /// The call that the request pays for.
    fn text_call(&self, deadline: Instant) -> TextCall<'_> {
        let (Enrich { provider, writer, .. }, spec) = (self.enrich, self.spec);
        TextCall {
            shared: &spec.shared,
            request_id: spec.request_id.clone(),
            owner: spec.owner(&provider.name, &writer.name),
            purpose: Purpose::Enrich,
            budgets: [spec.caller.budgets(), &spec.matched.route.budgets, &provider.budgets],
            provider,
            model: writer,
            priority: spec.priority,
            deadline,
            most: self.rewrite_limits.usd,
            longest_reply: spec.snapshot.plan.server.limits.response_body.min(LONGEST_CHAT),
        }
    }

    /// An answer.
    fn written(&self, written: ChatReply, turn: Option<(RewriteTurn<'_>, Duration)>) -> Rewritten {
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

    /// A call that brought no words.
    fn failed(&self, why: NoTextCall) -> Rewritten {
        if let NoTextCall::Failed(failure) = &why {
            log::warn!("route {}: {} failed: {failure}", self.spec.matched.route.name, self.enrich.name);
        }
        Rewritten::not(Enriched::Unanswered(why))
    }
}

/// The clock as the policies take it; a paused test clock pauses this too.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
