//! The files in conf/ mean what their comments say, and the schema has every key.

use super::*;

#[test]
fn the_annotated_reference_loads_and_means_what_its_comments_say() {
    let plan = plan(REFERENCE);
    let defaults = self::plan(&small("", ""));
    assert_eq!(Cache { words: CacheWords::default(), ..plan.cache.clone() }, defaults.cache);
    assert_eq!(plan.server.limits, defaults.server.limits);
    assert_eq!(
        (&plan.server.listen, &plan.server.admin, plan.server.drain, plan.server.drain_delay, plan.server.link_ttl),
        (
            &defaults.server.listen,
            &defaults.server.admin,
            defaults.server.drain,
            defaults.server.drain_delay,
            defaults.server.link_ttl
        )
    );
    let (openai, default) = (&plan.providers["openai"], &defaults.providers["a"]);
    assert_eq!(openai.account.base_url, default.account.base_url);
    assert_eq!(openai.concurrency, default.concurrency);
    assert_eq!(openai.breaker, default.breaker);
    assert_eq!((openai.timeout, openai.connect_timeout), (default.timeout, default.connect_timeout));
    let (mockups, default) = (&plan.routes[0], &defaults.routes[0]);
    assert_eq!((mockups.max_failures, mockups.max_failures_per_offer), (6, 2));
    assert_eq!((default.max_failures, default.max_failures_per_offer), (6, 2));
    let usual = default.cache.map(|cache| RouteCache { near: true, ..cache });
    assert_eq!((mockups.size_tolerance, mockups.cache), (default.size_tolerance, usual));
    assert_eq!((default.deadline, default.on_deadline), (Duration::from_secs(180), OnDeadline::Partial));
    assert!(!default.refusals_go_on && !mockups.refusals_go_on);
    let usual: Vec<&str> =
        REFERENCE.lines().filter(|line| !line.contains("after: p95") && !line.contains("at_most:")).collect();
    assert_eq!((default.hedge, mockups.hedge), (None, self::plan(&usual.join("\n")).routes[0].hedge));
    assert!(mockups.hedge.is_some());
}

#[test]
fn the_reference_shows_every_key_and_its_tls_line_loads_too() {
    fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) {
            found.extend(properties.keys().cloned());
        }
        match schema {
            serde_json::Value::Object(object) => object.values().for_each(|below| keys(below, found)),
            serde_json::Value::Array(items) => items.iter().for_each(|below| keys(below, found)),
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    keys(&loader_schema(), &mut all);
    assert!(all.len() > 70, "{all:?}");
    let missing: Vec<&String> = all.iter().filter(|key| !REFERENCE.contains(&format!("{key}:"))).collect();
    assert!(missing.is_empty(), "conf/easel.yaml does not show {missing:?}");
    let tls = plan(&REFERENCE.replace("# tls:", "tls:")).server.tls.unwrap();
    assert_eq!(tls.key, Path::new("/etc/easel/key.pem"));
}

#[test]
fn every_key_of_the_schema_says_what_it_is() {
    fn undescribed(schema: &serde_json::Value, path: &str, found: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) {
            for (key, below) in properties {
                let path = format!("{path}.{key}");
                if below.get("description").is_none() {
                    found.push(path.clone());
                }
                undescribed(below, &path, found);
            }
        }
        for key in ["items", "additionalProperties"] {
            if let Some(below) = schema.get(key) {
                undescribed(below, path, found);
            }
        }
    }
    let mut found = Vec::new();
    undescribed(&loader_schema(), "", &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(loader_schema()["additionalProperties"], false);
}

