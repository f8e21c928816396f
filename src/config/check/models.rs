//! `models:` of a provider: each with a price, and what the config says it can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::abilities::Sizes;
use crate::config::check::{Checker, prices};
use crate::config::file;
use crate::config::place::Place;
use crate::config::plan::{AbilityOverrides, Model, Via};

/// Every model that has a usable price.
pub(super) fn models(
    checker: &mut Checker<'_>,
    models: &BTreeMap<String, file::Model>,
    at: Place<'_>,
    markup_ppm: u32,
) -> BTreeMap<String, Arc<Model>> {
    let mut read = BTreeMap::new();
    for (name, model) in models {
        let place = at.key(name);
        if name.trim().is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            checker.report(at.name(name), "a model's name has no spaces and is not empty", None);
        }
        let abilities = abilities(checker, model, place);
        if let Some(price) = prices::price(checker, model, place, markup_ppm) {
            let family = checker.text(place.key("model_family"), model.model_family.as_deref());
            let via = model.via.map_or(Via::default(), via);
            let model = Model { name: name.clone(), price, abilities, options: model.options.clone(), via, family };
            read.insert(name.clone(), Arc::new(model));
        }
    }
    read
}

fn via(written: file::Via) -> Via {
    match written {
        file::Via::Images => Via::Images,
        file::Via::Chat => Via::Chat,
    }
}

fn abilities(checker: &mut Checker<'_>, model: &file::Model, at: Place<'_>) -> AbilityOverrides {
    let file::Model {
        price: _,
        addons: _,
        unit_price: _,
        max_n,
        sizes: written_sizes,
        formats,
        prompt_chars,
        seed,
        negative_prompt,
        options: _,
        via: _,
        model_family: _,
    } = model;
    let formats = formats.as_ref().map(|formats| {
        let place = at.key("formats");
        let read = formats.iter().enumerate();
        read.filter_map(|(index, format)| checker.read(place.item(index), Some(format))).collect()
    });
    AbilityOverrides {
        max_n: max_n.map(|n| checker.count(at.key("max_n"), Some(n), 1, 1)),
        sizes: written_sizes.as_ref().map(|written| sizes(checker, written, at.key("sizes"))),
        formats,
        prompt_chars: prompt_chars.map(|chars| checker.count(at.key("prompt_chars"), Some(chars), 1, 1)),
        seed: *seed,
        negative_prompt: *negative_prompt,
    }
}

fn sizes(checker: &mut Checker<'_>, sizes: &file::Sizes, at: Place<'_>) -> Sizes {
    match sizes {
        file::Sizes::Word(file::AnySize::Any) => Sizes::Any,
        file::Sizes::Listed(listed) => {
            if listed.is_empty() && !at.lost_items() {
                checker.report(at, "a model that draws no size is no use", "list sizes, or write `any`".to_owned());
            }
            let read = listed.iter().enumerate();
            Sizes::Listed(read.filter_map(|(index, size)| checker.read(at.item(index), Some(size))).collect())
        }
    }
}
