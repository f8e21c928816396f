//! What a change of the config does to the pictures that are kept: none is served that would be drawn otherwise now,
//! and none is bought again that would not.

use easel::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::painter::{Painter, Told, told};
use crate::world::{World, plan};

fn wish() -> Value {
    json!({"model": "m", "prompt": "a fox", "size": "64x64"})
}

/// One route `r` over `a/m`, whose model and which itself take more lines.
fn config(painter: &Painter, model: &str, route: &str) -> String {
    let provider = painter.provider("a", model);
    format!("providers:\n{provider}routes:\n  - {{name: r, match: {{models: [m]}}, offers: [a/m]{route}}}\n")
}

fn change(world: &World, config: &str) {
    world.gateway.replace(plan(config, &world.sandbox.url())).unwrap();
}

fn one(answer: &Answer) -> Told {
    assert_eq!(answer.status, 200, "{}", answer.text());
    told(answer)[0]
}

#[tokio::test]
async fn prices_and_limits_leave_the_cache_as_it_is_and_options_make_their_offers_pictures_stale() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, ", options: {steps: 4}", "")).await;
    let first = one(&world.draw(wish()).await);
    let cheap = config(&painter, ", options: {steps: 4}", ", deadline: 50s").replace("price: 0.01", "price: 0.02");
    change(&world, &cheap);
    let kept = world.draw(wish()).await;
    assert_eq!((one(&kept), kept.header("x-easel-cache")), (first, "exact"));
    change(&world, &config(&painter, ", options: {steps: 40}", ""));
    let drawn = world.draw(wish()).await;
    assert_eq!((drawn.header("x-easel-cache"), painter.asked()[1].body["steps"].as_u64()), ("miss", Some(40)));
    assert_ne!(one(&drawn), first);
    assert!(world.metrics().await.contains("easel_cache_requests_total{result=\"stale\",route=\"r\"} 1"));
    // Nobody draws in the old way any more, and nobody need draw in the new one again.
    assert_eq!(one(&world.draw(wish()).await), one(&drawn));
}

#[tokio::test]
async fn what_a_route_does_to_sizes_and_prompts_is_part_of_the_meaning() {
    let painter = Painter::open(&[]).await;
    let with = |route: &str| config(&painter, "", route);
    let world = World::new(&with("")).await;
    one(&world.draw(wish()).await);
    for (drawn, route) in [
        (2, ", strict: true"),
        (3, ", size: {tolerance: 1%}"),
        (4, ", prompt: {suffix: '!'}"),
        // The first one's rules again.
        (4, ""),
    ] {
        change(&world, &with(route));
        one(&world.draw(wish()).await);
        assert_eq!(painter.asked().len(), drawn, "{route}");
    }
}

#[tokio::test]
async fn who_insists_on_an_offer_gets_it_from_where_it_leads_now_and_others_get_what_is_there() {
    let (painter, other) = (Painter::open(&[]).await, Painter::open(&[]).await);
    let world = World::new(&config(&painter, "", "")).await;
    let pinned = json!({"model": "a/m", "prompt": "a fox", "size": "64x64"});
    one(&world.draw(pinned.clone()).await);
    let anyones = one(&world.draw(wish()).await);
    change(&world, &config(&other, "", ""));
    let moved = world.draw(pinned).await;
    assert_eq!((one(&moved).number, moved.header("x-easel-cache"), other.asked().len()), (0, "miss", 1));
    assert_eq!((one(&world.draw(wish()).await), other.asked().len()), (anyones, 1));
    // Nor does it matter to them who of several draws, or that one is gone.
    let both = format!("providers:\n{}{}", other.provider("b", ""), painter.provider("a", ""));
    change(&world, &format!("{both}routes:\n  - {{name: r, match: {{models: [m]}}, offers: [b/m]}}\n"));
    assert_eq!((one(&world.draw(wish()).await), other.asked().len()), (anyones, 1));
}

#[tokio::test]
async fn a_shorter_time_to_live_holds_for_what_is_kept_already() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "", "")).await;
    one(&world.draw(wish()).await);
    change(&world, &config(&painter, "", ", cache: {ttl: 1ms}"));
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    assert_eq!(world.draw(wish()).await.header("x-easel-cache"), "miss");
    change(&world, &config(&painter, "", ", cache: {ttl: 1h}"));
    assert_eq!((world.draw(wish()).await.header("x-easel-cache"), painter.asked().len()), ("exact", 2));
}

#[tokio::test]
async fn other_options_of_who_rewrites_are_other_words() {
    let painter = Painter::open(&[]).await;
    let with = |sandbox: &Sandbox, temperature: &str| {
        let claude = format!(
            "  claude: {{kind: anthropic, base_url: {}/anthropic/v1/, api_key: sk-ant-test, models: {{claude-haiku-4-5: \
             {{price: {{tokens_per_million: {{text_in: 1.00, text_out: 5.00}}}}, options: {{{temperature}}}}}}}}}\n",
            sandbox.url()
        );
        let route = ", prompt: {enrich: {offer: claude/claude-haiku-4-5, system: Rewrite., timeout: 20s}}";
        config(&painter, "", route).replacen("routes:", &format!("{claude}routes:"), 1)
    };
    let world = World::new(&config(&painter, "", "")).await;
    change(&world, &with(&world.sandbox, ""));
    let words = |answer: &Answer| answer.header("x-easel-enriched").rsplit('=').next().unwrap().to_owned();
    assert_eq!(words(&world.draw(wish()).await), "written");
    assert_eq!(world.draw(wish()).await.header("x-easel-cache"), "exact");
    change(&world, &with(&world.sandbox, "temperature: 0.5"));
    let other = world.draw(wish()).await;
    assert_eq!((words(&other).as_str(), other.header("x-easel-cache")), ("written", "miss"));
}

#[tokio::test]
async fn characters_that_look_different_are_other_prompts_and_other_spellings_of_the_same_are_not() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "", "")).await;
    let mut drawn = 0;
    for (prompt, uses) in [
        ("a bottle of H\u{2082}O", "miss"),
        ("a bottle of H2O", "miss"),
        ("x\u{b2}", "miss"),
        ("x2", "miss"),
        ("Acme\u{2122}", "miss"),
        ("AcmeTM", "miss"),
        ("caf\u{e9}", "miss"),
        ("cafe\u{301}", "exact"),
    ] {
        let answer = world.draw(json!({"model": "m", "prompt": prompt, "size": "64x64"})).await;
        drawn += usize::from(uses == "miss");
        assert_eq!((answer.header("x-easel-cache"), painter.asked().len()), (uses, drawn), "{prompt}");
    }
}
