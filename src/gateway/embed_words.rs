//! The embedding of a request's words, by which the cache finds pictures that were drawn for others.
//!
//! It is asked for only after the exact, the canonical and the verified tier have too few pictures, once a request, and remembered
//! for the next one in the same canonical form. It waits no longer than the config says, and never more than half of the time
//! that is left. Nothing here may fail a request: without an embedding the pictures are drawn. A route in shadow mode embeds as
//! well, serves nothing by it, and tells what it would have served.

use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, timeout_at};
use xxhash_rust::xxh3::Xxh3Default;

use crate::cache::{Asked, PartsKey};
use crate::config::plan::NearEmbedding;
use crate::gateway::detached_task::Detached;
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::shadow_hits::ShadowHit;
use crate::gateway::text_call::{NoTextCall, TextCall, TextCallResult};
use crate::gateway::words_embedding::{RequestEmbedding, WordsEmbedding};
use crate::ledger::entry::Purpose;
use crate::money::Usd;
use crate::prompt_match;
use crate::provider::openai_text::{EmbedRequest, embed, read_embeddings};
use crate::similarity::Embedding;

/// What came of asking for an embedding.
enum EmbedOutcome {
    /// Somebody asked for it before.
    Remembered,
    /// The model sent it.
    Embedded,
    /// Words of another language, or more than a model takes.
    NotEmbedded,
    /// Another request was asking for the same one, for too long.
    TimedOut,
    /// It has no direction.
    Unusable,
    /// It has not as many numbers as the threshold was certified for.
    OtherDimensions,
    /// The model could not be asked, or did not answer.
    NoCall(NoTextCall),
}

impl EmbedOutcome {
    /// The word for log and metric.
    fn as_str(&self) -> &'static str {
        match self {
            EmbedOutcome::Remembered => "remembered",
            EmbedOutcome::Embedded => "embedded",
            EmbedOutcome::NotEmbedded => "not_embedded",
            EmbedOutcome::TimedOut => "timed_out",
            EmbedOutcome::Unusable => "unusable",
            EmbedOutcome::OtherDimensions => "other_dimensions",
            EmbedOutcome::NoCall(why) => why.as_str(),
        }
    }
}

/// A request whose words are to be embedded.
pub struct EmbedWords {
    /// The request, of which nothing is drawn yet.
    pub spec: RoutedRequest,
    /// How its pictures are found by embeddings.
    pub near: Arc<NearEmbedding>,
}

/// What was brought, and what that cost.
struct Brought {
    result: Result<(Arc<Embedding>, EmbedOutcome), EmbedOutcome>,
    cost: Usd,
    promised: Usd,
}

impl Brought {
    fn free(result: Result<(Arc<Embedding>, EmbedOutcome), EmbedOutcome>) -> Brought {
        Brought { result, cost: Usd::ZERO, promised: Usd::ZERO }
    }
}

impl EmbedWords {
    /// Embeds a prompt. A call that was begun is finished and paid for, whether anybody waits for it or not.
    pub async fn run(self, prompt: &str) -> RequestEmbedding {
        let (shared, near, route) = (self.spec.shared.clone(), self.near.clone(), self.spec.matched.route.clone());
        let words = prompt_match::canonical(prompt, &self.spec.snapshot.word_lists);
        let Brought { result, cost, promised } = match prompt_match::embedded_text(&words) {
            Some(text) => self.bring_whatever_happens(text).await,
            None => Brought::free(Err(EmbedOutcome::NotEmbedded)),
        };
        let of_use = result.and_then(|(embedding, outcome)| match near.dimensions {
            Some(certified) if usize::from(certified) != embedding.dimensions() => Err(EmbedOutcome::OtherDimensions),
            _ => Ok((embedding, outcome)),
        });
        let outcome = match &of_use {
            Ok((_, outcome)) | Err(outcome) => outcome,
        };
        shared.metrics.cache_embeddings.with_label_values(&[route.name.as_str(), outcome.as_str()]).inc();
        if let Err(EmbedOutcome::OtherDimensions | EmbedOutcome::Unusable | EmbedOutcome::NoCall(_)) = &of_use {
            let why = match outcome {
                EmbedOutcome::NoCall(NoTextCall::Failed(failure)) => failure.to_string(),
                outcome => outcome.as_str().to_owned(),
            };
            log::warn!("route {}: {} embedded nothing to use: {why}", route.name, near.name);
        }
        let embedder = embedder(&near);
        let words = of_use.ok().map(|(embedding, _)| WordsEmbedding { embedding, embedder });
        RequestEmbedding { tried: true, words, cost, promised }
    }

