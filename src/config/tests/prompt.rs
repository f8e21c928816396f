//! `prompt:` and the kind of provider that writes.

use std::time::Duration;

use super::{plan, problems, read};

/// A config with a provider that draws, one that writes, and a route with these lines more.
fn config(model: &str, route: &str) -> String {
    format!(
        "providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: 0.009}}}}}}\n  \
         claude: {{kind: anthropic, api_key: k, models: {{haiku: {model}}}}}\n\
         routes:\n  - name: all\n{route}"
    )
}

const PRICED: &str = "{price: {tokens_per_million: {text_in: 1.00, text_out: 5}}}";

fn told(model: &str, route: &str) -> Vec<String> {
    let text = config(model, route);
    match read(&text) {
        Ok(_) => Vec::new(),
        Err(_) => problems(&text),
    }
}

fn enrich(lines: &str) -> Vec<String> {
    told(PRICED, &format!("    offers: [a/m]\n    prompt: {{enrich: {{{lines}}}}}\n"))
}

#[test]
fn a_prompt_may_be_rewritten_and_dressed_and_the_rest_has_defaults() {
    let route = "    offers: [a/m]\n    prompt: {prefix: \"A. \", enrich: {offer: claude/haiku, system: \"Do.\"}}\n";
    let plan = plan(&config(PRICED, route));
    let prompt = &plan.routes[0].prompt;
    assert_eq!((prompt.prefix.as_str(), prompt.suffix.as_str()), ("A. ", ""));
    let enrich = prompt.enrich.as_ref().unwrap();
    assert_eq!((enrich.name.as_str(), enrich.system.as_str(), enrich.max_tokens), ("claude/haiku", "Do.", 400));
    assert_eq!(enrich.timeout, Duration::from_secs(3));
    assert_eq!(enrich.keep, Some(Duration::from_secs(30 * 86_400)));
    let base = enrich.provider.account.base_url.as_str();
    assert_eq!(prompt.meaning(), ["A. ", "", "claude/haiku", base, "Do.", "400"]);
}

