//! Black Forest Labs as a provider against the sandbox that reads the same documents with other eyes: what is sent is
//! taken, what is told once is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use axum::{Router, routing};
use easel::internals::edit_mask;
use easel::internals::ledger::SpendKind;
use easel::internals::provider::{Reported, Step, by_kind, capabilities};
use easel::internals::request::{Edit, Mask};
use easel::sandbox::{Mode, Name, Sandbox, Settings};
use easel::{ImageRequest, Usd};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::exchange::{exchange, half_clear, job};
use crate::world::{World, ask_with, pictures, plan};

const CONFIG: &str = "
providers:
  bfl:
    kind: bfl
    base_url: ${SANDBOX}/bfl/
    api_key: bfl-test
    timeout: 20s
    models:
      flux-2-pro: {price: 0.03}
      flux-2-max: {price: 0.07}
      flux-2-flex: {price: 0.05, options: {steps: 30, guidance: 4.5, prompt_upsampling: false}}
      flux-2-klein-4b: {price: 0.014}
      flux-2-klein-9b: {price: 0.015}
      flux-pro-1.1: {price: 0.04}
      flux-pro-1.1-ultra: {price: 0.06, options: {raw: true}}
      flux-dev: {price: 0.025}
      flux-kontext-pro: {price: 0.04}
      flux-kontext-max: {price: 0.08}
      flux-pro-1.0-fill: {price: 0.05}
routes:
  - {name: two, match: {models: [two]}, offers: [bfl/flux-2-pro]}
  - {name: ultra, match: {models: [ultra]}, offers: [bfl/flux-pro-1.1-ultra]}
";

fn edit(images: usize, masked: bool) -> Edit {
    let clear = half_clear(400, 500);
    let mask = masked.then(|| Mask { white: edit_mask::white(&clear.bytes).unwrap(), clear });
    Edit { images: vec![half_clear(400, 500); images], mask, fidelity: None }
}

#[tokio::test]
async fn every_model_is_asked_in_a_form_that_the_strict_vendor_takes() {
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let plan = plan(CONFIG, &sandbox.url());
    let provider = &plan.providers["bfl"];
    let kind = by_kind(provider.kind).unwrap();
    for model in provider.models.values() {
        let able = capabilities(kind, &provider.account, model);
        let most = able.edit.map_or(0, |edit| usize::from(edit.images));
        let starts = [(0, false), (1, false), (most, false), (1, true)];
        let can = |images: usize, masked: bool| match able.edit {
            _ if images == 0 => able.generate,
            Some(edit) => edit.mask || !masked,
            None => false,
        };
        for (images, masked) in starts.into_iter().filter(|(images, masked)| can(*images, *masked)) {
            for format in &able.formats {
                let wish = json!({"prompt": "a red fox", "size": "1000x1000", "seed": u32::MAX, "quality": "high",
                    "output_format": format.as_str(), "background": "opaque", "moderation": "low", "user": "u"});
                let mut request = ImageRequest::from_json(wish.to_string().as_bytes()).unwrap();
                request.edit = (images > 0).then(|| edit(images, masked));
                let job = job(provider, model, &request);
                let reply = exchange(&sandbox, &kind.ask(&job).unwrap()).await;
                let step = kind.read(&job, &reply);
                let Step::Again { noted, .. } = step else { panic!("{} {images} {masked}: {step:?}", model.name) };
                assert_eq!(noted, Some(Reported::Cents("4.0".to_owned())), "{}", model.name);
            }
        }
    }
    let bill = sandbox.until(Name::Bfl, |bill| bill.in_flight == 0).await;
    assert_eq!((bill.violations, bill.pictures), (Vec::new(), bill.calls));
}

async fn draw(world: &World, prompt: &str, more: Value) -> Vec<(u32, u32)> {
    pictures(&world.draw(ask_with(prompt, more)).await)
}

#[tokio::test]
async fn what_was_told_when_a_task_was_taken_on_is_recorded_when_its_picture_is_there() {
    // Not the price in the config, and less than a cent's millionth.
    let prices = "{flux-2-pro: 0.000000301, flux-pro-1.1-ultra: 0.061}";
    let settings = format!("{{vendors: {{bfl: {{price: {prices}, latency: 20ms}}}}}}");
    let world = World::with(CONFIG, serde_yaml::from_str(&settings).unwrap()).await;
    assert_eq!(draw(&world, "a red fox", json!({"model": "two", "n": 2})).await, [(1024, 1024); 2]);
    assert_eq!(draw(&world, "a red fox", json!({"model": "ultra"})).await, [(2048, 2048)]);
    assert_eq!(world.bill(Name::Bfl).violations, [""; 0]);
    assert_eq!((world.spent(), world.invoiced()), (Usd::from_nanos(61_000_602), Usd::from_nanos(61_000_602)));
}

#[tokio::test]
async fn a_refused_task_is_the_callers_and_costs_nothing_and_a_broken_picture_is_recorded_as_charged() {
    let world = World::new(CONFIG).await;
    for prompt in ["a forbidden fox", "a fox"] {
        let refused = world.draw(ask_with(prompt, json!({"model": "two"}))).await;
        assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()), "{prompt}");
        assert_eq!((world.spent(), world.invoiced()), (Usd::ZERO, Usd::ZERO));
        world.set(Name::Bfl, |vendor| vendor.mode = Mode::Refusing);
    }
    world.set(Name::Bfl, |vendor| vendor.mode = Mode::Truncated);
    let broken = world.draw(ask_with("another fox", json!({"model": "two"}))).await;
    assert_eq!(broken.status, 502);
    // Charged, and its file could not be fetched whole: buying it again would cost it twice.
    assert_eq!((world.spent(), world.invoiced()), (Usd::from_nanos(40_000_000), Usd::from_nanos(40_000_000)));
}

