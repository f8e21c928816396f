//! How long a caller says that it waits, and what becomes of its picture and of those who wait for longer.

use std::time::Duration;

use crate::client::Client;
use crate::painter::Painter;
use crate::world::{GENERATE, World, ask};

const HASTY: (&str, &str) = ("x-easel-deadline-ms", "200");

/// A vendor that draws when it is told to, behind a route that waits for a minute.
async fn held() -> (Painter, World) {
    let painter = Painter::open(&[]).await;
    let world = World::new(&format!(
        "providers:\n{}routes:\n  - {{name: r, offers: [a/m], deadline: 60s}}\n",
        painter.provider("a", "")
    ))
    .await;
    painter.hold(&["a"]);
    (painter, world)
}

async fn send(world: &World, headers: &[(&str, &str)]) -> Client {
    let mut client = world.client().await;
    let headers = [headers, &[("content-type", "application/json")]].concat();
    client.send("POST", GENERATE, &headers, ask("a fox").to_string().as_bytes()).await;
    client
}

#[tokio::test]
async fn a_caller_that_waits_for_less_than_its_route_is_answered_in_its_own_time_and_its_picture_is_kept() {
    let (painter, world) = held().await;
    let answer = world.draw_with(ask("a fox"), &[HASTY]).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (504, "deadline_exceeded"));
    painter.hold(&[]);
    world.idle().await;
    let answer = world.draw_with(ask("a fox"), &[HASTY]).await;
    assert_eq!((answer.status, answer.header("x-easel-cache")), (200, "exact"));
    assert_eq!(painter.asked().len(), 1);
}

#[tokio::test]
async fn who_waits_for_longer_gets_the_picture_of_a_hasty_leader_and_it_is_paid_for_once() {
    let (painter, world) = held().await;
    // Long enough that the other joins in time on a busy machine.
    let mut hasty = send(&world, &[("x-easel-deadline-ms", "3000")]).await;
    painter.until(1).await;
    let mut patient = send(&world, &[]).await;
    assert_eq!(hasty.receive().await.unwrap().status, 504);
    painter.hold(&[]);
    let answer = patient.receive().await.unwrap();
    assert_eq!((answer.status, painter.asked().len()), (200, 1), "{}", answer.text());
}

#[tokio::test]
async fn no_caller_waits_for_longer_than_its_route_says() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&format!(
        "providers:\n{}routes:\n  - {{name: r, offers: [a/m], deadline: 200ms}}\n",
        painter.provider("a", "")
    ))
    .await;
    painter.hold(&["a"]);
    let waits = world.draw_with(ask("a fox"), &[("x-easel-deadline-ms", "18446744073709551615")]);
    let answer = tokio::time::timeout(Duration::from_secs(30), waits).await.expect("it waits for longer");
    assert_eq!(answer.status, 504);
    painter.hold(&[]);
}

#[tokio::test]
async fn a_time_that_is_none_is_told_before_anybody_is_asked() {
    let (painter, world) = held().await;
    for wrong in ["", "0", "-5", "1.5", "10s", "soon"] {
        let answer = world.draw_with(ask("a fox"), &[("x-easel-deadline-ms", wrong)]).await;
        assert_eq!(answer.error(), (400, "invalid_value".into(), "x-easel-deadline-ms".into()), "{wrong}");
    }
    assert!(painter.asked().is_empty());
}
