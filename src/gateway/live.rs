//! The config that is in force: a checked plan with what can be worked out from it once.
//!
//! A [`Live`] is built whole, then swapped in one step, and a request holds one from its first byte to its last, so
//! nothing is ever served by a mixture of two versions.

use std::sync::Arc;

use url::Url;

use crate::abilities::Abilities;
use crate::config::plan::{ModelPattern, Offer, Plan, Route};
use crate::provider::{self, Provider};
use crate::secret::Secret;
use crate::signing::LinkKey;

/// One version of the config, ready to serve.
pub struct Live {
    /// Counts up with every accepted config, from 1.
    pub version: u64,
    /// The plan itself.
    pub plan: Plan,
    /// Signs and checks picture links.
    pub link_key: LinkKey,
    /// Per route, per offer: the wire format and what the model can do.
    routes: Vec<Wiring>,
}

/// One route's offers, in their order.
#[derive(Default)]
struct Wiring {
    providers: Vec<&'static dyn Provider>,
    abilities: Vec<Abilities>,
}

/// Why a checked plan cannot run.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotReady {
    /// The plan names a wire format this build does not have.
    #[error("no provider speaks '{0}'")]
    UnknownKind(&'static str),
    /// The signing secret cannot be used.
    #[error("server.link_secret cannot be used as a key")]
    LinkSecret,
}

impl Live {
    /// Works out `plan`. `own_secret` signs links when the plan gives no secret.
    pub fn new(version: u64, plan: Plan, own_secret: &Secret) -> Result<Live, NotReady> {
        let secret = plan.server.link_secret.as_ref().unwrap_or(own_secret);
        let link_key = LinkKey::new(secret).ok_or(NotReady::LinkSecret)?;
        let routes = plan.routes.iter().map(|route| wire(&route.offers)).collect::<Result<_, _>>()?;
        Ok(Live { version, plan, link_key, routes })
    }

    /// What the offers of route number `route` can do, in the offers' order.
    pub fn abilities(&self, route: usize) -> &[Abilities] {
        self.routes.get(route).map_or(&[], |wiring| &wiring.abilities)
    }

    /// The wire format of an offer.
    pub fn provider(&self, route: usize, offer: usize) -> Option<&'static dyn Provider> {
        self.routes.get(route)?.providers.get(offer).copied()
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

fn wire(offers: &[Offer]) -> Result<Wiring, NotReady> {
    let mut wiring = Wiring::default();
    for offer in offers {
        let kind = offer.provider.kind;
        let provider = provider::by_kind(kind).ok_or(NotReady::UnknownKind(kind))?;
        wiring.providers.push(provider);
        wiring.abilities.push(provider::abilities(provider, &offer.provider.account, &offer.model));
    }
    Ok(wiring)
}
