//! `providers:`, for every kind alike.

use super::*;

#[test]
fn addresses_end_the_way_they_are_joined() {
    let text =
        small("    base_url: https://proxy.example/openai/v1\n", "") + "server: {public_url: https://x.example/a/}\n";
    let plan = plan(&text);
    assert_eq!(plan.providers["a"].account.base_url.as_str(), "https://proxy.example/openai/v1/");
    assert_eq!(plan.server.public_url.unwrap().as_str(), "https://x.example/a");
}

#[test]
fn what_is_wrong_with_a_provider_is_told() {
    let time = "write a number and a unit: 500ms, 10s, 2m, 1h or 30d";
    check_problems(&[
        ("    timeout: 0s\n", "", &[&format!("must be longer than nothing | {time}")]),
        ("    timeout: soon\n", "", &[&format!("`soon` is not a time | {time}")]),
        ("    timeout: 10w\n", "", &["`10w` has an unknown unit of time | write `70d`"]),
        ("    concurrency: {limit: 0}\n", "", &["must be at least 1 | -"]),
        (
            "    concurrency: {shares: {live: 90%, batch: 20%}}\n",
            "",
            &["the shares of live and batch are not 100% together | write one of them; the other is the rest"],
        ),
        (
            "    concurrency: {shares: {batch: 0%}}\n",
            "",
            &["is not from 1% to 99% | each class gets on with a share of its own"],
        ),
        (
            "    concurrency: {shares: {live: 0.9}}\n",
            "",
            &["`0.9` is not a percentage | write `90%` or `0.9%`, whichever is meant"],
        ),
        ("    rate: {images_per_minute: 0}\n", "", &["must be at least 1 | -"]),
        ("    concurrency: {limit: -1}\n", "", &["expected a whole number, found `-1` | -"]),
        ("    breaker: {failures: 5000000000}\n", "", &["is too large a number | -"]),
        (
            "    breaker: {pause: 30s, max_pause: 20s}\n",
            "",
            &["is shorter than the first pause | make it at least as long as `pause`"],
        ),
        (
            "    base_url: api.openai.com/v1\n",
            "",
            &["`api.openai.com/v1` is not a URL | write `https://api.openai.com/v1`"],
        ),
        (
            "    base_url: localhost:8000\n",
            "",
            &["`localhost:8000` is neither http nor https | write `http://localhost:8000` or `https://localhost:8000`"],
        ),
        ("    base_url: https://api.example/v1?key=x\n", "", &["this URL must not have a query | -"]),
        ("    base_url: https://me:pw@api.example/\n", "", &["this URL must not have a user name or password | -"]),
        ("    markup: 10\n", "", &["`10` is not a percentage | write `10%`"]),
        (
            "    download_hosts: [\"https://cdn.example\"]\n",
            "",
            &[
                "`\"https://cdn.example\"` is not a host | write the host alone, like cdn.example.com, *.example.com or cdn.local:8443",
            ],
        ),
        (
            "    dialect: {size: WxH}\n",
            "",
            &["`dialect` means nothing to this kind of provider | delete it, or use kind openai_compatible"],
        ),
        (
            "    api_version: v1\n",
            "",
            &["`api_version` means nothing to this kind of provider | delete it, or use kind azure"],
        ),
        ("    modles: {}\n", "", &["unknown key `modles` | did you mean `models`?"]),
        (
            "    retries: 3\n",
            "",
            &[
                "unknown key `retries` | the keys here are: api_key, api_version, base_url, billing, breaker, budget, concurrency, connect_timeout, credentials, dialect, download_hosts, entra, ...",
            ],
        ),
        (
            "    breaker: 5\n",
            "",
            &["expected a mapping, found `5` | the keys here are: failures, max_pause, pause, window"],
        ),
        ("    timeout: [1s]\n", "", &["expected a time, found a list | write it like 500ms, 10s, 2m, 1h, 30d"]),
    ]);
}

