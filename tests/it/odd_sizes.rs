//! Pictures that are not as they were asked for, from vendors that say nothing of it: told, and where the route is
//! strict not delivered, though paid.

use std::time::Duration;

use easel::Usd;
use easel::sandbox::{Mode, Name};
use serde_json::{Value, json};

use crate::providers::{ALL, EDIT, Line, config, picture, provider_of, speak};
use crate::world::{GENERATE, PROVIDERS, World, ask_with, route, route_with};

/// What a line can be asked for, each with a size.
fn wishes(line: &Line) -> Vec<(&'static str, Value)> {
    let all = [
        (GENERATE, json!({})),
        (EDIT, json!({"images": [picture(1024, 255)]})),
        (EDIT, json!({"images": [picture(1024, 255)], "mask": picture(1024, 0)})),
    ];
    let mut able: Vec<_> = all.into_iter().filter(|(path, body)| line.able(path, body)).collect();
    for (_, body) in &mut able {
        body["model"] = json!(line.offer);
        body["prompt"] = json!("a red fox in the snow");
        body["size"] = json!("1024x1024");
    }
    able
}

fn wrong_sizes(metrics: &str) -> u64 {
    let lines =
        metrics.lines().filter(|line| line.starts_with("easel_rejected_total") && line.contains("\"wrong_size\""));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_draws_another_size_than_agreed_it_is_told() {
    let world = World::new(&config()).await;
    for line in &ALL {
        speak(&world, provider_of(line.offer));
        world.set(line.vendor, |vendor| vendor.mode = Mode::OddSize);
        for (path, body) in wishes(line) {
            let answer = world.client().await.post(path, &body).await;
            assert_eq!(answer.status, 200, "{} {path}: {}", line.offer, answer.text());
            let told = format!("size 1024x1024 -> {}", answer.header("x-easel-size"));
            assert_eq!(answer.header("x-easel-adjusted").split(',').next(), Some(told.as_str()), "{}", line.offer);
        }
    }
    world.settled().await;
    assert_eq!((world.spent(), wrong_sizes(&world.metrics().await)), (world.invoiced(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_strict_route_delivers_another_size_and_what_was_paid_for_it_is_booked() {
    let world = World::new(&config().replace("size: {tolerance: 60%}", "strict: true")).await;
    let mut refused = 0;
    for line in &ALL {
        speak(&world, provider_of(line.offer));
        for (path, body) in wishes(line) {
            world.set(line.vendor, |vendor| vendor.mode = Mode::Normal);
            let honest = world.client().await.post(path, &body).await;
            world.set(line.vendor, |vendor| vendor.mode = Mode::OddSize);
            let before = world.bill(line.vendor).calls;
            let odd = world.client().await.post(path, &body).await;
            let case = format!("{} {path}: {} then {}", line.offer, honest.text(), odd.text());
            if honest.status == 400 {
                assert_eq!((odd.status, world.bill(line.vendor).calls), (400, before), "{case}");
                continue;
            }
            // Whoever is asked by a strict route at all draws just what was asked.
            let told = (honest.status, honest.header("x-easel-size"), honest.header("x-easel-adjusted"));
            assert_eq!(told, (200, "1024x1024", ""), "{case}");
            assert_eq!(odd.error().0, 502, "{case}");
            refused += 1;
        }
    }
    world.settled().await;
    assert!(refused >= 20, "only {refused} were asked by a strict route");
    assert_eq!((world.spent(), wrong_sizes(&world.metrics().await)), (world.invoiced(), refused));
}

#[tokio::test]
async fn a_strict_route_asks_the_next_offer_and_not_the_same_again_nor_is_anybody_paused() {
    for more in ["    strict: true\n", "    size: {strict: true}\n"] {
        let world = World::new(&route_with(&["compatible/any-model", "openai/gpt-image-2"], more)).await;
        world.set(Name::Compatible, |vendor| vendor.mode = Mode::OddSize);
        for fox in 0..6 {
            let answer = world.draw(ask_with(&format!("fox {fox}"), json!({}))).await;
            assert_eq!(answer.header("x-easel-served-by"), "openai/gpt-image-2=1", "{}", answer.text());
            assert_eq!((answer.header("x-easel-attempts"), answer.header("x-easel-size")), ("2", "1024x1024"));
        }
        assert_eq!(world.bill(Name::Compatible).calls, 6, "an odd size is no reason to pause the vendor");
        assert_eq!(world.spent(), world.invoiced());
    }
}

#[tokio::test]
async fn a_hit_and_a_stream_tell_what_the_miss_told_and_where_none_was_asked_any_size_is_right() {
    let world = World::new(&route(&["compatible/any-model"])).await;
    world.set(Name::Compatible, |vendor| vendor.mode = Mode::OddSize);
    for used in ["miss", "exact"] {
        let answer = world.draw(ask_with("a fox", json!({}))).await;
        assert_eq!(answer.header("x-easel-cache"), used);
        assert_eq!(answer.header("x-easel-adjusted"), "size 1024x1024 -> 512x512");
    }
    let at_once = world.draw(ask_with("a fox", json!({"stream": true}))).await;
    assert_eq!(at_once.header("x-easel-adjusted"), "size 1024x1024 -> 512x512");
    world.set(Name::Compatible, |vendor| vendor.latency = Duration::from_millis(50));
    let slow = world.draw(ask_with("another fox", json!({"stream": true, "n": 2}))).await;
    // Where both pictures came before anything was sent it is a header, else a comment at the end.
    let told = format!("{}{}", slow.header("x-easel-adjusted"), slow.text());
    assert!(told.contains("size 1024x1024 -> 512x512"));
    let auto = world.draw(ask_with("a cat", json!({"size": "auto"}))).await;
    assert_eq!((auto.status, auto.header("x-easel-adjusted")), (200, ""));
}

#[tokio::test]
async fn of_pictures_that_differ_each_change_is_told_once_and_no_one_size_is_claimed() {
    let world = World::new(&route(&["compatible/any-model"])).await;
    assert_eq!(world.draw(ask_with("a fox", json!({}))).await.header("x-easel-adjusted"), "");
    world.set(Name::Compatible, |vendor| vendor.mode = Mode::OddSize);
    let mixed = world.draw(ask_with("a fox", json!({"n": 3}))).await;
    assert_eq!((mixed.header("x-easel-cache"), mixed.header("x-easel-size")), ("pool", ""));
    assert_eq!(mixed.header("x-easel-adjusted"), "size 1024x1024 -> 512x512");
}

#[tokio::test]
async fn another_file_format_is_told_and_a_strict_route_does_not_deliver_it() {
    let of = |more: &str| {
        let providers = PROVIDERS
            .replace("    models: {any-model", "    dialect: {rename: {output_format: user}}\n    models: {any-model");
        format!("{providers}\nroutes:\n  - {{name: r, offers: [compatible/any-model], cache: false{more}}}\n")
    };
    let webp = json!({"model": "any", "prompt": "a fox", "output_format": "webp"});
    for more in ["", ", size: {strict: true}"] {
        let answer = World::new(&of(more)).await.draw(webp.clone()).await;
        assert_eq!((answer.status, answer.header("x-easel-adjusted")), (200, "output_format webp -> png"));
    }
    let world = World::new(&of(", strict: true")).await;
    assert_eq!(world.draw(webp.clone()).await.error().0, 502);
    assert!(world.metrics().await.contains("reason=\"wrong_format\"} 1"));
    assert!(world.spent() > Usd::ZERO && world.spent() == world.invoiced());
}

#[tokio::test]
async fn a_transparent_jpeg_is_refused_before_anybody_is_asked_whoever_wished_for_jpeg() {
    let both = json!({"background": "transparent", "output_format": "jpeg"});
    let one = json!({"background": "transparent"});
    for (more, wish) in [("", both), ("    defaults: {output_format: jpeg}\n", one)] {
        let world = World::new(&route_with(&["openai/gpt-image-2"], more)).await;
        let mut edit = ask_with("a hat", wish.clone());
        edit["images"] = json!([picture(64, 255)]);
        for (path, body) in [(GENERATE, ask_with("a fox", wish.clone())), (EDIT, edit)] {
            let told = world.client().await.post(path, &body).await;
            assert_eq!(told.error(), (400, "invalid_value".into(), "background".into()), "{path} {}", told.text());
        }
        assert_eq!(world.bill(Name::OpenAi).calls, 0);
    }
}

#[tokio::test]
async fn a_model_that_writes_only_jpeg_is_not_asked_for_a_transparent_picture() {
    for fixed in ["formats: [jpeg]", "options: {output_format: jpeg}"] {
        let providers =
            PROVIDERS.replace("gpt-image-2: {price: 0.04}", &format!("gpt-image-2: {{price: 0.04, {fixed}}}"));
        let routes = "\nroutes:\n  - {name: r, offers: [openai/gpt-image-2], cache: false}\n";
        let world = World::new(&format!("{providers}{routes}")).await;
        let told = world.draw(ask_with("a fox", json!({"background": "transparent"}))).await;
        assert_eq!(told.error(), (400, "unsupported_value".into(), "background".into()), "{fixed}");
        assert_eq!(
            (told.header("x-easel-skipped"), world.bill(Name::OpenAi).calls),
            ("openai/gpt-image-2=background", 0)
        );
    }
}

#[tokio::test]
async fn a_negative_prompt_longer_than_a_model_reads_is_a_skip() {
    let config = "
providers:
  dashscope: {kind: dashscope, base_url: '${SANDBOX}/dashscope/', api_key: k, models: {wan2.2-t2i-flash: {price: 0.04}}}
  stability: {kind: stability, base_url: '${SANDBOX}/stability/', api_key: k,
    models: {stable-diffusion-xl-1024-v1-0: {price: 0.04}, core: {price: 0.04}}}
routes:
  - {name: r, cache: false, offers: [dashscope/wan2.2-t2i-flash, stability/stable-diffusion-xl-1024-v1-0, stability/core]}
";
    let world = World::new(config).await;
    for (chars, served, skipped) in [
        (500, "dashscope/wan2.2-t2i-flash=1", ""),
        (501, "stability/stable-diffusion-xl-1024-v1-0=1", "dashscope/wan2.2-t2i-flash=negative_prompt_too_long"),
        (
            2001,
            "stability/core=1",
            "dashscope/wan2.2-t2i-flash=negative_prompt_too_long,\
             stability/stable-diffusion-xl-1024-v1-0=negative_prompt_too_long",
        ),
    ] {
        let answer = world.draw(ask_with("a fox", json!({"negative_prompt": "é".repeat(chars)}))).await;
        assert_eq!((answer.header("x-easel-served-by"), answer.header("x-easel-skipped")), (served, skipped));
        assert_eq!(answer.header("x-easel-attempts"), "1");
    }
    let told = world.draw(ask_with("a fox", json!({"negative_prompt": "é".repeat(10_001)}))).await;
    assert_eq!(told.error(), (400, "unsupported_value".into(), "negative_prompt".into()));
    assert!(told.text().contains("at most 10000 characters"), "{}", told.text());
}

#[tokio::test]
async fn a_model_without_sizes_is_told_none_and_what_it_drew_is_told() {
    let with = |more: &str| {
        let model = "black-forest-labs/flux-schnell: {price: ";
        let providers = PROVIDERS.replace(
            &format!("{model}0.04}}"),
            &format!("{model}[{{size: 1024x1024, usd: 0.04}}, {{usd: 0.05}}], sizes: none}}"),
        );
        let offer = "replicate/black-forest-labs/flux-schnell";
        format!("{providers}\nroutes:\n  - {{name: r, offers: [{offer}]{more}}}\n")
    };
    let world = World::new(&with("")).await;
    let answer = world.draw(ask_with("a fox", json!({"size": "1536x640"}))).await;
    assert_eq!((answer.status, answer.header("x-easel-size")), (200, "1024x1024"), "{}", answer.text());
    assert_eq!(answer.header("x-easel-adjusted"), "size 1536x640 -> 1024x1024");
    assert_eq!(answer.header("x-easel-cost-usd"), "0.04", "priced as it was measured");
    let strict = World::new(&with(", size: {strict: true}")).await;
    let told = strict.draw(ask_with("a fox", json!({"size": "1024x1024"}))).await;
    assert_eq!(told.error(), (400, "unsupported_value".into(), "size".into()));
    let auto = strict.draw(ask_with("a fox", json!({"size": "auto"}))).await;
    assert_eq!((auto.status, auto.header("x-easel-adjusted")), (200, ""), "{}", auto.text());
}
