//! Pictures that come and are not delivered: what they count as, without anybody's word, in metrics, alerts and reports.

use std::time::SystemTime;

use easel::internals::calendar::Moment;
use easel::internals::gateway::background;
use easel::sandbox::{Mode, Name};
use serde_json::json;

use crate::client::Client;
use crate::world::{World, ask};

/// Two offers, of which the second draws what the first one's pictures are rejected for, and alerts on both measures.
const CONFIG: &str = "
providers:
  stability:
    kind: stability
    base_url: ${SANDBOX}/stability/
    api_key: k
    breaker: {failures: 1000, pause: 1ms}
    models: {core: {price: 0.04}}
  openai: {kind: openai, base_url: '${SANDBOX}/openai/v1/', api_key: k, models: {gpt-image-2: {price: 0.04}}}
routes:
  - {name: r, cache: false, offers: [stability/core, openai/gpt-image-2], attempts: {per_offer: 1}}
alerts:
  - {name: acceptance, when: acceptance_rate < 40%, min_images: 10, by: provider}
  - {name: on-the-route, when: acceptance_rate < 40%, min_images: 10, by: offer}
  - {name: dear, when: cost_per_accepted_usd > 0.05, min_images: 10, by: provider}
";

/// Whether the page has this line.
fn shows(page: &str, line: &str) {
    assert!(page.lines().any(|shown| shown == line), "no {line} in\n{page}");
}

#[tokio::test]
async fn a_provider_all_of_whose_pictures_are_rejected_is_told_of_without_any_feedback_and_has_no_cost_an_accepted_one()
{
    let world = World::new(CONFIG).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Truncated);
    let mut alerting = background::alerts(&world.gateway);
    let mut states = async || {
        alerting.evaluate(Moment::from(SystemTime::now()));
        let page = world.metrics().await;
        ["acceptance", "dear"].map(|alert| {
            let line = format!("easel_alert_state{{alert=\"{alert}\",name=\"stability\"}} ");
            page.lines().find_map(|shown| shown.strip_prefix(&line)).map(str::to_owned)
        })
    };
    for fox in 0..9 {
        assert_eq!(world.draw(ask(&format!("fox {fox}"))).await.header("x-easel-cost-usd"), "0.08");
    }
    assert_eq!(states().await, [Some("0".to_owned()), Some("0".to_owned())], "ten pictures are wanted");
    assert_eq!(world.draw(ask("the tenth fox")).await.header("x-easel-served-by"), "openai/gpt-image-2=1");
    assert_eq!(states().await, [Some("2".to_owned()), Some("2".to_owned())]);

    let page = world.metrics().await;
    let of = "model=\"core\",provider=\"stability\"";
    shows(&page, &format!("easel_images_total{{{of},verdict=\"rejected\"}} 10"));
    shows(&page, &format!("easel_rejected_total{{{of},reason=\"truncated\"}} 10"));
    shows(&page, "easel_window_images{by=\"provider\",name=\"stability\",verdict=\"rejected\",window=\"1h\"} 10");
    shows(&page, "easel_window_images{by=\"route\",name=\"r\",verdict=\"accepted\",window=\"1h\"} 10");
    shows(&page, "easel_window_images{by=\"offer\",name=\"r/stability/core\",verdict=\"rejected\",window=\"1h\"} 10");
    shows(&page, "easel_alert_state{alert=\"on-the-route\",name=\"r/stability/core\"} 2");
    shows(&page, "easel_cost_per_accepted_usd{by=\"route\",name=\"r\",window=\"1h\"} 0.08");
    shows(&page, "easel_alert_state{alert=\"acceptance\",name=\"openai\"} 0");
    assert!(!page.contains("easel_cost_per_accepted_usd{by=\"provider\",name=\"stability\""), "{page}");

    let report = Client::connect(world.admin).await.get("/admin/ledger?by=provider,reason").await.json();
    let row = |nth: usize| {
        let row = &report["rows"][nth];
        ["provider", "reason", "accepted", "rejected", "lost_usd", "cost_per_accepted_usd"].map(|key| row[key].clone())
    };
    assert_eq!(row(0), [json!("openai"), json!(""), json!(10), json!(0), json!("0"), json!("0.04")]);
    assert_eq!(row(1), [json!("stability"), json!("truncated"), json!(0), json!(10), json!("0.4"), json!(null)]);
    assert_eq!((&report["total"]["cost_per_accepted_usd"], world.spent()), (&json!("0.08"), world.invoiced()));
}

/// The pictures of the route's last hour: accepted, and rejected.
async fn held(world: &World) -> [String; 2] {
    let page = world.metrics().await;
    ["accepted", "rejected"].map(|verdict| {
        let line = format!("easel_window_images{{by=\"route\",name=\"r\",verdict=\"{verdict}\",window=\"1h\"}} ");
        page.lines().find_map(|shown| shown.strip_prefix(&line)).unwrap_or_else(|| panic!("{page}")).to_owned()
    })
}

/// What is answered to a verdict: the status, and whether something changed.
async fn say(world: &World, image: &str, verdict: &str) -> (u16, Option<bool>) {
    let body = json!({"image_id": image, "verdict": verdict});
    let answer = world.client().await.post("/v1/images/feedback", &body).await;
    (answer.status, answer.json()["changed"].as_bool())
}

#[tokio::test]
async fn what_the_gate_rejects_counts_at_once_and_a_viewers_word_on_what_was_delivered_is_added_to_it_once() {
    let world = World::new(&CONFIG.replace("cache: false,", "cache: false, quality: true,")).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Blank);
    let answer = world.draw(ask("a fox")).await;
    assert_eq!(
        (answer.header("x-easel-served-by"), answer.header("x-easel-cost-usd")),
        ("openai/gpt-image-2=1", "0.08")
    );
    assert_eq!(held(&world).await, ["1", "1"]);
    let id = answer.header("x-easel-image-ids").to_owned();
    for (changed, wanted) in [(true, ["0", "2"]), (false, ["0", "2"])] {
        assert_eq!(say(&world, &id, "rejected").await, (200, Some(changed)));
        assert_eq!(held(&world).await, wanted);
    }
    assert_eq!(say(&world, &id, "accepted").await, (200, Some(true)));
    assert_eq!(held(&world).await, ["1", "1"], "what the gate rejected nobody takes back");
}

#[tokio::test]
async fn a_rejected_picture_that_is_delivered_for_want_of_a_better_one_stays_rejected_whatever_is_said_of_it() {
    let world = World::new(&CONFIG.replace("cache: false,", "cache: false, quality: {deliver_best: true},")).await;
    for vendor in [Name::Stability, Name::OpenAi] {
        world.set(vendor, |vendor| vendor.mode = Mode::Blank);
    }
    let answer = world.draw(ask("a fox")).await;
    assert!(answer.status == 200 && answer.header("x-easel-rejected").starts_with("0=blank"));
    assert_eq!(say(&world, answer.header("x-easel-image-ids"), "accepted").await, (404, None));
    assert_eq!(held(&world).await, ["0", "2"]);
    assert_eq!(world.spent(), world.invoiced());
}
