//! What a model can do, as the config states it.

use super::*;

#[test]
fn everything_a_model_can_do_may_be_stated_and_stated_for_all() {
    let all = ", generate: true, edit: {images: 3, mask: false, keeps_size: true}, max_n: 2, formats: [png], \
               qualities: [low, hd], prompt_chars: 9, seed: true, negative_prompt: false, partials: true, \
               transparent: true, compression: true, style: false, sizes: {ratios: [16:9, '1:1'], pixels: 512x512}";
    let dialect = "base_url: https://a.example, dialect: {edit_path: edits}";
    let able = |provider: &str, model: &str| {
        plan(&compatible(provider, model)).providers["a"].models["m"].capabilities.clone()
    };
    let stated = able(dialect, all);
    let wanted = CapabilityOverrides {
        generate: Some(true),
        edit: Some(EditOverride::Within { images: Some(3), mask: Some(false), keeps_size: Some(true) }),
        max_n: Some(2),
        formats: Some(vec![Format::Png]),
        qualities: Some(vec![Quality::Low, Quality::Hd]),
        prompt_chars: Some(9),
        seed: Some(true),
        negative_prompt: Some(false),
        partials: Some(true),
        transparent: Some(true),
        compression: Some(true),
        style: Some(false),
        sizes: Some(Sizes::Ratios { shapes: vec![(16, 9), (1, 1)], pixels: 512 * 512 }),
    };
    assert_eq!(stated, wanted);
    let defaults = format!("{dialect}, model_defaults: {{{}}}", &all[2..]);
    assert_eq!(able(&defaults, ", edit: false"), CapabilityOverrides { edit: Some(EditOverride::Never), ..wanted });
    let Some(Sizes::Stepped(steps)) =
        able(dialect, ", sizes: {multiple_of: 16, max_side: 1024, max_pixels: 512x512}").sizes
    else {
        panic!("no grid")
    };
    assert_eq!((steps.multiple_of, steps.min_side, steps.max_side, steps.max_pixels), (16, 16, 1024, 512 * 512));
    assert_eq!(able(dialect, ", sizes: none").sizes, Some(Sizes::None));
    assert_eq!(able(dialect, ", sizes: any").sizes, Some(Sizes::Any));
}

#[test]
fn capabilities_that_make_no_sense_are_told() {
    let told = |provider: &str, model: &str| {
        let provider = format!("base_url: https://a.example, {provider}");
        let problems = read(&compatible(&provider, model)).unwrap_err();
        problems.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>()
    };
    for (provider, model, what) in [
        ("dialect: {}", ", edit: {images: 1}", "the dialect has no `edit_path`, so no picture can be changed"),
        ("dialect: {drop: [seed]}", ", seed: true", "the dialect drops `seed`, so it cannot be asked for"),
        ("dialect: {drop: [n]}", ", max_n: 2", "the dialect drops `n`, so it cannot be asked for"),
        ("dialect: {}", ", generate: false, edit: false", "a model that neither draws nor changes pictures is no use"),
        ("dialect: {edit_path: e}", ", edit: {images: 0}", "must be at least 1"),
        ("dialect: {}", ", sizes: {ratios: []}", "a model that draws no shape is no use"),
        ("dialect: {}", ", sizes: {ratios: [16/9]}", "`16/9` is not a shape"),
        ("dialect: {}", ", sizes: {ratios: [1:1], max_side: 9}", "`max_side` means nothing beside `ratios`"),
        ("dialect: {}", ", sizes: {pixels: 1x1}", "`pixels` means nothing without `ratios`"),
        ("dialect: {}", ", sizes: {min_side: 900, max_side: 800}", "no size is within these bounds"),
        ("dialect: {}", ", qualities: [lo]", "expected `low`"),
        ("model_defaults: {sizes: []}", "", "a model that draws no size is no use"),
        ("model_defaults: {price: 1}", "", "unknown key `price`"),
    ] {
        let told = told(provider, model);
        assert!(told.len() == 1 && told[0].starts_with(what), "{provider}{model}: {told:?}");
    }
}
