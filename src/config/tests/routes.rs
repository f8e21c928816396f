//! `routes:` and their offers.

use super::*;

#[test]
fn what_is_wrong_with_a_route_is_told() {
    check_problems(&[
        (
            "",
            "    deadline: {after: 10s, then: parital}\n",
            &["expected `partial`, `fail`, found `parital` | did you mean `partial`?"],
        ),
        ("", "    size: {strict: yes}\n", &["expected true or false, found `yes` | write `true`"]),
        (
            "",
            "    size: {tolerance: 0.15}\n",
            &["`0.15` is not a percentage | write `15%` or `0.15%`, whichever is meant"],
        ),
        (
            "",
            "    defaults: {size: 1024, quality: good, output_format: jpg, response_format: link}\n",
            &[
                "`1024` is not a size | write `1024x1024`",
                "expected `low`, `medium`, `high`, `xhigh`, `max`, `standard`, `hd`, found `good` | the words here are: low, medium, high, xhigh, max, standard, hd",
                "expected `png`, `jpeg`, `webp`, found `jpg` | did you mean `jpeg`?",
                "expected `url`, `b64_json`, found `link` | the words here are: url, b64_json",
            ],
        ),
        ("", "    attempts: {max: 0}\n", &["must be at least 1 | -"]),
        (
            "",
            "    cache: maybe\n",
            &[
                "expected true or false or a mapping, found `maybe` | the keys here are: edits, learn, near, share, ttl, variants",
            ],
        ),
        ("", "    cache: {variants: 0}\n", &["must be at least 1 | -"]),
        ("", "    cache: {variants: 11}\n", &["must be at most 10, as many pictures as are kept for one request | -"]),
        (
            "",
            "    cache: {near: verify}\n",
            &["expected `off`, `verified` or a mapping, found `verify` | the words here are: off, verified"],
        ),
        (
            "",
            "    match: {models: []}\n",
            &["an empty list matches no request | name models, or leave `models` out to match every name"],
        ),
        ("", "    match: {models: [\"a*b\"]}\n", &["`\"a*b\"`: a `*` may stand only at the end | -"]),
        ("", "    match: {headers: {\"x team\": y}}\n", &["`\"x team\"` is not the name of a header | -"]),
        (
            "",
            "    price: {max_usd_per_image: -1}\n",
            &["`-1` is less than nothing | write dollars as a plain number, like 0.009"],
        ),
        ("", "    name: again\n", &["the key `name` is given twice | keep one of the two; the first stands above"]),
    ]);
}

/// A route whose cache learns like this, with a provider that draws and one that writes.
fn learning(cache: &str) -> String {
    let prices = "{tokens_per_million: {text_in: 1, text_out: 2}}";
    format!(
        "providers:
  a: {{kind: openai, api_key: k, models: {{m: {{price: 1}}}}}}
  words: {{kind: openai_text, api_key: k, models: {{small: {{price: {prices}}}, vectors: {{price: {{tokens_per_million: {{text_in: 1}}}}}}}}}}
routes:
  - name: r
    offers: [a/m]
    cache: {cache}
"
    )
}