#[test]
fn the_keys_that_are_redacted_are_the_keys_the_schema_calls_secret() {
    fn secret(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        schema.as_array().into_iter().flatten().for_each(|below| secret(below, found));
        if let Some(object) = schema.as_object() {
            for (key, below) in object {
                if below.to_string().contains("\"writeOnly\":true") && !below.to_string().contains("\"properties\"") {
                    let leaf = below.get("writeOnly").is_some() || below.get("anyOf").is_some();
                    // A list of secrets is known by its own key.
                    found.extend((leaf && key != "items").then(|| key.clone()));
                }
                secret(below, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    secret(&loader_schema(), &mut found);
    assert_eq!(found, crate::config::redact::SECRET_KEYS.map(str::to_owned).into());
}

#[test]
fn the_demo_loads_and_asks_the_cheapest_first() {
    let plan = plan(DEMO);
    let names: Vec<&str> = plan.routes[0].offers.iter().map(|offer| offer.name.as_str()).collect();
    assert_eq!(names, ["replicate/black-forest-labs/flux-schnell", "stability/core", "openai/gpt-image-2"]);
    let url = &plan.providers["replicate"].account.base_url;
    assert_eq!(url.as_str(), "http://127.0.0.1:4100/replicate/v1/");
    assert_eq!(plan.routes[0].offers[0].model.name, "black-forest-labs/flux-schnell");
}

#[test]
fn a_price_is_the_digits_that_were_written() {
    let plan = plan(&small("    markup: 5.5%\n", "    price: {max_usd_per_image: 0.1, max_usd_per_request: 1e-9}\n"));
    let price = &plan.providers["a"].models["m"].price;
    assert_eq!(price.table, Table::Flat(Usd::from_nanos(9_000_000)));
    assert_eq!(price.markup_ppm, 55_000);
    assert_eq!(plan.routes[0].max_usd_per_image, Some(Usd::from_nanos(100_000_000)));
    assert_eq!(plan.routes[0].max_usd_per_request, Some(Usd::from_nanos(1)));
}

#[test]
fn every_part_of_the_reference_arrives_in_the_plan() {
    let plan = plan(REFERENCE);
    let openai = &plan.providers["openai"];
    assert_eq!(openai.account.api_key.as_ref().unwrap().reveal(), SECRET);
    assert_eq!(openai.account.organization.as_deref(), Some("org-acme"));
    assert_eq!(openai.account.project.as_deref(), Some("proj-mockups"));
    let Table::Rows(rows) = &openai.models["gpt-image-2"].price.table else { panic!("not rows") };
    assert_eq!((rows[0].size, rows[0].quality), (Some(RowSize::Pixels(Size::new(1024, 1024))), Some(Quality::Low)));
    assert_eq!((rows[3].size, rows[3].usd), (None, Usd::from_nanos(5_000_000)));
    let addon = (Addon::TransparentBackground, Usd::from_nanos(1_000_000));
    assert_eq!(openai.models["gpt-image-2"].price.addons, [addon]);

    let sdxl = &plan.providers["stability"].models["stable-diffusion-xl-1024-v1-0"];
    assert_eq!(sdxl.capabilities.max_n, Some(4));
    assert_eq!(sdxl.capabilities.prompt_chars, Some(2000));
    assert_eq!((sdxl.capabilities.seed, sdxl.capabilities.negative_prompt), (Some(true), Some(true)));
    assert_eq!(sdxl.options["steps"], 30);
    assert!(matches!(&sdxl.capabilities.sizes, Some(Sizes::Listed(sizes)) if sizes.len() == 3));

    let Table::UpTo(tiers) = &plan.providers["replicate"].models["stability-ai/sdxl"].price.table else {
        panic!("not tiers")
    };
    assert_eq!(tiers[0], (Size::new(512, 512), Usd::from_nanos(2_500_000)));

    let janus = &plan.providers["janus"];
    assert_eq!(janus.models["janus-pro-7b"].capabilities.sizes, Some(Sizes::Any));
    let dialect = &janus.account.dialect;
    assert_eq!(dialect.auth, ("authorization".to_owned(), "Bearer ".to_owned()));
    assert_eq!(dialect.rename["negative_prompt"], "input.negative");
    assert_eq!(dialect.constants["guidance"], 4.5);
    assert_eq!(dialect.size, SizeFormat::WidthXHeight);
    assert_eq!(dialect.cost_header.as_deref(), Some("x-litellm-response-cost"));

    let claude = &plan.providers["claude"];
    assert!(claude.models.is_empty());
    let writer = &claude.writers["claude-haiku-4-5"];
    let usd = |dollars: i64| Usd::from_nanos(dollars * 1_000_000_000);
    assert_eq!(
        writer.price,
        TextTokenPrice { text_in: usd(1), text_cached_in: None, text_out: Some(usd(5)), markup_ppm: 0 }
    );
    assert_eq!(writer.options["temperature"], 0.7);

    let mockups = &plan.routes[0];
    assert_eq!(
        (mockups.prompt.prefix.as_str(), mockups.prompt.suffix.as_str()),
        ("Studio product photo. ", " No text.")
    );
    assert_eq!(mockups.models, [ModelPattern::Exact("mockup".into()), ModelPattern::Prefix("mockup-".into())]);
    assert_eq!(mockups.headers, [("x-team".to_owned(), "marketing".to_owned())]);
    assert_eq!(mockups.offers[2].max_usd_per_image, Some(Usd::from_nanos(60_000_000)));
    assert_eq!(mockups.deadline, Duration::from_secs(10));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let told = &plan.cache.words;
    assert_eq!(told.synonyms, [words(&["mug", "coffee mug"])]);
    assert_eq!(
        [&told.boosters, &told.brands, &told.colors],
        [&words(&["catalogue quality"]), &words(&["Acme"]), &words(&["petrol"])]
    );
    assert_eq!(
        mockups.cache,
        Some(RouteCache {
            ttl: Duration::from_secs(30 * 86_400),
            near: true,
            variants: 1,
            edits: false,
            share_ppm: None
        })
    );
    let learn = mockups.learn.as_ref().unwrap();
    assert_eq!(
        (&*learn.name, learn.max_usd_per_day, learn.per_minute.get()),
        ("words/qwen3:4b", Usd::from_nanos(500_000_000), 10)
    );
    assert_eq!((learn.ttl, learn.timeout), (Duration::from_secs(30 * 86_400), Duration::from_secs(30)));
    assert_eq!(mockups.defaults.size, Some(Size::new(1024, 1024)));
    assert_eq!(mockups.defaults.response_format, Some(ResponseFormat::B64Json));
    assert_eq!(plan.routes[2].defaults.response_format, None);
    assert_eq!((plan.routes[2].cache, plan.routes[2].deadline), (None, Duration::from_secs(60)));
}
