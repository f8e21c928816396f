//! Whose fault it is, through the whole gateway: what one answer of a vendor's means for the request, for the next
//! request, for other models and for edits. The table of all answers is beside the providers.

use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64_simd::STANDARD;
use serde_json::json;
use tokio::sync::Notify;

use crate::client::Answer;
use crate::world::{GENERATE, World, ask, ask_with, plan};

/// What a vendor says next.
#[derive(Clone)]
struct Line {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    after: Duration,
    /// Said only when it is let go.
    held: Option<Arc<Notify>>,
}

impl Line {
    fn new(status: u16, body: impl ToString) -> Line {
        Line { status, headers: Vec::new(), body: body.to_string(), after: Duration::ZERO, held: None }
    }

    fn picture() -> Line {
        Line::new(200, json!({"created": 1, "data": [{"b64_json": STANDARD.encode_to_string(png())}]}))
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Line {
        self.headers.push((name, value.to_string()));
        self
    }

    fn after(self, millis: u64) -> Line {
        Line { after: Duration::from_millis(millis), ..self }
    }

    fn held(self, until: &Arc<Notify>) -> Line {
        Line { held: Some(until.clone()), ..self }
    }
}

fn png() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image::RgbImage::new(64, 64).write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

#[derive(Default)]
struct Play {
    lines: VecDeque<Line>,
    /// The path and the key of every call, in order.
    calls: Vec<(String, String)>,
}

/// A vendor that says its lines, one a call, and draws when it has none left.
#[derive(Clone)]
struct Vendor {
    url: String,
    play: Arc<Mutex<Play>>,
}

impl Vendor {
    async fn says(lines: &[Line]) -> Vendor {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let play = Arc::new(Mutex::new(Play { lines: lines.iter().cloned().collect(), calls: Vec::new() }));
        let router = Router::new().fallback(answer).with_state(play.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Vendor { url, play }
    }

    fn calls(&self) -> usize {
        self.play.lock().unwrap().calls.len()
    }

    fn last_key(&self) -> String {
        self.play.lock().unwrap().calls.last().unwrap().1.clone()
    }

    fn will_say(&self, lines: &[Line]) {
        self.play.lock().unwrap().lines.extend(lines.iter().cloned());
    }
}

async fn answer(
    State(play): State<Arc<Mutex<Play>>>,
    uri: Uri,
    headers: HeaderMap,
    _: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let key = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let line = {
        let mut play = play.lock().unwrap();
        play.calls.push((uri.path().to_owned(), key));
        play.lines.pop_front().unwrap_or_else(Line::picture)
    };
    tokio::time::sleep(line.after).await;
    if let Some(held) = line.held {
        held.notified().await;
    }
    let mut told = HeaderMap::new();
    for (name, value) in line.headers {
        told.insert(name, value.parse().unwrap());
    }
    (StatusCode::from_u16(line.status).unwrap(), told, line.body)
}

/// Providers `a`, `b`, ... with models `m` and `n` each, and a route `m` over their models `m` in this order, with more
/// lines of its own; route `n` is over `a/n`.
fn config(vendors: &[&Vendor], more: &str) -> String {
    config_with_key(vendors, more, "k-of-the-first-day")
}

fn config_with_key(vendors: &[&Vendor], more: &str, key: &str) -> String {
    let names = ["a", "b", "c"];
    let providers: String = vendors
        .iter()
        .zip(names)
        .map(|(vendor, name)| {
            format!(
                "  {name}: {{kind: openai_compatible, base_url: {}/v1/, api_key: {key}, dialect: {{edit_path: images/edits}},\n    \
                 models: {{m: {{price: 0.04, sizes: any}}, n: {{price: 0.04, sizes: any}}}}}}\n",
                vendor.url
            )
        })
        .collect();
    let offers: Vec<String> = names.iter().take(vendors.len()).map(|name| format!("{name}/m")).collect();
    format!(
        "providers:\n{providers}routes:\n  - {{name: r, match: {{models: [m]}}, cache: false, offers: {}{more}}}\n  \
         - {{name: other, match: {{models: [n]}}, cache: false, offers: [a/n]}}\n",
        json!(offers)
    )
}

async fn edit(world: &World, prompt: &str) -> Answer {
    let picture = format!("data:image/png;base64,{}", STANDARD.encode_to_string(png()));
    let body = json!({"model": "m", "prompt": prompt, "images": [{"image_url": picture}]});
    world.client().await.post("/v1/images/edits", &body).await
}

const PAGE: &str = "<html><h1>403 Forbidden</h1></html>";

#[tokio::test]
async fn a_firewalls_page_sends_the_request_on_and_the_next_one_asks_again() {
    for status in [401, 403, 404, 400] {
        let (a, b) = (Vendor::says(&[Line::new(status, PAGE)]).await, Vendor::says(&[]).await);
        let world = World::new(&config(&[&a, &b], "")).await;
        assert_eq!(world.draw(ask("one")).await.header("x-easel-served-by"), "b/m=1", "{status}");
        assert_eq!(world.draw(ask("two")).await.header("x-easel-served-by"), "a/m=1", "{status}");
    }
}

#[tokio::test]
async fn an_edit_path_that_is_not_there_takes_no_generation_from_anybody() {
    for body in
        [r#"{"detail":"Not Found"}"#, r#"{"error":{"message":"no such model for edits","code":"model_not_found"}}"#]
    {
        let a = Vendor::says(&[]).await;
        let world = World::new(&config(&[&a], "")).await;
        for number in 0..8 {
            a.will_say(&[Line::new(404, body)]);
            assert_ne!(edit(&world, &format!("edit {number}")).await.status, 200);
            a.play.lock().unwrap().lines.clear();
        }
        assert!((1..8).contains(&a.calls()), "edits are paused in the end: {}", a.calls());
        let drawn = world.draw(ask("a fox")).await;
        assert_eq!(drawn.status, 200, "{body}: {}", drawn.text());
    }
}

#[tokio::test]
async fn an_accounts_trouble_is_nobodys_prompt_and_pauses_the_account() {
    let blocked = json!({"error": {"code": "Forbidden", "message": "Your resource has been temporarily blocked because \
        we detected behavior that may violate our content policy."}});
    let (a, b) = (Vendor::says(&[Line::new(403, blocked)]).await, Vendor::says(&[]).await);
    let world = World::new(&config(&[&a, &b], "")).await;
    assert_eq!(world.draw(ask("an innocent tree")).await.header("x-easel-served-by"), "b/m=1");
    let next = world.draw(ask("another tree")).await;
    assert_eq!((next.header("x-easel-skipped"), a.calls()), ("a/m=auth", 1));
    let other_model = world.draw(ask_with("a tree", json!({"model": "n"}))).await;
    assert_eq!((other_model.status, other_model.header("x-easel-skipped")), (503, "a/n=auth"));
}

#[tokio::test]
async fn what_one_vendor_finds_wrong_without_saying_where_the_next_may_draw() {
    let complaint =
        Line::new(400, json!({"code": "Client specified an invalid argument", "error": "Not supported: size"}));
    let (a, b) = (Vendor::says(std::slice::from_ref(&complaint)).await, Vendor::says(&[]).await);
    let world = World::new(&config(&[&a, &b], ", defaults: {size: 512x512}")).await;
    let drawn = world.draw(json!({"model": "m", "prompt": "a fox"})).await;
    assert_eq!(drawn.header("x-easel-served-by"), "b/m=1", "{}", drawn.text());
    // If nobody draws it, the client hears what is wrong.
    a.will_say(std::slice::from_ref(&complaint));
    b.will_say(&[complaint]);
    let told = world.draw(ask("a fox")).await;
    assert_eq!(told.error(), (400, "invalid_value".into(), String::new()));
    assert!(told.text().contains("Not supported: size"), "{}", told.text());
    assert_eq!((a.calls(), b.calls()), (2, 2));
    // What may go better later is told first.
    a.will_say(&[Line::new(400, json!({"error": {"message": "no"}}))]);
    b.will_say(&[Line::new(429, json!({"error": {"message": "slow"}})).with("retry-after", 60)]);
    assert_eq!(world.draw(ask("a hen")).await.error().0, 429);
}

#[tokio::test]
async fn what_the_route_put_into_a_request_is_not_told_to_the_caller_as_its_mistake() {
    let blames_size =
        Line::new(400, json!({"error": {"message": "bad size", "param": "size", "code": "invalid_value"}}));
    let (a, b) = (Vendor::says(&[blames_size.clone(), blames_size]).await, Vendor::says(&[]).await);
    let world = World::new(&config(&[&a, &b], ", defaults: {size: 512x512}")).await;
    let drawn = world.draw(json!({"model": "m", "prompt": "a fox"})).await;
    assert_eq!(drawn.header("x-easel-served-by"), "b/m=1", "{}", drawn.text());
    let own = world.draw(ask_with("a fox", json!({"size": "640x640"}))).await;
    assert_eq!(own.error(), (400, "invalid_value".into(), "size".into()));
    assert_eq!(b.calls(), 1);
}

#[tokio::test]
async fn a_caller_learns_a_vendors_reason_and_nothing_of_its_account() {
    let secret = "Weights like (red:1.3) are not read. Key k-of-the-first-day of org-Ab12Cd34Ef56 at \
        https://in.vendor.example/x, 10.0.3.7, ops@vendor.example";
    let told = json!({"error": {"message": secret, "type": "invalid_request_error", "param": null, "code": null}});
    let refusal = json!({"error": {"message": format!("Rejected by our safety system: violence. {secret}"),
        "type": "image_generation_user_error", "param": null, "code": "moderation_blocked"}});
    let a = Vendor::says(&[Line::new(400, told), Line::new(400, refusal)]).await;
    let world = World::new(&config(&[&a], "")).await;
    for (code, words) in [("invalid_value", "Weights like (red:1.3) are not read."), ("moderation_blocked", "violence")]
    {
        let answer = world.draw(ask("a fox")).await;
        assert_eq!((answer.error().0, answer.error().1.as_str()), (400, code));
        let text = answer.text();
        assert!(text.contains(words), "{text}");
        for secret in ["first-day", "org-Ab", "vendor.example", "10.0.3.7", "ops@"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[tokio::test]
async fn a_vendors_401_is_never_the_clients() {
    for body in [json!({"error": {"code": "invalid_api_key", "message": "no"}}), json!("Invalid token")] {
        let a = Vendor::says(&[Line::new(401, body)]).await;
        let world = World::new(&config(&[&a], "")).await;
        assert_eq!(world.draw(ask("a fox")).await.error().0, 502);
        assert_eq!(world.draw(ask("a hen")).await.error(), (503, "providers_unavailable".into(), String::new()));
    }
}

#[tokio::test]
async fn one_models_rate_limit_leaves_the_others_alone() {
    let slow = Line::new(429, json!({"error": {"message": "slow"}})).with("retry-after", 60);
    let a = Vendor::says(&[slow]).await;
    let world = World::new(&config(&[&a], "")).await;
    assert_eq!(world.draw(ask("a fox")).await.error().0, 429);
    assert_eq!(world.draw(ask_with("a fox", json!({"model": "n"}))).await.status, 200);
    assert_eq!(world.draw(ask("a hen")).await.header("x-easel-skipped"), "a/m=rate_limited");
}

#[tokio::test]
async fn everybody_is_told_the_same_time_in_the_same_words_while_all_are_used_up() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(45));
    let slow = Line::new(429, json!({"error": {"message": "slow"}}));
    for (line, least, most) in [
        (slow.clone().with("retry-after", 40), 39, 40),
        (slow.clone().with("retry-after", date), 40, 45),
        (slow.with("retry-after", 99_999_999), 599, 600),
        (Line::new(402, json!({"error": {"message": "no credit"}})), 299, 300),
    ] {
        let a = Vendor::says(std::slice::from_ref(&line)).await;
        let world = World::new(&config(&[&a], "")).await;
        let waits: Vec<u64> = [world.draw(ask("a fox")).await, world.draw(ask("a hen")).await]
            .iter()
            .map(|answer| {
                assert_eq!(answer.error(), (429, "rate_limit_exceeded".into(), String::new()), "{}", answer.text());
                answer.header("retry-after").parse().unwrap()
            })
            .collect();
        assert!(waits.iter().all(|wait| (least..=most).contains(wait)), "{:?}: {waits:?}", line.headers);
        assert_eq!(a.calls(), 1);
    }
}

#[tokio::test]
async fn after_one_failure_that_named_a_time_everybody_is_asked_again() {
    let busy = Line::new(503, json!({"error": {"message": "busy"}})).with("retry-after-ms", 1);
    let a = Vendor::says(&[busy]).await;
    let world = World::new(&config(&[&a], ", attempts: {max: 1}")).await;
    assert_eq!(world.draw(ask("a fox")).await.error().0, 502);
    // Ten at once, each of which takes a while: none waits for another's proof.
    tokio::time::sleep(Duration::from_millis(5)).await;
    a.will_say(&vec![Line::picture().after(100); 10]);
    let all: Vec<String> = (0..10).map(|number| format!("fox {number}")).collect();
    let answers = futures_util::future::join_all(all.iter().map(|prompt| world.draw(ask(prompt)))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(a.calls(), 11);
}

#[tokio::test]
async fn a_late_answer_to_an_old_key_is_nothing_to_the_new_one() {
    let held = Arc::new(Notify::new());
    let refused = Line::new(401, json!({"error": {"code": "invalid_api_key", "message": "no"}})).held(&held);
    let a = Vendor::says(&[refused]).await;
    let world = World::new(&config(&[&a], "")).await;
    let mut client = world.client().await;
    client.send("POST", GENERATE, &[("content-type", "application/json")], ask("old").to_string().as_bytes()).await;
    while a.calls() == 0 {
        tokio::task::yield_now().await;
    }
    world.gateway.replace(plan(&config_with_key(&[&a], "", "k-of-the-second-day"), "")).unwrap();
    held.notify_one();
    assert_eq!(client.receive().await.unwrap().status, 502);
    let drawn = world.draw(ask("new")).await;
    assert_eq!((drawn.status, a.last_key().as_str()), (200, "Bearer k-of-the-second-day"), "{}", drawn.text());
}

#[tokio::test]
async fn a_reload_with_the_same_key_keeps_who_is_paused() {
    let slow = Line::new(429, json!({"error": {"message": "slow"}})).with("retry-after", 60);
    let a = Vendor::says(&[slow]).await;
    let world = World::new(&config(&[&a], "")).await;
    assert_eq!(world.draw(ask("a fox")).await.error().0, 429);
    world.gateway.replace(plan(&config(&[&a], ", deadline: 50s"), "")).unwrap();
    assert_eq!(world.draw(ask("a hen")).await.header("x-easel-skipped"), "a/m=rate_limited");
}

#[tokio::test]
async fn a_slow_call_is_waited_for_while_nobody_else_can_be_asked() {
    let paused = Line::new(429, json!({"error": {"message": "slow"}})).with("retry-after", 60);
    let (a, b) = (Vendor::says(&[Line::new(500, "{}")]).await, Vendor::says(&[paused]).await);
    let world = World::new(&config(&[&a, &b], ", deadline: 2s")).await;
    // The first request finds out that the second offer is paused.
    assert_eq!(world.draw(ask("first")).await.status, 200);
    a.will_say(&[Line::picture().after(1300)]);
    let drawn = world.draw(ask("second")).await;
    assert_eq!((drawn.header("x-easel-served-by"), drawn.header("x-easel-skipped")), ("a/m=1", ""), "{}", drawn.text());
    assert_eq!(b.calls(), 1);
}

#[tokio::test]
async fn a_call_that_was_given_up_counts_once_when_it_fails_at_last() {
    let (a, b) = (
        Vendor::says(&[Line::new(500, "{}").after(1150)]).await,
        Vendor::says(&[Line::new(500, "{}").after(400)]).await,
    );
    let c = Vendor::says(&[]).await;
    let world = World::new(&config(&[&a, &b, &c], ", deadline: 2s, attempts: {max: 3}")).await;
    let drawn = world.draw(ask("a fox")).await;
    assert_eq!(drawn.header("x-easel-served-by"), "c/m=1", "{}", drawn.text());
}