/// A vendor that takes every task on and answers every look at it in the same words. `ADDRESS` in what it says is its
/// own. Gives its address, and how many tasks it has taken on.
async fn scripted(taken: &str, looked_at: (u16, &'static str)) -> (String, Arc<AtomicU64>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let (taken, tasks) = (taken.replace("ADDRESS", &base), Arc::new(AtomicU64::new(0)));
    let counted = tasks.clone();
    let take_on = move || async move {
        counted.fetch_add(1, Ordering::Relaxed);
        taken
    };
    // The last header keeps the tries of a look that fails short.
    let looked_at =
        move || async move { (StatusCode::from_u16(looked_at.0).unwrap(), [("retry-after-ms", "1")], looked_at.1) };
    let router =
        Router::new().route("/v1/get_result", routing::get(looked_at)).route("/v1/{model}", routing::post(take_on));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, tasks)
}

/// What Easel recorded as perhaps charged.
fn uncertain(world: &World) -> (u64, Usd) {
    let totals = world.gateway.shared.ledger.totals();
    let open = totals.into_iter().filter(|(account, _)| account.kind == SpendKind::Uncertain);
    open.fold((0, Usd::ZERO), |(pictures, usd), (_, total)| (pictures + total.pictures, usd.saturating_add(total.usd)))
}

#[tokio::test]
async fn a_task_that_was_taken_on_and_lost_is_recorded_as_perhaps_charged_and_not_bought_again() {
    const GOOD: &str = r#"{"id":"t1","polling_url":"ADDRESSv1/get_result?id=t1","cost":7.0}"#;
    let pending = (200, r#"{"id":"t1","status":"Pending"}"#);
    // Each waits until Easel gives the task up, so all wait together.
    let cases = [
        (GOOD, (200, "<html>Bad Gateway</html>")),
        (GOOD, (200, r#"{"id":"t1","status":"Rea"#)),
        (GOOD, (200, r#"{"id":"t1","status":"Ready","result":{}}"#)),
        (GOOD, (400, r#"{"detail":"bad"}"#)),
        (GOOD, (401, r#"{"detail":"Not authenticated"}"#)),
        (GOOD, (403, r#"{"detail":"Not authenticated"}"#)),
        (GOOD, (422, r#"{"detail":[{"loc":["query","id"],"msg":"bad","type":"value_error"}]}"#)),
        (GOOD, (503, r#"{"detail":"Service Unavailable"}"#)),
        (r#"{"id":"t1","polling_url":"get_result?id=t1","cost":7.0}"#, pending),
        (r#"{"id":"t1","polling_url":"https://elsewhere.example/","cost":7.0}"#, pending),
    ];
    // Each in a box: together they are more than a thread's stack holds.
    join_all(cases.map(|(taken, looked_at)| {
        Box::pin(async move {
            let (base, tasks) = scripted(taken, looked_at).await;
            let world = World::new(&CONFIG.replace("${SANDBOX}/bfl/", &base)).await;
            let answer = world.draw(ask_with("a red fox", json!({"model": "two"}))).await;
            assert_eq!(answer.status, 502, "{taken} {looked_at:?}: {}", answer.text());
            assert_eq!(uncertain(&world), (1, Usd::from_nanos(70_000_000)), "{taken} {looked_at:?}");
            assert_eq!((world.spent(), tasks.load(Ordering::Relaxed)), (Usd::ZERO, 1), "{taken} {looked_at:?}");
        })
    }))
    .await;
}

#[tokio::test]
async fn a_task_that_the_vendor_itself_calls_failed_is_free() {
    let taken = r#"{"id":"t1","polling_url":"ADDRESSv1/get_result?id=t1","cost":7.0}"#;
    for (looked_at, status) in [
        (r#"{"id":"t1","status":"Error","result":null,"cost":7.0}"#, 502),
        (r#"{"id":"t1","status":"Failed","result":null}"#, 502),
        (r#"{"id":"t1","status":"Content Moderated","result":null}"#, 400),
    ] {
        let (base, _) = scripted(taken, (200, looked_at)).await;
        let world = World::new(&CONFIG.replace("${SANDBOX}/bfl/", &base)).await;
        let answer = world.draw(ask_with("a red fox", json!({"model": "two"}))).await;
        assert_eq!(
            (answer.status, uncertain(&world), world.spent()),
            (status, (0, Usd::ZERO), Usd::ZERO),
            "{looked_at}"
        );
    }
}

#[tokio::test]
async fn a_task_with_a_webhook_is_followed_by_its_id_and_the_base_may_end_with_the_version() {
    let options = "price: 0.03, options: {webhook_url: 'https://hook.example/'}";
    let config = CONFIG.replace("flux-2-pro: {price: 0.03}", &format!("flux-2-pro: {{{options}}}"));
    let world = World::new(&config.replace("${SANDBOX}/bfl/", "${SANDBOX}/bfl/v1")).await;
    assert_eq!(draw(&world, "a red fox", json!({"model": "two"})).await, [(1024, 1024)]);
    assert_eq!(world.bill(Name::Bfl).violations, [""; 0]);
    assert_eq!((world.spent(), world.invoiced()), (Usd::from_nanos(40_000_000), Usd::from_nanos(40_000_000)));
}
