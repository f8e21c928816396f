//! How long and how dear a rewritten prompt may be.

use crate::config::plan::Offer;
use crate::gateway::routed_request::RoutedRequest;
use crate::money::Usd;

/// How much a rewritten prompt may take up before it stands in the way of a picture.
#[derive(Clone, Copy, Debug)]
pub struct RewriteLimits {
    /// Characters that every offer reads which could draw the caller's own prompt.
    pub chars: usize,
    /// Money that the pictures leave of the request's threshold; `None` without one.
    pub usd: Option<Usd>,
}

impl RewriteLimits {
    /// `None` when no offer could draw the request now, whatever its prompt.
    pub fn of(spec: &RoutedRequest) -> Option<RewriteLimits> {
        let RoutedRequest { shared, snapshot, matched, open, caps, .. } = spec;
        let (route, capabilities) = (&matched.route, snapshot.capabilities(matched.index));
        let (able, _) = spec.evaluate_candidates();
        let now = tokio::time::Instant::now().into_std();
        let is_paused = |offer: &Offer| shared.breakers.paused_until(spec.breaker_target(offer), now).is_some();
        let mut offers = able.iter().filter_map(|candidate| route.offers.get(candidate.offer));
        if offers.all(is_paused) {
            return None;
        }
        let chars = able.iter().filter_map(|candidate| capabilities.get(candidate.offer)).map(|able| able.prompt_chars);
        let usd = caps.spare(&able, u8::try_from(open.len()).unwrap_or(u8::MAX));
        Some(RewriteLimits { chars: chars.min()?, usd })
    }
}
