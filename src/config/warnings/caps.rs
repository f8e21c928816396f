//! Caps below every price, and caps that hold nothing. What only a size decides the price of is left alone.

use crate::config::node_path::NodePath;
use crate::config::plan::{Client, Offer, Plan, Route};
use crate::config::warnings::warner::Warner;
use crate::config::warnings::word::Warning;
use crate::money::Usd;

/// A cap, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cap {
    usd: Usd,
    /// As a sentence names it.
    whose: String,
}

pub(super) fn caps(warner: &mut Warner, plan: &Plan, tree: NodePath<'_>) {
    // Who may buy nothing anywhere is told so once, and not at each route.
    let clients = plan.clients.iter().enumerate();
    let buying = clients.filter(|(index, client)| !of_client(warner, plan, client, tree.key("clients").item(*index)));
    let buying: Vec<&Client> = buying.map(|(_, client)| &**client).collect();
    for (index, route) in plan.routes.iter().enumerate() {
        let at = tree.key("routes").item(index);
        over(warner, &callers(plan, &buying, route), route, at);
        idle(warner, route, at);
    }
}

/// Those of the clients that may use a route; `None` is whoever asks where there are no clients.
fn callers<'p>(plan: &Plan, buying: &[&'p Client], route: &Route) -> Vec<Option<&'p Client>> {
    match plan.clients.is_empty() {
        true => vec![None],
        false => buying.iter().filter(|client| client.may_use(&route.name)).map(|client| Some(*client)).collect(),
    }
}

/// The least that a picture of an offer may cost.
pub(super) fn least(offer: &Offer) -> Option<Usd> {
    offer.model.price.least(&offer.model.volume, &offer.provider.billing.volume)
}

/// The lowest of the caps that hold when `client` asks for one picture.
fn lowest(route: &Route, offer: Option<&Offer>, client: Option<&Client>) -> Option<Cap> {
    let cap = |usd: Option<Usd>, whose: String| usd.map(|usd| Cap { usd, whose });
    let own = offer.and_then(|offer| cap(offer.max_usd_per_image, "its own `max_usd_per_image`".to_owned()));
    let of_route = [("image", route.max_usd_per_image), ("request", route.max_usd_per_request)];
    let of_route = of_route.map(|(per, usd)| cap(usd, format!("`max_usd_per_{per}` of route `{}`", route.name)));
    let of_client = client.map(|client| {
        let caps = [("image", client.max_usd_per_image), ("request", client.max_usd_per_request)];
        caps.map(|(per, usd)| cap(usd, format!("`max_usd_per_{per}` of client `{}`", client.name)))
    });
    let caps = own.into_iter().chain(of_route.into_iter().flatten());
    caps.chain(of_client.into_iter().flatten().flatten()).min()
}

/// The highest of the caps that some caller has; `None` where somebody has none, or nobody may ask.
fn allowed(callers: &[Option<&Client>], route: &Route, offer: &Offer) -> Option<Cap> {
    let caps: Option<Vec<Cap>> = callers.iter().map(|client| lowest(route, Some(offer), *client)).collect();
    caps?.into_iter().max()
}

/// Offers that no cap allows: each by itself, or the route where there is no other.
fn over(warner: &mut Warner, callers: &[Option<&Client>], route: &Route, at: NodePath<'_>) {
    let dear = |offer: &Offer| {
        let (least, cap) = (least(offer)?, allowed(callers, route, offer)?);
        (least > cap.usd).then_some((least, cap))
    };
    let found: Vec<Option<(Usd, Cap)>> = route.offers.iter().map(dear).collect();
    let Some((cheapest, cap)) = found.iter().flatten().min() else { return };
    if found.iter().all(Option::is_some) {
        let place = if at.key("price").is_given() { at.key("price") } else { at.key("name") };
        let what = format!(
            "route `{}` buys nothing: its cheapest picture costs {cheapest} USD, and {} is {}",
            route.name, cap.whose, cap.usd
        );
        warner.warn(Warning::RouteOverCap, place, what, &raise(*cheapest));
        return;
    }
    for (index, (offer, found)) in route.offers.iter().zip(&found).enumerate() {
        let Some((least, cap)) = found else { continue };
        let what = format!(
            "`{}` is never asked: its cheapest picture costs {least} USD, and {} is {}",
            offer.name, cap.whose, cap.usd
        );
        warner.warn(Warning::OfferOverCap, at.key("offers").item(index), what, &raise(*least));
    }
}

fn raise(to: Usd) -> String {
    format!("raise the cap to {to} or more; prices and caps are dollars a picture")
}

/// Warns of a client that may buy nothing anywhere, though others may.
fn of_client(warner: &mut Warner, plan: &Plan, client: &Client, at: NodePath<'_>) -> bool {
    let Some(cheapest) = nothing_for(plan, client) else { return false };
    let keys = [("max_usd_per_image", client.max_usd_per_image), ("max_usd_per_request", client.max_usd_per_request)];
    let lowest = keys.into_iter().filter_map(|(key, usd)| Some((key, usd?))).min_by_key(|(_, usd)| *usd);
    let Some((key, usd)) = lowest else { return false };
    let what = format!(
        "client `{}` may buy nothing: its cheapest picture costs {cheapest} USD, and `{key}` is {usd}",
        client.name
    );
    warner.warn(Warning::ClientOverCap, at.key(key), what, &raise(cheapest));
    true
}

/// What the cheapest picture costs that a client could buy but for its own caps, where these allow none.
fn nothing_for(plan: &Plan, client: &Client) -> Option<Usd> {
    let within = |least: Usd, cap: Option<Cap>| cap.is_none_or(|cap| least <= cap.usd);
    let mut cheapest: Option<Usd> = None;
    for route in plan.routes.iter().filter(|route| client.may_use(&route.name)) {
        for offer in &route.offers {
            let least = least(offer)?;
            // What nobody may buy is told at the route.
            if !within(least, lowest(route, Some(offer), None)) {
                continue;
            }
            if within(least, lowest(route, Some(offer), Some(client))) {
                return None;
            }
            cheapest = Some(cheapest.map_or(least, |usd| usd.min(least)));
        }
    }
    cheapest
}

/// Caps above one that always holds before them.
fn idle(warner: &mut Warner, route: &Route, at: NodePath<'_>) {
    let price = at.key("price");
    if let (Some(image), Some(request)) = (route.max_usd_per_image, route.max_usd_per_request)
        && image > request
    {
        let what = format!(
            "this holds nothing: `max_usd_per_request` is {request}, and one picture is the least that a request asks for"
        );
        warner.warn(Warning::IdleCap, price.key("max_usd_per_image"), what, "lower it, or raise `max_usd_per_request`");
    }
    for (index, offer) in route.offers.iter().enumerate() {
        if let (Some(own), Some(of_route)) = (offer.max_usd_per_image, route.max_usd_per_image)
            && own > of_route
        {
            let what = format!("this holds nothing: the route's own `max_usd_per_image` is {of_route}");
            let place = at.key("offers").item(index).key("max_usd_per_image");
            warner.warn(Warning::IdleCap, place, what, "leave it out, or raise the route's");
        }
    }
}
