//! Tests of capabilities.rs.

use super::*;

const TOLERANCE: SizeTolerance = SizeTolerance { tolerance_ppm: 150_000, strict: false };
const STRICT: SizeTolerance = SizeTolerance { tolerance_ppm: 150_000, strict: true };

fn stability() -> Sizes {
    let shapes = vec![(21, 9), (16, 9), (3, 2), (5, 4), (1, 1), (4, 5), (2, 3), (9, 16), (9, 21)];
    Sizes::Ratios { shapes, pixels: 1024 * 1024 }
}

fn output_size(
    sizes: &Sizes,
    asked: &str,
    size_tolerance: SizeTolerance,
) -> Result<(OutputSize, Option<String>), Unsupported> {
    sizes
        .fit(asked.parse().unwrap(), size_tolerance)
        .map(|(output_size, change)| (output_size, change.map(|c| c.to_string())))
}

#[test]
fn the_smallest_tier_with_the_pixels_is_asked_for_and_its_square_prices_the_picture() {
    let tier = |word, side| Tier { word, side };
    let able = Capabilities { tiers: vec![tier("1K", 1024), tier("2K", 2048)], ..plain() };
    let fit = |body: &str| able.fit(&ImageRequest::from_json(body.as_bytes()).unwrap(), TOLERANCE).unwrap();
    for (size, word, priced) in [
        ("512x512", "1K", 1024),
        ("1280x720", "1K", 1024),
        ("1376x768", "1K", 1024),
        ("1584x672", "1K", 1024),
        ("1056x1056", "2K", 2048),
        ("1536x1024", "2K", 2048),
        ("8192x8192", "2K", 2048),
        ("auto", "1K", 1024),
    ] {
        let fitted = fit(&format!(r#"{{"prompt":"x","size":"{size}"}}"#));
        assert_eq!(fitted.tier.map(|tier| tier.word), Some(word), "{size}");
        assert_eq!(fitted.priced(), Some(Size::new(priced, priced)), "{size}");
    }
    let without = plain().fit(&ImageRequest::from_json(br#"{"prompt":"x","size":"1280x720"}"#).unwrap(), TOLERANCE);
    assert_eq!(without.unwrap().priced(), Some(Size::new(1280, 720)));
}

/// A model that draws from a prompt and takes no wish.
fn plain() -> Capabilities {
    Capabilities {
        tiers: Vec::new(),
        partials: false,
        max_n: 1,
        prompt_chars: 10,
        sizes: Sizes::Any,
        formats: Vec::new(),
        qualities: Vec::new(),
        seed: false,
        negative_prompt: false,
        negative_chars: 10,
        transparent: false,
        compression: false,
        style: false,
        generate: true,
        edit: None,
    }
}

#[test]
fn a_size_becomes_the_nearest_shape_and_the_change_is_told() {
    let (got, told) = output_size(&stability(), "1792x1024", TOLERANCE).unwrap();
    assert_eq!(got, OutputSize::Ratio { across: 16, down: 9, asked: Size::new(1792, 1024), pixels: 1024 * 1024 });
    assert_eq!(told.as_deref(), Some("size 1792x1024 -> 16:9"));
    let (got, told) = output_size(&stability(), "1024x1024", TOLERANCE).unwrap();
    assert_eq!(got, OutputSize::Ratio { across: 1, down: 1, asked: Size::new(1024, 1024), pixels: 1024 * 1024 });
    assert_eq!(told, None);
}

#[test]
fn a_shape_beyond_the_tolerance_is_impossible() {
    assert_eq!(output_size(&stability(), "4096x512", TOLERANCE), Err(Unsupported::Size));
    assert_eq!(output_size(&stability(), "1792x1024", STRICT), Err(Unsupported::Size));
}

#[test]
fn a_list_prefers_the_shape_then_the_smallest_that_covers() {
    let list = ["512x512", "1024x1024", "2048x2048", "1536x1024"].map(|s| s.parse().unwrap()).to_vec();
    let list = Sizes::Listed(list);
    assert_eq!(output_size(&list, "1024x1024", STRICT), Ok((OutputSize::Pixels(Size::new(1024, 1024)), None)));
    let told = |asked| output_size(&list, asked, TOLERANCE).unwrap().1.unwrap();
    assert_eq!(told("900x900"), "size 900x900 -> 1024x1024");
    assert_eq!(told("4000x4000"), "size 4000x4000 -> 2048x2048");
    assert_eq!(told("300x200"), "size 300x200 -> 1536x1024");
    assert_eq!(output_size(&list, "1024x1792", TOLERANCE), Err(Unsupported::Size));
}

#[test]
fn a_free_size_is_rounded_into_its_bounds() {
    let steps = Sizes::Stepped(SizeBounds {
        multiple_of: 16,
        min_side: 16,
        max_side: 3840,
        min_pixels: 655_360,
        max_pixels: 8_294_400,
        max_ratio: 3,
    });
    assert_eq!(output_size(&steps, "1536x864", TOLERANCE), Ok((OutputSize::Pixels(Size::new(1536, 864)), None)));
    assert_eq!(output_size(&steps, "1000x1000", TOLERANCE).unwrap().1.as_deref(), Some("size 1000x1000 -> 992x992"));
    assert_eq!(output_size(&steps, "512x512", TOLERANCE).unwrap().1.as_deref(), Some("size 512x512 -> 816x816"));
    assert_eq!(output_size(&steps, "4096x512", TOLERANCE), Err(Unsupported::Size));
}

#[test]
fn wishes_that_change_the_picture_are_met_or_refused_and_others_are_told() {
    let capabilities = Capabilities { formats: vec![Format::Png], qualities: vec![Quality::Low], ..plain() };
    let fit = |body: &str| capabilities.fit(&ImageRequest::from_json(body.as_bytes()).unwrap(), TOLERANCE);
    assert_eq!(fit(r#"{"prompt":"a fox in a box"}"#), Err(Unsupported::PromptTooLong { limit: 10 }));
    assert_eq!(fit(r#"{"prompt":"a fox","seed":1}"#), Err(Unsupported::Seed));
    assert_eq!(fit(r#"{"prompt":"a fox","negative_prompt":"b"}"#), Err(Unsupported::NegativePrompt));
    assert_eq!(fit(r#"{"prompt":"a fox","background":"transparent"}"#), Err(Unsupported::Background));
    assert_eq!(fit(r#"{"prompt":"a fox","output_format":"webp"}"#), Err(Unsupported::OutputFormat));
    let negative = |text: &str| {
        let able = Capabilities { negative_prompt: true, ..plain() };
        let body = format!(r#"{{"prompt":"a fox","negative_prompt":"{text}"}}"#);
        able.fit(&ImageRequest::from_json(body.as_bytes()).unwrap(), TOLERANCE).map(|_| ())
    };
    assert_eq!(negative("éééééééééé"), Ok(()));
    assert_eq!(negative("ééééééééééé"), Err(Unsupported::NegativePromptTooLong { limit: 10 }));
    let fitted = fit(r#"{"prompt":"a fox","quality":"high","style":"vivid","output_compression":3}"#).unwrap();
    let told: Vec<String> = fitted.adjusted.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["quality dropped", "output_compression dropped", "style dropped"]);
}

#[test]
fn a_transparent_picture_is_asked_for_in_a_format_that_can_be_and_of_nobody_who_writes_no_other_than_jpeg() {
    let format = |formats: &[Format], more: &str| {
        let able = Capabilities { transparent: true, formats: formats.to_vec(), ..plain() };
        let body = format!(r#"{{"prompt":"a fox","background":"transparent"{more}}}"#);
        able.fit(&ImageRequest::from_json(body.as_bytes()).unwrap(), TOLERANCE).map(|fitted| fitted.format)
    };
    assert_eq!(format(&[Format::Jpeg], ""), Err(Unsupported::Background));
    assert_eq!(format(&[Format::Jpeg, Format::Webp], ""), Ok(Some(Format::Webp)), "the vendor's own may be JPEG");
    assert_eq!(format(&Format::ALL, r#","output_format":"webp""#), Ok(Some(Format::Webp)));
    assert_eq!(format(&[Format::Png], ""), Ok(None), "it writes nothing else");
    assert_eq!(format(&[], ""), Ok(None), "it takes no such wish");
}

#[test]
fn a_model_that_is_told_no_size_draws_its_own_and_a_strict_route_does_not_ask_it() {
    assert_eq!(
        output_size(&Sizes::None, "640x480", TOLERANCE),
        Ok((OutputSize::Default, Some("size dropped".to_owned())))
    );
    assert_eq!(output_size(&Sizes::None, "640x480", STRICT), Err(Unsupported::Size));
    let able = Capabilities { sizes: Sizes::None, ..plain() };
    let auto = ImageRequest::from_json(br#"{"prompt":"a fox"}"#).unwrap();
    let fitted = able.fit(&auto, STRICT).unwrap();
    assert_eq!((fitted.priced(), fitted.adjusted), (None, vec![]));
}

#[test]
fn an_edit_goes_only_to_a_model_that_takes_its_pictures_and_may_keep_their_size() {
    use crate::request::{Input, Mask};
    let input = |side| Input::new(Default::default(), Format::Png, Size::new(side, side));
    let mut able = Capabilities { generate: false, ..plain() };
    let mut request = ImageRequest::from_json(br#"{"prompt":"a hat","size":"512x512"}"#).unwrap();
    assert_eq!(able.fit(&request, TOLERANCE), Err(Unsupported::Generate));
    let mask = Mask { clear: input(64), white: Default::default() };
    request.edit = Some(Edit { images: vec![input(64), input(32)], mask: Some(mask), fidelity: None });
    assert_eq!(able.fit(&request, TOLERANCE), Err(Unsupported::Edit));
    able.edit = Some(Edits { keeps_size: true, ..Edits::up_to(1) });
    assert_eq!(able.fit(&request, TOLERANCE), Err(Unsupported::Images { limit: 1 }));
    able.edit = Some(Edits { keeps_size: true, ..Edits::up_to(2) });
    assert_eq!(able.fit(&request, TOLERANCE), Err(Unsupported::Mask));
    able.edit = Some(Edits { mask: true, keeps_size: true, ..Edits::up_to(2) });
    let fitted = able.fit(&request, TOLERANCE).unwrap();
    assert_eq!(fitted.output_size, OutputSize::Pixels(Size::new(64, 64)));
    assert_eq!(fitted.adjusted[0].to_string(), "size 512x512 -> 64x64");
    assert_eq!(able.fit(&request, STRICT), Err(Unsupported::Size));
}

#[test]
fn a_model_that_needs_a_mask_is_unable_without_one_and_pictures_have_a_weight_in_all() {
    use crate::request::{Input, Mask};
    let input = |bytes: usize| Input::new(vec![0; bytes].into(), Format::Png, Size::new(64, 64));
    let edits = Edits { mask: true, needs_mask: true, bytes: 10, ..Edits::up_to(2) };
    let able = Capabilities { edit: Some(edits), ..plain() };
    let mut request = ImageRequest::from_json(br#"{"prompt":"a hat"}"#).unwrap();
    assert!(able.fit(&request, TOLERANCE).is_ok(), "drawn from words, there is nothing to mask");
    request.edit = Some(Edit { images: vec![input(5), input(5)], mask: None, fidelity: None });
    assert_eq!(able.fit(&request, TOLERANCE), Err(Unsupported::MaskMissing));
    let mask = Some(Mask { clear: input(64), white: Default::default() });
    request.edit = Some(Edit { images: vec![input(5), input(5)], mask: mask.clone(), fidelity: None });
    assert!(able.fit(&request, TOLERANCE).is_ok());
    request.edit = Some(Edit { images: vec![input(5), input(6)], mask, fidelity: None });
    assert_eq!(able.fit(&request, TOLERANCE), Err(Unsupported::ImageBytes { limit: 10 }));
}
