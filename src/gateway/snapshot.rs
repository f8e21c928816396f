//! The config that is in force: a checked plan with what can be worked out from it once.
//!
//! A [`Snapshot`] is built whole, then swapped in one step, and a request holds one from its first byte to its last, so
//! nothing is ever served by a mixture of two versions.

use std::sync::Arc;

use url::Url;

use crate::canonical;
use crate::canonical::config_digest::Digest;
use crate::capabilities::Capabilities;
use crate::config::plan::{CacheWords, ModelPattern, Plan, Route};
use crate::prompt_match::{MoreWords, WordLists};
use crate::provider::{self, Adapter};
use crate::secret::Secret;
use crate::signed_links::LinkKey;

/// One version of the config, ready to serve.
pub struct Snapshot {
    /// Counts up with every accepted config, from 1.
    pub version: u64,
    /// The plan itself.
    pub plan: Plan,
    /// Signs and checks picture links.
    pub link_key: LinkKey,
    /// What other words may mean the same picture.
    pub word_lists: Arc<WordLists>,
    /// Per route, per offer: the wire format and what the model can do.
    routes: Vec<ResolvedRoute>,
}

/// One route's offers, in their order.
#[derive(Default)]
struct ResolvedRoute {
    providers: Vec<&'static dyn Adapter>,
    capabilities: Vec<Capabilities>,
    /// What the config decides of every request's meaning.
    rules: [Digest; 1],
    /// The same for a request that insists on the offer.
    pinned: Vec<[Digest; 2]>,
    /// How the offer draws.
    offer_digests: Vec<Digest>,
}

/// Why a checked plan cannot run.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// The plan names a wire format this build does not have.
    #[error("no provider speaks '{0}'")]
    UnknownKind(&'static str),
    /// The signing secret cannot be used.
    #[error("server.link_secret cannot be used as a key")]
    LinkSecret,
}

impl Snapshot {
    /// Works out `plan`. `own_secret` signs links when the plan gives no secret.
    pub fn new(version: u64, plan: Plan, own_secret: &Secret) -> Result<Snapshot, SnapshotError> {
        let secret = plan.server.link_secret.as_ref().unwrap_or(own_secret);
        let link_key = LinkKey::new(secret).ok_or(SnapshotError::LinkSecret)?;
        let routes = plan.routes.iter().map(|route| resolve(route)).collect::<Result<_, _>>()?;
        let word_lists = word_lists(&plan.cache.words);
        Ok(Snapshot { version, plan, link_key, word_lists, routes })
    }

    /// What the offers of route number `route` can do, in the offers' order.
    pub fn capabilities(&self, route: usize) -> &[Capabilities] {
        self.routes.get(route).map_or(&[], |resolved| &resolved.capabilities)
    }

    /// The wire format of an offer.
    pub fn provider(&self, route: usize, offer: usize) -> Option<&'static dyn Adapter> {
        self.routes.get(route)?.providers.get(offer).copied()
    }

    /// What of the config is part of the meaning of a request to route number `route`, pinned to an offer or not.
    pub fn rules(&self, route: usize, pinned: Option<&str>) -> &[Digest] {
        let Some(resolved) = self.routes.get(route) else { return &[] };
        match pinned.and_then(|name| resolved.pinned.get(self.offer(route, name)?)) {
            Some(rules) => rules,
            None => &resolved.rules,
        }
    }

    /// How an offer draws: with its pictures this is kept.
    pub fn offer_digest(&self, route: usize, offer: usize) -> Option<Digest> {
        self.routes.get(route)?.offer_digests.get(offer).copied()
    }

    /// The same by the offer's name; `None` when the route has no such offer.
    pub fn offer_digest_by_name(&self, route: usize, name: &str) -> Option<Digest> {
        self.offer_digest(route, self.offer(route, name)?)
    }

    /// The lists by which requests to the route of this name are found in other words, where they are.
    pub fn near_lists(&self, route: &str) -> Option<Arc<WordLists>> {
        let route = self.plan.routes.iter().find(|known| known.name == route)?;
        route.cache?.near.then(|| self.word_lists.clone())
    }

    fn offer(&self, route: usize, name: &str) -> Option<usize> {
        self.plan.routes.get(route)?.offers.iter().position(|offer| offer.name == name)
    }

    /// Where everything that is not an image route goes.
    pub fn passthrough(&self) -> Option<&Url> {
        self.plan.server.passthrough.as_ref()
    }

    /// Model names a client may ask for on the routes that are `open` to it: their plain names, then every offer's
    /// `provider/model`, each once.
    pub fn model_names(&self, open: impl Fn(&Route) -> bool) -> Vec<&str> {
        let routes: Vec<&Arc<Route>> = self.plan.routes.iter().filter(|route| open(route)).collect();
        let mut names: Vec<&str> = Vec::new();
        for route in &routes {
            names.extend(route.models.iter().filter_map(|pattern| match pattern {
                ModelPattern::Exact(name) => Some(name.as_str()),
                ModelPattern::Prefix(_) => None,
            }));
        }
        names.extend(routes.iter().flat_map(|route| route.offers.iter().map(|offer| offer.name.as_str())));
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(*name));
        names
    }
}

