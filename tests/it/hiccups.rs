//! Trouble on the way to what is paid already, and with connections: what is drawn is not drawn again, and what was
//! never sent is not paid for.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;

use easel::Usd;
use easel::internals::ledger::SpendKind;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::scripted::{Asked, Scripted, Then, answer, drawn, json_answer, picture};
use crate::world::World;

/// One vendor at `vendor`, `more` being its further keys.
fn config(vendor: &Scripted, more: &str) -> String {
    let addr = vendor.addr;
    format!(
        "providers: {{v: {{kind: openai_compatible, base_url: 'http://{addr}/v1/', api_key: k123456, \
         breaker: {{failures: 1000}}, models: {{m: {{price: 0.04, sizes: any}}}}, {more}}}}}\n\
         routes: [{{name: r, offers: [v/m], cache: false}}]\n"
    )
}

const POLL: &str = "dialect: {poll: {id: job.id, path: 'jobs/{id}', status: job.state, done: [succeeded], \
                    failed: [failed], every: 5ms}}";

/// Each word as a request of its own, all at once.
async fn draw_each(world: &World, words: &[&str]) -> Vec<Answer> {
    join_all(words.iter().map(|word| world.draw(json!({"prompt": word})))).await
}

fn uncertain(world: &World) -> Usd {
    let totals = world.gateway.shared.ledger.totals();
    let uncertain = totals.into_iter().filter(|(account, _)| account.kind == SpendKind::Uncertain);
    uncertain.map(|(_, total)| total.usd).fold(Usd::ZERO, Usd::saturating_add)
}