/// The problems without their places.
fn problems_alone(text: &str) -> Vec<String> {
    problems(text).iter().map(|problem| problem.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn a_route_that_learns_says_who_is_asked_and_what_that_may_cost() {
    let near = |learn: &str| problems_alone(&learning(&format!("{{near: verified, learn: {learn}}}")));
    let right = self::plan(&learning("{near: verified, learn: {judge: words/small, max_usd_per_day: 1}}"));
    assert_eq!(right.routes[0].learn.as_ref().map(|learn| &*learn.name), Some("words/small"));
    assert_eq!(
        near("{}"),
        [
            "`learn` names nobody to ask | add `judge: provider/model`",
            "`learn` does not say what its answers may cost | add `max_usd_per_day:`, like 1.00",
        ]
    );
    assert_eq!(
        near("{judge: words/small, max_usd_per_day: 0, per_minute: 0}"),
        ["this pays for no answer | write more than 0, or leave `learn` out", "must be at least 1 | -"]
    );
    assert!(near("{judge: a/m, max_usd_per_day: 1}")[0].contains("draws pictures"), "a painter is no judge");
    assert!(near("{judge: words/vectors, max_usd_per_day: 1}")[0].contains("text_out"), "nor is a model of embeddings");
    let certified = |more: &str, hits: u32| {
        near(&format!(
            "{{judge: {{embedding: words/vectors, certified: {{threshold: 0.95, negatives: 400, false_hits: {hits}, dimensions: 256}}{more}}}, max_usd_per_day: 1}}"
        ))
    };
    assert!(certified("", 2)[0].starts_with("2 wrong of 400 may be "), "two of four hundred are too many for 1%");
    assert_eq!(
        certified(", shadow: true", 0),
        ["`shadow` means nothing to a judge, who works off the request's path | delete it"]
    );
    let uncertified = near("{judge: {embedding: words/vectors}, max_usd_per_day: 1}");
    assert!(uncertified[0].contains("easel calibrate"), "{uncertified:?}");
    let off = problems_alone(&learning("{learn: {judge: words/small, max_usd_per_day: 1}}"));
    assert_eq!(
        off,
        [
            "a pair of words that was learned is of use only where other words are looked for | write `near: verified` beside it, or delete it"
        ]
    );
}

/// The problems of a route with these offers, with two providers of which `b` has two models.
fn offer_problems(offers: &str) -> Vec<String> {
    let text = format!(
        "providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: 1}}}}}}\n  \
         bee: {{kind: stability, api_key: k, models: {{core: {{price: 1}}, x/y: {{price: 1}}}}}}\n\
         routes: [{{name: r, offers: {offers}}}]\n"
    );
    match read(&text) {
        Ok(_) => Vec::new(),
        Err(_) => problems(&text),
    }
}

#[test]
fn an_offer_names_a_provider_and_one_of_its_models() {
    assert!(offer_problems("[bee/x/y, bee/core, {offer: a/m}]").is_empty());
    assert_eq!(
        offer_problems("[bee/cor]"),
        ["4:29 `bee/cor` is not among the models of `bee` | did you mean `bee/core`?",]
    );
    assert_eq!(
        offer_problems("[bee/ultra]"),
        ["4:29 `bee/ultra` is not among the models of `bee` | add `ultra` with its price under `providers.bee.models`",]
    );
    assert_eq!(
        offer_problems("[a/gpt-image-2]"),
        [
            "4:29 `a/gpt-image-2` is not among the models of `a` | add `gpt-image-2` with its price under `providers.a.models`",
        ]
    );
    assert_eq!(
        offer_problems("[be/core]"),
        ["4:29 `be/core` names no provider of this file | did you mean `bee/core`?",]
    );
    assert_eq!(offer_problems("[core]"), ["4:29 `core` is not provider/model | did you mean `bee/core`?"]);
    assert_eq!(
        offer_problems("[{max_usd_per_image: 1}]"),
        ["4:30 this offer names nobody | add `offer: provider/model`",]
    );
    assert_eq!(
        offer_problems("[a/m, a/m]"),
        [
            "4:34 `a/m` is offered twice on this route | delete one; `attempts: {per_offer: 2}` asks the same offer again",
        ]
    );
    assert_eq!(offer_problems("[]"), ["4:20 this route has no offers | add `offers: [provider/model]`"]);
}

#[test]
fn what_is_missing_is_told_at_what_lacks_it() {
    assert_eq!(
        problems(""),
        [
            "1:1 there are no routes, so no request could be answered | add `routes:` with a list like `- {name: all, offers: [provider/model]}`",
        ]
    );
    let text =
        "providers:\n  a: {models: {m: {}}}\n  b: {kind: openai_compatible}\n  c-d: {kind: openai}\nroutes:\n  - {}\n";
    let kinds = KINDS.map(|kind| kind.name).join(", ");
    assert_eq!(
        problems(text),
        [
            &*format!("2:3 this provider has no kind | add `kind:` with one of {kinds}"),
            "2:16 this model has no price | add `price: 0.03`, the dollars a picture costs",
            "3:3 kind openai_compatible needs a `base_url` | add `base_url: https://host/v1/`",
            "4:3 kind openai needs an `api_key` | add `api_key: ${C_D_API_KEY}`",
            "6:5 this route has no name | add `name:`, as logs and metrics will show it",
            "6:5 this route has no offers | add `offers: [provider/model]`",
        ]
    );
}

#[test]
fn a_route_that_no_request_reaches_is_told_and_one_with_a_narrower_match_is_not() {
    let routes = |routes: &str| {
        let text =
            format!("providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: 1}}}}}}\nroutes:\n{routes}");
        match read(&text) {
            Ok(_) => Vec::new(),
            Err(_) => problems(&text),
        }
    };
    let help = "put the more general route last";
    assert_eq!(
        routes("- {name: all, offers: [a/m]}\n- {name: x, match: {models: [x]}, offers: [a/m]}\n"),
        [format!("5:21 no request gets here: route `all` (line 4) takes them all | {help}")]
    );
    assert_eq!(
        routes(
            "- {name: p, match: {models: [\"m-*\"]}, offers: [a/m]}\n- {name: q, match: {models: [m-1, \"m-2*\"]}, offers: [a/m]}\n"
        ),
        [format!("5:21 no request gets here: route `p` (line 4) takes them all | {help}")]
    );
    let fine = "\
- {name: team, match: {headers: {x-team: a}}, offers: [a/m]}
- {name: exact, match: {models: [x]}, offers: [a/m]}
- {name: prefix, match: {models: [\"x*\", y]}, offers: [a/m]}
- {name: rest, offers: [a/m]}
";
    assert!(routes(fine).is_empty(), "{:?}", routes(fine));
    assert_eq!(
        routes("- {name: r, match: {models: [x]}, offers: [a/m]}\n- {name: r, match: {models: [y]}, offers: [a/m]}\n"),
        ["5:10 another route is called `r` (line 4) | give each route a name of its own"]
    );
    // What a misspelt key meant is not known, so it is not held against the next route.
    let misspelt = routes(
        "- {name: all, mtach: {models: [x]}, offers: [a/m]}\n- {name: x, match: {models: [y]}, offers: [a/m]}\n",
    );
    assert_eq!(misspelt, ["4:15 unknown key `mtach` | did you mean `match`?"]);
}

#[test]
fn a_route_whose_name_comes_from_elsewhere_is_not_suggested_to_a_client() {
    let digest = "0".repeat(64);
    let text = format!(
        "providers:\n  p: {{kind: openai, api_key: k, models: {{dall-e-3: {{price: 0.04}}}}}}\n\
         routes:\n  - {{name: all, offers: [p/dall-e-3]}}\n\
         clients:\n  - {{name: web, key_sha256: \"{digest}\", routes: [al]}}\n"
    );
    assert!(problems(&text)[0].contains("`all`"), "{:?}", problems(&text));
    let expanded = text.replace("name: all", "name: \"${KEY}all\"");
    assert_eq!(problems(&expanded), ["6:106 `al` names no route of this file | -"]);
}

/// The problems of a route of `a/m` and `bee/core` with this in it.
fn strategy_problems(written: &str) -> Vec<String> {
    let text = format!(
        "providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: 1}}}}}}\n  \
         bee: {{kind: stability, api_key: k, models: {{core: {{price: 1}}}}}}\n\
         routes: [{{name: r, offers: [a/m, bee/core], {written}}}]\n"
    );
    match read(&text) {
        Ok(_) => Vec::new(),
        Err(_) => problems(&text),
    }
}

#[test]
fn a_strategy_is_a_word_or_one_mapping_whose_shares_are_whole_and_make_a_hundred() {
    for good in [
        "strategy: order",
        "strategy: cheapest",
        "strategy: cheapest_accepted",
        "strategy: fastest",
        "strategy: {weighted: {a/m: 70%, bee/core: 30%}}",
        "strategy: {weighted: {a/m: 100%}}",
        "strategy: {cheapest_accepted: {prior: {accepted: 9, rejected: 1}, explore: 2%, over: 30d}}",
    ] {
        assert_eq!(strategy_problems(good), [""; 0], "{good}");
    }
    for (written, told) in [
        ("strategy: cheap", "expected `order`, `cheapest`, `cheapest_accepted`, `fastest`"),
        ("strategy: {weighted: {a/m: 70%, bee/core: 20%}}", "these shares add up to 90% | let them be 100% together"),
        ("strategy: {weighted: {a/m: 99.5%, bee/core: 0.5%}}", "is not a share | write whole percents"),
        (
            "strategy: {weighted: {a/m: 50%, bee/cor: 50%}}",
            "`bee/cor` is not among this route's offers | did you mean `bee/core`?",
        ),
        ("strategy: {}", "this is not one strategy"),
        ("strategy: {cheapest_accepted: {prior: {accepted: 0}}}", "must be at least 1"),
        ("strategy: {cheapest_accepted: {explore: 200%}}", "`200%` is more than all requests | write at most 100%"),
        (
            "strategy: {cheapest_accepted: {over: 60d}}",
            "`60d` is no time that Easel can look back over | write 1m to 31d",
        ),
    ] {
        let found = strategy_problems(written);
        assert!(!found.is_empty() && found.iter().all(|problem| problem.contains(told)), "{written}: {found:?}");
    }
}

#[test]
fn an_offer_may_wait_for_reasons_as_long_as_one_offer_can_begin() {
    assert!(offer_problems("[a/m, {offer: bee/core, when: [rejected, late]}]").is_empty());
    assert!(
        offer_problems("[{offer: a/m, when: [first]}, {offer: bee/core, when: [unavailable, saturated]}]").is_empty()
    );
    for (offers, told) in [
        (
            "[{offer: a/m, when: [rejected]}, {offer: bee/core, when: [late]}]",
            "no offer of this route may be asked first",
        ),
        ("[a/m, {offer: bee/core, when: []}]", "an empty list is no reason to ask anybody"),
        ("[a/m, {offer: bee/core, when: [late, late]}]", "`late` is there twice | delete one"),
        (
            "[a/m, {offer: bee/core, when: [full]}]",
            "expected `first`, `rejected`, `unavailable`, `saturated`, `late`, found `full`",
        ),
    ] {
        let found = offer_problems(offers);
        assert!(found.len() == 1 && found[0].contains(told), "{offers}: {found:?}");
    }
}

#[test]
fn a_hedge_says_what_it_may_cost_and_has_somebody_else_to_ask() {
    let hedged = |hedge: &str| strategy_problems(&format!("hedge: {{{hedge}}}"));
    for good in [
        "max_usd_per_hour: 1",
        "after: p50, at_most: 100%, max_usd_per_hour: 0.01",
        "after: 8s, at_most: 0.5%, max_usd_per_hour: 2.50",
    ] {
        assert_eq!(hedged(good), [""; 0], "{good}");
    }
    for (written, told) in [
        (
            "after: p90",
            "4:45 this hedge does not say what it may cost | add `max_usd_per_hour:`, what you would pay for calls whose pictures may come too late",
        ),
        ("max_usd_per_hour: null", "4:45 this hedge does not say what it may cost | add `max_usd_per_hour:`"),
        ("max_usd_per_hour: 0", "this pays for no hedge | write more than 0, or leave `hedge` out"),
        ("max_usd_per_hour: $1", "`$1` is not a decimal number of dollars, write it like 0.009 | write `1`"),
        ("after: 95%, max_usd_per_hour: 1", "`95%` is no percentile from p50 to p99 | write `p95`"),
        ("after: p100, max_usd_per_hour: 1", "is no percentile from p50 to p99 | write a percentile from p50 to p99"),
        ("after: 8, max_usd_per_hour: 1", "`8` is a time without a unit | write `8s` or `8ms`, whichever is meant"),
        ("after: 0s, max_usd_per_hour: 1", "must be longer than nothing | write a percentile, like p95, or a time"),
        ("at_most: 0%, max_usd_per_hour: 1", "`0%` is no share of the calls that could be asked twice | write more"),
        ("at_most: 101%, max_usd_per_hour: 1", "`101%` is no share of the calls that could be asked twice"),
        ("max_usd_an_hour: 1", "unknown key `max_usd_an_hour` | did you mean `max_usd_per_hour`?"),
    ] {
        let found = hedged(written);
        assert!(!found.is_empty() && found[0].contains(told), "{written}: {found:?}");
    }
    check_problems(&[(
        "",
        "    hedge: {max_usd_per_hour: 1}\n",
        &["this route has one offer, so no other could be asked | list another, or delete it"],
    )]);
}

#[test]
fn one_text_for_a_list_and_one_number_for_a_mapping_are_answered_with_what_would_be_right() {
    let told = |provider: &str, route: &str| problems(&small(provider, route)).join("\n");
    assert!(told("", "    match: {models: mockup}\n").ends_with("expected a list, found `mockup` | write `[mockup]`"));
    assert!(told("", "    price: 0.06\n").ends_with("write it like {max_usd_per_image: 0.06}"));
    assert!(told("    budget: 50\n", "").ends_with("write it like {per: month, usd: 50}"));
    assert!(told("", "    prompt: Studio\n").contains("write it like {prefix: "));
    assert!(told("    concurrency: {limit: 1_000}\n", "").ends_with("write `1000`"));
    assert!(told("    concurrency: {limit: 0x10}\n", "").ends_with("found `0x10` | -"));
    assert!(told("    base_url: api.example.com/v1\n", "").ends_with("write `https://api.example.com/v1`"));
}

#[test]
fn keys_of_ones_own_at_the_top_are_a_place_for_anchors_and_elsewhere_they_are_mistakes() {
    let text = "x-common: &common {kind: stability, api_key: k}
x-notes: [anything, {at: all}]
providers:
  a: {<<: *common, models: {core: {price: 0.03}}}
routes: [{name: r, offers: [a/core]}]
";
    assert_eq!(plan(text).providers["a"].kind, "stability");
    let below = problems(&text.replace("name: r,", "name: r, x-note: hello,"));
    assert!(below.len() == 1 && below[0].contains("unknown key `x-note`"), "{below:?}");
}
