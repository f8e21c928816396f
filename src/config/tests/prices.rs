//! `price:` as a mapping of each kind, what is added to it, and where it is from.

use super::{plan, problems, read};
use crate::money::Usd;
use crate::pricing::{Addon, FirstMegapixel, Megapixels, Meter, Origin, Price, Rounding, RowSize, StepsPrice, Table};

/// A config with one model that has this price, and with more keys of the model and of its provider.
fn config(price: &str, model: &str, provider: &str) -> String {
    format!(
        "providers:\n  a: {{kind: openai, api_key: k, {provider}models: {{m: {{{model}price: {price}}}}}}}\n\
         routes: [{{name: r, offers: [a/m]}}]\n"
    )
}

fn priced(price: &str, model: &str, provider: &str) -> Price {
    plan(&config(price, model, provider)).providers["a"].models["m"].price.clone()
}

/// What is wrong with it, without the place.
fn told(price: &str, model: &str) -> Vec<String> {
    let text = config(price, model, "");
    match read(&text) {
        Ok(_) => Vec::new(),
        Err(_) => problems(&text).iter().map(|told| told.split_once(' ').unwrap().1.to_owned()).collect(),
    }
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[test]
fn a_price_by_the_megapixel_or_step_is_read_with_its_defaults() {
    let table = |price: &str, model: &str| priced(price, model, "").table;
    let plain = |rounding| Table::Megapixels(Megapixels { usd: usd("0.003"), rounding });
    assert_eq!(table("{per_megapixel: 0.003}", ""), plain(Rounding::Up));
    assert_eq!(table("{per_megapixel: 0.003, round: nearest}", ""), plain(Rounding::Nearest));
    assert_eq!(table("{per_megapixel: 0.003, round: exact}", ""), plain(Rounding::Exact));
    let first = |input: &str| {
        let (first, extra) = (usd("0.03"), usd("0.015"));
        Table::FirstMegapixel(FirstMegapixel { first, extra, input: usd(input), rounding: Rounding::Up })
    };
    assert_eq!(table("{first_megapixel: 0.03, extra_megapixel: 0.015}", ""), first("0"));
    assert_eq!(table("{first_megapixel: 0.03, extra_megapixel: 0.015, input_megapixel: 0.01}", ""), first("0.01"));
    let steps = |per_tile: Option<&str>, steps| {
        Table::Steps(StepsPrice { per_step: usd("0.00011"), per_tile: per_tile.map(usd), steps })
    };
    assert_eq!(table("{per_step: 0.00011, steps: 4}", "options: {steps: 9}, "), steps(None, 4));
    assert_eq!(table("{per_step: 0.00011}", "options: {steps: 9}, "), steps(None, 9));
    let options = "options: {num_inference_steps: 28}, ";
    assert_eq!(table("{per_step: 0.00011, per_tile: 0.000053}", options), steps(Some("0.000053"), 28));
}

#[test]
fn what_only_the_vendor_counts_has_a_meter_and_an_estimate() {
    let price =
        priced("{tokens_per_million: {text_in: 5, image_out: 30}, estimate: [{size: 2K, usd: 0.1}, {usd: 1}]}", "", "");
    let Some(Meter::Tokens(tokens)) = price.meter else { panic!("{price:?}") };
    assert_eq!((tokens.text_in, tokens.image_out, tokens.image_in), (Some(usd("5")), Some(usd("30")), None));
    let Table::Rows(rows) = &price.table else { panic!("{price:?}") };
    assert!(matches!(rows[0].size, Some(RowSize::Tier(tier)) if tier.word == "2K"));
    let price = priced("{per_second: {l40s: 0.000975, h100: 0.001525}, hardware: h100, estimate: 0.02}", "", "");
    assert_eq!((price.meter, price.table), (Some(Meter::Seconds(usd("0.001525"))), Table::Flat(usd("0.02"))));
    assert_eq!(priced("{per_second: 0.001, estimate: 1}", "", "").meter, Some(Meter::Seconds(usd("0.001"))));
    assert_eq!(priced("{reported: true, estimate: 1}", "", "").meter, Some(Meter::Reported));
    assert_eq!(priced("0.04", "", "").meter, None);
}

#[test]
fn what_is_on_top_of_a_price_is_kept_with_it() {
    let price = priced("0.04", "multiplier: 50%, addons: {input_image: 0.01}, ", "markup: 5.5%, fee: 0.0002, ");
    assert_eq!((price.multiplier_ppm, price.markup_ppm, price.fee), (500_000, 55_000, usd("0.0002")));
    assert_eq!(price.addons, [(Addon::InputImage, usd("0.01"))]);
    let plain = priced("0.04", "", "");
    assert_eq!((plain.multiplier_ppm, plain.fee), (1_000_000, Usd::ZERO));
}

#[test]
fn a_price_says_where_it_is_from() {
    let origin = |row, as_of: &str, source: Option<&str>| Origin {
        row,
        as_of: Some(as_of.to_owned()),
        source: source.map(str::to_owned),
    };
    let price = priced("{usd: 0.03, as_of: 2026-11-01, source: 'https://x.example/p'}", "", "");
    assert_eq!(price.table, Table::Flat(usd("0.03")));
    assert_eq!(price.origins, [origin(None, "2026-11-01", Some("https://x.example/p"))]);
    let rows = "[{size: 1K, usd: 1}, {usd: 2, as_of: 2026-11-02}]";
    assert_eq!(priced(rows, "", "").origins, [origin(Some(1), "2026-11-02", None)]);
    assert_eq!(told("{usd: 1, as_of: 2026-13-01}", ""), ["`2026-13-01` is not a date | write the day like 2026-11-01"]);
    assert_eq!(told("[{usd: 1, as_of: yesterday}]", ""), ["`yesterday` is not a date | write the day like 2026-11-01"]);
}

#[test]
fn a_mapping_is_of_one_kind_and_has_all_that_belongs_to_it() {
    for (price, expected) in [
        (
            "{per_step: 0.1}",
            "nothing says how many steps a picture takes | add `steps: 4` here, or what is asked of the vendor: `options: {steps: 4}`",
        ),
        ("{per_step: 0.1, steps: 0}", "must be at least 1 | -"),
        ("{per_megapixel: 1, usd: 1}", "a price is of one kind, and `usd` is another than `per_megapixel` | delete it"),
        ("{per_megapixel: 1, steps: 4}", "`steps` means nothing beside `per_megapixel` | delete it"),
        ("{first_megapixel: 1}", "this price has no `extra_megapixel` | add `extra_megapixel: 0.015`"),
        (
            "{per_megapixel: 1, round: down}",
            "expected `up`, `nearest`, `exact`, found `down` | the words here are: up, nearest, exact",
        ),
        (
            "{tokens_per_million: {image_out: 1}}",
            "nothing says what a picture may cost before it is drawn | add `estimate: 0.05`, the most that a picture may cost, or rows by size and quality",
        ),
        (
            "{tokens_per_million: {text_in: 1}, estimate: 1}",
            "this price says nothing of what is drawn | add `image_out: 30`, the dollars that a million tokens of pictures cost",
        ),
        (
            "{per_second: {l40s: 1, h100: 2}, estimate: 1}",
            "nothing says on which hardware this model runs | add `hardware:` with one of h100, l40s",
        ),
        (
            "{per_second: {l40s: 1}, hardware: l40, estimate: 1}",
            "`l40` has no price by the second | did you mean `l40s`?",
        ),
        (
            "{per_second: 1, hardware: l40s, estimate: 1}",
            "`hardware` means nothing to a price for every hardware | write `per_second: {NAME: 0.000975}`, or delete it",
        ),
        (
            "{reported: false, estimate: 1}",
            "a price that is not reported is no price | write `reported: true`, or another price",
        ),
        ("[{size: 2k, usd: 1}]", "`2k` is neither a size nor a resolution | write `2K`"),
        (
            "[{size: huge, usd: 1}]",
            "`huge` is neither a size nor a resolution | write a size like 1024x1024, or a resolution: 512, 1K, 2K or 4K",
        ),
        (
            "[{size: 1K, usd: 1}, {size: 1024x1024, usd: 2}]",
            "this row is never reached: the row on line 2 comes first and covers it | put the general row last, or delete one",
        ),
    ] {
        assert_eq!(told(price, ""), [expected], "{price}");
    }
    let multiplied = told("{reported: true, estimate: 1}", "multiplier: 50%, ");
    assert_eq!(
        multiplied,
        ["`multiplier` means nothing to a price that is reported | delete it: what the vendor tells is taken as it is"]
    );
}

#[test]
fn a_reported_price_is_told_by_something() {
    let compatible = |dialect: &str| {
        config("{reported: true, estimate: 1}", "", dialect)
            .replace("kind: openai,", "kind: openai_compatible, base_url: https://a.example/v1,")
    };
    let silent = problems(&compatible(""));
    assert!(
        silent[0].contains("nothing says where the price of a call is told | add `dialect: {cost_header:"),
        "{silent:?}"
    );
    let told = plan(&compatible("dialect: {cost_header: x-cost}, "));
    assert_eq!(told.providers["a"].models["m"].price.meter, Some(Meter::Reported));
}

#[test]
fn what_only_pictures_cost_is_no_price_of_a_model_that_writes() {
    let write = |price: &str, provider: &str| {
        let text = config("1", "", "").replace(
            "routes:",
            &format!("  c: {{kind: anthropic, api_key: k, {provider}models: {{w: {{price: {price}}}}}}}\nroutes:"),
        );
        if read(&text).is_ok() { String::new() } else { problems(&text).join("\n") }
    };
    let good = "{tokens_per_million: {text_in: 1, text_out: 5}, as_of: 2026-11-01}";
    assert_eq!(write(good, ""), "");
    let told = write("{tokens_per_million: {text_in: 1, text_out: 5, image_out: 3}, estimate: 1}", "");
    assert!(told.contains("`image_out` means nothing to a model that draws nothing"), "{told}");
    assert!(told.contains("`estimate` means nothing to a model that draws nothing"), "{told}");
    assert!(write(good, "fee: 1, ").contains("`fee` means nothing to a provider that draws nothing"));
}