    /// Goes on where the client has gone.
    async fn bring_whatever_happens(self, text: String) -> Brought {
        let (brought, tracker) = (Arc::new(Mutex::new(None)), self.spec.shared.work.clone());
        let kept = brought.clone();
        let work = async move {
            let done = self.bring(&text).await;
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        };
        Detached::new(work, tracker).await;
        let brought = brought.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nothing is there only where it panicked.
        brought.unwrap_or_else(|| Brought::free(Err(EmbedOutcome::Unusable)))
    }

    /// What is remembered, or what the model sends.
    async fn bring(&self, text: &str) -> Brought {
        let now = Instant::now();
        let half = self.spec.deadline.saturating_duration_since(now) / 2;
        let deadline = now + self.near.timeout.min(self.near.provider.timeout).min(half);
        // As with everything that is kept, nobody gets what another tenant paid for.
        let whose = [self.spec.caller.tenant.to_string(), text.to_owned()];
        let parts: Vec<String> = whose.into_iter().chain(self.near.meaning()).collect();
        let key = PartsKey::of(parts.iter().map(String::as_str));
        let turn = match timeout_at(deadline, self.spec.shared.cache.asked_embedding(&key)).await {
            Ok(Ok(embedding)) => return Brought::free(Ok((embedding, EmbedOutcome::Remembered))),
            Ok(Err(turn)) => turn,
            Err(_) => return Brought::free(Err(EmbedOutcome::TimedOut)),
        };
        let TextCallResult { told, cost, promised } = self.call(text, deadline).await;
        let result = match told.map(|vector| Embedding::new(&vector).map(Arc::new)) {
            Ok(Some(embedding)) => {
                turn.fill(embedding.clone());
                Ok((embedding, EmbedOutcome::Embedded))
            }
            Ok(None) => Err(EmbedOutcome::Unusable),
            Err(why) => Err(EmbedOutcome::NoCall(why)),
        };
        Brought { result, cost, promised }
    }

    async fn call(&self, text: &str, deadline: Instant) -> TextCallResult<Vec<f32>> {
        let NearEmbedding { provider, model, .. } = &*self.near;
        let wish = EmbedRequest { account: &provider.account, model, inputs: &[text] };
        let call = match embed(&wish) {
            Ok(call) => call,
            Err(failure) => {
                let told = Err(NoTextCall::Failed(failure));
                return TextCallResult { told, cost: Usd::ZERO, promised: Usd::ZERO };
            }
        };
        let spec = &self.spec;
        let text_call = TextCall {
            shared: &spec.shared,
            request_id: spec.request_id.clone(),
            owner: spec.owner(&provider.name, &model.name),
            purpose: Purpose::Embed,
            budgets: [spec.caller.budgets(), &spec.matched.route.budgets, &provider.budgets],
            provider,
            model,
            priority: spec.priority,
            deadline,
            // What the pictures leave of the request's threshold.
            most: spec.caps.spare(&spec.evaluate_candidates().0, spec.request.n),
            longest_reply: wish.longest_reply(),
        };
        let TextCallResult { told, cost, promised } =
            text_call.run(&call, 0, |reply| read_embeddings(&wish, reply)).await;
        let told = told.map(|reply| reply.vectors.into_iter().next().unwrap_or_default());
        TextCallResult { told, cost, promised }
    }
}

/// The hash of what decides which embedding a text has.
fn embedder(near: &NearEmbedding) -> u64 {
    let mut hash = Xxh3Default::new();
    for part in near.meaning() {
        hash.write_usize(part.len());
        hash.write(part.as_bytes());
    }
    hash.finish()
}

/// Tells what a route in shadow mode would have served by an embedding.
pub fn tell_shadow(spec: &RoutedRequest, asked: &Asked<'_>, near: &NearEmbedding, words: &WordsEmbedding) {
    let (shared, route) = (&spec.shared, &spec.matched.route.name);
    let Some(alike) = shared.cache.alike(asked, &words.asked(near)) else { return };
    let similarity = alike.similarity;
    shared.metrics.cache_shadow_hits.with_label_values(&[route.as_str()]).inc();
    let (key, other) = (asked.canonical.key(), alike.key);
    log::info!("route {route}: {similarity} alike, would be served: keys {key:032x} {other:032x}");
    shared.shadow_hits.add(ShadowHit {
        a: asked.canonical.prompt().to_owned(),
        b: alike.prompt,
        similarity,
        embedder: near.name.clone(),
        dimensions: words.embedding.dimensions(),
        at: shared.clock.now(),
        route: route.clone(),
    });
}
