//! Buying: what a call needs besides a free slot, a breaker that lets it pass and money that is set aside for it.
//!
//! Whatever is missing is an answer, a [`Skip`]; nothing is held back then. It sends nothing and waits for nothing.

use crate::admission::Slot;
use crate::breaker::{Asked, Operation};
use crate::clock;
use crate::config::plan::{Budget, Offer};
use crate::gateway::dispatch_loop::{Chosen, DispatchLoop, Order, now};
use crate::ledger::entry::{Owner, Purpose};
use crate::ledger::{Intent, Short, Terms};
use crate::money::Usd;
use crate::routing::{self, Candidate, Skip};

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
    /// The budget that has too little left for a call to `offer`. Asked before a slot is waited for: a budget does not
    /// come back by waiting, and who waited in vain would only wait again.
    pub(super) fn short(&self, candidate: usize, offer: &Offer, pictures: u8) -> Option<Short> {
        let budgets = self.budgets(offer);
        if budgets.iter().all(|budgets| budgets.is_empty()) {
            return None;
        }
        let Candidate { usd, max_n, .. } = self.candidates[candidate];
        let pictures = u32::from(pictures.min(max_n));
        let wanted = usd.checked_mul(pictures)?;
        let owner = self.order.owner(&offer.provider.name, &offer.model.name);
        self.order.shared.ledger.short(&owner, budgets, wanted, clock::now())
    }

    /// The budgets of its client, its route and its provider.
    fn budgets<'a>(&'a self, offer: &'a Offer) -> [&'a [Budget]; 3] {
        let Order { caller, matched, .. } = &self.order;
        [caller.budgets(), &matched.route.budgets, &offer.provider.budgets]
    }

    /// All that a call to `offer` takes for as many open places as it draws at once.
    pub(super) fn buy(&mut self, candidate: usize, offer: &Offer, slot: Slot) -> Result<Chosen, Skip> {
        let Candidate { usd, max_n, .. } = self.candidates[candidate];
        let breakers = &self.order.shared.breakers;
        let pass = breakers.pass(self.order.asked(offer), now()).map_err(|cooling| {
            self.obstacles.note_cooling(cooling);
            Skip::CoolingDown(cooling.pause)
        })?;
        let places = self.places.next(max_n);
        let pictures = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let intent = Intent {
            request: self.order.request_id.clone(),
            owner: self.order.owner(&offer.provider.name, &offer.model.name),
            purpose: Purpose::Draw,
            pictures,
            estimate: usd.checked_mul(pictures).ok_or(Skip::Unpriced)?,
            terms: Terms { provider: offer.provider.clone(), model: Some(offer.model.clone()) },
            budgets: self.budgets(offer),
        };
        match self.order.shared.journal.open(intent) {
            Ok(opened) => Ok(Chosen { candidate, slot, pass, opened, places }),
            Err(short) => {
                self.obstacles.note_short(short);
                Err(Skip::OverBudget)
            }
        }
    }
}
