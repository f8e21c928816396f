//! What a model can do by its provider, and what the config says of it instead.
//!
//! The config has the last word, save for edits, from which it can only take away: pictures that a kind has no way to
//! send would be left out unnoticed.

use crate::capabilities::{Capabilities, Edits};
use crate::config::plan::{Account, CapabilityOverrides, EditOverride, Model};
use crate::provider::adapter::Adapter;
use crate::request::Background;

/// What a model can do, with the config's overrides applied.
pub fn capabilities(provider: &dyn Adapter, account: &Account, model: &Model) -> Capabilities {
    let mut capabilities = provider.capabilities_of(account, model);
    let CapabilityOverrides {
        max_n,
        sizes,
        formats,
        prompt_chars,
        seed,
        negative_prompt,
        qualities,
        partials,
        transparent,
        compression,
        style,
        generate,
        edit,
    } = &model.capabilities;
    put_over(&mut capabilities.max_n, max_n);
    put_over(&mut capabilities.sizes, sizes);
    put_over(&mut capabilities.formats, formats);
    put_over(&mut capabilities.prompt_chars, prompt_chars);
    put_over(&mut capabilities.seed, seed);
    put_over(&mut capabilities.negative_prompt, negative_prompt);
    put_over(&mut capabilities.qualities, qualities);
    put_over(&mut capabilities.partials, partials);
    put_over(&mut capabilities.transparent, transparent);
    put_over(&mut capabilities.compression, compression);
    put_over(&mut capabilities.style, style);
    put_over(&mut capabilities.generate, generate);
    put_fixed(&mut capabilities, account, model);
    capabilities.edit = match (capabilities.edit, *edit) {
        (edit, None) => edit,
        (None, _) | (_, Some(EditOverride::Never)) => None,
        (Some(own), Some(EditOverride::Within { images, mask, keeps_size })) => Some(Edits {
            images: images.map_or(own.images, |images| images.min(own.images)),
            mask: own.mask && mask != Some(false),
            keeps_size: keeps_size.unwrap_or(own.keeps_size),
            ..own
        }),
    };
    capabilities
}

/// What `options` fix is not open to wishes any more: they are laid over whatever is asked.
fn put_fixed(capabilities: &mut Capabilities, account: &Account, model: &Model) {
    let fixed = |field: &str| {
        let theirs = account.dialect.rename.get(field).map_or(field, String::as_str);
        model.options.get(theirs).or_else(|| account.dialect.constants.get(theirs))?.as_str()
    };
    if let Some(format) = fixed("output_format").and_then(|word| word.parse().ok()) {
        capabilities.formats = vec![format];
    }
    if fixed("background").is_some_and(|word| word != Background::Transparent.as_str()) {
        capabilities.transparent = false;
    }
}

fn put_over<T: Clone>(own: &mut T, stated: &Option<T>) {
    if let Some(stated) = stated {
        own.clone_from(stated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::by_kind;
    use crate::provider::common::fixture::JobFixture;
    use crate::request::Quality;

    #[test]
    fn the_config_has_the_last_word_on_abilities() {
        let mut fixture = JobFixture::new("replicate", "owner/unknown", r#"{"prompt":"x"}"#);
        fixture.model.capabilities.max_n = Some(4);
        fixture.model.capabilities.negative_prompt = Some(true);
        let provider = by_kind("replicate").unwrap();
        let able = capabilities(provider, &fixture.account, &fixture.model);
        assert_eq!((able.max_n, able.negative_prompt, able.seed), (4, true, true));
    }

    #[test]
    fn the_config_may_take_from_what_a_model_can_change_but_not_add_to_it() {
        let edit = |kind: &str, model: &str, edit: EditOverride| {
            let mut fixture = JobFixture::new(kind, model, r#"{"prompt":"x"}"#);
            fixture.model.capabilities.edit = Some(edit);
            capabilities(by_kind(kind).unwrap(), &fixture.account, &fixture.model).edit
        };
        let within = |images, mask, keeps_size| EditOverride::Within { images, mask, keeps_size };
        let takes = |images, mask, keeps_size| Some(Edits { mask, keeps_size, ..Edits::up_to(images) });
        assert_eq!(edit("openai", "gpt-image-2", EditOverride::Never), None);
        assert_eq!(edit("openai", "gpt-image-2", within(None, None, None)), takes(16, true, false));
        assert_eq!(edit("openai", "gpt-image-2", within(Some(2), Some(false), Some(true))), takes(2, false, true));
        assert_eq!(edit("openai", "gpt-image-2", within(Some(99), Some(true), None)), takes(16, true, false));
        assert_eq!(edit("openai", "dall-e-3", within(Some(1), None, None)), None);
    }

    #[test]
    fn what_options_fix_is_not_open_to_wishes() {
        let able = |options: &[(&str, &str)]| {
            let mut fixture = JobFixture::new("openai", "gpt-image-2", r#"{"prompt":"x"}"#);
            for (field, word) in options {
                fixture.model.options.insert((*field).to_owned(), serde_json::json!(word));
            }
            let able = capabilities(by_kind("openai").unwrap(), &fixture.account, &fixture.model);
            (able.formats.iter().map(|format| format.as_str()).collect::<Vec<_>>(), able.transparent)
        };
        assert_eq!(able(&[]), (vec!["png", "jpeg", "webp"], true));
        assert_eq!(able(&[("output_format", "jpeg")]), (vec!["jpeg"], true));
        assert_eq!(able(&[("background", "opaque")]), (vec!["png", "jpeg", "webp"], false));
        assert!(able(&[("background", "transparent")]).1);
    }

    #[test]
    fn every_other_ability_is_as_the_config_states_it() {
        let mut fixture = JobFixture::new("openai_compatible", "m", r#"{"prompt":"x"}"#);
        fixture.model.capabilities = CapabilityOverrides {
            qualities: Some(vec![Quality::Hd]),
            transparent: Some(true),
            compression: Some(false),
            style: Some(false),
            generate: Some(false),
            ..CapabilityOverrides::default()
        };
        let able = capabilities(by_kind("openai_compatible").unwrap(), &fixture.account, &fixture.model);
        assert_eq!(able.qualities, [Quality::Hd]);
        assert_eq!((able.transparent, able.compression, able.style, able.generate), (true, false, false, false));
    }
}
