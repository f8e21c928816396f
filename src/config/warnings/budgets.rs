//! Budgets of less than one picture: every request that they hold is refused.

use crate::config::node_path::NodePath;
use crate::config::plan::{Budget, Offer, Plan};
use crate::config::warnings::caps::least;
use crate::config::warnings::warner::{Warner, one_of_many};
use crate::config::warnings::word::Warning;
use crate::money::Usd;

pub(super) fn budgets(warner: &mut Warner, plan: &Plan, tree: NodePath<'_>) {
    let offers = || plan.routes.iter().flat_map(|route| route.offers.iter().map(move |offer| (route, offer)));
    for (name, provider) in &plan.providers {
        let of_it = offers().map(|(_, offer)| offer).filter(|offer| offer.provider.name == *name);
        below(warner, &provider.budgets, cheapest(of_it), tree.key("providers").key(name).key("budget"));
    }
    for (index, route) in plan.routes.iter().enumerate() {
        let at = tree.key("routes").item(index).key("price").key("budget");
        below(warner, &route.budgets, cheapest(route.offers.iter()), at);
    }
    for (index, client) in plan.clients.iter().enumerate() {
        let of_it = offers().filter(|(route, _)| client.may_use(&route.name)).map(|(_, offer)| offer);
        below(warner, &client.budgets, cheapest(of_it), tree.key("clients").item(index).key("budget"));
    }
}

/// The least that a picture of these may cost. `None` where one of them is not known, or there is none.
fn cheapest<'a>(offers: impl Iterator<Item = &'a Offer>) -> Option<Usd> {
    offers.map(least).collect::<Option<Vec<Usd>>>()?.into_iter().min()
}

fn below(warner: &mut Warner, budgets: &[Budget], cheapest: Option<Usd>, at: NodePath<'_>) {
    let Some(cheapest) = cheapest else { return };
    for (index, budget) in budgets.iter().enumerate().filter(|(_, budget)| budget.usd < cheapest) {
        let what = format!(
            "this budget buys no picture: the cheapest that it is for costs {cheapest} USD, and it is {} per {}",
            budget.usd,
            budget.per.as_str()
        );
        let help = format!("write at least {cheapest}, or take the budget out to have none");
        warner.warn(Warning::BudgetBelowPicture, one_of_many(at, index).key("usd"), what, &help);
    }
}
