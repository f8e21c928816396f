//! A provider's trouble is not the client's trouble.

use std::time::Duration;

use easel::Usd;
use easel::internals::ledger::SpendKind;
use easel::sandbox::{Mode, Name, Vendor};
use serde_json::json;
use tokio::task::JoinSet;

use crate::painter::{Act, Painter};
use crate::world::{GENERATE, World, ask, ask_with, pictures, route, route_with};

/// Five hundred requests, fifty at a time, while the first of two providers is in trouble.
async fn five_hundred(world: &World, kind: &str) {
    let mut running = JoinSet::new();
    for worker in 0..50 {
        let mut client = world.client().await;
        let kind = kind.to_owned();
        running.spawn(async move {
            for number in 0..10 {
                let answer = client.post(GENERATE, &ask(&format!("{kind} {worker} {number}"))).await;
                assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
                assert_eq!(answer.header("x-easel-served-by"), "openai/gpt-image-2=1", "{kind}");
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    assert_eq!(world.spent(), world.invoiced(), "{kind}");
}

fn two_providers() -> String {
    let config = route(&["stability/core", "openai/gpt-image-2"]);
    let impatient =
        "base_url: ${SANDBOX}/stability/\n    timeout: 300ms\n    breaker: {failures: 5, window: 30s, pause: 60s}";
    config
        .replace(
            "base_url: ${SANDBOX}/stability/\n    api_key: sk-test\n    timeout: 20s",
            &format!("{impatient}\n    api_key: sk-test"),
        )
        .replace("base_url: ${SANDBOX}/openai/v1/", "base_url: ${SANDBOX}/openai/v1/\n    concurrency: {limit: 100}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_succeeds_while_the_first_provider_answers_500() {
    let world = World::new(&two_providers()).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Down500);
    five_hundred(&world, "down").await;
    assert!(world.bill(Name::Stability).calls < 60, "the breaker keeps away: {}", world.bill(Name::Stability).calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_succeeds_while_the_first_provider_says_slow_down() {
    let world = World::new(&two_providers()).await;
    let retry_after = Duration::from_secs(60);
    world.set(Name::Stability, |vendor| vendor.mode = Mode::RateLimited { retry_after });
    five_hundred(&world, "limited").await;
    assert!(world.bill(Name::Stability).calls <= 50, "{}", world.bill(Name::Stability).calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_succeeds_while_the_first_provider_hangs() {
    let world = World::new(&two_providers()).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    five_hundred(&world, "hanging").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_succeeds_while_the_first_provider_answers_garbage() {
    let world = World::new(&two_providers()).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Garbage);
    five_hundred(&world, "garbage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_succeeds_while_the_first_provider_refuses_connections() {
    // A port nobody listens on: bound, so that nobody else gets it, but never listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead = format!("http://{}/stability/", socket.local_addr().unwrap());
    let world = World::new(&two_providers().replace("${SANDBOX}/stability/", &dead)).await;
    five_hundred(&world, "refused").await;
}

#[tokio::test]
async fn whatever_a_provider_answers_instead_of_pictures_the_next_one_takes_over() {
    for mode in [Mode::NoPictures, Mode::Truncated, Mode::OutOfMoney, Mode::Garbage, Mode::Down500] {
        for (offer, vendor) in [
            ("stability/core", Name::Stability),
            ("replicate/black-forest-labs/flux-schnell", Name::Replicate),
            ("compatible/any-model", Name::Compatible),
            ("openai/dall-e-3", Name::OpenAi),
        ] {
            let second = if vendor == Name::OpenAi { "stability/core" } else { "openai/gpt-image-2" };
            let world = World::new(&route(&[offer, second])).await;
            world.set(vendor, |vendor| vendor.mode = mode);
            let answer = world.draw(ask("a fox")).await;
            assert_eq!(answer.status, 200, "{mode:?} {offer}: {}", answer.text());
            assert_eq!(answer.header("x-easel-served-by"), format!("{second}=1"), "{mode:?} {offer}");
            assert_eq!(world.spent(), world.invoiced(), "{mode:?} {offer}");
        }
    }
}

#[tokio::test]
async fn a_reply_over_the_limit_is_the_providers_failure() {
    let config =
        format!("server: {{limits: {{response_body: 2MB}}}}\n{}", route(&["openai/gpt-image-2", "stability/core"]));
    let world = World::new(&config).await;
    world.set(Name::OpenAi, |vendor| vendor.min_bytes = 3_000_000);
    let answer = world.draw(ask("a fox")).await;
    assert_eq!(answer.header("x-easel-served-by"), "stability/core=1", "{}", answer.text());
}

#[tokio::test]
async fn when_nobody_can_draw_the_client_gets_a_502_or_a_time_to_come_back() {
    let world = World::new(&route(&["stability/core"])).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Down500);
    assert_eq!(world.draw(ask("a fox")).await.error(), (502, "upstream_failed".into(), String::new()));
    let retry_after = Duration::from_secs(40);
    world.set(Name::Stability, |vendor| vendor.mode = Mode::RateLimited { retry_after });
    assert_eq!(world.draw(ask("a hen")).await.error().0, 429);
    let paused = world.draw(ask("a cow")).await;
    assert_eq!(paused.error(), (429, "rate_limit_exceeded".into(), String::new()));
    assert_eq!(paused.header("x-easel-skipped"), "stability/core=rate_limited");
    let wait: u64 = paused.header("retry-after").parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn pictures_already_paid_for_are_kept_while_the_rest_is_bought_elsewhere() {
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    // Stability draws one at a time: two of four calls fail by the dice, whichever they are.
    world.set(Name::Stability, |vendor: &mut Vendor| vendor.faults.error_rate = easel::sandbox::Rate::percent(50));
    let answer = world.draw(ask_with("four foxes", json!({"n": 4}))).await;
    assert_eq!(pictures(&answer).len(), 4, "{}", answer.text());
    assert_eq!((world.bill(Name::Stability).pictures + world.bill(Name::OpenAi).pictures), 4);
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_client_killed_mid_request_leaves_the_finished_picture_in_the_cache() {
    let world = World::new(&route(&["stability/core"])).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(100));
    let mut client = world.client().await;
    client.send("POST", GENERATE, &[("content-type", "application/json")], ask("a fox").to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    drop(client);
    world.sandbox.until(Name::Stability, |bill| bill.pictures == 1 && bill.in_flight == 0).await;
    let again = world.draw(ask("a fox")).await;
    assert!(["exact", "joined"].contains(&again.header("x-easel-cache")), "{}", again.header("x-easel-cache"));
    assert_eq!((again.header("x-easel-cost-usd"), world.bill(Name::Stability).pictures), ("0", 1));
    assert_eq!(world.spent(), "0.04".parse().unwrap());
}

#[tokio::test]
async fn a_deadline_gives_the_pictures_there_are_and_the_rest_still_lands_in_the_cache() {
    let config = route_with(&["stability/core", "openai/gpt-image-2"], "    deadline: 2s\n")
        .replace("base_url: ${SANDBOX}/stability/", "base_url: ${SANDBOX}/stability/\n    concurrency: {limit: 1}");
    let world = World::new(&config).await;
    // Two calls are made side by side; only one of them is done when the deadline comes, and by then it is too late
    // for a third.
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(1200));
    world.set(Name::OpenAi, |vendor| vendor.latency = Duration::from_millis(4000));
    let answer = world.draw(ask_with("two foxes", json!({"n": 2}))).await;
    assert_eq!((answer.status, answer.header("x-easel-partial")), (200, "1/2"), "{}", answer.text());
    world.settled().await;
    assert_eq!(world.bill(Name::OpenAi).pictures, 1, "the slow call is not cut off, and not made twice");
    assert_eq!((world.spent(), world.invoiced()), ("0.08".parse().unwrap(), "0.08".parse().unwrap()));
    let again = world.draw(ask_with("two foxes", json!({"n": 2}))).await;
    assert_eq!((again.header("x-easel-cache"), pictures(&again).len()), ("exact", 2));

    let config = route_with(&["openai/gpt-image-2"], "    deadline: 100ms\n");
    let world = World::new(&config).await;
    world.set(Name::OpenAi, |vendor| vendor.latency = Duration::from_secs(2));
    assert_eq!(world.draw(ask("slow fox")).await.error().0, 504);
    assert_eq!(world.spent(), Usd::ZERO);
}

#[tokio::test]
async fn a_predictions_poll_that_stumbles_is_asked_again_not_bought_again() {
    let world = World::new(&route(&["replicate/black-forest-labs/flux-schnell"])).await;
    world.set(Name::Replicate, |vendor| {
        vendor.latency = Duration::from_millis(300);
        vendor.faults.error_rate = easel::sandbox::Rate::percent(0);
    });
    let answer = world.draw(ask("a fox")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.bill(Name::Replicate).pictures, 1);
}

#[tokio::test]
async fn three_limited_providers_do_not_use_up_the_patience_for_a_healthy_fourth() {
    let offers =
        ["stability/core", "replicate/black-forest-labs/flux-schnell", "compatible/any-model", "openai/gpt-image-2"];
    let world = World::new(&route(&offers)).await;
    let retry_after = Duration::from_secs(30);
    for vendor in [Name::Stability, Name::Replicate, Name::Compatible] {
        world.set(vendor, |vendor| vendor.mode = Mode::RateLimited { retry_after });
    }
    let answer = world.draw(ask("a fox")).await;
    assert_eq!(answer.header("x-easel-served-by"), "openai/gpt-image-2=1", "{}", answer.text());
}

#[tokio::test]
async fn many_failures_of_one_offer_at_once_are_one_piece_of_news() {
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    world.set(Name::Stability, |vendor| {
        vendor.mode = Mode::Down500;
        vendor.latency = Duration::from_millis(50);
    });
    let answer = world.draw(ask_with("ten foxes", json!({"n": 10}))).await;
    assert_eq!((pictures(&answer).len(), answer.header("x-easel-partial")), (10, ""), "{}", answer.text());
}

#[tokio::test]
async fn a_hanging_provider_does_not_eat_the_deadline_of_the_next_one() {
    let world = World::new(&route_with(&["stability/core", "openai/gpt-image-2"], "    deadline: 3s\n")).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    let answer = world.draw(ask("a fox")).await;
    assert_eq!(answer.header("x-easel-served-by"), "openai/gpt-image-2=1", "{}", answer.text());
}

#[tokio::test]
async fn a_slow_call_that_is_not_waited_for_is_still_recorded_and_its_picture_kept() {
    let world = World::new(&route_with(&["stability/core", "openai/gpt-image-2"], "    deadline: 2s\n")).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_secs(3));
    let answer = world.draw(ask("a fox")).await;
    assert_eq!(answer.header("x-easel-served-by"), "openai/gpt-image-2=1", "{}", answer.text());
    world.sandbox.until(Name::Stability, |bill| bill.pictures == 1 && bill.in_flight == 0).await;
    world.settled().await;
    assert_eq!((world.spent(), world.invoiced()), ("0.08".parse().unwrap(), "0.08".parse().unwrap()));
    let two = world.draw(ask_with("a fox", json!({"n": 2}))).await;
    assert_eq!((two.header("x-easel-cache"), pictures(&two).len()), ("exact", 2));
}

#[tokio::test]
async fn a_refusal_goes_back_at_once_though_a_sister_call_hangs() {
    let world = World::new(&route_with(&["stability/core"], "    deadline: 20s\n")).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    let body = ask_with("something forbidden", json!({"n": 2}));
    let mut client = world.client().await;
    client.send("POST", GENERATE, &[("content-type", "application/json")], body.to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.in_flight == 2).await;
    // One of the two goes on hanging; the third call of another request is answered and refused.
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Refusing);
    assert_eq!(world.draw(ask("another")).await.error().1, "moderation_blocked");
}

#[tokio::test]
async fn a_follower_outlives_its_leaders_deadline() {
    let more = "    deadline: 3s\n    attempts: {max: 1}\n";
    let world = World::new(&route_with(&["stability/core"], more)).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_secs(4));
    let mut leader = world.client().await;
    leader.send("POST", GENERATE, &[("content-type", "application/json")], ask("a fox").to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    // The follower's own deadline has to lie behind the leader's, and nothing but time puts it there.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let follower = world.draw(ask("a fox")).await;
    assert_eq!(follower.status, 200, "{}", follower.text());
    assert_eq!(leader.receive().await.unwrap().error().0, 504);
    assert_eq!(world.bill(Name::Stability).calls, 1);
}

#[tokio::test]
async fn a_follower_brings_its_own_deadline_for_what_is_asked_after_the_leaders() {
    let painter = Painter::open(&[Act::Fails]).await;
    let provider = painter.provider("a", "");
    let route = "{name: r, offers: [a/m], deadline: 3s, attempts: {max: 3, per_offer: 3}}";
    let world = World::new(&format!("providers:\n{provider}routes:\n  - {route}\n")).await;
    painter.hold(&["a"]);
    let mut leader = world.client().await;
    let (json, body) = ([("content-type", "application/json")], ask("a fox").to_string());
    leader.send("POST", GENERATE, &json, body.as_bytes()).await;
    painter.until(1).await;
    // The follower's own deadline has to lie behind the leader's, and nothing but time puts it there.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut follower = world.client().await;
    follower.send("POST", GENERATE, &json, body.as_bytes()).await;
    assert_eq!(leader.receive().await.unwrap().error().0, 504);
    painter.hold(&[]);
    let answer = follower.receive().await.unwrap();
    assert_eq!((answer.status, answer.header("x-easel-cache")), (200, "joined"), "{}", answer.text());
    assert_eq!(painter.asked().len(), 2, "the first call failed when the leader was gone already");
}

#[tokio::test]
async fn who_comes_after_a_flights_deadline_is_drawn_for_anew() {
    let world = World::new(&route_with(&["stability/core"], "    deadline: 2s\n")).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    assert_eq!(world.draw(ask("a fox")).await.error().0, 504);
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Normal);
    let answer = world.draw(ask("a fox")).await;
    assert_eq!((answer.status, answer.header("x-easel-cache")), (200, "miss"), "{}", answer.text());
    assert_eq!(world.bill(Name::Stability).in_flight, 1, "what hangs goes on hanging");
}

#[tokio::test]
async fn a_seed_counts_up_so_that_several_pictures_differ_and_are_found_again() {
    let world = World::new(&route(&["stability/core"])).await;
    let body = ask_with("a fox", json!({"n": 3, "seed": 7}));
    let answer = world.draw(body.clone()).await;
    let ids: std::collections::BTreeSet<&str> = answer.header("x-easel-image-ids").split(',').collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(world.draw(body).await.header("x-easel-cache"), "exact");
    let first = world.draw(ask_with("a fox", json!({"seed": 7, "n": 1}))).await;
    assert_eq!((first.header("x-easel-cache"), world.bill(Name::Stability).calls), ("exact", 3));
}

#[tokio::test]
async fn an_empty_list_of_pictures_is_asked_for_once_more_and_an_answer_that_lists_nothing_is_not() {
    for (offer, vendor, attempts) in [("openai/gpt-image-2", Name::OpenAi, 2), ("stability/core", Name::Stability, 1)] {
        let world = World::new(&route(&[offer])).await;
        world.set(vendor, |vendor| vendor.mode = Mode::NoPictures);
        let answer = world.draw(ask("a fox")).await;
        assert_eq!((answer.status, answer.header("x-easel-attempts")), (502, attempts.to_string().as_str()), "{offer}");
        let totals = world.gateway.shared.ledger.totals();
        let open = totals.into_iter().filter(|(account, _)| account.kind == SpendKind::Uncertain);
        let pictures: u64 = open.map(|(_, total)| total.pictures).sum();
        assert_eq!(pictures, attempts, "{offer}: each call may be charged");
    }
}
