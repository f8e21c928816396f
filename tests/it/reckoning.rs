//! Random prices, requests, answers and faults through the whole gateway: what is recorded is what a second reckoning
//! comes to, from nothing but what the vendor was asked and what it answered.
//!
//! The vendor is a few lines here, and the reckoning is whole numbers of nano-dollars by the words of the config's
//! documentation: neither uses Easel's pricing, its ledger or its sandbox.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use base64_simd::STANDARD;
use easel::Usd;
use easel::internals::store::report::{Figures, ReportBy, ReportQuery};
use futures_util::future::join_all;
use futures_util::stream;
use image::RgbImage;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::exchange::png;
use crate::tally::{Asked, Reply, Tariff, tariff};
use crate::world::World;

pub const SIZES: [&str; 3] = ["64x64", "96x64", "128x128"];
pub const QUALITIES: [&str; 2] = ["low", "high"];
const PROVIDERS: [&str; 2] = ["a", "b"];

/// A vendor of two accounts that answers as it was told beforehand, and remembers it.
struct Desk {
    script: Vec<Reply>,
    asked: Mutex<Vec<(String, Asked)>>,
}

/// A whole case.
#[derive(Clone, Debug)]
struct Case {
    tariffs: [Tariff; 2],
    script: Vec<Reply>,
    requests: Vec<Value>,
}

fn dollars(nanos: i64) -> String {
    Usd::from_nanos(nanos).to_string()
}

/// A picture of each size, in base64.
fn drawn(size: usize) -> String {
    let (width, height) = SIZES[size].split_once('x').unwrap();
    STANDARD.encode_to_string(png(RgbImage::new(width.parse().unwrap(), height.parse().unwrap())))
}

