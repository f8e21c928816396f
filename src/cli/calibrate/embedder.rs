//! Texts become embeddings, and no call is sent that could cost more than is left.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::time::Instant;

use crate::cli;
use crate::config::plan::{Plan, Provider, TextModel};
use crate::config::{instead, plan};
use crate::failure::{Class, Failure};
use crate::money::Usd;
use crate::pricing::TextTokens;
use crate::provider::Call;
use crate::provider::openai_text::{self, EmbedRequest, embed, read_embeddings};
use crate::similarity::Embedding;
use crate::upstream::transport::{AllowedTargets, Bounds, PooledClient, Transport};

/// Bytes of the texts of one call: fewer than the 300,000 tokens that OpenAI takes, as no token is shorter than a byte.
const CALL_BYTES: usize = 200_000;

/// How often a call is made that fails for a while.
const TRIES: u32 = 4;

/// The pause before it is made again, where the vendor asks for none, and the longest that it may ask for.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A model that embeds.
pub(super) struct Embedder {
    pub(super) name: String,
    provider: Arc<Provider>,
    model: Arc<TextModel>,
    /// Texts of one call.
    batch: usize,
    /// The most that all calls may cost.
    max_usd: Usd,
}

/// Embeddings of texts, in their order.
pub(super) struct Embedded {
    pub(super) embeddings: Vec<Embedding>,
    /// What they cost, or may have cost.
    pub(super) usd: Usd,
}

/// A call for some of the texts, and the most that it can cost.
struct Batch<'t> {
    texts: Vec<&'t str>,
    call: Call,
    most: Usd,
}

impl Embedder {
    /// The model of a config that `provider/model` names.
    pub(super) fn of(plan: &Plan, name: &str, batch: usize, max_usd: Usd) -> Result<Embedder, String> {
        let embedders: Vec<(String, &Arc<Provider>, &Arc<TextModel>)> = plan
            .providers
            .values()
            .filter(|provider| provider.kind == openai_text::NAME)
            .flat_map(|provider| {
                let of = move |model: &'_ plan::TextModel| format!("{}/{}", provider.name, model.name);
                provider.writers.values().map(move |model| (of(model), provider, model))
            })
            .collect();
        match embedders.iter().find(|(known, ..)| known == name) {
            Some((known, provider, model)) => {
                let (provider, model) = (Arc::clone(provider), Arc::clone(model));
                Ok(Embedder { name: known.clone(), provider, model, batch, max_usd })
            }
            None => {
                let known = instead(name, embedders.iter().map(|(known, ..)| known.as_str()), "there are");
                let known = known.map_or(String::new(), |known| format!(": {known}"));
                Err(format!("'{name}' is no model of a provider of kind {} in the config{known}", openai_text::NAME))
            }
        }
    }

    /// Embeds all texts, or none where that might cost too much.
    pub(super) fn embed(&self, texts: &[String]) -> Result<Embedded, String> {
        let batches = self.batches(texts)?;
        let most = batches.iter().try_fold(Usd::ZERO, |sum, batch| sum.checked_add(batch.most));
        let most = most.ok_or("so many texts cost more than can be counted")?;
        if most > self.max_usd {
            return Err(format!(
                "{} texts at {} may cost {most} USD, and --max-usd is {}: nothing was sent",
                texts.len(),
                self.name,
                self.max_usd
            ));
        }
        // For the person who waits; whoever has gone does not mind.
        let _ = writeln!(io::stderr(), "{} texts at {}: {most} USD at the most", texts.len(), self.name);
        let runtime = cli::runtime(Some(1)).map_err(|error| error.to_string())?;
        runtime.block_on(self.send_all(batches))
    }

