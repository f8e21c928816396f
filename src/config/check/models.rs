//! `models:` of a provider: each with a price, and what the config says it can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::check::checker::Checker;
use crate::config::check::prices::Surcharge;
use crate::config::check::{money, prices, rates, sizes};
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{CapabilityOverrides, EditOverride, Model, Via};
use crate::config::units::ConfigUnit;

/// Every model that has a usable price.
pub(super) fn models(
    checker: &mut Checker<'_>,
    models: &BTreeMap<String, file::Model>,
    at: NodePath<'_>,
    on_top: Surcharge,
) -> BTreeMap<String, Arc<Model>> {
    let mut read = BTreeMap::new();
    for (name, model) in models {
        let place = at.key(name);
        self::name(checker, name, at);
        let capabilities = capabilities(checker, &model.capabilities, place);
        if let Some(price) = prices::price(checker, model, place, on_top) {
            let family = checker.text(place.key("model_family"), model.model_family.as_deref());
            let via = model.via.map_or(Via::default(), via);
            let volume = money::volume(checker, &model.volume, place.key("volume"));
            let rate = rates::of_calls(checker, &model.rate, place.key("rate"));
            let options = model.options.clone();
            let model = Model { name: name.clone(), price, volume, rate, capabilities, options, via, family };
            read.insert(name.clone(), Arc::new(model));
        }
    }
    read
}

/// Notes a name that no vendor's model can have. `at` is where the models are.
pub(super) fn name(checker: &mut Checker<'_>, name: &str, at: NodePath<'_>) {
    if name.trim().is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        checker.report(at.name(name), "a model's name has no spaces and is not empty", None);
    }
}

fn via(written: file::Via) -> Via {
    match written {
        file::Via::Images => Via::Images,
        file::Via::Chat => Via::Chat,
    }
}

/// What is said of a model, or of all models of a provider.
pub(super) fn capabilities(
    checker: &mut Checker<'_>,
    written: &file::Capabilities,
    at: NodePath<'_>,
) -> CapabilityOverrides {
    let file::Capabilities {
        generate,
        edit,
        max_n,
        sizes: written_sizes,
        formats,
        qualities,
        prompt_chars,
        seed,
        negative_prompt,
        partials,
        transparent,
        compression,
        style,
    } = written;
    let edit = edit.as_ref().map(|written| self::edit(checker, written, at.key("edit")));
    does_something(checker, *generate, edit.as_ref(), at.key("generate"));
    CapabilityOverrides {
        max_n: max_n.map(|n| checker.count(at.key("max_n"), Some(n), 1, 1)),
        sizes: written_sizes.as_ref().map(|written| sizes::sizes(checker, written, at.key("sizes"))),
        formats: formats.as_ref().map(|formats| words(checker, formats, at.key("formats"))),
        qualities: qualities.as_ref().map(|qualities| words(checker, qualities, at.key("qualities"))),
        prompt_chars: prompt_chars.map(|chars| checker.count(at.key("prompt_chars"), Some(chars), 1, 1)),
        seed: *seed,
        negative_prompt: *negative_prompt,
        partials: *partials,
        transparent: *transparent,
        compression: *compression,
        style: *style,
        generate: *generate,
        edit,
    }
}

/// Notes a model that neither draws nor changes pictures.
fn does_something(checker: &mut Checker<'_>, generate: Option<bool>, edit: Option<&EditOverride>, at: NodePath<'_>) {
    if generate == Some(false) && edit == Some(&EditOverride::Never) {
        let help = "leave out `generate` or `edit`".to_owned();
        checker.report(at, "a model that neither draws nor changes pictures is no use", help);
    }
}

/// Every word of a list that can be read.
fn words<W: ConfigUnit>(checker: &mut Checker<'_>, words: &[W], at: NodePath<'_>) -> Vec<W::Value> {
    words.iter().enumerate().filter_map(|(index, word)| checker.read(at.item(index), Some(word))).collect()
}

fn edit(checker: &mut Checker<'_>, written: &file::Edit, at: NodePath<'_>) -> EditOverride {
    match written {
        file::Edit::Switch(false) => EditOverride::Never,
        file::Edit::Switch(true) => EditOverride::Within { images: None, mask: None, keeps_size: None },
        file::Edit::Within(file::EditBounds { images, mask, keeps_size }) => EditOverride::Within {
            images: images.map(|images| checker.count(at.key("images"), Some(images), 1, 1)),
            mask: *mask,
            keeps_size: *keeps_size,
        },
    }
}
