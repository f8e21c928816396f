//! A judge outside that a test plays: what it says becomes of the picture, and what it is told.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::docs::blocks::blocks;
use crate::scripted::{Asked, Scripted, Then, answer, drawn, json_answer, picture};
use crate::world::{GENERATE, World};

/// A vendor that draws the same picture again and again.
async fn vendor() -> Scripted {
    Scripted::start(|_| Then::Answer(json_answer(200, &drawn()))).await
}

/// A route over a cheap and a dear vendor, which nothing but a judge looks at.
fn config(cheap: &Scripted, dear: &Scripted, judge: &Scripted, keys: &str) -> String {
    format!(
        "clients: [{{name: some-tenant, key_sha256: '{}'}}]
providers:
  cheap: {{kind: openai_compatible, base_url: 'http://{}/v1/', api_key: sk-cheap, models: {{m: {{price: 0.01}}}}}}
  dear: {{kind: openai_compatible, base_url: 'http://{}/v1/', api_key: sk-dear, models: {{m: {{price: 0.05}}}}}}
routes:
  - name: all
    offers: [cheap/m, {{offer: dear/m, when: [rejected]}}]
    attempts: {{per_offer: 1}}
    quality: {{reject: [judge], flag: [], judge: {{url: 'http://{}/judge', {keys}}}}}
",
        Sha256::digest(b"client-key").iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        cheap.addr,
        dear.addr,
        judge.addr,
    )
}

/// What came of a request: the status, and how often each vendor was asked.
async fn outcome(keys: &str, says: impl Fn(&Asked) -> Then + Send + Sync + 'static) -> (u16, usize, usize, String) {
    let (cheap, dear, judge) = (vendor().await, vendor().await, Scripted::start(says).await);
    let world = World::new(&config(&cheap, &dear, &judge, keys)).await;
    let answer = world.draw_with(json!({"prompt": "a fox"}), &[("authorization", "Bearer client-key")]).await;
    (answer.status, cheap.count("POST"), dear.count("POST"), world.metrics().await)
}

fn says(status: u16, verdict: &str) -> impl Fn(&Asked) -> Then + Send + Sync + 'static {
    let verdict = json!({"verdict": verdict});
    move |_| Then::Last(json_answer(status, &verdict))
}

