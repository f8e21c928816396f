//! What a config does that is allowed and hardly meant. Each warning is shown to come, and not to come where all is well.

use super::{World, plan, read};
use crate::config::warnings::word::Warning;
use crate::config::{ConfigText, EnvAndFiles, load};

/// Every warning as `word line:column what | suggestion`.
pub(super) fn warnings(text: &str) -> Vec<String> {
    let plan = plan(text);
    let told = plan.warnings.iter().flat_map(|warnings| warnings.iter());
    told.map(|p| {
        let word = p.warning.map_or("", Warning::as_str);
        format!("{word} {}:{} {} | {}", p.line, p.column, p.what, p.suggestion.as_deref().unwrap_or("-"))
    })
    .collect()
}

/// The words of the warnings alone.
fn words(text: &str) -> Vec<String> {
    warnings(text).iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// One warning, of this word and with these parts.
pub(super) fn only(text: &str, word: &str, parts: &[&str]) {
    let told = warnings(text);
    assert!(told.len() == 1 && told[0].starts_with(&format!("{word} ")), "{told:#?}\n{text}");
    assert!(parts.iter().all(|part| told[0].contains(part)), "{told:#?}");
}

/// Two offers, of 3 and of 5 to 21 cents.
pub(super) fn two(route: &str, more: &str) -> String {
    format!(
        "providers:
  stability: {{kind: stability, api_key: \"${{KEY}}\", models: {{core: {{price: 0.03}}}}}}
  openai:
    kind: openai
    api_key: ${{KEY}}
    models: {{gpt-image-2: {{price: [{{quality: medium, usd: 0.053}}, {{quality: high, usd: 0.211}}]}}}}
routes:
  - {{name: r, offers: [stability/core, openai/gpt-image-2], {route}}}
{more}"
    )
}

const KEY: &str = "key_sha256: 0f5f2a0e4f1a3f7b8ad2b3f1c4a7d9e05c6f7081920a1b2c3d4e5f60718293a4";
const OTHER_KEY: &str = "key_sha256: 1f5f2a0e4f1a3f7b8ad2b3f1c4a7d9e05c6f7081920a1b2c3d4e5f60718293a4";

#[test]
fn a_config_in_which_everything_is_meant_has_no_warning() {
    assert_eq!(warnings(&two("", "")), [""; 0]);
    assert!(plan(&two("", "")).warnings.is_none());
    assert_eq!(warnings(super::REFERENCE), [""; 0]);
}

#[test]
fn an_offer_that_no_cap_allows_is_told_with_the_cap_and_what_it_would_have_to_be() {
    for cap in ["max_usd_per_image: 0.04", "max_usd_per_request: 0.04"] {
        only(
            &two(&format!("price: {{{cap}}}"), ""),
            "offer_over_cap",
            &["`openai/gpt-image-2`", "0.053", "0.04", "8:40"],
        );
    }
    let own = two("price: {max_usd_per_image: 0.1}", "")
        .replace("openai/gpt-image-2]", "{offer: openai/gpt-image-2, max_usd_per_image: 0.05}]");
    only(&own, "offer_over_cap", &["its own `max_usd_per_image` is 0.05"]);
    // One of its rows is within the cap.
    assert_eq!(warnings(&two("price: {max_usd_per_image: 0.06}", "")), [""; 0]);
    let clients = |dear: &str| {
        format!("clients: [{{name: a, {KEY}, max_usd_per_image: 0.04}}, {{name: b, {OTHER_KEY}{dear}}}]\n")
    };
    only(&two("", &clients(", max_usd_per_request: 0.05")), "offer_over_cap", &["of client `b` is 0.05"]);
    assert_eq!(warnings(&two("", &clients(""))), [""; 0], "one client has no cap");
}

#[test]
fn a_route_or_a_client_that_can_buy_nothing_is_told_once() {
    for cap in ["max_usd_per_image: 0.01", "max_usd_per_request: 0.01"] {
        only(&two(&format!("price: {{{cap}}}"), ""), "route_over_cap", &["route `r` buys nothing", "0.03", "0.01"]);
    }
    let poor = format!("clients: [{{name: a, {KEY}, max_usd_per_image: 0.001}}, {{name: b, {OTHER_KEY}}}]\n");
    only(&two("", &poor), "client_over_cap", &["client `a` may buy nothing", "0.03", "0.001"]);
    let alone = format!("clients: [{{name: a, {KEY}, max_usd_per_request: 0.001}}]\n");
    only(&two("", &alone), "client_over_cap", &["client `a`"]);
}

#[test]
fn a_volume_price_that_comes_to_be_within_a_cap_is_no_mistake() {
    let tiered = |volume: &str| {
        two("price: {max_usd_per_image: 0.02}", "")
            .replace("core: {price: 0.03}", &format!("core: {{price: 0.03, {volume}}}"))
    };
    only(&tiered("volume: [{from: 1000, usd: 0.01}]"), "offer_over_cap", &["openai"]);
    only(&tiered("volume: [{from: 1000, usd: 0.025}]"), "route_over_cap", &["0.025"]);
}

#[test]
fn a_cap_that_holds_nothing_is_told() {
    only(
        &two("price: {max_usd_per_image: 0.5, max_usd_per_request: 0.3}", ""),
        "idle_cap",
        &["`max_usd_per_request` is 0.3", "8:88"],
    );
    let own = two("price: {max_usd_per_image: 0.1}", "")
        .replace("openai/gpt-image-2]", "{offer: openai/gpt-image-2, max_usd_per_image: 0.2}]");
    only(&own, "idle_cap", &["the route's own `max_usd_per_image` is 0.1"]);
}

#[test]
fn a_budget_of_less_than_a_picture_is_told_at_a_route_a_provider_and_a_client() {
    only(&two("price: {budget: {usd: 0.02}}", ""), "budget_below_picture", &["0.03 USD", "0.02 per month"]);
    only(&two("price: {budget: [{usd: 9}, {usd: 0, per: day}]}", ""), "budget_below_picture", &["it is 0 per day"]);
    let provider = two("", "").replace("kind: openai\n", "kind: openai\n    budget: {usd: 0.05, per: total}\n");
    only(&provider, "budget_below_picture", &["0.053 USD", "0.05 per total", "5:19"]);
    only(&two("", &format!("clients: [{{name: a, {KEY}, budget: {{usd: 0.01}}}}]\n")), "budget_below_picture", &["9:"]);
    assert_eq!(warnings(&two("price: {budget: {usd: 0.03}}", "")), [""; 0]);
}

#[test]
fn a_price_in_cents_and_a_price_of_nothing_at_a_vendor_are_told() {
    let priced = |price: &str| two("", "").replace("core: {price: 0.03}", &format!("core: {{price: {price}}}"));
    only(&priced("3"), "dear_price", &["3 USD for one picture", "3 of them are 0.03"]);
    only(&priced("[{size: 512x512, usd: 0.1}, {usd: 4.5}]"), "dear_price", &["4.5 of them are 0.045"]);
    assert_eq!(warnings(&priced("0.99")), [""; 0]);
    only(&priced("0"), "free_price", &["`stability/core` costs nothing"]);
    let home = two("", "").replace("kind: stability", "kind: openai_compatible, base_url: http://gpu.internal/v1/");
    assert_eq!(warnings(&home.replace("price: 0.03", "price: 0")), [""; 0], "a server of one's own is free");
}

/// Routes as lines, in front of two models of one vendor.
fn routed(routes: &[&str], more: &str) -> String {
    let routes: String = routes.iter().map(|route| format!("  - {{{route}}}\n")).collect();
    format!(
        "providers: {{p: {{kind: stability, api_key: \"${{KEY}}\", models: {{core: {{price: 0.03}}, ultra: {{price: 0.08}}}}}}}}\nroutes:\n{routes}{more}"
    )
}

#[test]
fn a_route_that_others_take_together_is_told_and_so_is_the_part_of_one_that_another_takes() {
    let (a, b) =
        ("name: a, match: {models: [x, \"y*\"]}, offers: [p/core]", "name: b, match: {models: [z]}, offers: [p/ultra]");
    let last = |models: &str| routed(&[a, b, &format!("name: c, match: {{models: [{models}]}}, offers: [p/core]")], "");
    only(&last("x, z"), "unreachable_route", &["`a` and `b` take them all", "5:23"]);
    only(&last("z, \"y-1*\""), "unreachable_route", &["`b` and `a`"]);
    only(&last("w, x"), "unreachable_model", &["no request for `x`", "route `a`", "5:35"]);
    assert_eq!(warnings(&last("w, \"x*\"")), [""; 0], "a route for one name takes no pattern");
    // An offer's own name goes to the first route that has the offer.
    only(&last("p/ultra, w"), "unreachable_model", &["no request for `p/ultra`", "route `b`"]);
    let with_header = a.replace("models:", "headers: {x-team: z}, models:");
    assert_eq!(
        warnings(&routed(&[&with_header, "name: c, match: {models: [x]}, offers: [p/core, p/ultra]"], "")),
        [""; 0]
    );
}

#[test]
fn a_route_is_reached_by_a_client_that_may_not_use_the_one_before_it() {
    let both = ["name: a, match: {models: [x]}, offers: [p/core]", "name: b, match: {models: [x]}, offers: [p/ultra]"];
    let clients = |second: &str| {
        format!("clients: [{{name: one, {KEY}, routes: [a]}}, {{name: two, {OTHER_KEY}, routes: [{second}]}}]\n")
    };
    assert_eq!(warnings(&routed(&both, &clients("b"))), [""; 0]);
    let problems = read(&routed(&both, &clients("a, b"))).unwrap_err().to_string();
    assert!(problems.contains("no request gets here: route `a`"), "{problems}");
    let partly = [both[0], "name: b, match: {models: [x, w]}, offers: [p/ultra]"];
    assert_eq!(warnings(&routed(&partly, &clients("b"))), [""; 0]);
    only(&routed(&partly, &clients("a, b")), "unreachable_model", &["`x`"]);
    only(
        &routed(&[both[0], "name: b, match: {models: [w]}, offers: [p/ultra]"], &clients("a")),
        "route_without_client",
        &["`b`"],
    );
}

#[test]
fn a_secret_in_the_file_is_told_where_it_stands_and_is_not_printed() {
    let literal = two("", "").replacen("api_key: ${KEY}", "api_key: sk-live-1", 1);
    only(&literal, "literal_secret", &["5:14", "`${OPENAI_API_KEY}`", "`${file:/run/secrets/openai_api_key}`"]);
    assert!(!plan(&literal).warnings.unwrap().to_string().contains("sk-live-1"));
    only(&two("", "server: {admin_token: hush}\n"), "literal_secret", &["`${ADMIN_TOKEN}`"]);
    only(&two("", "server: {link_secret: hush}\n"), "literal_secret", &["`link_secret`"]);
    let webhook = |url: &str| two("", &format!("alerts: [{{name: a, when: error_rate > 20%, webhook: '{url}'}}]\n"));
    only(&webhook("https://hooks.example.com/T1/B2"), "literal_secret", &["`webhook`"]);
    assert_eq!(warnings(&webhook("http://alerts.internal/hook")), [""; 0]);
    let home = two("", "").replace(
        "kind: openai\n    api_key: ${KEY}",
        "kind: openai\n    base_url: http://127.0.0.1:1/v1/\n    api_key: any",
    );
    assert_eq!(warnings(&home), [""; 0], "a key for this machine opens nothing elsewhere");
    let header = |value: &str| {
        two("", "").replace(
            "kind: stability",
            &format!("kind: openai_compatible, base_url: 'https://a.example/v1/', dialect: {{headers: {{x-acme-token: {value}, x-acme-version: '2'}}}}"),
        )
    };
    only(&header("hush"), "literal_secret", &["`x_acme_token` stands in the file", "`${STABILITY_X_ACME_TOKEN}`"]);
    assert_eq!(warnings(&header("\"${KEY}\"")), [""; 0]);
    let bearer = header("Bearer sk-live-1").replace("x-acme-token", "x-authorization");
    let printed = plan(&bearer).warnings.unwrap().to_string();
    assert!(printed.contains("`x_authorization` stands in the file") && !printed.contains("sk-live-1"), "{printed}");
    let hashed = format!("clients: [{{name: a, {KEY}}}]\n");
    assert_eq!(warnings(&two("", &hashed)), [""; 0], "a hash is no secret");
}

#[test]
fn a_key_that_crosses_the_internet_in_clear_is_told() {
    let at = |url: &str| two("", "").replace("kind: openai\n", &format!("kind: openai\n    base_url: {url}\n"));
    only(&at("http://api.openai.com/v1/"), "key_in_clear", &["api.openai.com", "https://", "5:15"]);
    only(&at("http://203.0.113.7:8000/v1/"), "key_in_clear", &["203.0.113.7"]);
    for inner in [
        "https://api.openai.com/v1/",
        "http://127.0.0.1:1/v1/",
        "http://10.0.0.7/v1/",
        "http://192.168.1.7/v1/",
        "\"http://[fd00::7]/v1/\"",
        "http://vllm:8000/v1/",
        "http://gpu-1.internal:8000/v1/",
        "http://vllm.models.svc:8000/v1/",
    ] {
        assert_eq!(warnings(&at(inner)), [""; 0], "{inner}");
    }
}

#[test]
fn what_a_collector_is_told_is_no_text_of_the_file_and_crosses_no_open_network_in_clear() {
    let to =
        |otlp: &str, headers: &str| two("", &format!("server: {{tracing: {{otlp: '{otlp}', headers: {headers}}}}}\n"));
    let (secret, none) = ("{authorization: \"Bearer ${KEY}\"}", "{}");
    only(&to("http://otel.example/v1/traces", secret), "key_in_clear", &["collector", "https://"]);
    for (otlp, headers) in
        [("https://otel.example", secret), ("http://127.0.0.1:4318", secret), ("http://otel.example", none)]
    {
        assert_eq!(warnings(&to(otlp, headers)), [""; 0], "{otlp} {headers}");
    }
    only(
        &to("https://otel.example", "{authorization: hush}"),
        "literal_secret",
        &["`authorization` stands in the file"],
    );
    only(&to("http://127.0.0.1:8080", none), "leads_to_itself", &["`otlp` leads to this Easel itself"]);
}

#[test]
fn an_address_with_an_endpoint_or_without_a_version_is_told_with_the_right_one() {
    let at = |url: &str| two("", "").replace("kind: openai\n", &format!("kind: openai\n    base_url: {url}\n"));
    for (wrong, right) in [
        ("https://api.openai.com/v1/images/generations", "https://api.openai.com/v1/"),
        ("https://api.openai.com/v1/images/edits/", "https://api.openai.com/v1/"),
        ("https://proxy.example/openai/v1/chat/completions", "https://proxy.example/openai/v1/"),
    ] {
        only(&at(wrong), "endpoint_in_base_url", &[&format!("write `{right}`")]);
    }
    only(&at("https://api.openai.com"), "base_url_without_version", &["`https://api.openai.com/v1/`"]);
    only(&at("https://proxy.example/openai/"), "base_url_without_version", &["`https://proxy.example/openai/v1/`"]);
    for right in ["https://api.openai.com/v1", "https://gateway.example/v1/account/openai", "https://a.example/v2beta/"]
    {
        assert_eq!(warnings(&at(right)), [""; 0], "{right}");
    }
    let compatible = |more: &str| two("", "").replace("kind: stability", &format!("kind: openai_compatible, {more}"));
    only(&compatible("base_url: http://vllm:8000"), "base_url_without_version", &["`http://vllm:8000/v1/`"]);
    assert_eq!(warnings(&compatible("base_url: http://vllm:8000, dialect: {path: draw}")), [""; 0]);
    only(&compatible("base_url: http://vllm:8000/draw, dialect: {path: draw}"), "endpoint_in_base_url", &["`draw`"]);
    let expanded = at("${EASEL_SANDBOX_URL}/images/generations");
    only(&expanded, "endpoint_in_base_url", &["leave `images/generations` out"]);
}

#[test]
fn an_address_that_is_easels_own_is_told_wherever_it_stands() {
    let server = |server: &str| two("", &format!("clients: anyone\nserver: {{{server}}}\n"));
    for itself in [
        "listen: '127.0.0.1:8080', passthrough: 'http://127.0.0.1:8080'",
        "passthrough: 'http://localhost:8080'",
        "passthrough: 'http://127.0.0.1:9901'",
        "listen: '0.0.0.0:80', public_url: 'https://a.example', passthrough: 'http://127.0.0.1'",
        "listen: '10.1.1.1:80', passthrough: 'http://10.1.1.1'",
        "listen: '0.0.0.0:80', public_url: 'https://a.example', passthrough: 'https://a.example'",
        "listen: '0.0.0.0:80', public_url: 'https://a.example', hosts: [easel.internal], passthrough: 'http://easel.internal'",
    ] {
        only(&server(itself), "leads_to_itself", &["`passthrough`"]);
    }
    for other in ["passthrough: 'http://127.0.0.1:3000'", "passthrough: 'http://10.1.1.1:8080'"] {
        assert_eq!(warnings(&server(other)), [""; 0], "{other}");
    }
    let provider = two("", "").replace("kind: openai\n", "kind: openai\n    base_url: http://127.0.0.1:8080/v1/\n");
    only(&provider, "leads_to_itself", &["provider `openai`"]);
}

#[test]
fn links_that_nobody_else_can_open_are_told() {
    let server = |server: &str| two("", &format!("clients: anyone\nserver: {{{server}}}\n"));
    for any in ["listen: '0.0.0.0:80'", "listen: '[::]:80'"] {
        only(&server(any), "local_links", &["server.public_url", "port 80"]);
    }
    only(
        &server("listen: '10.0.0.1:80', public_url: 'http://127.0.0.1:80'"),
        "local_links",
        &["127.0.0.1", "server.public_url"],
    );
    for good in [
        "listen: '127.0.0.1:80', public_url: 'http://127.0.0.1:80'",
        "listen: '10.0.0.1:80'",
        "listen: '0.0.0.0:80', public_url: 'https://a.example'",
    ] {
        assert_eq!(warnings(&server(good)), [""; 0], "{good}");
    }
}

#[test]
fn what_nothing_uses_is_told_and_what_writes_or_embeds_is_used() {
    only(&two("", "").replace(", openai/gpt-image-2]", "]"), "unused_provider", &["`openai`", "3:3"]);
    let model = two("", "").replace("core: {price: 0.03}", "core: {price: 0.03}, ultra: {price: 0.08}");
    only(&model, "unused_model", &["`stability/ultra`"]);
    let words = "  words: {kind: openai_text, base_url: 'http://127.0.0.1:1/v1/', models: {small: {price: {tokens_per_million: {text_in: 1, text_out: 1}}}}}\nroutes:";
    let writer = |route: &str| two(route, "").replace("routes:", words);
    assert_eq!(words_of(&writer("")), ["unused_provider"]);
    for used in [
        "prompt: {enrich: {offer: words/small, system: rewrite}}",
        "cache: {near: {embedding: words/small, shadow: true, threshold: 0.9}}",
        "cache: {near: verified, learn: {judge: words/small, max_usd_per_day: 1}}",
    ] {
        assert_eq!(words_of(&writer(used)), [""; 0], "{used}");
    }
}

fn words_of(text: &str) -> Vec<String> {
    words(text)
}

#[test]
fn times_and_numbers_that_cannot_matter_are_told_if_they_are_written() {
    let provider =
        |more: &str| two("deadline: 60s", "").replace("kind: openai\n", &format!("kind: openai\n    {more}\n"));
    only(&provider("connect_timeout: 3m"), "idle_timeout", &["`3m` never runs out", "2m"]);
    only(&provider("concurrency: {queue: 10, max_wait: 0s}"), "idle_queue", &["nobody waits"]);
    only(&provider("concurrency: {queue: 0, max_wait: 3s}"), "idle_queue", &["`queue` is 0"]);
    only(&provider("concurrency: {max_wait: 90s}"), "idle_timeout", &["1m"]);
    for fine in ["timeout: 3m", "concurrency: {queue: 0}", "concurrency: {queue: 0, max_wait: 0s}"] {
        assert_eq!(warnings(&provider(fine)), [""; 0], "{fine}");
    }
    only(&two("hedge: {after: 3m, max_usd_per_hour: 1}", ""), "idle_timeout", &["the deadline is 3m"]);
    only(&two("attempts: {max: 1, per_offer: 2}", ""), "idle_attempts", &["gives up after 1"]);
    only(&two("attempts: {max: 100}", ""), "idle_attempts", &["at most 22"]);
    assert_eq!(warnings(&two("attempts: {max: 22}", "")), [""; 0]);
    let alert = "alerts: [{name: a, when: budget_share > 90%}]\n";
    only(&two("", alert), "idle_alert", &["no budget"]);
    assert_eq!(warnings(&two("price: {budget: {usd: 9}}", alert)), [""; 0]);
}

#[test]
fn a_warning_is_printed_as_a_problem_is_with_its_word() {
    let text = two("price: {max_usd_per_image: 0.04}", "");
    let printed = plan(&text).warnings.unwrap().to_string();
    assert!(printed.starts_with("warning[offer_over_cap]: `openai/gpt-image-2` is never asked"), "{printed}");
    assert!(printed.contains("--> easel.yaml:8:40") && printed.contains("= help: raise the cap to 0.053"), "{printed}");
    assert!(printed.ends_with("1 warning in easel.yaml"), "{printed}");
    let line: Vec<String> = plan(&text).warnings.unwrap().lines().collect();
    assert!(line[0].starts_with("easel.yaml:8:40: warning[offer_over_cap]: `openai/gpt-image-2`"), "{line:?}");
}

/// Nothing of another machine is here.
struct Elsewhere;

impl EnvAndFiles for Elsewhere {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }

    fn file(&self, _path: &std::path::Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }

    fn absent_is_present(&self) -> bool {
        true
    }
}

#[test]
fn a_config_is_checked_without_its_secrets_and_nothing_is_said_of_what_is_not_here() {
    let text = |more: &str| {
        format!(
            "server: {{listen: \"${{LISTEN}}\", admin_token: \"${{TOKEN}}\", public_url: \"${{URL}}\", state_dir: ./state}}
clients:
  - {{name: web, key_sha256: \"${{HASH}}\", budget: {{usd: \"${{BUDGET}}\"}}}}
  - {{name: two, key_sha256: [\"${{file:/run/secrets/hash}}\"]}}
providers:
  vertex: {{kind: google, project: a, location: global, credentials: \"${{file:/run/secrets/json}}\", models: {{gemini-3-pro-image: {{price: 0.1}}}}}}
  home: {{kind: openai_compatible, base_url: \"${{GPU}}/v1/\", api_key: \"${{file:/run/secrets/key}}\", models: {{flux: {{price: 0.01}}}}}}
routes: [{{name: r, offers: [vertex/gemini-3-pro-image, home/flux], deadline: \"${{DEADLINE}}\"}}]
alerts: [{{name: a, when: error_rate > 20%, webhook: \"${{HOOK}}\"}}]
{more}"
        )
    };
    let check = |text: &str, lookup: &dyn EnvAndFiles| {
        load(&ConfigText { name: "easel.yaml", text }, &super::KINDS, lookup).map(|loaded| loaded.with_warnings(&[]))
    };
    let plan = check(&text(""), &Elsewhere).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(plan.warnings.as_ref().map(ToString::to_string), None);
    assert_eq!(plan.server.state_dir.as_deref(), Some(std::path::Path::new("./state")));
    assert_eq!((plan.providers.len(), plan.routes[0].offers.len()), (2, 2));
    assert!(plan.providers["vertex"].account.credentials.is_some(), "it is still Vertex AI");
    // Everything that is here is still checked.
    let problems = check(&text("cache: {memory: much}\n"), &Elsewhere).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems}");
    assert_eq!(check(&two("", "").replace("0.03", "x"), &World).unwrap_err().len(), 1);
}
