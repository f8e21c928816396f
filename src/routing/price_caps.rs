//! Price thresholds: what a picture and a request may cost, and who says so.
//!
//! A cap is held against the price before a call, whether that was paid for in advance or not. Of several the lowest
//! holds. Budgets, which many requests share, are not known here.

use crate::config::plan::{Client, Route};
use crate::money::Usd;
use crate::routing::candidate::Candidate;

/// Who set a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapOwner {
    /// The caller, for this request: `x-easel-max-usd`.
    Caller,
    /// The config, for this client.
    Client,
    /// The config, for this route.
    Route,
    /// The config, for this offer on this route.
    Offer,
}

/// A cap and who set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cap {
    /// No dearer than this.
    pub usd: Usd,
    /// Who set it.
    pub whose: CapOwner,
}

/// What is dearer than a cap allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapExceeded {
    /// The price of one picture, or of the request where that is the limit.
    pub usd: Usd,
    /// The cap.
    pub cap: Cap,
}

/// What holds for one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// For one picture, the offer's own cap aside.
    pub per_image: Option<Cap>,
    /// For everything the request buys: pictures, prompts rewritten, failures that are charged.
    pub per_request: Option<Cap>,
}

impl Caps {
    /// The caps of a route, a client and the caller's own header.
    pub fn of(route: &Route, client: Option<&Client>, caller: Option<Usd>) -> Caps {
        let cap = |whose, usd: Option<Usd>| usd.map(|usd| Cap { usd, whose });
        let lowest = |caps: [Option<Cap>; 3]| caps.into_iter().flatten().min();
        let client_image = client.and_then(|client| client.max_usd_per_image);
        let client_request = client.and_then(|client| client.max_usd_per_request);
        Caps {
            per_image: lowest([
                cap(CapOwner::Client, client_image),
                cap(CapOwner::Route, route.max_usd_per_image),
                None,
            ]),
            per_request: lowest([
                cap(CapOwner::Caller, caller),
                cap(CapOwner::Client, client_request),
                cap(CapOwner::Route, route.max_usd_per_request),
            ]),
        }
    }

    /// Whether a picture may cost `usd` from an offer with a cap of its own.
    pub(super) fn picture(&self, offer: Option<Usd>, usd: Usd) -> Result<(), CapExceeded> {
        let offer = offer.map(|usd| Cap { usd, whose: CapOwner::Offer });
        match [self.per_image, offer].into_iter().flatten().min() {
            Some(cap) if usd > cap.usd => Err(CapExceeded { usd, cap }),
            _ => Ok(()),
        }
    }

    /// Whether `pictures` more at `usd` each keep the request within its cap, `spent` being spent or promised.
    pub fn affordable(&self, usd: Usd, pictures: u8, spent: Usd) -> Result<(), CapExceeded> {
        let Some(cap) = self.per_request else { return Ok(()) };
        let total = usd.checked_mul(u32::from(pictures)).and_then(|more| more.checked_add(spent));
        match total {
            Some(total) if total <= cap.usd => Ok(()),
            total => Err(CapExceeded { usd: total.unwrap_or(usd), cap }),
        }
    }

    /// What may be spent on other things than pictures so that every candidate that could draw `pictures` within the
    /// cap still can. `None` where there is no cap.
    pub fn spare(&self, candidates: &[Candidate], pictures: u8) -> Option<Usd> {
        let limit = self.per_request?.usd;
        let prices = candidates.iter().filter_map(|candidate| candidate.usd.checked_mul(u32::from(pictures)));
        let dearest = prices.filter(|usd| *usd <= limit).max();
        // Where no candidate could draw, there is no picture to spend anything on.
        Some(dearest.and_then(|usd| limit.checked_sub(usd)).unwrap_or(Usd::ZERO))
    }
}
