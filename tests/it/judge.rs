//! The judge in examples/judge, which reads the words on pictures, as it is run by people: `scripts/test` installs what it needs.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{Answer, Client};
use crate::docs::root;
use crate::scripted::{Scripted, Then, json_answer};
use crate::tools::tool;
use crate::world::World;

const KEY: &str = "the key of both";

/// The judge, running until it is dropped.
struct ReadingJudge {
    process: Child,
    addr: SocketAddr,
}

impl ReadingJudge {
    fn start() -> ReadingJudge {
        let mut process = Command::new(tool("EASEL_TEST_JUDGE_PYTHON"))
            .arg(folder().join("judge.py"))
            .args(["--port", "0", "--print-port", "--threads", "1"])
            .env("JUDGE_KEY", KEY)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port: u16 = port.trim().parse().expect("the judge says its port once it listens");
        ReadingJudge { process, addr: ([127, 0, 0, 1], port).into() }
    }

    /// Sends a body with a signature of its own making.
    async fn ask_with(&self, body: &str, signature: Option<String>) -> Answer {
        let mut client = Client::connect(self.addr).await.lenient();
        let signature = signature.iter().map(|value| ("x-easel-signature", value.as_str()));
        let headers: Vec<(&str, &str)> = signature.collect();
        client.send("POST", "/judge", &headers, body.as_bytes()).await;
        client.receive().await.unwrap()
    }

