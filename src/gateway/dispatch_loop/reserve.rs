//! Reserving: a call needs a free slot, a breaker that lets it pass, and money that is set aside for it.
//!
//! What is missing is an answer, an [`Obstacle`]; nothing is held back then. It sends nothing and waits for nothing.

use crate::admission::Slot;
use crate::breaker::{Asked, Operation, Pass};
use crate::clock;
use crate::config::plan::Offer;
use crate::dispatch::Obstacle;
use crate::gateway::dispatch_loop::{DispatchLoop, Order, now};
use crate::gateway::journal::Opened;
use crate::ledger::entry::{Owner, Purpose};
use crate::ledger::{Intent, Terms};
use crate::money::Usd;
use crate::provider::Adapter;
use crate::routing::{self, Candidate, Skip};

/// All that a call takes.
pub(super) struct Reserved {
    pub(super) offer: Offer,
    pub(super) provider: &'static dyn Adapter,
    pub(super) slot: Slot,
    pub(super) pass: Pass,
    pub(super) opened: Opened,
}

impl Order {
    /// The offers that could draw it within its caps, and why not the others.
    pub fn appraise(&self) -> (Vec<Candidate>, Vec<(usize, Skip)>) {
        let capabilities = self.live.capabilities(self.matched.index);
        let pictures = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        let tiered = |offer: &Offer, listed: Usd| {
            let whose = (&*offer.provider, &*offer.model);
            self.shared.ledger.tiered(whose, &self.request, listed, pictures, clock::now())
        };
        routing::appraise(&self.matched, capabilities, &self.request, &self.caps, &tiered)
    }

    /// Who is asked with `offer`, and for what, as the breakers know it.
    pub fn asked<'a>(&self, offer: &'a Offer) -> Asked<'a> {
        let operation = if self.request.edit.is_some() { Operation::Edit } else { Operation::Generate };
        let account = offer.provider.account.fingerprint();
        Asked { provider: &offer.provider.name, account, model: &offer.model.name, operation }
    }

    /// Whose an attempt with `model` of `provider` is.
    pub fn owner(&self, provider: &str, model: &str) -> Owner {
        Owner {
            tenant: self.caller.tenant.clone(),
            route: self.matched.route.name.as_str().into(),
            provider: provider.into(),
            model: model.into(),
        }
    }
}

impl DispatchLoop {
    /// All that a call to a candidate takes for so many places, with the slot it was granted, if it waited for one.
    pub(super) fn reserve(&self, candidate: usize, places: &[u8], granted: Option<Slot>) -> Result<Reserved, Obstacle> {
        let Candidate { usd, offer: index, .. } = *self.dispatch.candidate(candidate);
        let (order, shared) = (&self.order, &self.order.shared);
        let offer = self.offer(candidate).ok_or(Obstacle::Failed)?;
        // Every offer of the plan in force has an adapter; without one nothing could be sent.
        let provider = order.live.provider(order.matched.index, index).ok_or(Obstacle::Failed)?;
        let slot = granted.or_else(|| shared.lane(&offer.provider).try_slot()).ok_or(Obstacle::AtCapacity)?;
        let pass = shared.breakers.pass(order.asked(offer), now()).map_err(Obstacle::Cooling)?;
        let pictures = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let intent = Intent {
            request: order.request_id.clone(),
            owner: order.owner(&offer.provider.name, &offer.model.name),
            purpose: Purpose::Draw,
            pictures,
            estimate: usd.checked_mul(pictures).ok_or(Obstacle::Unpriced)?,
            terms: Terms { provider: offer.provider.clone(), model: Some(offer.model.clone()) },
            budgets: order.budgets(offer),
        };
        let opened = shared.journal.open(intent).map_err(Obstacle::Short)?;
        Ok(Reserved { offer: offer.clone(), provider, slot, pass, opened })
    }
}
