//! What vendors' replies may take, alone and together: no picture that was paid for is lost to the bound.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Answer;
use crate::scripted::{Asked, Scripted, Then, answer, json_answer, picture};
use crate::world::{GENERATE, World};

const MIB: usize = 1 << 20;

/// A world whose replies have a megabyte each, and as much together, before a vendor of one model.
async fn narrow(vendor: &Scripted) -> World {
    World::new(&format!(
        "server: {{limits: {{response_body: 1MiB, response_bodies: 1MiB}}}}\nproviders:\n  v: {{kind: \
         openai_compatible, base_url: 'http://{}/v1/', api_key: k, timeout: 2m, breaker: {{failures: 1000, pause: \
         1ms}}, models: {{m: {{price: 0.01, sizes: any, max_n: 4}}}}}}\n\
         routes: [{{name: r, offers: [v/m], cache: false, deadline: 2m}}]\n",
        vendor.addr
    ))
    .await
}

/// A picture's file of some 600 KB. What is behind the end of a picture belongs to it.
fn large_picture() -> Vec<u8> {
    [picture(), vec![0; 600_000]].concat()
}

/// Draws all of `bodies` at once; the answers, and the most bytes of replies that were held meanwhile.
async fn together(world: &World, bodies: Vec<Value>) -> (Vec<Answer>, usize) {
    let mut running = JoinSet::new();
    for body in bodies {
        let mut client = world.client().await;
        running.spawn(async move { client.post(GENERATE, &body).await });
    }
    let (mut answers, mut most) = (Vec::new(), 0);
    loop {
        most = most.max(world.gateway.shared.metrics.response_body_bytes.get());
        tokio::select! {
            answer = running.join_next() => match answer {
                Some(answer) => answers.push(answer.unwrap()),
                None => return (answers, usize::try_from(most).unwrap()),
            },
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
}

fn delivered(answer: &Answer) -> usize {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().len()
}

async fn until_nothing_is_held(world: &World) {
    world.idle().await;
    assert_eq!(world.gateway.shared.metrics.response_body_bytes.get(), 0);
}

#[tokio::test]
async fn replies_that_find_no_room_wait_for_it_and_every_picture_is_delivered() {
    let text = base64_simd::STANDARD.encode_to_string(large_picture());
    let vendor = Scripted::start(move |_| Then::Answer(json_answer(200, &json!({"data": [{"b64_json": text}]})))).await;
    let world = narrow(&vendor).await;
    let (answers, most) = together(&world, (0..8).map(|at| json!({"prompt": format!("fox {at}")})).collect()).await;
    assert!(answers.len() == 8 && answers.iter().all(|answer| delivered(answer) == 1));
    // What fits, one call more, and of each what is too small to wait.
    assert!(most <= 2 * MIB + 8 * 128 * 1024, "{most}");
    until_nothing_is_held(&world).await;
}

#[tokio::test]
async fn the_files_of_one_call_do_not_wait_for_each_other() {
    let (go, word) = tokio::sync::watch::channel(false);
    let vendor = Scripted::start(move |asked: &Asked| match asked.method.as_str() {
        "GET" => Then::Held(answer(200, &[("content-type", "image/png")], &large_picture()), word.clone()),
        _ => Then::Answer(json_answer(200, &json!({"data": vec![json!({"url": "/files/1.png"}); 4]}))),
    })
    .await;
    let world = narrow(&vendor).await;
    let ask = |at| json!({"prompt": format!("fox {at}"), "n": 4, "response_format": "url"});
    let held = || usize::try_from(world.gateway.shared.metrics.response_body_bytes.get()).unwrap();
    let four_are_there = async {
        while held() <= 2 * MIB {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        go.send(true).unwrap();
    };
    let four_are_there = tokio::time::timeout(Duration::from_secs(60), four_are_there);
    let ((answers, _), there) = tokio::join!(together(&world, (0..3).map(ask).collect()), four_are_there);
    assert!(there.is_ok(), "no file is whole, and only {} bytes of them are there", held());
    assert!(answers.len() == 3 && answers.iter().all(|answer| delivered(answer) == 4));
    until_nothing_is_held(&world).await;
}

#[tokio::test]
async fn a_reply_over_its_own_bound_is_dropped_at_once_and_takes_nothing_from_others() {
    let text = base64_simd::STANDARD.encode_to_string(large_picture());
    let vendor = Scripted::start(move |asked| {
        let pad = if asked.json()["prompt"] == "too much" { 3 * MIB } else { 0 };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        let body = json!({"data": [{"b64_json": text}], "pad": "x".repeat(pad)});
        Then::Last(format!("{head}{body}").into_bytes())
    })
    .await;
    let world = narrow(&vendor).await;
    let (answers, most) =
        together(&world, (0..12).map(|seed| json!({"prompt": "too much", "seed": seed})).collect()).await;
    assert!(answers.len() == 12 && answers.iter().all(|answer| answer.status == 502), "{answers:?}");
    assert!(most <= 2 * MIB + 12 * 128 * 1024, "{most}");
    until_nothing_is_held(&world).await;
    assert_eq!(delivered(&world.draw(json!({"prompt": "a fox"})).await), 1);
}
