//! What becomes of a prompt before it is drawn: a language model rewrites it, the route's own words go around it.
//!
//! It happens once a flight, after the cache was looked into and before offers are chosen, so a hit pays nothing for
//! it. Nothing here may fail a request: whatever goes wrong, the caller's own words are drawn, and an [`Enriched`] says
//! why. Nothing is paid for a prompt that nobody could draw, nor at the cost of a picture.

use std::sync::Arc;

use crate::breaker::Pause;
use crate::config::plan::{Offer, Prompt};
use crate::failure::Class;
use crate::gateway::dispatch_loop::Order;
use crate::gateway::flight::Flight;
use crate::money::Usd;
use crate::provider::anthropic::Unwritten;
use crate::request::{Filled, ImageRequest};

mod rewriting;

use rewriting::{Rewriting, Rewritten};

/// Whose words a prompt is.
#[derive(Clone, Debug)]
pub struct Author {
    /// Nothing is shared between tenants, rewritten prompts included.
    pub tenant: Arc<str>,
    /// Whether what is written for this caller may be kept, and taken from what was kept.
    pub remember: bool,
}

/// What became of a prompt that was to be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enriched {
    /// It was, just now.
    Written,
    /// It had been before.
    Cached,
    /// The model answered, with nothing to use.
    Unwritten(Unwritten),
    /// An offer that could draw the caller's own words could not read what was written.
    TooLong,
    /// The call failed, or took too long.
    Failed(Class),
    /// The model is paused after trouble.
    Paused(Pause),
    /// No slot was free in time.
    AtCapacity,
    /// With what it may cost, an offer would be over the request's threshold.
    OverPrice,
    /// A budget would be passed.
    OverBudget,
    /// The ledger cannot be written.
    LedgerUnwritable,
}

impl Enriched {
    /// The word for log, metric and header.
    pub fn word(self) -> &'static str {
        match self {
            Enriched::Written => "written",
            Enriched::Cached => "cached",
            Enriched::Unwritten(Unwritten::Refused) => "refused",
            Enriched::Unwritten(Unwritten::MaxTokens) => "max_tokens",
            Enriched::Unwritten(Unwritten::Stopped) => "stopped",
            Enriched::Unwritten(Unwritten::Empty) => "empty",
            Enriched::TooLong => "too_long",
            Enriched::Failed(class) => class.word(),
            Enriched::Paused(pause) => pause.word(),
            Enriched::AtCapacity => "at_capacity",
            Enriched::OverPrice => "over_price",
            Enriched::OverBudget => "over_budget",
            Enriched::LedgerUnwritable => "ledger_unwritable",
        }
    }
}

/// The order with the prompt that is to be drawn.
pub async fn prepare(order: Order, author: &Author, flight: &Flight) -> Order {
    let route = order.matched.route.clone();
    if order.request.is_variation() {
        // Nobody's words: there is nothing to rewrite or to dress.
        return order;
    }
    let caller = order.request.prompt.clone();
    let mut order = worded(order, &caller, dressed(&route.prompt, &caller));
    let Some(enrich) = &route.prompt.enrich else { return order };
    let Some(leeway) = Leeway::of(&order) else { return order };
    let rewriting = Rewriting { order: &order, enrich, author, caller: &caller, leeway };
    let Rewritten { enriched, words, cost, promised } = rewriting.run().await;
    let word = enriched.word();
    order.shared.metrics.enrichments.with_label_values(&[route.name.as_str(), word]).inc();
    flight.update(|progress| {
        progress.cost = progress.cost.saturating_add(cost);
        progress.enriched = Some((enrich.name.clone(), word));
    });
    order.spent = order.spent.saturating_add(promised);
    match words {
        Some(words) => worded(order, &caller, dressed(&route.prompt, &words)),
        None => order,
    }
}

/// `words` between the route's own.
fn dressed(prompt: &Prompt, words: &str) -> String {
    let Prompt { prefix, suffix, enrich: _ } = prompt;
    format!("{prefix}{words}{suffix}")
}

/// The order for another prompt, which is told where it is not what the caller wrote.
fn worded(order: Order, caller: &str, prompt: String) -> Order {
    if prompt == order.request.prompt {
        return order;
    }
    let revised_prompt = (prompt != caller).then(|| prompt.as_str().into());
    let filled = Filled { prompt: revised_prompt.is_some(), ..order.request.filled };
    let request = Arc::new(ImageRequest { prompt, filled, ..(*order.request).clone() });
    Order { request, revised_prompt, ..order }
}

/// How much a rewritten prompt may take up before it stands in the way of a picture.
#[derive(Clone, Copy, Debug)]
struct Leeway {
    /// Characters that every offer reads which could draw the caller's own words.
    chars: usize,
    /// Money that the pictures leave of the request's threshold; `None` without one.
    usd: Option<Usd>,
}

impl Leeway {
    /// `None` when nobody could draw the order now, whatever its words.
    fn of(order: &Order) -> Option<Leeway> {
        let Order { shared, live, matched, open, caps, .. } = order;
        let (route, capabilities) = (&matched.route, live.capabilities(matched.index));
        let (able, _) = order.appraise();
        let now = tokio::time::Instant::now().into_std();
        let is_paused = |offer: &Offer| shared.breakers.cooling(order.asked(offer), now).is_some();
        let mut offers = able.iter().filter_map(|candidate| route.offers.get(candidate.offer));
        if offers.all(is_paused) {
            return None;
        }
        let chars = able.iter().filter_map(|candidate| capabilities.get(candidate.offer)).map(|able| able.prompt_chars);
        let usd = caps.spare(&able, u8::try_from(open.len()).unwrap_or(u8::MAX));
        Some(Leeway { chars: chars.min()?, usd })
    }
}