    fn batches<'t>(&self, texts: &'t [String]) -> Result<Vec<Batch<'t>>, String> {
        let mut groups: Vec<Vec<&str>> = Vec::new();
        let mut bytes = 0;
        for text in texts {
            bytes += text.len();
            match groups.last_mut() {
                Some(group) if group.len() < self.batch && bytes <= CALL_BYTES => group.push(text),
                _ => {
                    bytes = text.len();
                    groups.push(vec![text]);
                }
            }
        }
        groups.into_iter().map(|texts| self.batch_of(texts)).collect()
    }

    fn batch_of<'t>(&self, texts: Vec<&'t str>) -> Result<Batch<'t>, String> {
        let call = embed(&self.wish(&texts)).map_err(|failure| format!("{}: {failure}", self.name))?;
        // No token is shorter than a byte of the body it comes from.
        let input = u64::try_from(call.body.len()).unwrap_or(u64::MAX);
        let most = self.model.price.of(&TextTokens { input, ..TextTokens::default() });
        let most = most.ok_or_else(|| format!("what {} costs cannot be counted", self.name))?;
        Ok(Batch { texts, call, most })
    }

    fn wish<'a>(&'a self, inputs: &'a [&'a str]) -> EmbedRequest<'a> {
        EmbedRequest { account: &self.provider.account, model: &self.model, inputs }
    }

    async fn send_all(&self, batches: Vec<Batch<'_>>) -> Result<Embedded, String> {
        let longest = batches.iter().map(|batch| self.wish(&batch.texts).longest_reply()).max().unwrap_or_default();
        let gauge = IntGauge::new("replies", "Bytes of replies.").map_err(|error| error.to_string())?;
        let transport = Transport::new(Box::new(PooledClient::new()), longest, gauge);
        let mut done = Embedded { embeddings: Vec::new(), usd: Usd::ZERO };
        for batch in &batches {
            self.send(&transport, batch, &mut done).await.map_err(|why| {
                format!("{}: {why}; {} texts were embedded, for {} USD", self.name, done.embeddings.len(), done.usd)
            })?;
        }
        let dimensions = done.embeddings.first().map(Embedding::dimensions);
        if done.embeddings.iter().any(|embedding| Some(embedding.dimensions()) != dimensions) {
            return Err(format!("{} sent embeddings of several lengths", self.name));
        }
        Ok(done)
    }

    /// Sends a call, and again where it failed for a while and there is money left for it.
    async fn send(&self, transport: &Transport, batch: &Batch<'_>, done: &mut Embedded) -> Result<(), String> {
        let wish = self.wish(&batch.texts);
        for again in 1.. {
            if done.usd.saturating_add(batch.most) > self.max_usd {
                return Err(format!("--max-usd is {}, and the next call may cost {}", self.max_usd, batch.most));
            }
            let (status, failure) = match self.once(transport, &batch.call, &wish).await {
                Ok((embeddings, tokens)) => {
                    let usd = tokens.and_then(|tokens| self.model.price.of(&tokens)).unwrap_or(batch.most);
                    done.usd = done.usd.saturating_add(usd);
                    done.embeddings.extend(embeddings);
                    return Ok(());
                }
                Err(failed) => failed,
            };
            if failure.leaves_the_bill_open(status) {
                done.usd = done.usd.saturating_add(batch.most);
            }
            let for_a_while = matches!(failure.class, Class::RateLimited | Class::Server);
            if !for_a_while || again >= TRIES {
                return Err(failure.to_string());
            }
            tokio::time::sleep(failure.retry_after.unwrap_or(PAUSE * again).min(LONGEST_PAUSE)).await;
        }
        Ok(())
    }

    async fn once(
        &self,
        transport: &Transport,
        call: &Call,
        wish: &EmbedRequest<'_>,
    ) -> Result<(Vec<Embedding>, Option<TextTokens>), (Option<u16>, Failure)> {
        let Provider { connect_timeout: connect, idle_timeout: idle, timeout, .. } = *self.provider;
        let (deadline, body, reach) = (Instant::now() + timeout, wish.longest_reply(), AllowedTargets::Anywhere);
        let bounds = Bounds { deadline, connect, silence: None, idle, body, reach };
        let held = transport.send(call, bounds).await.map_err(|trouble| (None, trouble.failure()))?;
        let status = Some(held.reply.status);
        let read = read_embeddings(wish, &held.reply).map_err(|failure| (status, failure))?;
        let embeddings: Option<Vec<Embedding>> = read.vectors.iter().map(|vector| Embedding::new(vector)).collect();
        match embeddings {
            Some(embeddings) => Ok((embeddings, read.tokens)),
            None => Err((status, Failure::new(Class::Malformed, "an embedding is nothing but zeros"))),
        }
    }
}
