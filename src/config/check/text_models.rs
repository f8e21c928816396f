//! Models of a provider that writes instead of drawing: priced by the token, and with nothing that only pictures have.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::check::checker::Checker;
use crate::config::check::{models, rates};
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::TextModel;
use crate::pricing::TextTokenPrice;

/// The kind whose vendor's cache has a price of its own, and whose models may be such that write nothing.
pub(super) const OPENAI_TEXT: &str = "openai_text";

/// The kinds that draw nothing.
const KINDS: [&str; 2] = ["anthropic", OPENAI_TEXT];

/// Whether a kind of provider draws nothing.
pub(super) fn draws_nothing(kind: &str) -> bool {
    KINDS.contains(&kind)
}

/// The kinds that draw nothing, for a message.
pub(super) fn kinds() -> String {
    KINDS.join(" or ")
}

/// What to write for a price.
const EXAMPLE: &str = "`price: {tokens_per_million: {text_in: 1.00, text_out: 5.00}}`";

/// What only models that draw have. (`via` and `model_family` belong to one kind each and are noted as such.)
const OF_PICTURES: [&str; 16] = [
    "volume",
    "addons",
    "multiplier",
    "unit_price",
    "generate",
    "edit",
    "max_n",
    "sizes",
    "formats",
    "qualities",
    "prompt_chars",
    "seed",
    "negative_prompt",
    "transparent",
    "compression",
    "style",
];

/// Every model that could be read of the provider at `at`, which is of this kind.
pub(super) fn writers(
    checker: &mut Checker<'_>,
    models: &BTreeMap<String, file::Model>,
    at: NodePath<'_>,
    kind: &str,
    markup_ppm: u32,
) -> BTreeMap<String, Arc<TextModel>> {
    for key in ["download_hosts", "poll", "model_defaults", "fee"] {
        if at.key(key).is_given() {
            let what = format!("`{key}` means nothing to a provider that draws nothing");
            checker.report(at.key(key), what, "delete it".to_owned());
        }
    }
    rates::without_pictures(checker, at.key("rate"));
    let at = at.key("models");
    let mut read = BTreeMap::new();
    for (name, model) in models {
        let place = at.key(name);
        models::name(checker, name, at);
        for key in OF_PICTURES.into_iter().filter(|key| place.key(key).is_given()) {
            let what = format!("`{key}` means nothing to a model that draws nothing");
            checker.report(place.key(key), what, "delete it".to_owned());
        }
        rates::without_pictures(checker, place.key("rate"));
        let rate = rates::of_calls(checker, &model.rate, place.key("rate"));
        if let Some(price) = price(checker, model.price.as_ref(), place.key("price"), kind, markup_ppm) {
            let writer = TextModel { name: name.clone(), price, rate, options: model.options.clone() };
            read.insert(name.clone(), Arc::new(writer));
        }
    }
    read
}

fn price(
    checker: &mut Checker<'_>,
    written: Option<&file::Price>,
    at: NodePath<'_>,
    kind: &str,
    markup_ppm: u32,
) -> Option<TextTokenPrice> {
    let Some(written) = written else {
        checker.report(at, "this model has no price", format!("add {EXAMPLE}"));
        return None;
    };
    let mapping = if let file::Price::Mapping(mapping) = written { Some(mapping) } else { None };
    let Some(prices) = mapping.and_then(|mapping| mapping.tokens_per_million.as_ref()) else {
        checker.report(at, "this model draws nothing, so it has no price by the picture", format!("write {EXAMPLE}"));
        return None;
    };
    let beside = at.keys().filter(|key| !["tokens_per_million", "as_of", "source"].contains(key)).map(|key| (at, key));
    let at = at.key("tokens_per_million");
    let of_openai = kind == OPENAI_TEXT;
    let known: &[&str] = if of_openai { &["text_in", "text_cached_in", "text_out"] } else { &["text_in", "text_out"] };
    let others = at.keys().filter(|key| !known.contains(key)).map(|key| (at, key));
    for (at, key) in beside.chain(others) {
        let what = format!("`{key}` means nothing to a model that draws nothing");
        checker.report(at.key(key), what, "delete it".to_owned());
    }
    let file::TokensPerMillion { text_in, text_cached_in, text_out, .. } = prices;
    let mut amount = |key: &str, usd: Option<&file::Dollars>, required: bool| {
        if usd.is_none() && required {
            checker.report(at.key(key), format!("this price has no `{key}`"), format!("write {EXAMPLE}"));
        }
        checker.read(at.key(key), usd)
    };
    let text_in = amount("text_in", text_in.as_ref(), true);
    let cached = amount("text_cached_in", text_cached_in.as_ref(), false);
    // A model of embeddings writes nothing. Who has a model write looks whether its words have a price.
    let text_out = amount("text_out", text_out.as_ref(), !of_openai);
    // Without a price of its own, the vendor's cache is no cheaper; Anthropic's has a factor.
    let text_cached_in = if of_openai { cached.or(text_in) } else { None };
    Some(TextTokenPrice { text_in: text_in?, text_cached_in, text_out, markup_ppm })
}
