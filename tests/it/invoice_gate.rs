//! Every vendor again, with a quality gate that rejects pictures at random: what is rejected is paid for and counted, and
//! invoice and ledger still have nothing between them.
//!
//! A judge outside decides, by the hash of what it is told of a picture, so that no vendor's pictures are better than
//! another's and none is looked at twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::{Json, Router, routing};
use easel::internals::store::report::{Figures, ReportBy, ReportQuery};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::invoice::{agree_on_what_is_invoiced, ask_everybody, recorded};
use crate::tariffs::{priced, settings};
use crate::world::World;

/// One request in so many of the great invoice is asked again here.
const ONE_IN: usize = 10;

/// How often a judge has said each.
#[derive(Default)]
struct Judge {
    accepted: AtomicU64,
    rejected: AtomicU64,
    abstained: AtomicU64,
}

/// Four pictures in ten are rejected, and of one in ten nothing is said.
async fn judge(State(judge): State<Arc<Judge>>, Json(question): Json<Value>) -> Json<Value> {
    let told = format!("15 {} {}", question["attempt_id"], question["image"]["sha256"]);
    let (said, verdict) = match Sha256::digest(told)[0] % 10 {
        0..4 => (&judge.rejected, "reject"),
        4 => (&judge.abstained, "abstain"),
        _ => (&judge.accepted, "accept"),
    };
    said.fetch_add(1, Ordering::Relaxed);
    Json(json!({"verdict": verdict}))
}

/// Opens a judge; its address.
async fn open(of: Arc<Judge>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/judge", listener.local_addr().unwrap());
    let app = Router::new().route("/judge", routing::post(judge)).with_state(of);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// The sum of a counter over the lines that have this label.
fn counted(page: &str, counter: &str, label: &str) -> u64 {
    let lines = page.lines().filter(|line| line.starts_with(&format!("{counter}{{")) && line.contains(label));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_random_verdicts_no_nano_dollar_is_between_invoice_and_ledger_and_every_rejected_picture_is_counted() {
    let (state, said) = (tempfile::tempdir().unwrap(), Arc::new(Judge::default()));
    let gate = format!(
        "cache: false, quality: {{reject: [judge], flag: [], judge: {{url: '{}', send_picture: false, timeout: 60s}}}}",
        open(said.clone()).await
    );
    let world = World::with(&priced(state.path()).replace("cache: false", &gate), settings()).await;
    let (invoiced, tally) = ask_everybody(&world, ONE_IN).await;
    assert!(tally.asked >= 950 && tally.drawn >= tally.asked / 2, "{} of {}", tally.drawn, tally.asked);
    agree_on_what_is_invoiced(&world, &invoiced);

    let [accepted, rejected, abstained] =
        [&said.accepted, &said.rejected, &said.abstained].map(|said| said.load(Ordering::Relaxed));
    let judged = accepted + rejected + abstained;
    assert!((35..45).contains(&(rejected * 100 / judged)), "{rejected} of {judged}");
    let page = world.metrics().await;
    assert_eq!(counted(&page, "easel_rejected_total", "reason=\"judge\""), rejected);
    let verdict = |word: &str| counted(&page, "easel_images_total", &format!("verdict=\"{word}\""));
    assert_eq!(counted(&page, "easel_rejected_total", ""), verdict("rejected"), "each has one reason");
    assert_eq!(verdict("delivered"), accepted + abstained);

    let rows = recorded(&world);
    let pictures = |of: fn(&Figures) -> u64| rows.values().map(of).sum::<u64>();
    assert_eq!(
        (pictures(|row| row.accepted), pictures(|row| row.rejected)),
        (verdict("delivered"), verdict("rejected"))
    );
    for (provider, row) in rows.iter().filter(|(provider, _)| *provider != "claude") {
        // Bounds for some dozen pictures, of which four in ten are rejected.
        assert!(row.rejected * 10 > row.accepted && row.rejected < row.accepted * 4, "{provider}: {row:?}");
        assert!(row.lost > easel::Usd::ZERO && row.lost < row.usd, "{provider}: {row:?}");
        let window = |verdict: &str| {
            let of = format!("by=\"provider\",name=\"{provider}\",verdict=\"{verdict}\",window=\"1d\"");
            counted(&page, "easel_window_images", &of)
        };
        assert_eq!((window("accepted"), window("rejected")), (row.accepted, row.rejected), "{provider}");
    }
    let by = vec![ReportBy::Reason];
    let reasons = world.gateway.shared.durable_ledger.store().report(&ReportQuery { by, ..ReportQuery::default() });
    let of_judge = reasons.unwrap().into_iter().filter(|row| row.keys[0].split('+').any(|word| word == "judge"));
    assert!(of_judge.map(|row| row.figures.rejected).sum::<u64>() >= rejected);
}
