//! A provider that comes back: who tries it out, and when everybody may ask it again.

use std::time::Duration;

use futures_util::future::join_all;

use crate::client::Answer;
use crate::painter::{Act, Painter};
use crate::world::{World, ask};

/// Account `a` before `b`, which always draws. `a` has these further keys.
async fn world(painter: &Painter, a: &str) -> World {
    let model = "models: {m: {price: 0.01, max_n: 10, sizes: any}}";
    let provider = |account: &str, keys: &str| {
        let addr = painter.addr;
        format!(
            "  {account}: {{kind: openai_compatible, base_url: 'http://{addr}/{account}/', api_key: k, {keys}{model}}}\n"
        )
    };
    let (a, b) = (provider("a", a), provider("b", ""));
    World::new(&format!("providers:\n{a}{b}routes:\n  - {{name: r, offers: [a/m, b/m], cache: false}}\n")).await
}

/// So many requests at once.
async fn at_once(world: &World, what: &str, many: usize) -> Vec<Answer> {
    let prompts: Vec<String> = (0..many).map(|number| format!("{what} {number}")).collect();
    join_all(prompts.iter().map(|prompt| world.draw(ask(prompt)))).await
}

/// How many of them `offer` drew alone.
fn drawn_by(answers: &[Answer], offer: &str) -> usize {
    assert!(answers.iter().all(|answer| answer.status == 200), "{:?}", answers.iter().map(Answer::text).next());
    answers.iter().filter(|answer| answer.header("x-easel-served-by") == format!("{offer}=1")).count()
}

/// Waits until the breaker of `a` tells this: 0 passing, 1 probing, 2 paused.
async fn until_state(world: &World, state: u8) {
    let line = format!("easel_breaker_state{{model=\"m\",provider=\"a\"}} {state}\n");
    let polling = async {
        while !world.metrics().await.contains(&line) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), polling).await.expect("the breaker never tells it");
}

#[tokio::test]
async fn a_recovering_provider_gets_one_probe_and_once_that_has_succeeded_traffic() {
    let painter = Painter::open(&[Act::Fails, Act::Draws, Act::Fails]).await;
    let world = world(&painter, "breaker: {failures: 2, pause: 200ms}, ").await;
    for number in 0..2 {
        assert_eq!(drawn_by(&[world.draw(ask(&format!("before {number}"))).await], "b/m"), 1);
    }
    until_state(&world, 2).await;
    until_state(&world, 1).await;
    // The pause is over. Whoever comes first tries it out, and until it is answered all others go elsewhere.
    painter.hold(&["a"]);
    let before = painter.asked_of("a");
    let others = async {
        painter.until_asked_of("a", before + 1).await;
        let others = at_once(&world, "meanwhile", 20).await;
        assert_eq!((drawn_by(&others, "b/m"), painter.asked_of("a")), (20, before + 1));
        painter.hold(&[]);
    };
    let (first, ()) = tokio::join!(at_once(&world, "together", 20), others);
    assert_eq!((drawn_by(&first, "a/m"), drawn_by(&first, "b/m")), (1, 19));
    until_state(&world, 0).await;
    assert_eq!(drawn_by(&at_once(&world, "after", 20).await, "a/m"), 20);
}

#[tokio::test]
async fn one_503_of_twenty_calls_that_names_a_second_does_not_take_the_offer_from_ten_requests_of_a_second_later() {
    let painter = Painter::open(&[Act::Busy]).await;
    let world = world(&painter, "").await;
    let all = at_once(&world, "first", 20).await;
    let told = tokio::time::Instant::now();
    assert!(drawn_by(&all, "a/m") + drawn_by(&all, "b/m") == 20);
    assert_eq!(painter.asked().len(), 21, "one call was made again, elsewhere");
    // What the vendor named is real time, and nothing tells its end.
    tokio::time::sleep_until(told + Duration::from_millis(1100)).await;
    assert_eq!(drawn_by(&at_once(&world, "later", 10).await, "a/m"), 10);
}
