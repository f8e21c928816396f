//! What of a config decides which picture is right.
//!
//! A reload that changes prices, limits, keys or timeouts leaves the kept pictures as good as they were. One that
//! changes what would be drawn makes them the pictures of something else. Every field of a route, an offer and a
//! provider is decided here, in one of three digests that are worked out once for each config:
//!
//! - [`route_digest`] is part of the meaning of every request to the route.
//! - [`offer_digest`] goes with each kept picture: how the offer that drew it was told to draw. When that changes, its pictures
//!   are served no more, and those of the other offers stay. An offer that is gone leaves its pictures behind: provider
//!   and model are no part of the meaning.
//! - [`provider_digest`] is part of the meaning of a request that insists on one offer: where that offer leads.

use std::fmt::Debug;

use sha2::{Digest as _, Sha256};

pub use crate::canonical::writer::Digest;
use crate::canonical::writer::FieldWriter;
use crate::config::plan::{
    Account, CapabilityOverrides, Dialect, EditOverride, Model, Offer, OutsideJudge, Provider, QualityCheck,
    QualityGate, Route,
};

/// What a route does to a request before anybody is asked.
pub fn route_digest(route: &Route) -> Digest {
    // Destructured, here and below, so that a new field breaks the build until it is decided whether it counts.
    let Route {
        // In the canonical form itself.
        name: _,
        // Which requests come here, and who may draw them, in which order.
        models: _,
        headers: _,
        offers: _,
        strategy: _,
        // Money and timeouts.
        max_usd_per_image: _,
        max_usd_per_request: _,
        budgets: _,
        deadline: _,
        on_deadline: _,
        max_failures: _,
        max_failures_per_offer: _,
        backoff: _,
        hedge: _,
        refusals_go_on: _,
        prompt,
        // Filled into the request, and in the canonical form as if the caller had asked for them.
        defaults: _,
        size_tolerance,
        strict,
        quality,
        // Held against each picture's age when it is looked for.
        cache: _,
        // Which other requests a picture is right for, not what it is.
        learn: _,
        // Where pictures are looked for. Those that were found by other rules mean what they meant.
        near_embedding: _,
    } = route;
    let mut sum = Hasher::default();
    sum.all(prompt.meaning());
    sum.debug(size_tolerance);
    sum.debug(strict);
    if let Some(gate) = quality {
        quality_digest(&mut sum, gate);
    }
    sum.digest()
}

/// Which pictures are accepted: one that was accepted by other rules may not be good enough by these.
fn quality_digest(sum: &mut Hasher, gate: &QualityGate) {
    let QualityGate {
        reject,
        // Told of a picture that is delivered all the same.
        flag: _,
        // Only for who reads the config.
        named: _,
        thresholds,
        min_size,
        brand,
        // Pictures that were rejected are not kept.
        deliver_best: _,
        judge,
    } = gate;
    if *reject == QualityGate::decodes().reject {
        return;
    }
    sum.debug(reject.iter().collect::<Vec<_>>());
    sum.debug((thresholds, min_size, brand));
    let asks = |judge: &OutsideJudge| (judge.url.to_string(), judge.min_score, judge.on_error);
    sum.debug(judge.as_deref().filter(|_| reject.has(QualityCheck::Judge)).map(asks));
}

/// How an offer is told to draw, and with what words.
pub fn offer_digest(offer: &Offer) -> Digest {
    let Offer { provider, model, name: _, max_usd_per_image: _, when: _ } = offer;
    let Model { name: _, price: _, volume: _, rate: _, capabilities, options, via, family } = &**model;
    let CapabilityOverrides {
        // What it is asked for at once, and what it is asked for at all: a request that is drawn is drawn alike.
        max_n: _,
        prompt_chars: _,
        seed: _,
        negative_prompt: _,
        partials: _,
        transparent: _,
        formats: _,
        generate: _,
        // What a wish is bent to, and which wishes are dropped.
        sizes,
        qualities,
        compression,
        style,
        edit,
    } = capabilities;
    let keeps_size = match edit {
        None | Some(EditOverride::Never) => None,
        Some(EditOverride::Within { images: _, mask: _, keeps_size }) => *keeps_size,
    };
    let mut sum = Hasher::default();
    options.iter().for_each(|(key, value)| sum.all([key.clone(), value.to_string()]));
    sum.debug((via, family));
    sum.debug((sizes, qualities));
    sum.debug((compression, style, keeps_size));
    sum.debug(&provider.account.api_version);
    sum.dialect(&provider.account.dialect);
    sum.digest()
}

/// Where an offer of this provider leads.
pub fn provider_digest(provider: &Provider) -> Digest {
    let Provider {
        // In the pinned offer's name, as the model is.
        name: _,
        kind,
        account,
        // Timeouts and money.
        timeout: _,
        connect_timeout: _,
        idle_timeout: _,
        concurrency: _,
        rate: _,
        breaker: _,
        retry_budget: _,
        billing: _,
        budgets: _,
        download_hosts: _,
        models: _,
        writers: _,
    } = provider;
    let Account {
        base_url,
        // Who pays, and how one is let in.
        api_key: _,
        organization: _,
        credentials: _,
        // Part of Vertex AI's addresses.
        project,
        location,
        // In the way.
        api_version: _,
        poll_hosts: _,
        dialect: _,
    } = account;
    let mut sum = Hasher::default();
    sum.all([(*kind).to_owned(), base_url.to_string()]);
    sum.debug((project, location));
    sum.digest()
}

/// A digest in the making.
struct Hasher(FieldWriter);

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher(FieldWriter(Vec::new()))
    }
}

impl Hasher {
    fn all(&mut self, parts: impl IntoIterator<Item = String>) {
        parts.into_iter().for_each(|part| self.0.field(Some(&part)));
        self.0.field(None);
    }

    /// Whatever its derived `Debug` shows. It is compared with digests of the same process only.
    fn debug(&mut self, part: impl Debug) {
        self.0.field(Some(&format!("{part:?}")));
    }

    /// What an OpenAI-like server is told. A header of one's own may say what to draw as well as who asks.
    fn dialect(&mut self, dialect: &Dialect) {
        let Dialect {
            path,
            edit_path,
            headers,
            rename,
            drop,
            constants,
            size,
            // How pictures and keys get there and back, and what is read of the answer.
            edit_as: _,
            auth: _,
            response_format: _,
            list: _,
            base64: _,
            url: _,
            cost_header: _,
            cost_at: _,
            cost_unit: _,
            poll: _,
        } = dialect;
        self.debug((path, edit_path, size));
        self.debug((rename, drop));
        headers.iter().for_each(|(name, value)| self.all([name.clone(), value.reveal().to_owned()]));
        constants.iter().for_each(|(name, value)| self.all([name.clone(), value.to_string()]));
    }

    fn digest(self) -> Digest {
        Sha256::digest(&self.0.0).into()
    }
}
