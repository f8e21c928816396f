//! Fifteen faults of the offer that every strategy prefers, and a healthy one behind it: each request gets its pictures,
//! and the ledger has what both vendors charge. `scripts/faults` prints what that took in time and money.

use std::time::Duration;

use easel::Usd;
use easel::internals::ledger::SpendKind;
use easel::internals::money::sum;
use easel::sandbox::Name;
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{World, ask_with, pictures};

mod faulty_vendor;

use faulty_vendor::{Fault, FaultyVendor, PRICE};

/// Each as its route writes it. All of them would rather have the faulty offer: it is listed first, and cheaper.
const STRATEGIES: [(&str, &str); 5] = [
    ("order", "order"),
    ("cheapest", "cheapest"),
    ("cheapest_accepted", "cheapest_accepted"),
    ("fastest", "fastest"),
    ("weighted", "{weighted: {faulty/gpt-image-2: 70%, stability/core: 30%}}"),
];

/// Requests of a cell one after the other, and as many at once after them; every third is for two pictures.
const IN_A_ROW: usize = 6;

/// Cells at once, most of which wait for a fault to be over.
const AT_ONCE: usize = 6;

/// How long the faulty provider is waited for. The healthy one has longer, because the machine may be busy.
const PATIENCE: &str = "400ms";

/// One fault by one strategy.
struct Cell {
    fault: Fault,
    strategy: &'static str,
    took: Vec<Duration>,
    /// Calls that reached the faulty vendor.
    calls: usize,
    spent: Usd,
    /// The part of it that bought nothing.
    lost: Usd,
    uncertain: Usd,
}

fn config(faulty: &FaultyVendor, strategy: &str) -> String {
    let url = &faulty.base_url;
    format!(
        "
providers:
  faulty:
    kind: openai
    base_url: {url}
    api_key: sk-test
    timeout: {PATIENCE}
    breaker: {{failures: 3}}
    models: {{gpt-image-2: {{price: {PRICE}}}}}
  stability:
    kind: stability
    base_url: ${{SANDBOX}}/stability/
    api_key: sk-test
    models: {{core: {{price: 0.04}}}}
routes:
  - {{name: r, match: {{models: [m]}}, strategy: {strategy}, offers: [faulty/gpt-image-2, stability/core]}}
"
    )
}

/// The requests of a cell, and what is asserted of each.
async fn run(fault: Fault, (strategy, written): (&'static str, &str)) -> Cell {
    let faulty = FaultyVendor::open(fault).await;
    let world = World::new(&config(&faulty, written)).await;
    let draw = async |number: usize| {
        let n = if number % 3 == 2 { 2 } else { 1 };
        let body: Value = ask_with(&format!("fox {number}"), json!({"n": n}));
        let began = Instant::now();
        let answer = world.draw(body).await;
        let took = began.elapsed();
        let what = format!("{} by {strategy}, request {number}", fault.as_str());
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert_eq!((pictures(&answer).len(), answer.header("x-easel-partial")), (n, ""), "{what}");
        took
    };
    let mut took = Vec::new();
    for number in 0..IN_A_ROW {
        took.push(draw(number).await);
    }
    took.extend(join_all((IN_A_ROW..2 * IN_A_ROW).map(draw)).await);
    world.idle().await;
    let what = format!("{} by {strategy}", fault.as_str());
    let booked = |kind: SpendKind| {
        let totals = world.gateway.shared.ledger.totals().into_iter().filter(|(account, _)| account.kind == kind);
        sum(totals.map(|(_, total)| total.usd)).unwrap()
    };
    let (lost, uncertain) = (booked(SpendKind::Lost), booked(SpendKind::Uncertain));
    let (spent, healthy) = (world.spent(), world.bill(Name::Stability));
    assert_eq!(spent, faulty.charged().checked_add(healthy.usd).unwrap(), "{what}: what is charged is what was paid");
    assert_eq!(uncertain, faulty.charged_untold(), "{what}: what nobody told of is what may have been charged");
    assert!(fault == Fault::None || healthy.pictures == 16, "{what}: {} pictures", healthy.pictures);
    Cell { fault, strategy, took, calls: faulty.calls(), spent, lost, uncertain }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_drawn_whatever_is_wrong_with_the_preferred_offer_and_the_ledger_has_what_it_cost() {
    let print = std::env::var_os("EASEL_FAULTS").is_some_and(|word| word == "print");
    // One at a time where time is told, so that none waits for another's.
    let at_once = if print { 1 } else { AT_ONCE };
    let faults = std::iter::once(Fault::None).chain(Fault::ALL);
    let cells = faults
        .flat_map(|fault| STRATEGIES.map(|strategy| async move { tokio::spawn(run(fault, strategy)).await.unwrap() }));
    let cells: Vec<Cell> = futures_util::stream::iter(cells).buffered(at_once).collect().await;
    if print {
        table(&cells);
    }
}

/// As Markdown, against the same requests without a fault.
#[expect(clippy::print_stdout, reason = "scripts/faults is there to see it")]
fn table(cells: &[Cell]) {
    println!(
        "| fault | strategy | drawn | calls | median | most | extra dollars | of them for nothing | may be charged |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let (sound, faulty) = cells.split_at(STRATEGIES.len());
    for cell in faulty {
        let same = sound.iter().find(|sound| sound.strategy == cell.strategy).unwrap();
        let mut extra: Vec<f64> = cell
            .took
            .iter()
            .zip(&same.took)
            .map(|(with, without)| with.as_secs_f64() - without.as_secs_f64())
            .collect();
        extra.sort_by(f64::total_cmp);
        let (median, most) = (extra[extra.len() / 2], extra[extra.len() - 1]);
        println!(
            "| {} | {} | {all}/{all} | {} | {median:+.3} s | {most:+.3} s | {} | {} | {} |",
            cell.fault.as_str(),
            cell.strategy,
            cell.calls,
            cell.spent.checked_sub(same.spent).unwrap(),
            cell.lost,
            cell.uncertain,
            all = cell.took.len(),
        );
    }
}