fn counted(metrics: &str, verdict: &str) -> usize {
    let start = format!("easel_judge_total{{route=\"all\",verdict=\"{verdict}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn what_the_judge_accepts_or_abstains_from_is_delivered_and_what_it_rejects_is_drawn_by_the_next_offer() {
    for verdict in ["accept", "abstain"] {
        let (status, cheap, dear, metrics) = outcome("timeout: 20s", says(200, verdict)).await;
        assert_eq!((status, cheap, dear, counted(&metrics, verdict)), (200, 1, 0, 1), "{verdict}");
    }
    let asked = AtomicUsize::new(0);
    let the_second = move |_: &Asked| {
        let verdict = if asked.fetch_add(1, Ordering::Relaxed) == 0 { "reject" } else { "accept" };
        Then::Last(json_answer(200, &json!({"verdict": verdict})))
    };
    let (status, cheap, dear, metrics) = outcome("timeout: 20s", the_second).await;
    assert_eq!((status, cheap, dear), (200, 1, 1));
    assert_eq!((counted(&metrics, "reject"), counted(&metrics, "accept")), (1, 1));
    let line = "easel_rejected_total{model=\"m\",provider=\"cheap\",reason=\"judge\"} 1";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}

#[tokio::test]
async fn a_picture_that_the_judge_rejected_makes_no_duplicate_of_the_next_one_and_an_accepted_one_does() {
    for (first, n, duplicates) in [("reject", 1, 0), ("accept", 2, 1)] {
        let asked = AtomicUsize::new(0);
        let judge = Scripted::start(move |_| {
            let verdict = if asked.fetch_add(1, Ordering::Relaxed) == 0 { first } else { "accept" };
            Then::Last(json_answer(200, &json!({"verdict": verdict})))
        });
        let (cheap, dear, judge) = (vendor().await, vendor().await, judge.await);
        let config = config(&cheap, &dear, &judge, "timeout: 20s").replace("[judge]", "[judge, duplicate]");
        let world = World::new(&config).await;
        let ask = json!({"prompt": "a fox", "n": n});
        let answer = world.draw_with(ask, &[("authorization", "Bearer client-key")]).await;
        let metrics = world.metrics().await;
        let line = "easel_rejected_total{model=\"m\",provider=\"dear\",reason=\"duplicate\"} ";
        let found: usize = metrics.lines().find_map(|found| found.strip_prefix(line)?.parse().ok()).unwrap_or(0);
        assert_eq!(found, duplicates, "{first}: {metrics}");
        // Both vendors draw the same; one picture of it is delivered.
        let pictures = answer.json()["data"].as_array().map_or(0, Vec::len);
        assert_eq!((answer.status, pictures), (200, 1), "{first}");
    }
}

#[tokio::test]
async fn a_score_under_the_least_one_rejects_where_the_judge_abstains() {
    let says = |_: &Asked| Then::Last(json_answer(200, &json!({"verdict": "abstain", "score": 0.4})));
    let (status, cheap, dear, _) = outcome("timeout: 20s, min_score: 0.5", says).await;
    assert_eq!((status == 200, cheap, dear), (false, 1, 1));
    let (status, cheap, dear, _) = outcome("timeout: 20s, min_score: 0.4", says).await;
    assert_eq!((status, cheap, dear), (200, 1, 0));
}

#[tokio::test]
async fn without_a_verdict_the_config_says_what_becomes_of_the_picture() {
    type Script = Arc<dyn Fn(&Asked) -> Then + Send + Sync>;
    let cases: [(&str, &str, Script); 5] = [
        ("status", "20s", Arc::new(says(503, "accept"))),
        ("malformed", "20s", Arc::new(says(200, "perhaps"))),
        ("malformed", "20s", Arc::new(|_| Then::Last(answer(200, &[], &[b' '; 70_000])))),
        ("unreachable", "20s", Arc::new(|_| Then::Reset)),
        ("timeout", "100ms", Arc::new(|_| Then::Hang)),
    ];
    for (fault, timeout, script) in cases {
        for on_error in ["accept", "reject"] {
            let (script, keys) = (script.clone(), format!("timeout: {timeout}, on_error: {on_error}"));
            let (status, cheap, dear, metrics) = outcome(&keys, move |asked| script(asked)).await;
            let (expected, second) = if on_error == "accept" { (200, 0) } else { (502, 1) };
            assert_eq!((status, cheap, dear), (expected, 1, second), "{fault} {on_error}");
            assert_eq!(counted(&metrics, fault), 1 + second, "{fault} {on_error}: {metrics}");
        }
    }
}

#[tokio::test]
async fn the_judge_is_told_of_the_picture_and_never_of_the_client_and_its_keys() {
    let (cheap, dear, judge) = (vendor().await, vendor().await, Scripted::start(says(200, "accept")).await);
    let world = World::new(&config(&cheap, &dear, &judge, "timeout: 20s, send_picture: false")).await;
    let headers = [("authorization", "Bearer client-key"), ("x-request-id", "request-of-mine")];
    for prompt in ["a fox, told to nobody", "a fox, told to nobody"] {
        let answer = world.draw_with(json!({"prompt": prompt, "user": "somebody"}), &headers).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let [asked] = &judge.asked()[..] else { panic!("the second answer is from the cache, and nobody is asked of it") };
    let told: Value = asked.json();
    let file = picture();
    let sha256: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    let image = json!({"sha256": sha256, "media_type": "image/png", "width": 64, "height": 64, "bytes": file.len()});
    assert_eq!((&told["image"], &told["provider"], &told["model"]), (&image, &json!("cheap"), &json!("m")));
    assert_eq!((&told["route"], &told["failed_checks"]), (&json!("all"), &json!([])));
    assert!(told["attempt_id"].as_u64().is_some_and(|id| id > 0), "{told}");
    let all = format!("{}{}", asked.head.join("\n"), String::from_utf8_lossy(&asked.body));
    for secret in ["fox", "somebody", "some-tenant", "client-key", "sk-cheap", "sk-dear"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[tokio::test]
async fn a_picture_that_the_judge_rejects_is_paid_for_and_not_kept() {
    let (cheap, dear, judge) = (vendor().await, vendor().await, Scripted::start(says(200, "reject")).await);
    let world = World::new(&config(&cheap, &dear, &judge, "timeout: 20s")).await;
    for nth in 1..=2 {
        let answer = world.draw_with(json!({"prompt": "a fox"}), &[("authorization", "Bearer client-key")]).await;
        assert_ne!(answer.status, 200);
        assert_eq!((cheap.count("POST"), dear.count("POST"), judge.count("POST")), (nth, nth, 2 * nth), "{GENERATE}");
    }
    world.settled().await;
    assert_eq!(world.spent(), "0.12".parse().unwrap());
}

#[tokio::test]
async fn what_the_judge_said_is_beside_the_rejected_picture_that_is_kept() {
    let says = |_: &Asked| {
        let said = json!({"verdict": "reject", "score": 0.25, "reasons": ["too\nmany fingers"]});
        Then::Last(json_answer(200, &said))
    };
    let (cheap, dear, judge) = (vendor().await, vendor().await, Scripted::start(says).await);
    let folder = tempfile::tempdir().unwrap();
    let keep = format!("quality: {{keep_rejected: {{dir: '{}'}}}}\n", folder.path().display());
    let world = World::new(&(keep + &config(&cheap, &dear, &judge, "timeout: 20s"))).await;
    let answer = world.draw_with(json!({"prompt": "a fox"}), &[("authorization", "Bearer client-key")]).await;
    assert_ne!(answer.status, 200);
    assert!(!answer.text().contains("fingers"), "a client is not told: {}", answer.text());
    // A file may be there before its text is.
    let kept = || -> Vec<Value> {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let records = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        records.filter_map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).ok()).collect()
    };
    let both = async {
        while kept().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    for told in kept() {
        assert_eq!(told["judge"], json!({"verdict": "reject", "score": 0.25, "reasons": ["toomany fingers"]}));
    }
}

#[tokio::test]
async fn a_question_has_the_fields_that_the_page_shows_and_no_others() {
    let (cheap, dear, judge) = (vendor().await, vendor().await, Scripted::start(says(200, "accept")).await);
    let keys = "timeout: 20s, send_prompt: true, hmac_key: k";
    let world = World::new(&config(&cheap, &dear, &judge, keys)).await;
    world.draw_with(json!({"prompt": "a fox"}), &[("authorization", "Bearer client-key")]).await;
    let asked = judge.asked().remove(0);
    let shown = blocks(Path::new("docs/reference/judge.md")).into_iter().find(|block| block.is("json", "")).unwrap();
    let (told, shown) = (asked.json(), serde_json::from_str::<Value>(&shown.text).unwrap());
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&told), fields(&shown));
    assert_eq!(fields(&told["image"]), fields(&shown["image"]));
    let form = |line: &String| line.starts_with("x-easel-signature: t=") && line.contains(",v1=");
    assert!(asked.head.iter().any(form), "{:?}", asked.head);
}