    async fn ask(&self, prompt: &str, picture: &str) -> Value {
        let body =
            json!({"prompt": prompt, "image": {"base64": base64_simd::STANDARD.encode_to_string(fixture(picture))}});
        let answer = self.ask_with(&body.to_string(), Some(sign(KEY, now(), &body.to_string()))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

impl Drop for ReadingJudge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn folder() -> PathBuf {
    root().join("examples/judge")
}

/// A picture of a sign, drawn with Pillow: one that says SUMMER SALE, one that says SUNNFR SAIF, one with nothing on it.
fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(root().join(format!("tests/fixtures/judge/{name}.png"))).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sign(key: &str, at: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

#[tokio::test]
#[ignore = "needs Python with OCR models: run scripts/test"]
async fn the_example_judge_reads_the_words_that_a_prompt_quotes_and_misses_those_that_are_not_there() {
    let judge = ReadingJudge::start();
    let prompt = "A shop window with a sign that says \"Summer Sale\"";
    assert_eq!(judge.ask(prompt, "sale").await, json!({"verdict": "accept", "score": 1.0, "reasons": []}));
    for picture in ["misspelt", "bare"] {
        let missing = json!({"verdict": "reject", "score": 0.0, "reasons": ["missing text: Summer Sale"]});
        assert_eq!(judge.ask(prompt, picture).await, missing, "{picture}");
    }
    let half = judge.ask("“SUMMER SALE” and „Heute“, « 50% »", "sale").await;
    assert_eq!(half["score"], json!(0.5));
    assert_eq!(half["reasons"], json!(["missing text: Heute", "missing text: 50%"]));
    for prompt in ["A shop window with a sign", "Вывеска «РАСПРОДАЖА»"] {
        assert_eq!(judge.ask(prompt, "bare").await["verdict"], "abstain", "{prompt}");
    }
}

#[tokio::test]
#[ignore = "needs Python with OCR models: run scripts/test"]
async fn the_example_judge_answers_nobody_without_its_key_and_reads_no_more_than_a_picture() {
    let judge = ReadingJudge::start();
    let body = json!({"prompt": "a fox", "image": {"base64": ""}}).to_string();
    let signed = sign(KEY, now(), &body);
    assert_eq!(judge.ask_with(&body, Some(signed.clone())).await.status, 200);
    for (why, body, signature) in [
        ("unsigned", &body, None),
        ("malformed", &body, Some("v1=00".to_owned())),
        ("another key", &body, Some(sign("another", now(), &body))),
        ("another body", &body.replace("fox", "fix"), Some(signed)),
        ("six minutes ago", &body, Some(sign(KEY, now() - 360, &body))),
        ("in six minutes", &body, Some(sign(KEY, now() + 360, &body))),
    ] {
        assert_eq!(judge.ask_with(body, signature).await.status, 401, "{why}");
    }
    for body in ["{}", "[]", "null", "{", &"[".repeat(100_000), r#"{"prompt":"x","image":{"base64":"?"}}"#] {
        assert_eq!(judge.ask_with(body, Some(sign(KEY, now(), body))).await.status, 400, "{:.20}", body);
    }
    let mut client = Client::connect(judge.addr).await.lenient();
    let signature = sign(KEY, now(), "");
    let head = format!("POST /judge HTTP/1.1\r\ncontent-length: 40000000\r\nx-easel-signature: {signature}\r\n\r\n");
    client.raw(head.as_bytes()).await;
    assert_eq!(client.receive().await.unwrap().status, 413, "by its length, before it is there");
}

#[test]
#[ignore = "needs Python with OCR models: run scripts/test"]
fn what_the_example_judge_looks_for_has_tests_of_its_own() {
    let mut tests = Command::new(tool("EASEL_TEST_JUDGE_PYTHON"));
    let run =
        tests.args(["-m", "unittest"]).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("Ran 9 tests"), "{said}");
}

/// A vendor that draws this picture for every prompt.
async fn draws(name: &str) -> Scripted {
    let picture = base64_simd::STANDARD.encode_to_string(fixture(name));
    Scripted::start(move |_| Then::Answer(json_answer(200, &json!({"created": 1, "data": [{"b64_json": picture}]}))))
        .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python with OCR models: run scripts/test"]
async fn easel_delivers_the_picture_that_says_what_its_prompt_quotes_and_pays_for_the_others() {
    let (bare, misspelt, sale) = (draws("bare").await, draws("misspelt").await, draws("sale").await);
    let judge = ReadingJudge::start();
    let vendor = |scripted: &Scripted, price: &str| {
        format!(
            "{{kind: openai_compatible, base_url: 'http://{}/v1/', models: {{m: {{price: {price}}}}}}}",
            scripted.addr
        )
    };
    let config = format!(
        "providers:
  bare: {}
  misspelt: {}
  sale: {}
routes:
  - name: signs
    offers: [bare/m, misspelt/m, {{offer: sale/m, when: [rejected]}}]
    quality:
      judge: {{url: 'http://{}/judge', hmac_key: '{KEY}', timeout: 60s, send_prompt: true, on_error: reject}}
",
        vendor(&bare, "0.009"),
        vendor(&misspelt, "0.01"),
        vendor(&sale, "0.04"),
        judge.addr,
    );
    let world = World::new(&config).await;
    let delivered = |answer: Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let base64 = answer.json()["data"][0]["b64_json"].as_str().unwrap().to_owned();
        base64_simd::STANDARD.decode_to_vec(base64).unwrap()
    };
    let sign = world.draw(json!({"prompt": "A shop with a sign that says \"SUMMER SALE\"", "quality": "high"})).await;
    assert_eq!(sign.header("x-easel-cost-usd"), "0.059", "the two that were rejected are paid for");
    assert!(delivered(sign) == fixture("sale"));
    // Of a prompt that quotes nothing the judge has no opinion.
    let shop = world.draw(json!({"prompt": "A shop with a sign"})).await;
    assert!(delivered(shop) == fixture("bare"));
    assert_eq!([&bare, &misspelt, &sale].map(|vendor| vendor.count("POST")), [2, 1, 1]);
    let metrics = world.metrics().await;
    for line in ["reject\"} 2", "accept\"} 1", "abstain\"} 1"] {
        let line = format!("easel_judge_total{{route=\"signs\",verdict=\"{line}");
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
}