#[test]
fn what_was_written_is_kept_as_long_as_the_routes_pictures_unless_told_otherwise() {
    let keep = |more: &str, cache: &str| {
        let enrich = format!("    prompt: {{enrich: {{offer: claude/haiku, system: s{more}}}}}\n");
        let plan = plan(&config(PRICED, &format!("    offers: [a/m]\n{enrich}    cache: {cache}\n")));
        plan.routes[0].prompt.enrich.as_ref().unwrap().keep
    };
    assert_eq!(keep("", "{ttl: 2h}"), Some(Duration::from_secs(7200)));
    assert_eq!(keep("", "false"), Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(keep(", cache: false", "{ttl: 2h}"), None);
}

#[test]
fn a_route_that_leaves_prompts_alone_means_nothing_by_it() {
    assert!(plan(&config(PRICED, "    offers: [a/m]\n")).routes[0].prompt.meaning().is_empty());
}

#[test]
fn who_writes_does_not_draw_and_who_draws_does_not_write() {
    assert_eq!(
        told(PRICED, "    offers: [a/m, claude/haiku]\n"),
        ["6:19 `claude/haiku` draws nothing: kind anthropic is for words | write `prompt: {enrich: {offer: \
          claude/haiku, system: \"...\"}}` on this route instead"]
    );
    assert_eq!(
        enrich("offer: a/m, system: s"),
        ["7:30 `a/m` draws pictures and writes nothing | name a model of a provider of kind anthropic or openai_text"]
    );
}

#[test]
fn every_mistake_of_an_enrichment_is_told_with_what_to_write() {
    for (lines, expected) in [
        (
            "offer: claude/haikoo, system: s",
            "`claude/haikoo` is not among the models of `claude` | did you mean `claude/haiku`?",
        ),
        (
            "offer: cloud/haiku, system: s",
            "`cloud/haiku` names no provider of this file | did you mean `claude/haiku`?",
        ),
        ("offer: haiku, system: s", "`haiku` is not provider/model | did you mean `claude/haiku`?"),
        ("system: s", "`enrich` names nobody | add `offer: provider/model`"),
        ("offer: claude/haiku, system: \" \"", "must not be empty | -"),
        (
            "offer: claude/haiku, system: s, timeout: 0s",
            "must be longer than nothing | write a number and a unit: 500ms, 10s, 2m, 1h or 30d",
        ),
        ("offer: claude/haiku, system: s, max_tokens: 0", "must be at least 1 | -"),
        ("offer: claude/haiku, sytem: s", "unknown key `sytem` | did you mean `system`?"),
    ] {
        let told: Vec<String> = enrich(lines).iter().map(|told| told.split_once(' ').unwrap().1.to_owned()).collect();
        assert_eq!(told, [expected], "{lines}");
    }
    let told = enrich("offer: claude/haiku");
    assert!(told[0].contains("`enrich` does not say what the model is to do | add `system:`"), "{told:?}");
}

#[test]
fn a_model_that_writes_has_a_price_by_the_token_and_one_that_draws_has_not() {
    let write = "write `price: {tokens_per_million: {text_in: 1.00, text_out: 5.00}}`";
    for (model, expected) in [
        (
            "{}",
            "this model has no price | add `price: {tokens_per_million: {text_in: 1.00, text_out: 5.00}}`".to_owned(),
        ),
        ("{price: 1}", format!("this model draws nothing, so it has no price by the picture | {write}")),
        ("{price: {tokens_per_million: {text_in: 1}}}", format!("this price has no `text_out` | {write}")),
        (
            "{price: {tokens_per_million: {text_in: 1, text_out: -5}}}",
            "`-5` is less than nothing | write dollars as a plain number, like 0.009".to_owned(),
        ),
    ] {
        let told = told(model, "    offers: [a/m]\n");
        let told: Vec<&str> = told.iter().map(|told| told.split_once(' ').unwrap().1).collect();
        assert_eq!(told, [expected], "{model}");
    }
    let text =
        config(PRICED, "    offers: [a/m]\n").replace("price: 0.009", "price: {tokens_per_million: {text_in: 1}}");
    let told = problems(&text);
    assert!(told[1].contains("this price says nothing of what is drawn | add `image_out: 30`"), "{told:?}");
}

/// A config whose provider `claude` is `provider`, and its model has `price`.
fn openai_text(provider: &str, price: &str, route: &str) -> String {
    let model = format!("{{price: {{tokens_per_million: {{{price}}}}}}}");
    config(&model, route).replace("kind: anthropic, api_key: k", &format!("kind: openai_text{provider}"))
}

const ENRICHED: &str = "    offers: [a/m]\n    prompt: {enrich: {offer: claude/haiku, system: s}}\n";

#[test]
fn any_server_like_openais_can_write_and_only_openai_itself_wants_a_key() {
    let plan = plan(&openai_text(", base_url: \"http://localhost:8000/v1\"", "text_in: 0, text_out: 0", ENRICHED));
    let enrich = plan.routes[0].prompt.enrich.as_ref().unwrap();
    assert_eq!((enrich.name.as_str(), enrich.provider.kind), ("claude/haiku", "openai_text"));
    assert_eq!(enrich.provider.account.base_url.as_str(), "http://localhost:8000/v1/");
    let told = problems(&openai_text("", "text_in: 1, text_out: 5", ENRICHED));
    assert_eq!(
        told,
        ["3:3 kind openai_text without a `base_url` needs an `api_key` | add `api_key: ${CLAUDE_API_KEY}`"]
    );
    assert!(
        read(&openai_text(", api_key: k, organization: o, project: p", "text_in: 1, text_out: 5", ENRICHED)).is_ok()
    );
    let told = problems(&openai_text(", api_key: k", "text_in: 1, text_out: 5", "    offers: [claude/haiku]\n"));
    assert!(told[0].contains("`claude/haiku` draws nothing: kind openai_text is for words"), "{told:?}");
}

#[test]
fn the_vendors_cache_has_a_price_of_its_own_or_is_no_cheaper() {
    let price = |written: &str| {
        let plan = plan(&openai_text(", api_key: k", written, ENRICHED));
        plan.routes[0].prompt.enrich.as_ref().unwrap().writer.price
    };
    let cached = |written: &str| price(written).text_cached_in.unwrap().to_string();
    assert_eq!(cached("text_in: 0.05, text_cached_in: 0.005, text_out: 0.4"), "0.005");
    assert_eq!(cached("text_in: 0.05, text_out: 0.4"), "0.05");
    let text = config("{price: {tokens_per_million: {text_in: 1, text_cached_in: 0.1, text_out: 5}}}", ENRICHED);
    assert!(problems(&text)[0].contains("`text_cached_in` means nothing to a model that draws nothing | delete it"));
}

#[test]
fn a_model_that_is_to_write_has_a_price_for_what_it_writes() {
    assert!(read(&openai_text(", api_key: k", "text_in: 0.02", "    offers: [a/m]\n")).is_ok(), "it may embed");
    let told = problems(&openai_text(", api_key: k", "text_in: 0.02", ENRICHED));
    assert_eq!(
        told,
        [
            "7:30 `claude/haiku` has no price for what it writes | add `text_out` to its `tokens_per_million`; 0 where it \
          is free"
        ]
    );
}

#[test]
fn what_only_pictures_have_is_no_part_of_a_model_that_writes() {
    let model = PRICED.replace("{price", "{max_n: 2, sizes: any, price");
    let told = told(&model, "    offers: [a/m]\n");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].ends_with("`max_n` means nothing to a model that draws nothing | delete it"), "{told:?}");
    let text =
        config(PRICED, "    offers: [a/m]\n").replace("kind: anthropic", "kind: anthropic, download_hosts: [x.y]");
    let told = problems(&text);
    assert!(told[0].contains("`download_hosts` means nothing to a provider that draws nothing"), "{told:?}");
    let text = config(PRICED, "    offers: [a/m]\n")
        .replace("kind: anthropic", "kind: anthropic, rate: {images_per_minute: 5}");
    let told = problems(&text);
    assert!(told[0].contains("means nothing where nothing is drawn | write `requests_per_minute`"), "{told:?}");
}
