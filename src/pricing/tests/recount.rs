//! The same prices reckoned a second time, by other means: whole fractions of 128 bits, written out by hand.
//!
//! Random tables, requests and counts are priced by both; a nano-dollar of difference is a mistake in one of them.

use proptest::prelude::*;

use crate::image::Size;
use crate::money::Usd;
use crate::pricing::*;
use crate::request::{ImageRequest, Quality};

/// Nano-dollars times 10^18, which every price here divides into: a million each for pixels or tokens, multiplier and
/// markup.
const SCALE: i128 = 1_000_000_000_000_000_000;

/// Half up, by adding a half and cutting.
fn cut(scaled: i128) -> Usd {
    Usd::from_nanos(i64::try_from((scaled * 2 + SCALE) / (SCALE * 2)).unwrap())
}

/// A millionth of a nano-dollar so many times, with multiplier, what is added in whole nano-dollars, and markup.
fn bill(millionths: i128, price: &Price, added: i128) -> Usd {
    let multiplied = millionths * i128::from(price.multiplier_ppm);
    let with_added = multiplied + added * 1_000_000_000_000;
    cut(with_added * (1_000_000 + i128::from(price.markup_ppm)))
}

fn added(price: &Price, request: &ImageRequest) -> i128 {
    let mut total = 0;
    for (addon, usd) in &price.addons {
        let used = match addon {
            Addon::Seed => request.seed.is_some(),
            Addon::Style => request.style.is_some(),
            _ => false,
        };
        total += if used { i128::from(usd.nanos()) } else { 0 };
    }
    total
}

/// Charged pixels of a picture.
fn charged(rounding: Rounding, size: Size) -> i128 {
    let pixels = i128::from(size.width) * i128::from(size.height);
    let mut whole = pixels / 1_000_000;
    let rest = pixels % 1_000_000;
    match rounding {
        Rounding::Exact => return pixels,
        Rounding::Up => whole += i128::from(rest > 0),
        Rounding::Nearest => whole += i128::from(rest >= 500_000),
    }
    if whole == 0 { 1_000_000 } else { whole * 1_000_000 }
}

/// A table's price in millionths of a nano-dollar.
fn listed(table: &Table, size: Size) -> i128 {
    let nanos = |usd: Usd| i128::from(usd.nanos());
    match table {
        Table::Flat(usd) => nanos(*usd) * 1_000_000,
        Table::Megapixels(price) => nanos(price.usd) * charged(price.rounding, size),
        Table::FirstMegapixel(price) => {
            let more = (charged(price.rounding, size) - 1_000_000).max(0);
            nanos(price.first) * 1_000_000 + nanos(price.extra) * more
        }
        Table::Steps(price) => {
            let tiles = |side: u32| i128::from(side / 512 + u32::from(!side.is_multiple_of(512)));
            let tiled = price.per_tile.map_or(0, |usd| nanos(usd) * tiles(size.width) * tiles(size.height));
            (nanos(price.per_step) * i128::from(price.steps) + tiled) * 1_000_000
        }
        Table::Rows(_) | Table::UpTo(_) => unreachable!("these are looked up, below"),
    }
}

fn usd() -> impl Strategy<Value = Usd> {
    prop_oneof![0i64..20, 0i64..1_000_000_000, 0i64..100_000_000_000].prop_map(Usd::from_nanos)
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop_oneof![Just(Rounding::Up), Just(Rounding::Nearest), Just(Rounding::Exact)]
}

fn table() -> impl Strategy<Value = Table> {
    let first = (usd(), usd(), usd(), rounding());
    let steps = (usd(), proptest::option::of(usd()), 1u32..60);
    prop_oneof![
        usd().prop_map(Table::Flat),
        (usd(), rounding()).prop_map(|(usd, rounding)| Table::Megapixels(Megapixels { usd, rounding })),
        first.prop_map(|(first, extra, input, rounding)| {
            Table::FirstMegapixel(FirstMegapixel { first, extra, input, rounding })
        }),
        steps.prop_map(|(per_step, per_tile, steps)| Table::Steps(StepsPrice { per_step, per_tile, steps })),
    ]
}

prop_compose! {
    fn price()(table in table(), seed in usd(), style in usd(), multiplier_ppm in 0u32..2_000_000, markup_ppm in 0u32..2_000_000) -> Price {
        let addons = vec![(Addon::Seed, seed), (Addon::Style, style)];
        Price { addons, multiplier_ppm, markup_ppm, ..Price::of(table) }
    }
}

