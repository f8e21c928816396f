//! People at a screen and a night's jobs at one provider: who waits for whom.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::painter::Painter;
use crate::world::{GENERATE, World, ask};

const LOWERED: (&str, &str) = ("x-easel-priority", "batch");
const WEB: (&str, &str) = ("authorization", "Bearer web-key");
const NIGHTLY: (&str, &str) = ("authorization", "Bearer nightly-key");

/// One slot, which is taken, before a vendor that draws when it is told to.
async fn one_slot(queue: usize) -> (Painter, World) {
    let painter = Painter::open(&[]).await;
    let provider = painter
        .provider("a", "")
        .replace("breaker:", &format!("concurrency: {{limit: 1, queue: {queue}, max_wait: 60s}}, breaker:"));
    let hash = |key: &str| Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (web, nightly) = (hash("web-key"), hash("nightly-key"));
    let world = World::new(&format!(
        "clients:\n  - {{name: web, key_sha256: {web}}}\n  - {{name: nightly, key_sha256: {nightly}, priority: batch}}\n\
         providers:\n{provider}routes:\n  - {{name: r, offers: [a/m]}}\n"
    ))
    .await;
    painter.hold(&["a"]);
    (painter, world)
}

/// Sends a request and does not wait for its answer.
async fn send(world: &World, prompt: &str, headers: &[(&str, &str)]) -> Client {
    let mut client = world.client().await;
    let headers = [headers, &[("content-type", "application/json")]].concat();
    client.send("POST", GENERATE, &headers, ask(prompt).to_string().as_bytes()).await;
    client
}

/// Waits until so many live and so many batch calls are in the queue.
async fn until_queued(world: &World, live: usize, batch: usize) {
    let line =
        |class: &str, calls: usize| format!("easel_queue_depth{{priority=\"{class}\",provider=\"a\"}} {calls}\n");
    let polling = async {
        loop {
            let page = world.metrics().await;
            if page.contains(&line("live", live)) && page.contains(&line("batch", batch)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), polling).await.expect("they are never queued");
}

/// The prompts that the vendor was asked for, in order.
fn asked(painter: &Painter) -> Vec<String> {
    painter.asked().iter().map(|asked| asked.body["prompt"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_waits_at_a_screen_is_drawn_for_before_the_jobs_that_came_earlier() {
    let (painter, world) = one_slot(10).await;
    let mut clients = vec![send(&world, "first", &[NIGHTLY]).await];
    painter.until(1).await;
    for (place, job) in ["job 1", "job 2"].into_iter().enumerate() {
        clients.push(send(&world, job, &[NIGHTLY]).await);
        until_queued(&world, 0, place + 1).await;
    }
    clients.push(send(&world, "lowered", &[WEB, LOWERED]).await);
    until_queued(&world, 0, 3).await;
    clients.push(send(&world, "person", &[WEB]).await);
    until_queued(&world, 1, 3).await;
    painter.hold(&[]);
    for client in &mut clients {
        assert_eq!(client.receive().await.unwrap().status, 200);
    }
    // Among the jobs the two tenants take turns.
    assert_eq!(asked(&painter), ["first", "person", "job 1", "lowered", "job 2"]);
}

#[tokio::test]
async fn no_header_raises_what_the_config_says_and_a_word_that_is_none_is_told() {
    let (painter, world) = one_slot(10).await;
    let mut clients = vec![send(&world, "first", &[NIGHTLY]).await];
    painter.until(1).await;
    clients.push(send(&world, "job", &[NIGHTLY, ("x-easel-priority", "live")]).await);
    until_queued(&world, 0, 1).await;
    for word in ["high", "", "Live", "batch, live"] {
        let answer = world.draw_with(ask("a fox"), &[WEB, ("x-easel-priority", word)]).await;
        assert_eq!(answer.error(), (400, "invalid_value".into(), "x-easel-priority".into()), "{word}");
    }
    painter.hold(&[]);
    for client in &mut clients {
        assert_eq!(client.receive().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_live_request_that_joins_a_batch_job_takes_it_out_of_the_batch_queue() {
    let (painter, world) = one_slot(10).await;
    let mut clients = vec![send(&world, "first", &[WEB]).await];
    painter.until(1).await;
    for (place, job) in ["job 1", "job 2", "the same"].into_iter().enumerate() {
        clients.push(send(&world, job, &[WEB, LOWERED]).await);
        until_queued(&world, 0, place + 1).await;
    }
    clients.push(send(&world, "the same", &[WEB]).await);
    until_queued(&world, 1, 2).await;
    painter.hold(&[]);
    for client in &mut clients {
        assert_eq!(client.receive().await.unwrap().status, 200);
    }
    assert_eq!(asked(&painter), ["first", "the same", "job 1", "job 2"]);
}

#[tokio::test]
async fn a_job_whose_place_in_a_full_queue_goes_to_a_person_is_told_to_come_back() {
    let (painter, world) = one_slot(3).await;
    let mut first = send(&world, "first", &[NIGHTLY]).await;
    painter.until(1).await;
    let mut jobs = Vec::new();
    for place in 0..3 {
        jobs.push(send(&world, &format!("job {place}"), &[NIGHTLY]).await);
        until_queued(&world, 0, place + 1).await;
    }
    let mut person = send(&world, "person", &[WEB]).await;
    let turned_away = jobs.pop().unwrap().receive().await.unwrap();
    assert_eq!((turned_away.error().0, turned_away.header("retry-after")), (429, "1"), "{}", turned_away.text());
    painter.hold(&[]);
    for client in jobs.iter_mut().chain([&mut first, &mut person]) {
        assert_eq!(client.receive().await.unwrap().status, 200);
    }
}
