//! Prices that are probably no dollars a picture.

use crate::config::node_path::NodePath;
use crate::config::plan::{Model, Plan};
use crate::config::provider_kind::ProviderKind;
use crate::config::warnings::warner::Warner;
use crate::config::warnings::word::Warning;
use crate::money::Usd;
use crate::pricing::Table;

/// No vendor's list has a picture for a dollar: the dearest, in 4K, are a quarter of it.
const DEAR: Usd = Usd::from_nanos(1_000_000_000);

pub(super) fn prices(warner: &mut Warner, plan: &Plan, tree: NodePath<'_>, kinds: &[ProviderKind]) {
    for (name, provider) in &plan.providers {
        let vendor = kinds.iter().any(|kind| kind.name == provider.kind && kind.default_base_url.is_some());
        for (model, priced) in &provider.models {
            let at = tree.key("providers").key(name).key("models").key(model).key("price");
            dear(warner, priced, at);
            if vendor && is_free(priced) {
                let what = format!("`{name}/{model}` costs nothing here: no cap and no budget holds it");
                let help = "write what the vendor charges; nothing is right only where it really is free";
                warner.warn(Warning::FreePrice, at, what, help);
            }
        }
    }
}

fn dear(warner: &mut Warner, model: &Model, at: NodePath<'_>) {
    let Some(usd) = model.price.dearest_listed().filter(|usd| *usd >= DEAR) else { return };
    let what = format!("{usd} USD for one picture is more than any vendor asks");
    let cents = Usd::from_nanos(usd.nanos() / 100);
    let help = format!("prices are dollars: where cents are meant, {usd} of them are {cents}");
    warner.warn(Warning::DearPrice, at, what, &help);
}

/// Whether nothing at all is counted for a picture.
fn is_free(model: &Model) -> bool {
    let price = &model.price;
    let nothing = match &price.table {
        Table::Flat(_) | Table::Rows(_) | Table::UpTo(_) => price.dearest_listed() == Some(Usd::ZERO),
        Table::Megapixels(_) | Table::FirstMegapixel(_) | Table::Steps(_) => false,
    };
    nothing && price.meter.is_none() && price.fee == Usd::ZERO && price.per_unit.is_none()
}