#[test]
fn a_price_table_is_of_one_sort_and_every_row_counts() {
    let price = |price: &str| {
        let text = format!(
            "providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: {price}}}}}}}\nroutes: [{{name: r, offers: [a/m]}}]\n"
        );
        problems(&text).into_iter().map(|problem| problem.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(price("[]"), ["a price needs at least one row | add `- {size: 1024x1024, usd: 0.03}`"]);
    assert_eq!(price("[{size: 1x1}]"), ["this row has no price | add `usd: 0.03`"]);
    assert_eq!(
        price("[{up_to: 1x1, usd: 1}, {size: 2x2, usd: 2}]"),
        ["`up_to` cannot be mixed with other rows | use either `up_to` in every row, or `size` and `quality`",]
    );
    assert_eq!(
        price("[{up_to: 2x2, usd: 1}, {up_to: 4x1, usd: 2}]"),
        ["another row has as many pixels | delete one of the two",]
    );
    assert_eq!(
        price("[{quality: low, usd: 1}, {size: 2x2, quality: low, usd: 2}]"),
        [
            "this row is never reached: the row on line 2 comes first and covers it | put the general row last, or delete one",
        ]
    );
    assert_eq!(price("$0.03"), ["`$0.03` is not a decimal number of dollars, write it like 0.009 | write `0.03`"]);
    assert_eq!(
        price("0.0000000001"),
        [
            "`0.0000000001` is finer than a nano-dollar (nine digits after the point) | write dollars as a plain number, like 0.009",
        ]
    );
    assert_eq!(
        price("{}"),
        [
            "this price does not say by what it is charged | write `price: 0.03`, the dollars a picture costs, or one of usd, per_megapixel, first_megapixel, per_step, tokens_per_million, per_second, reported",
        ]
    );
}

#[test]
fn names_are_fit_for_metrics_and_offers() {
    let text = "providers:\n  My AI: {kind: openai, api_key: k, models: {m: {price: 1}}}\nroutes: [{name: A, offers: [My AI/m]}]\n";
    let help = "use lower-case letters, digits, `-` and `_`, beginning with a letter or a digit";
    assert_eq!(
        problems(text),
        [format!("2:3 `My AI` is not a usable name | {help}"), format!("3:17 `A` is not a usable name | {help}"),]
    );
}

#[test]
fn a_model_of_openrouter_is_asked_in_one_of_two_ways() {
    let via = |model: &str| plan(&one("openrouter", "", model)).providers["a"].models["m"].via;
    assert_eq!((via(""), via(", via: images"), via(", via: chat")), (Via::Images, Via::Images, Via::Chat));
    let told = |kind: &str, model: &str| {
        let found = problems(&one(kind, "", model));
        found.into_iter().map(|problem| problem.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        told("openrouter", ", via: post"),
        ["expected `images`, `chat`, found `post` | the words here are: images, chat"]
    );
    let means_nothing = |key: &str, kind: &str| {
        vec![format!("`{key}` means nothing to this kind of provider | delete it, or use kind {kind}")]
    };
    assert_eq!(told("openai", ", via: chat"), means_nothing("via", "openrouter"));
    assert_eq!(told("openai", ", model_family: dall-e-3"), means_nothing("model_family", "azure"));
    let streaming = means_nothing("partials", "openai or azure or openai_compatible");
    assert_eq!(told("stability", ", partials: true"), streaming);
}

#[test]
fn of_two_shares_one_is_enough() {
    let batch = |shares: &str| {
        let text = small(&format!("    concurrency: {{{shares}}}\n"), "");
        plan(&text).providers["a"].concurrency.shares.batch_ppm
    };
    assert_eq!(
        [batch("limit: 3"), batch("shares: {live: 75%}"), batch("shares: {batch: 2.5%}")],
        [100_000, 250_000, 25_000]
    );
    assert_eq!(batch("shares: {live: 40%, batch: 60%}"), 600_000);
}