async fn outcomes(world: &World) -> Vec<String> {
    let metrics = world.metrics().await;
    let lines = metrics.lines().filter(|line| line.starts_with("easel_attempts_total{"));
    lines.map(|line| line.split("outcome=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Whether the vendor is asked this for the first time.
fn is_first(seen: &Mutex<HashMap<String, usize>>, what: &str) -> bool {
    let mut seen = seen.lock().unwrap();
    let times = seen.entry(what.to_owned()).or_default();
    *times += 1;
    *times == 1
}

/// The trouble of this name, for one that is asked for JSON or a picture.
fn trouble(word: &str, good: &[u8]) -> Then {
    let html = b"<html>Bad gateway</html>";
    match word {
        "garbled" => Then::Answer(answer(200, &[], b"{\"job\": {\"id\": \"j")),
        "html" => Then::Answer(answer(200, &[("content-type", "text/html")], html)),
        "empty" => Then::Answer(answer(200, &[], b"")),
        "truncated" => {
            let whole = answer(200, &[], good);
            Then::Last(whole[..whole.len() - 10].to_vec())
        }
        "redirected" => Then::Answer(answer(302, &[("location", "https://login.example/")], b"")),
        "bad_redirect" => Then::Answer(answer(301, &[], b"")),
        "busy" => Then::Answer(answer(429, &[("retry-after", "0")], b"{}")),
        "brotli" => Then::Answer(answer(200, &[("content-encoding", "br")], good)),
        "cut_gzip" => {
            let body = gzip(good);
            Then::Answer(answer(200, &[("content-encoding", "gzip")], &body[..body.len() - 9]))
        }
        "reset" => Then::Reset,
        "hang" => Then::Hang,
        status => Then::Answer(answer(status.parse().unwrap(), &[("content-type", "text/html")], html)),
    }
}

const TROUBLES: [&str; 18] = [
    "garbled",
    "html",
    "empty",
    "truncated",
    "redirected",
    "bad_redirect",
    "busy",
    "brotli",
    "cut_gzip",
    "reset",
    "400",
    "401",
    "403",
    "404",
    "500",
    "502",
    "504",
    "524",
];

/// A vendor of jobs, named by their prompts.
fn jobs(trouble: impl Fn(&str, &[u8]) -> Option<Then>) -> impl Fn(&Asked) -> Then {
    move |asked| {
        if asked.method == "POST" {
            let id = asked.json()["prompt"].as_str().unwrap().to_owned();
            return Then::Answer(json_answer(202, &json!({"job": {"id": id, "state": "running"}})));
        }
        let id = asked.path.trim_start_matches("/v1/jobs/");
        let mut done = drawn();
        done["job"] = json!({"id": id.trim_end_matches('/'), "state": "succeeded"});
        trouble(id, done.to_string().as_bytes()).unwrap_or_else(|| Then::Answer(json_answer(200, &done)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_taken_on_is_asked_about_again_whatever_its_polls_are_answered() {
    let seen = Mutex::default();
    let vendor = Scripted::start(jobs(move |id, good| is_first(&seen, id).then(|| trouble(id, good)))).await;
    let world = World::new(&config(&vendor, POLL)).await;
    for (word, answer) in TROUBLES.iter().zip(draw_each(&world, &TROUBLES).await) {
        assert_eq!(answer.status, 200, "{word}: {}", answer.text());
    }
    assert_eq!((vendor.count("POST"), uncertain(&world)), (TROUBLES.len(), Usd::ZERO));
    assert_eq!(world.spent(), Usd::from_nanos(40_000_000 * TROUBLES.len() as i64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_hangs_is_given_up_for_another_and_one_that_is_led_on_follows_at_home() {
    let seen = Mutex::default();
    let vendor = Scripted::start(jobs(move |id, good| match id {
        "hang" => is_first(&seen, id).then(|| trouble(id, good)),
        "slash" => Some(Then::Answer(answer(307, &[("location", "/v1/jobs/slash/")], b""))),
        _ => None,
    }))
    .await;
    let world = World::new(&config(&vendor, &format!("timeout: 3s, {POLL}"))).await;
    for (word, answer) in ["hang", "slash"].iter().zip(draw_each(&world, &["hang", "slash"]).await) {
        assert_eq!(answer.status, 200, "{word}: {}", answer.text());
    }
    assert_eq!(vendor.count("POST"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_word_on_the_end_of_a_job_is_its_end_and_a_job_that_nobody_knows_is_given_up_in_the_end() {
    let vendor = Scripted::start(jobs(|id, _| match id {
        "failed" => Some(Then::Answer(json_answer(200, &json!({"job": {"id": id, "state": "failed"}})))),
        _ => Some(Then::Answer(answer(404, &[], b"{}"))),
    }))
    .await;
    let world = World::new(&config(&vendor, &format!("timeout: 2s, {POLL}"))).await;
    assert_eq!(world.draw(json!({"prompt": "failed"})).await.status, 502);
    let asked = |id: &str| vendor.asked().iter().filter(|asked| asked.path.ends_with(&format!("jobs/{id}"))).count();
    assert_eq!((asked("failed"), uncertain(&world)), (vendor.count("POST"), Usd::ZERO));
    let before = vendor.count("POST");
    assert_eq!(world.draw(json!({"prompt": "lost"})).await.status, 502);
    assert!(asked("lost") > 2 && vendor.count("POST") == before + 1, "{}", asked("lost"));
    assert_eq!(uncertain(&world), Usd::from_nanos(40_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_picture_is_fetched_again_whatever_its_link_answers_for_a_while() {
    let seen: Mutex<HashMap<String, usize>> = Mutex::default();
    let vendor = Scripted::start(move |asked| {
        if asked.method == "POST" {
            let url = format!("/files/{}", asked.json()["prompt"].as_str().unwrap());
            return Then::Answer(json_answer(200, &json!({"data": [{"url": url}]})));
        }
        let word = asked.path.trim_start_matches("/files/");
        match is_first(&seen, word) {
            true => trouble(word, &picture()),
            // A second time, for the one that takes a while.
            false if word == "503" && seen.lock().unwrap()[word] == 2 => trouble(word, &picture()),
            false => Then::Answer(answer(200, &[("content-type", "image/png")], &picture())),
        }
    })
    .await;
    // What is no picture is not asked for again: a file does not change.
    let words: Vec<&str> = TROUBLES.into_iter().chain(["hang", "503", "410"]).filter(|word| !is_a_file(word)).collect();
    let world = World::new(&config(&vendor, "timeout: 6s")).await;
    for (word, answer) in words.iter().zip(draw_each(&world, &words).await) {
        assert_eq!(answer.status, 200, "{word}: {}", answer.text());
    }
    assert_eq!((vendor.count("POST"), uncertain(&world)), (words.len(), Usd::ZERO));
}

/// Whether this trouble looks like a file that came whole, or leads where no link is followed.
fn is_a_file(word: &str) -> bool {
    matches!(word, "garbled" | "html" | "empty" | "redirected")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_packed_is_read_and_nobody_is_asked_to_pack() {
    let json = drawn().to_string();
    let packed = [
        ("gzip", answer(200, &[("content-encoding", "gzip")], &gzip(json.as_bytes()))),
        ("x-gzip", answer(200, &[("content-encoding", "x-gzip")], &gzip(json.as_bytes()))),
        ("deflate", answer(200, &[("content-encoding", "deflate")], &deflate(json.as_bytes()))),
        ("identity", answer(200, &[("content-encoding", "identity")], json.as_bytes())),
        ("link", json_answer(200, &json!({"data": [{"url": "/files/1"}]}))),
    ];
    let words: Vec<&str> = packed.iter().map(|(word, _)| *word).collect();
    let replies: HashMap<&str, Vec<u8>> = packed.clone().into();
    let vendor = Scripted::start(move |asked| match asked.method.as_str() {
        "POST" => Then::Answer(replies[asked.json()["prompt"].as_str().unwrap()].clone()),
        _ => Then::Answer(answer(200, &[("content-encoding", "gzip")], &gzip(&picture()))),
    })
    .await;
    let world = World::new(&config(&vendor, "")).await;
    for (word, answer) in words.iter().zip(draw_each(&world, &words).await) {
        assert_eq!(answer.status, 200, "{word}: {}", answer.text());
        assert_eq!(crate::world::pictures(&answer), [(64, 64)]);
    }
    assert!(vendor.asked().iter().all(|asked| asked.head.contains(&"accept-encoding: identity".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coding_that_is_not_read_and_a_body_that_unpacks_beyond_its_bound_are_malformed_and_an_error_is_itself() {
    let vendor = Scripted::start(|asked| match asked.json()["prompt"].as_str().unwrap() {
        "bomb" => Then::Answer(answer(200, &[("content-encoding", "gzip")], &gzip(&vec![b' '; 4 << 20]))),
        "busy" => Then::Answer(answer(429, &[("content-encoding", "br"), ("retry-after", "1")], b"\x01\x02")),
        _ => Then::Answer(answer(200, &[("content-encoding", "zstd")], b"\x28\xb5\x2f\xfd")),
    })
    .await;
    for (word, outcome) in [("bomb", "malformed"), ("zstd", "malformed"), ("busy", "rate_limited")] {
        let limits = "server: {limits: {response_body: 1MiB}}\n";
        let world = World::new(&format!("{limits}{}", config(&vendor, ""))).await;
        world.draw(json!({"prompt": word})).await;
        assert_eq!(outcomes(&world).await, [outcome], "{word}");
    }
}

/// A form with a picture that no buffer on the way holds.
fn large_edit() -> (String, Vec<u8>) {
    let mut noise = fastrand::Rng::with_seed(7);
    let picture = image::RgbImage::from_fn(1600, 1600, |_, _| image::Rgb([noise.u8(..), noise.u8(..), noise.u8(..)]));
    let file = crate::exchange::png(picture);
    let head = b"--B\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\na hat\r\n--B\r\ncontent-disposition: \
                 form-data; name=\"image\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\n";
    ("multipart/form-data; boundary=B".to_owned(), [&head[..], &file, b"\r\n--B--\r\n"].concat())
}

async fn edit(world: &World) -> Answer {
    let (kind, body) = large_edit();
    let mut client = world.client().await;
    client.send("POST", "/v1/images/edits", &[("content-type", &kind)], &body).await;
    client.receive().await.unwrap()
}

const EDITS: &str = "dialect: {edit_path: images/edits}, model_defaults: {edit: true}";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_during_the_upload_is_read_and_nothing_may_be_charged() {
    let error = |message: &str, code: &str| json!({"error": {"message": message, "code": code}});
    for (status, body, outcome) in [
        (401, error("no", "invalid_api_key"), "auth"),
        (429, error("slow down", "rate_limit_exceeded"), "rate_limited"),
        (413, error("too large", "request_too_large"), "caller_invalid"),
        (503, error("overloaded", "overloaded"), "server_error"),
    ] {
        let reply = json_answer(status, &body);
        let vendor = Scripted::with_door(move |_| Some(Then::Last(reply.clone())), |_| Then::Hang).await;
        let world = World::new(&config(&vendor, EDITS)).await;
        edit(&world).await;
        let told = outcomes(&world).await;
        assert_eq!((told, uncertain(&world)), (vec![outcome.to_owned()], Usd::ZERO), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_off_is_not_paid_and_a_kept_connection_that_was_dead_is_replaced() {
    // The first edit over a kept connection is cut off before it is read; over a new one it is drawn.
    let door = |asked: &Asked| (asked.path.ends_with("edits") && asked.connection == 0).then_some(Then::Reset);
    let vendor = Scripted::with_door(door, |_| Then::Answer(json_answer(200, &drawn()))).await;
    let world = World::new(&config(&vendor, EDITS)).await;
    assert_eq!(world.draw(json!({"prompt": "a fox"})).await.status, 200);
    let answer = edit(&world).await;
    assert_eq!((answer.status, vendor.connections()), (200, 2), "{}", answer.text());
    assert_eq!((world.spent(), uncertain(&world)), (Usd::from_nanos(80_000_000), Usd::ZERO));

    let vendor = Scripted::with_door(|_| Some(Then::Reset), |_| Then::Hang).await;
    let world = World::new(&config(&vendor, EDITS)).await;
    assert_eq!(edit(&world).await.status, 502);
    assert!(outcomes(&world).await.iter().all(|outcome| outcome == "unreachable"));
    assert_eq!(uncertain(&world), Usd::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_used_again_while_it_lives_and_given_up_when_its_time_is_over() {
    let vendor = Scripted::start(|_| Then::Answer(json_answer(200, &drawn()))).await;
    let world = World::new(&config(&vendor, "idle_timeout: 1s")).await;
    for _ in 0..3 {
        assert_eq!(world.draw(json!({"prompt": "a fox"})).await.status, 200);
    }
    assert_eq!(vendor.connections(), 1);
    vendor.ended(1).await;
    assert_eq!(world.draw(json!({"prompt": "a fox"})).await.status, 200);
    assert_eq!(vendor.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_how_long_it_keeps_a_connection_is_believed() {
    let reply = |kept: &str| answer(200, &[("keep-alive", kept)], drawn().to_string().as_bytes());
    let (short, none) = (reply("timeout=1"), reply("timeout=0, max=0"));
    let vendor = Scripted::start(move |asked| match asked.json()["prompt"].as_str().unwrap() {
        "short" => Then::Answer(short.clone()),
        _ => Then::Answer(none.clone()),
    })
    .await;
    let world = World::new(&config(&vendor, "idle_timeout: 1h")).await;
    for (word, ended) in [("short", 1), ("none", 2)] {
        assert_eq!(world.draw(json!({"prompt": word})).await.status, 200);
        vendor.ended(ended).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_sent_elsewhere_is_not_placed_again() {
    for status in [301, 302, 307, 308] {
        let vendor =
            Scripted::start(move |_| Then::Answer(answer(status, &[("location", "/v1/images/generations/")], b"")))
                .await;
        let world = World::new(&config(&vendor, "")).await;
        let answer = world.draw(json!({"prompt": "a fox"})).await;
        assert_eq!((answer.status, vendor.count("POST")), (502, 1), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_fetched_from_another_host_at_the_port_that_the_config_names() {
    let cdn = Scripted::start(|_| Then::Answer(answer(200, &[], &picture()))).await;
    let link = format!("http://localhost:{}/a.png", cdn.addr.port());
    let reply: Value = json!({"data": [{"url": link}]});
    let vendor = Scripted::start(move |_| Then::Answer(json_answer(200, &reply))).await;
    for (port, status) in [(cdn.addr.port(), 200), (cdn.addr.port() ^ 1, 502)] {
        let world = World::new(&config(&vendor, &format!("download_hosts: ['localhost:{port}']"))).await;
        assert_eq!(world.draw(json!({"prompt": "a fox"})).await.status, status);
    }
}

/// An Azure whose tokens come from `authority`, in front of the same vendor.
fn entra(vendor: &Scripted, authority: &Scripted) -> String {
    let (vendor, authority) = (vendor.addr, authority.addr);
    format!(
        "providers: {{a: {{kind: azure, base_url: 'http://{vendor}/', breaker: {{failures: 1000}}, entra: {{tenant: t, \
         client_id: c, client_secret: s3cret-of-ours, authority: 'http://{authority}/'}}, \
         models: {{gpt-image-1: {{price: 0.04}}}}}}}}\nroutes: [{{name: r, offers: [a/gpt-image-1], cache: false}}]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trouble_of_a_token_endpoint_is_not_the_keys_and_its_429_is_one() {
    for (word, outcome) in [("429", "rate_limited"), ("503", "unreachable"), ("html", "unreachable"), ("401", "auth")] {
        let authority = Scripted::start(move |_| trouble(word, b"{}")).await;
        let vendor = Scripted::start(|_| Then::Hang).await;
        let world = World::new(&entra(&vendor, &authority)).await;
        world.draw(json!({"prompt": "a fox"})).await;
        assert_eq!(outcomes(&world).await, [outcome], "{word}");
        assert_eq!((vendor.connections(), uncertain(&world)), (0, Usd::ZERO));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_come_packed_too() {
    let granted = json!({"access_token": "eyJ0", "expires_in": 3600}).to_string();
    let grant = answer(200, &[("content-encoding", "gzip")], &gzip(granted.as_bytes()));
    let authority = Scripted::start(move |_| Then::Answer(grant.clone())).await;
    let vendor = Scripted::start(|_| Then::Answer(json_answer(200, &drawn()))).await;
    let world = World::new(&entra(&vendor, &authority)).await;
    for _ in 0..2 {
        let answer = world.draw(json!({"prompt": "a fox"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(authority.asked().len(), 1);
    assert!(vendor.asked().iter().all(|asked| asked.head.contains(&"authorization: bearer eyj0".to_owned())));
}
