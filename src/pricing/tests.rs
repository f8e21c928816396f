//! Prices by the table and by what is counted, with what is added to them.

use crate::image::Size;
use crate::money::Usd;
use crate::pricing::*;
use crate::request::{ImageRequest, Quality};

mod recount;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn request(extra: &str) -> ImageRequest {
    ImageRequest::from_json(format!(r#"{{"prompt":"x"{extra}}}"#).as_bytes()).unwrap()
}

fn dalle() -> Price {
    let row = |size: &str, quality, price: &str| Row {
        size: Some(RowSize::Pixels(size.parse().unwrap())),
        quality: Some(quality),
        usd: usd(price),
    };
    let rows = vec![
        row("1024x1024", Quality::Standard, "0.04"),
        row("1024x1024", Quality::Hd, "0.08"),
        row("1792x1024", Quality::Hd, "0.12"),
    ];
    Price::of(Table::Rows(rows))
}

#[test]
fn a_row_is_found_by_size_and_quality() {
    let square = Some(Size::new(1024, 1024));
    let price = dalle();
    assert_eq!(price.per_picture(&request(""), square, Some(Quality::Standard)), Some(usd("0.04")));
    assert_eq!(price.per_picture(&request(""), square, Some(Quality::Hd)), Some(usd("0.08")));
    assert_eq!(price.per_picture(&request(""), Some(Size::new(9, 9)), Some(Quality::Hd)), None);
}

#[test]
fn what_is_not_known_yet_is_estimated_at_the_dearest_row() {
    let price = dalle();
    assert_eq!(price.per_picture(&request(""), Some(Size::new(1024, 1024)), None), Some(usd("0.08")));
    assert_eq!(price.per_picture(&request(""), None, None), Some(usd("0.12")));
}

#[test]
fn a_tier_covers_every_picture_up_to_its_pixels() {
    let tiers = vec![(Size::new(512, 512), usd("0.0025")), (Size::new(1024, 1024), usd("0.01"))];
    let price = Price::of(Table::UpTo(tiers));
    let at = |width, height| price.per_picture(&request(""), Some(Size::new(width, height)), None);
    assert_eq!(at(512, 512), Some(usd("0.0025")));
    assert_eq!(at(513, 512), Some(usd("0.01")));
    assert_eq!(at(1344, 768), Some(usd("0.01")));
    assert_eq!(at(1025, 1024), None);
    assert_eq!(price.per_picture(&request(""), None, None), Some(usd("0.01")));
}

#[test]
fn addons_count_when_used_and_the_markup_is_on_all_of_it() {
    let price =
        Price { addons: vec![(Addon::NegativePrompt, usd("0.003"))], markup_ppm: 100_000, ..Price::flat(usd("0.01")) };
    assert_eq!(price.per_picture(&request(""), None, None), Some(usd("0.011")));
    let with = request(r#","negative_prompt":"text""#);
    assert_eq!(price.per_picture(&with, None, None), Some(usd("0.0143")));
}

#[test]
fn a_multiplier_is_on_the_picture_a_markup_on_all_and_the_fee_once_on_the_call() {
    let price = Price {
        addons: vec![(Addon::Seed, usd("0.001"))],
        multiplier_ppm: 500_000,
        markup_ppm: 100_000,
        fee: usd("0.0005"),
        ..Price::flat(usd("0.01"))
    };
    let seeded = request(r#","seed":1"#);
    assert_eq!(price.per_picture(&seeded, None, None), Some(usd("0.0066")));
    assert_eq!(price.estimate(&seeded, None, None), Some(usd("0.0071")));
    assert_eq!(price.instead(&seeded, usd("0.005")), Some(usd("0.00385")), "half of it, the add-on, and 10%");
    assert_eq!(price.instead(&request(""), Usd::ZERO), Some(Usd::ZERO));
    // Of 3 and half: 1.5, and 10% more: 1.65. Rounded in between it would be 2.2.
    let odd = Price { multiplier_ppm: 500_000, markup_ppm: 100_000, ..Price::flat(Usd::from_nanos(3)) };
    assert_eq!(odd.per_picture(&request(""), None, None), Some(Usd::from_nanos(2)));
    let even = Price { multiplier_ppm: 900_000, markup_ppm: 600_000, ..Price::flat(Usd::from_nanos(1)) };
    assert_eq!(even.per_picture(&request(""), None, None), Some(Usd::from_nanos(1)));
}

#[test]
fn before_the_call_a_prompt_may_cost_a_token_for_each_of_its_bytes() {
    let tokens = PictureTokenPrice { text_in: Some(usd("5")), ..PictureTokenPrice::default() };
    let price = Price { meter: Some(Meter::Tokens(tokens)), fee: usd("0.001"), ..Price::flat(usd("0.05")) };
    let long = ImageRequest::from_json("{\"prompt\":\"ein gr\u{fc}ner Fuchs\"}".as_bytes()).unwrap();
    assert_eq!(price.estimate(&long, None, None), Some(usd("0.051085")));
    let tokens = PictureTokens { text_in: 4, ..PictureTokens::default() };
    assert_eq!(price.by_tokens(&long, &tokens, 1), Some(usd("0.00002")));
    assert_eq!(price.by_seconds(&long, "1.5", 1), None);
}

#[test]
fn seconds_are_priced_with_multiplier_and_markup_and_add_ons_by_the_picture() {
    let price = Price {
        meter: Some(Meter::Seconds(usd("0.001"))),
        addons: vec![(Addon::Style, usd("0.002")), (Addon::InputImage, usd("9"))],
        multiplier_ppm: 500_000,
        markup_ppm: 100_000,
        ..Price::flat(usd("0.02"))
    };
    assert_eq!(price.by_seconds(&request(""), "2", 3), Some(usd("0.0011")));
    assert_eq!(price.by_seconds(&request(r#","style":"vivid""#), "2", 3), Some(usd("0.0077")));
    assert_eq!(price.by_tokens(&request(""), &PictureTokens::default(), 1), None);
}

#[test]
fn each_addon_has_the_word_of_its_key_in_the_config() {
    let words = ["negative_prompt", "transparent_background", "style", "seed", "input_image"];
    assert_eq!(Addon::ALL.map(Addon::as_str), words);
}
