//! Keys with nothing behind them: taken for keys that are not there, and told.

use super::warnings::{only, two, warnings};
use super::{plan, problems, small};

/// `null` under a key of the user's own, and among the words of a vendor's, where it is sent or takes a field out.
const VENDORS_WORDS: &str = "
x-own: {a: ~}
providers:
  a: {kind: openai, api_key: \"${KEY}\", models: {gpt-image-2: {price: 0.009}}}
  t:
    kind: openai_text
    api_key: ${KEY}
    models:
      gpt-5-nano:
        price: {tokens_per_million: {text_in: 1, text_out: 2}}
        options: {max_completion_tokens: null, max_tokens: }
routes: [{name: r, offers: [a/gpt-image-2], prompt: {enrich: {offer: t/gpt-5-nano, system: Be brief.}}}]
";

#[test]
fn a_cap_a_budget_a_gate_or_a_section_with_nothing_behind_it_is_told_with_its_place_and_what_to_write() {
    for (text, parts) in [
        (two("price: {max_usd_per_image: }", ""), ["8:69 nothing stands behind `max_usd_per_image`", "write it like "]),
        (two("price: {max_usd_per_image: ~}", ""), ["8:88 nothing", "or delete the key"]),
        (two("price: {budget: null}", ""), ["8:77 nothing stands behind `budget`", "usd: 50}"]),
        (two("price: ", ""), ["8:61 nothing stands behind `price`", ", or delete the key"]),
        (two("quality: Null", ""), ["nothing stands behind `quality`", "or delete the key"]),
        (two("", "alerts:\n"), ["9:1 nothing stands behind `alerts`", "or delete the key"]),
        (two("", "cache:\n  # memory: 1GiB\n"), ["9:1 nothing stands behind `cache`", ", or delete the key"]),
        (
            two("", "").replace("    models", "    timeout:   # 10s\n    models"),
            ["6:5 nothing stands behind `timeout`", "write it like "],
        ),
    ] {
        only(&text, "empty_key", &parts);
    }
    let both = two("price: {max_usd_per_image: , budget: {usd: 5, per: }}", "");
    assert_eq!(warnings(&both).len(), 2, "{:#?}", warnings(&both));
}

#[test]
fn nothing_is_said_where_nothing_is_a_value() {
    for text in [two("price: {}", "alerts: []\n"), VENDORS_WORDS.to_owned()] {
        let told: Vec<String> = warnings(&text).into_iter().filter(|line| line.starts_with("empty_key")).collect();
        assert_eq!(told, [""; 0], "{text}");
    }
    // Where a value has to be, it is a problem as before.
    assert!(!problems(&two("", "").replace("price: 0.03", "price: ")).is_empty());
    assert!(problems(&two("", "clients:\n"))[0].starts_with("9:1 an empty list lets nobody in"));
}

#[test]
fn null_takes_out_what_would_be_filled_in_and_an_empty_place_is_told_to_do_so() {
    let merged = |cap: &str| {
        two(&format!("price: {{<<: *own, max_usd_per_image: {cap}}}"), "").replacen(
            "providers:",
            "x-price: &own {max_usd_per_image: 0.5}\nproviders:",
            1,
        )
    };
    for null in ["~", "null"] {
        assert_eq!(warnings(&merged(null)), [""; 0]);
        assert_eq!(plan(&merged(null)).routes[0].max_usd_per_image, None);
    }
    only(
        &merged(""),
        "empty_key",
        &["9:79 nothing stands behind `max_usd_per_image`, which takes out", "write `null`"],
    );
    let defaults = |max_n: &str| {
        small("    model_defaults: {max_n: 2}\n", "").replace("price: 0.009", &format!("price: 0.009, max_n: {max_n}"))
    };
    let told = |text: &str| warnings(text).iter().filter(|line| line.starts_with("empty_key")).count();
    assert_eq!((told(&defaults("null")), told(&defaults("")), told(&defaults("3"))), (0, 1, 0));
    // What stands once is told once, though every model has it.
    let shared = two("", "").replace("api_key: ${KEY}\n", "api_key: ${KEY}\n    model_defaults: {max_n: }\n");
    only(
        &shared
            .replace("models: {gpt", "models: {b: {price: 0.1}, gpt")
            .replace("openai/gpt-image-2", "openai/gpt-image-2, openai/b"),
        "empty_key",
        &["`max_n`"],
    );
}
