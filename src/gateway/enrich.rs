//! What becomes of a prompt before it is drawn: a language model rewrites it, the route's own words go around it.
//!
//! It happens once a flight, after the cache was looked into and before offers are chosen, so a hit pays nothing for
//! it. Nothing here may fail a request: whatever goes wrong, the caller's own words are drawn, and an [`Enriched`] says
//! why. Nothing is paid for a prompt that nobody could draw, nor at the cost of a picture.

use std::sync::Arc;

use crate::gateway::flight::Flight;
use crate::gateway::order::Order;
use crate::request::{Filled, ImageRequest};

mod leeway;
mod prompt;
mod rewriting;

pub use prompt::{Author, Enriched};

use leeway::Leeway;
use prompt::dressed;
use rewriting::{Rewriting, Rewritten};

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