fn request() -> impl Strategy<Value = ImageRequest> {
    (any::<bool>(), any::<bool>()).prop_map(|(seed, style)| {
        let mut body = r#"{"prompt":"x""#.to_owned();
        body.push_str(if seed { r#","seed":1"# } else { "" });
        body.push_str(if style { r#","style":"vivid""# } else { "" });
        body.push('}');
        ImageRequest::from_json(body.as_bytes()).unwrap()
    })
}

fn size() -> impl Strategy<Value = Size> {
    (1u32..5000, 1u32..5000).prop_map(|(across, down)| Size::new(across, down))
}

proptest! {
    #[test]
    fn a_picture_costs_the_same_when_it_is_reckoned_again(price in price(), request in request(), size in size()) {
        let again = bill(listed(&price.table, size), &price, added(&price, &request));
        prop_assert_eq!(price.per_picture(&request, Some(size), None), Some(again));
    }

    #[test]
    fn tokens_cost_the_same_when_they_are_reckoned_again(
        price in price(),
        request in request(),
        prices in proptest::array::uniform6(proptest::option::of(usd())),
        counts in proptest::array::uniform6(prop_oneof![Just(0u64), 0u64..20_000]),
        pictures in 0u32..5,
    ) {
        let [text_in, text_cached_in, image_in, image_cached_in, image_out, text_out] = prices;
        let tokens = PictureTokenPrice { text_in, text_cached_in, image_in, image_cached_in, image_out, text_out };
        let price = Price { meter: Some(Meter::Tokens(tokens)), ..price };
        let used = [text_in, text_cached_in.or(text_in), image_in, image_cached_in.or(image_in), image_out, text_out];
        let mut millionths = Some(0i128);
        for (usd, count) in used.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            millionths = millionths.zip(usd).map(|(total, usd)| total + i128::from(usd.nanos()) * i128::from(count));
        }
        let again = millionths.map(|sum| bill(sum, &price, added(&price, &request) * i128::from(pictures)));
        let [text_in, text_cached_in, image_in, image_cached_in, image_out, text_out] = counts;
        let counted = PictureTokens { text_in, text_cached_in, image_in, image_cached_in, image_out, text_out };
        prop_assert_eq!(price.by_tokens(&request, &counted, pictures), again);
    }

    #[test]
    fn seconds_cost_the_same_when_they_are_reckoned_again(rate in 0i64..10_000_000, micros in 0u64..100_000_000, markup in 0u32..1_000_000) {
        let price = Price { meter: Some(Meter::Seconds(Usd::from_nanos(rate))), markup_ppm: markup, ..Price::flat(Usd::ZERO) };
        let request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
        let told = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let again = bill(i128::from(rate) * i128::from(micros), &price, 0);
        prop_assert_eq!(price.by_seconds(&request, &told, 1), Some(again));
    }

    #[test]
    fn a_row_that_is_looked_up_again_is_the_same(
        rows in proptest::collection::vec((0usize..4, 0usize..3, 0i64..1000), 1..8),
        (size, quality) in (0usize..4, 0usize..3),
    ) {
        // 0 stands for any, or for not known.
        let sizes = [None, Some(Size::new(512, 512)), Some(Size::new(1024, 1024)), Some(Size::new(1536, 1024))];
        let qualities = [None, Some(Quality::Low), Some(Quality::High)];
        let row = |&(size, quality, usd): &(usize, usize, i64)| Row {
            size: sizes[size].map(RowSize::Pixels),
            quality: qualities[quality],
            usd: Usd::from_nanos(usd),
        };
        let price = Price::of(Table::Rows(rows.iter().map(row).collect()));
        let request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
        let mut again: Option<i64> = None;
        for (row_size, row_quality, usd) in rows {
            let fits = |mine: usize, asked: usize| mine == 0 || asked == 0 || mine == asked;
            if fits(row_size, size) && fits(row_quality, quality) {
                again = Some(again.map_or(usd, |before| before.max(usd)));
                // What is not known cannot lead past a row that says nothing of it.
                if (row_size == 0 || size > 0) && (row_quality == 0 || quality > 0) {
                    break;
                }
            }
        }
        prop_assert_eq!(price.per_picture(&request, sizes[size], qualities[quality]).map(Usd::nanos), again);
    }
}