/// The words that Easel knows, and those of the config.
pub fn word_lists(words: &CacheWords) -> Arc<WordLists> {
    let known = WordLists::builtin();
    if *words == CacheWords::default() {
        return known;
    }
    let CacheWords { synonyms, boosters, brands, colors } = words.clone();
    Arc::new(known.extended(&MoreWords { synonyms, boosters, brands, colors }))
}

fn resolve(route: &Route) -> Result<ResolvedRoute, SnapshotError> {
    let mut resolved =
        ResolvedRoute { rules: [canonical::config_digest::route_digest(route)], ..ResolvedRoute::default() };
    for offer in &route.offers {
        let kind = offer.provider.kind;
        let provider = provider::by_kind(kind).ok_or(SnapshotError::UnknownKind(kind))?;
        resolved.providers.push(provider);
        resolved.capabilities.push(provider::capabilities(provider, &offer.provider.account, &offer.model));
        resolved.pinned.push([resolved.rules[0], canonical::config_digest::provider_digest(&offer.provider)]);
        resolved.offer_digests.push(canonical::config_digest::offer_digest(offer));
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::config_loader;
    use crate::gateway::config_loader::ProcessEnv;

    const CONFIG: &str = "
clients:
  - {name: team, key_sha256: a000000000000000000000000000000000000000000000000000000000000000, rate: {images_per_minute: 9}}
providers:
  home:
    kind: openai_compatible
    base_url: https://one.example/v1/
    api_key: k
    timeout: 20s
    concurrency: {limit: 3}
    breaker: {failures: 3, pause: 9s}
    dialect: {path: images/generations, constants: {steps: 4}, headers: {x-model: v1}, cost_header: x-cost, edit_path: images/edits}
    models:
      flux: {price: 0.002, max_n: 4, sizes: [512x512], options: {guidance: 3}}
      other: {price: 0.003}
  texts: {kind: openai_text, api_key: k, models: {small: {price: {tokens_per_million: {text_in: 1}}}}}
  claude:
    kind: anthropic
    base_url: https://claude.example/v1/
    api_key: k
    models: {haiku: {price: {tokens_per_million: {text_in: 1.00, text_out: 5.00}}, options: {temperature: 0}}}
routes:
  - name: r
    match: {models: [m]}
    offers: [home/flux]
    deadline: 60s
    attempts: {max: 3}
    size: {tolerance: 15%}
    strict: false
    price: {max_usd_per_image: 0.1}
    cache: {ttl: 30d}
    prompt: {prefix: 'A. ', enrich: {offer: claude/haiku, system: Do., timeout: 3s, max_tokens: 400}}
";

    /// The rules of the route, the way of its offer, and the rules of a request that is pinned to the offer.
    fn meaning(config: &str) -> (Vec<Digest>, Option<Digest>, Vec<Digest>) {
        let plan = match config_loader::check("test.yaml", config, &ProcessEnv) {
            Ok(plan) => plan,
            Err(error) => panic!("{error}"),
        };
        let snapshot = Snapshot::new(1, plan, &Secret::new("0123456789abcdef0123456789abcdef")).unwrap();
        let offer = snapshot.plan.routes[0].offers[0].name.clone();
        (
            snapshot.rules(0, None).to_vec(),
            snapshot.offer_digest_by_name(0, &offer),
            snapshot.rules(0, Some(&offer)).to_vec(),
        )
    }

    fn changed(from: &str, to: &str) -> String {
        assert!(CONFIG.contains(from), "{from}");
        CONFIG.replacen(from, to, 1)
    }

    #[test]
    fn what_a_change_of_the_config_makes_the_pictures_of_something_else() {
        let before = meaning(CONFIG);
        // From, to, and whether it counts for every request, for the offer's own pictures, for requests pinned to the offer.
        for (from, to, route, offer_digest, pinned) in [
            ("tolerance: 15%", "tolerance: 1%", true, false, true),
            ("strict: false", "strict: true", true, false, true),
            ("size: {tolerance: 15%}", "size: {tolerance: 15%, strict: true}", true, false, true),
            ("prefix: 'A. '", "prefix: 'B. '", true, false, true),
            ("system: Do.", "system: Do not.", true, false, true),
            ("max_tokens: 400", "max_tokens: 40", true, false, true),
            ("temperature: 0", "temperature: 1", true, false, true),
            ("https://claude.example/", "https://other.example/", true, false, true),
            ("guidance: 3", "guidance: 4", false, true, false),
            ("sizes: [512x512]", "sizes: [1024x1024]", false, true, false),
            ("sizes: [512x512]", "sizes: [512x512], qualities: [low]", false, true, false),
            ("sizes: [512x512]", "sizes: [512x512], style: true", false, true, false),
            ("sizes: [512x512]", "sizes: [512x512], edit: {keeps_size: true}", false, true, false),
            ("steps: 4", "steps: 40", false, true, false),
            ("path: images/generations", "path: images/better", false, true, false),
            ("cost_header: x-cost", "drop: [negative_prompt]", false, true, false),
            ("x-model: v1", "x-model: v2", false, true, false),
            ("https://one.example/", "https://two.example/", false, false, true),
        ] {
            let after = meaning(&changed(from, to));
            let told = (before.0 != after.0, before.1 != after.1, before.2 != after.2);
            assert_eq!(told, (route, offer_digest, pinned), "{from} -> {to}");
        }
    }

    #[test]
    fn what_money_time_and_keys_are_changed_to_leaves_every_picture_what_it_was() {
        let before = meaning(CONFIG);
        for (from, to) in [
            ("price: 0.002", "price: 0.004, volume: [{from: 10, usd: 0.001}]"),
            ("max_n: 4", "max_n: 2, prompt_chars: 999"),
            ("timeout: 20s", "timeout: 30s"),
            ("limit: 3", "limit: 4, queue: 9, max_wait: 1s"),
            ("failures: 3, pause: 9s", "failures: 4, pause: 8s, window: 7s"),
            ("api_key: k", "api_key: other"),
            ("cost_header: x-cost", "cost_header: x-price"),
            ("text_in: 1.00", "text_in: 2.00"),
            ("timeout: 3s", "timeout: 4s, cache: false"),
            ("deadline: 60s", "deadline: 61s"),
            ("max: 3", "max: 4, per_offer: 1"),
            ("max_usd_per_image: 0.1", "max_usd_per_image: 0.2, budget: {usd: 9, per: day}"),
            ("ttl: 30d", "ttl: 1h"),
            ("ttl: 30d", "ttl: 30d, near: verified"),
            ("ttl: 30d", "ttl: 30d, near: {embedding: texts/small, shadow: true, threshold: 0.9}"),
            ("models: [m]", "models: [m, m2]"),
            ("offers: [home/flux]", "offers: [home/flux, home/other]"),
            (
                "offers: [home/flux]",
                "offers: [home/flux, home/other]\n    hedge: {after: p90, at_most: 3%, max_usd_per_hour: 1}",
            ),
            ("images_per_minute: 9", "images_per_minute: 8"),
        ] {
            assert!(before == meaning(&changed(from, to)), "{from} -> {to}");
        }
    }
}