async fn answer(State(desk): State<Arc<Desk>>, Path(account): Path<String>, Json(body): Json<Value>) -> Response {
    let place = |list: &[&str], key: &str| list.iter().position(|word| body[key] == *word).unwrap();
    let (size, quality) = (place(&SIZES, "size"), place(&QUALITIES, "quality"));
    let n = body["n"].as_i64().unwrap_or(1);
    let length = |key: &str| body[key].as_str().map_or(0, str::len);
    let (prompt, negative) = (length("prompt") + length("negative_prompt"), body["negative_prompt"].is_string());
    let seeded = body["seed"].is_u64();
    let reply = {
        let mut asked = desk.asked.lock().unwrap();
        let reply = desk.script[asked.len() % desk.script.len()].clone();
        asked.push((account, Asked { n, prompt, negative, seeded, size, quality, reply: reply.clone() }));
        reply
    };
    let error = |status: StatusCode, code: &str| {
        (status, Json(json!({"error": {"message": code, "code": code}}))).into_response()
    };
    match reply {
        Reply::Draws { missing, broken, cost, tokens: [read, painted] } => {
            let there = (n - missing).max(1);
            let good = (there - broken).max(0);
            let nonsense = STANDARD.encode_to_string("no picture");
            let item = |nth| json!({"b64_json": if nth < good { drawn(size) } else { nonsense.clone() }});
            let data: Vec<Value> = (0..there).map(item).collect();
            let details = json!({"text_tokens": read, "image_tokens": 0});
            let usage = json!({"input_tokens": read, "input_tokens_details": details, "output_tokens": painted});
            let mut answer = Json(json!({"created": 1, "data": data, "usage": usage})).into_response();
            if let Some(cost) = cost {
                answer.headers_mut().insert("x-cost", HeaderValue::from_str(&dollars(cost)).unwrap());
            }
            answer
        }
        Reply::Refuses => error(StatusCode::BAD_REQUEST, "content_policy_violation"),
        Reply::Fails => error(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        Reply::Empty => Json(json!({"created": 1, "data": []})).into_response(),
        Reply::Limits => {
            let mut answer = error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded");
            answer.headers_mut().insert("retry-after", HeaderValue::from_static("0"));
            answer
        }
        Reply::Cut => {
            let beginning = [Ok(r#"{"created": 1, "data": ["#), Err("the connection is gone")];
            Body::from_stream(stream::iter(beginning)).into_response()
        }
    }
}

async fn open(desk: Arc<Desk>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = Router::new().route("/{account}/images/generations", routing::post(answer)).with_state(desk);
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

fn config(case: &Case, addr: SocketAddr, max_n: u8) -> String {
    let provider = |(name, tariff): (&str, &Tariff)| {
        format!(
            "  {name}: {{kind: openai_compatible, base_url: 'http://{addr}/{name}/', api_key: k, \
             breaker: {{failures: 1000, pause: 1ms}}, {}, models: {{m: {{{}, max_n: {max_n}, sizes: any}}}}}}\n",
            tariff.of_provider(),
            tariff.of_model()
        )
    };
    let providers: String = PROVIDERS.into_iter().zip(&case.tariffs).map(provider).collect();
    format!(
        "providers:\n{providers}routes:\n  - {{name: r, match: {{models: [r]}}, cache: false, offers: [a/m, b/m]}}\n"
    )
}

/// Plays a case, and holds the record against the second reckoning.
async fn play(case: &Case, together: bool) -> Result<(), TestCaseError> {
    let desk = Arc::new(Desk { script: case.script.clone(), asked: Mutex::default() });
    let addr = open(desk.clone()).await;
    let world = World::new(&config(case, addr, if together { 2 } else { 10 })).await;
    if together {
        join_all(case.requests.iter().map(|body| world.draw(body.clone()))).await;
    } else {
        for body in &case.requests {
            world.draw(body.clone()).await;
            world.idle().await;
        }
    }
    world.idle().await;
    prop_assert_eq!(world.gateway.shared.ledger.reserved(), Usd::ZERO);
    let query = ReportQuery { by: vec![ReportBy::Provider], ..ReportQuery::default() };
    let rows = world.gateway.shared.durable_ledger.store().report(&query).unwrap();
    let asked = desk.asked.lock().unwrap().clone();
    prop_assert!(!asked.is_empty());
    for (name, tariff) in PROVIDERS.into_iter().zip(&case.tariffs) {
        let row = rows.iter().find(|row| row.keys == [name]).map_or_else(Figures::default, |row| row.figures);
        let calls: Vec<&Asked> = asked.iter().filter(|(account, _)| account == name).map(|(_, asked)| asked).collect();
        let again = tariff.reckon(&calls);
        let recorded = i128::from(row.usd.nanos()) + i128::from(row.prepaid.nanos());
        prop_assert_eq!(recorded, again, "{}: {:?} {:#?}", name, row, calls);
        prop_assert_eq!(i128::from(row.prepaid.nanos()), again.min(tariff.commitment.into()), "{}", name);
        prop_assert_eq!(row.attempts, calls.len() as u64, "{}", name);
        let drawn = calls
            .iter()
            .map(|asked| asked.drawn())
            .fold([0, 0], |sum, [good, broken]| [sum[0] + good, sum[1] + broken]);
        prop_assert_eq!(
            [row.accepted, row.rejected],
            drawn.map(|pictures| u64::try_from(pictures).unwrap()),
            "{}",
            name
        );
        if together {
            prop_assert_eq!(i128::from(row.uncertain.nanos()), tariff.unsure(&calls), "{}: {:#?}", name, calls);
        }
    }
    Ok(())
}

fn run(case: &Case, together: bool) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(play(case, together))
}

fn reply() -> impl Strategy<Value = Reply> {
    let draws =
        (0i64..3, prop_oneof![3 => Just(0i64), 1 => 1i64..3], option::of(0i64..200_000_000), [1u64..500, 1u64..9000])
            .prop_map(|(missing, broken, cost, tokens)| Reply::Draws { missing, broken, cost, tokens });
    let other = prop_oneof![
        Just(Reply::Refuses),
        Just(Reply::Fails),
        Just(Reply::Empty),
        Just(Reply::Limits),
        Just(Reply::Cut)
    ];
    prop_oneof![3 => draws, 1 => other]
}

fn request() -> impl Strategy<Value = Value> {
    let wishes = (option::of(Just("text")), option::of(0u32..1000));
    (1u8..=10, 0..SIZES.len(), 0..QUALITIES.len(), any::<u32>(), wishes).prop_map(|(n, size, quality, word, wishes)| {
        json!({"model": "r", "prompt": format!("picture {word}"), "n": n, "size": SIZES[size],
            "quality": QUALITIES[quality], "negative_prompt": wishes.0, "seed": wishes.1})
    })
}

fn case(tiers: bool) -> impl Strategy<Value = Case> {
    let tariffs = [tariff(tiers), tariff(tiers)];
    (tariffs, vec(reply(), 1..12), vec(request(), 1..6)).prop_map(move |(tariffs, script, mut requests)| {
        // With a seed each picture is a call of its own, all at once; tiers are reckoned call by call, in a row.
        for request in requests.iter_mut().filter(|request| tiers && !request["seed"].is_null()) {
            request["n"] = json!(1);
        }
        Case { tariffs, script, requests }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_in_a_row_are_recorded_as_they_are_reckoned_again_volume_and_commitment_included(case in case(true)) {
        run(&case, false)?;
    }

    #[test]
    fn requests_side_by_side_are_recorded_as_they_are_reckoned_again(case in case(false)) {
        run(&case, true)?;
    }
}
