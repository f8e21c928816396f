//! `easel calibrate`: labelled pairs, what certifies a threshold, and what refuses one.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::commands::{config, easel};
use crate::scripted::{Asked, Scripted, Then, answer, json_answer};

fn calibrate(arguments: &[&str], input: &str) -> Output {
    let mut command = easel();
    command.arg("calibrate").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn by_lines(limit: &str, pairs: &str) -> (Option<i32>, Vec<Value>) {
    let output = calibrate(&["--pairs", "-", "--max-false-hit", limit, "--format", "json"], pairs);
    let lines =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines)
}

/// So many pairs that mean different pictures and that no guard stops, with this likeness.
fn different(numbers: std::ops::Range<usize>, similarity: f64) -> String {
    let pair = |number: usize| {
        let (a, b) = (format!("a fox beside item{number}x"), format!("a wolf beside item{number}x"));
        format!("{}\n", json!({"a": a, "b": b, "same": false, "similarity": similarity}))
    };
    numbers.map(pair).collect()
}

fn same(number: usize, similarity: f64) -> String {
    let (a, b) = (format!("a garden by thing{number}x"), format!("a park by thing{number}x"));
    format!("{}\n", json!({"a": a, "b": b, "same": true, "similarity": similarity}))
}

#[test]
fn pairs_apart_certify_a_threshold_and_the_yaml_says_what_it_rests_on() {
    let pairs = different(0..299, 0.7) + &same(1, 0.95) + &same(2, 0.9123);
    let (code, mut lines) = by_lines("1%", &pairs);
    let summary = lines.pop().unwrap()["summary"].take();
    assert_eq!((code, lines.len()), (Some(0), 301));
    assert_eq!((&lines[0]["same"], &lines[0]["guard"]), (&json!(false), &json!(null)));
    let certified = &summary["certified"];
    assert_eq!((&certified["threshold"], &certified["negatives"]), (&json!(0.912), &json!(299)));
    assert_eq!((&certified["false_hits"], &certified["hits"]), (&json!(0), &json!(2)));
    let yaml = "near: {embedding: PROVIDER/MODEL, max_false_hit: 1%, certified: {threshold: 0.912, negatives: 299, \
                false_hits: 0, dimensions: DIMENSIONS}}";
    assert_eq!(summary["yaml"], json!(yaml));
    let output = calibrate(&["--pairs", "-", "--max-false-hit", "1%"], &pairs);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(yaml), "{text}");
    // Its own lines can be calibrated by again.
    let again: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(by_lines("1%", &again).1.pop().unwrap()["summary"]["certified"], *certified);
}

#[test]
fn overlapping_and_few_pairs_certify_nothing_and_say_why() {
    let refused = |limit: &str, pairs: &str| {
        let (code, mut lines) = by_lines(limit, pairs);
        let summary = lines.pop().unwrap()["summary"].take();
        assert_eq!((code, &summary["certified"], &summary["yaml"]), (Some(1), &json!(null), &json!(null)));
        let text = |key: &str| summary["refused"][key].as_str().unwrap().to_owned();
        (text("reason"), text("why"))
    };
    let found = same(1, 0.95);
    let (reason, why) = refused("1%", &(different(0..298, 0.7) + &found));
    assert!(reason == "too_few_different" && why.contains("299 at the least") && why.contains("are 298"), "{why}");
    let (reason, why) = refused("0.1%", &(different(0..299, 0.7) + &found));
    assert!(reason == "too_few_different" && why.contains("2995 at the least"), "{why}");
    let (reason, why) = refused("1%", &(different(0..295, 0.7) + &different(295..300, 1.0) + &found));
    assert!(reason == "too_many_false_hits" && why.contains("5 of 300"), "{why}");
    assert_eq!(refused("1%", &(different(0..300, 0.96) + &found)).0, "nothing_found");
}

#[test]
fn what_a_guard_stops_needs_no_likeness_and_never_hits() {
    let guarded: String = (0..299)
        .map(|number| format!("{}\n", json!({"a": format!("a red fox {number}"), "b": "a blue fox", "same": false})))
        .collect();
    let (code, lines) = by_lines("1%", &(guarded + &same(1, 0.9)));
    assert_eq!((code, &lines[0]["similarity"]), (Some(0), &json!(null)));
    assert_eq!(lines[299]["guard"], json!(null));
    assert!(lines[0]["guard"] == "number" || lines[0]["guard"] == "color", "{}", lines[0]);
    let summary = &lines[300]["summary"];
    assert_eq!((&summary["different_guarded"], &summary["certified"]["threshold"]), (&json!(299), &json!(0.9)));
}

#[test]
fn a_pair_counts_once_and_no_two_lines_may_say_the_opposite() {
    let one = different(0..1, 0.7);
    let (_, lines) = by_lines("1%", &(one.repeat(400) + &same(1, 0.9)));
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!((&summary["different"], &summary["repeated"]), (&json!(1), &json!(399)));
    assert_eq!(summary["refused"]["reason"], "too_few_different");
    let failed = |pairs: &str| {
        let output = calibrate(&["--pairs", "-", "--max-false-hit", "1%"], pairs);
        assert_eq!(output.status.code(), Some(2), "{pairs}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // The other way round, and in other words of the same canonical form.
    let turned = json!({"a": "draw a wolf beside item0x", "b": "A fox beside item0x", "same": true, "similarity": 0.7});
    let why = failed(&format!("{one}{turned}\n"));
    assert!(why.contains("line 2 says the opposite of line 1"), "{why}");
    let why = failed("{\"a\": \"a fox\", \"b\": \"a wolf\"}\n");
    assert!(why.contains("line 1 has no label"), "{why}");
    let why = failed("{\"a\": \"a fox\", \"b\": \"a wolf\", \"same\": false}\n");
    assert!(why.contains("line 1 has no `similarity`"), "{why}");
    assert!(failed("{\"a\": \"a fox\", \"b\": \"a wolf\", \"sam\": true}\n").contains("unknown field `sam`"), "a slip");
    assert!(failed("").contains("has no pairs"), "nothing");
    let measured = |by: &str, number: usize| {
        let (a, b) = (format!("a fox by tree{number}x"), format!("a wolf by tree{number}x"));
        format!("{}\n", json!({"a": a, "b": b, "same": false, "similarity": 0.5, "embedder": by, "dimensions": 256}))
    };
    let why = failed(&(measured("one/small", 1) + &measured("other/small", 2)));
    assert!(why.contains("line 2 was measured by other/small with 256 dimensions"), "{why}");
}

/// A vector that has a number for each word of a text, so that texts are as alike as they have words in common.
pub fn by_words(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; 256];
    let place =
        |word: &str| word.bytes().fold(7usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % 256;
    text.split_whitespace().for_each(|word| vector[place(word)] += 1.0);
    vector
}

/// What an embedder answers that counts a token a word.
pub fn embedded(asked: &Asked) -> Vec<u8> {
    let body = asked.json();
    let texts: Vec<&str> = body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let tokens: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
    let data = texts.iter().enumerate();
    let data = data.map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": by_words(text)}));
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    json_answer(200, &json!({"object": "list", "model": "small", "data": data.collect::<Vec<_>>(), "usage": usage}))
}

/// Calibrates by an embedder at this address whose million tokens cost a dollar.
async fn by_embedder(embedder: &Scripted, arguments: &[&str], input: String) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "providers:\n  words: {{kind: openai_text, base_url: http://{}/v1/, models: {{small: {{price: {{tokens_per_million: \
         {{text_in: 1}}}}}}}}}}\n  home: {{kind: openai_compatible, base_url: http://127.0.0.1:1/v1/, models: {{flux: {{price: \
         0.002}}}}}}\nroutes: [{{name: r, offers: [home/flux]}}]\n",
        embedder.addr
    );
    let path = config(folder.path(), &text);
    let mut all = vec!["--config".to_owned(), path.to_str().unwrap().to_owned()];
    all.extend(["--embedder", "words/small"].map(str::to_owned));
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let calibrated = move || calibrate(&all.iter().map(String::as_str).collect::<Vec<_>>(), &input);
    tokio::task::spawn_blocking(calibrated).await.unwrap()
}

/// 299 pairs that have two of three words in common and mean different pictures, and one that has most and means the same.
fn unmeasured_pairs() -> String {
    let different = (0..299).map(|number| {
        json!({"a": format!("fox beside item{number}x"), "b": format!("wolf beside item{number}x"), "same": false})
    });
    let same = json!({"a": "a garden by the river under the evening sky with birds and boats",
        "b": "a park by the river under the evening sky with birds and boats", "same": true});
    different.chain([same]).map(|pair| format!("{pair}\n")).collect()
}

#[tokio::test]
async fn an_embedder_embeds_each_text_once_in_batches_and_the_yaml_names_it_with_its_dimensions() {
    let embedder = Scripted::start(|asked| Then::Answer(embedded(asked))).await;
    let arguments = ["--pairs", "-", "--max-false-hit", "1%", "--batch", "100", "--format", "json"];
    // The same pair again, in other words of the same form: nothing more is embedded for it.
    let again = json!({"a": "A fox beside item0x", "b": "draw a wolf beside item0x", "same": false});
    let output = by_embedder(&embedder, &arguments, format!("{}{again}\n", unmeasured_pairs())).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap()["summary"].take();
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert_eq!(
        summary["yaml"].as_str().unwrap().split(", certified").next(),
        Some("near: {embedding: words/small, max_false_hit: 1%")
    );
    assert_eq!((&summary["dimensions"], &summary["repeated"]), (&json!(256), &json!(1)));
    let asked = embedder.asked();
    let sent: Vec<usize> = asked.iter().map(|asked| asked.json()["input"].as_array().unwrap().len()).collect();
    assert_eq!(sent, [100, 100, 100, 100, 100, 100]);
    assert!(asked.iter().all(|asked| asked.path == "/v1/embeddings"));
    // 598 texts of three words, and two of eleven or so, at a dollar for a million words.
    let usd = summary["usd"].as_str().unwrap();
    assert!(usd.starts_with("0.0018"), "{usd}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("600 texts at words/small: 0.0") && said.contains("USD at the most"), "{said}");
}

#[tokio::test]
async fn nothing_is_sent_that_could_cost_more_than_the_bound() {
    let embedder = Scripted::start(|asked| Then::Answer(embedded(asked))).await;
    let arguments = ["--pairs", "-", "--max-false-hit", "1%", "--max-usd", "0.001"];
    let output = by_embedder(&embedder, &arguments, unmeasured_pairs()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("nothing was sent"), "{said}");
    assert!(embedder.asked().is_empty());
}

#[tokio::test]
async fn a_vendor_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let times = std::sync::atomic::AtomicUsize::new(0);
    let busy = Scripted::start(move |asked| match times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Then::Answer(answer(
            429,
            &[("retry-after", "0")],
            b"{\"error\": {\"message\": \"slow down\", \"code\": \"rate_limit_exceeded\"}}",
        )),
        _ => Then::Answer(embedded(asked)),
    });
    let busy = busy.await;
    let arguments = ["--pairs", "-", "--max-false-hit", "1%", "--batch", "1000"];
    let output = by_embedder(&busy, &arguments, unmeasured_pairs()).await;
    assert_eq!((output.status.code(), busy.asked().len()), (Some(0), 2));
    let closed =
        json!({"error": {"message": "no such key", "code": "invalid_api_key", "type": "invalid_request_error"}});
    let closed = Scripted::start(move |_| Then::Answer(json_answer(401, &closed))).await;
    let output = by_embedder(&closed, &arguments, unmeasured_pairs()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("0 texts were embedded, for 0 USD"), "{said}");
    assert_eq!(closed.asked().len(), 1);
}

#[tokio::test]
async fn a_list_of_prompts_becomes_pairs_to_label_the_most_alike_first_without_those_that_a_guard_stops() {
    let embedder = Scripted::start(|asked| Then::Answer(embedded(asked))).await;
    let prompts = "a tower by the harbor in fog\na castle by the harbor in fog\na castle by the beach in fog\n\
                   A tower by the harbor in fog!\na red tower by the harbor in fog\nein Turm am Hafen im Nebel\n";
    let output = by_embedder(&embedder, &["--prompts", "-"], prompts.to_owned()).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pairs: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(pairs.len(), 3, "{text}");
    let likeness: Vec<f64> = pairs.iter().map(|pair| pair["similarity"].as_f64().unwrap()).collect();
    assert!(likeness[0] >= likeness[1] && likeness[1] > likeness[2], "{likeness:?}");
    let prompts = |pair: &Value| [pair["a"].as_str().unwrap().to_owned(), pair["b"].as_str().unwrap().to_owned()];
    assert_eq!(prompts(&pairs[2]), ["a tower by the harbor in fog", "a castle by the beach in fog"]);
    assert!(!text.contains("red") && !text.contains("Turm"), "a color and another language are no question: {text}");
    // What a person adds is all that it takes.
    let labelled = text.replace("\"same\":null", "\"same\":false");
    let read = calibrate(&["--pairs", "-", "--max-false-hit", "1%", "--format", "json"], &labelled);
    assert!(String::from_utf8_lossy(&read.stdout).contains("too_few_different"), "{read:?}");
    let unlabelled = calibrate(&["--pairs", "-", "--max-false-hit", "1%"], &text);
    assert!(String::from_utf8_lossy(&unlabelled.stderr).contains("line 1 has no label"), "{unlabelled:?}");
    let first =
        by_embedder(&embedder, &["--prompts", "-", "--most", "1"], "a tower\na castle\na bridge\n".to_owned()).await;
    assert_eq!(String::from_utf8_lossy(&first.stdout).lines().count(), 1);
}

#[tokio::test]
async fn an_embedder_that_the_config_does_not_have_is_told_with_those_it_has() {
    let embedder = Scripted::start(|asked| Then::Answer(embedded(asked))).await;
    let arguments = ["--pairs", "-", "--max-false-hit", "1%", "--embedder", "words/smal"];
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "providers: {{words: {{kind: openai_text, base_url: \"http://{}/v1/\", models: {{small: {{price: {{tokens_per_million: \
         {{text_in: 1}}}}}}}}}}, home: {{kind: openai_compatible, base_url: \"http://127.0.0.1:1/v1/\", models: {{flux: {{price: \
         0.002}}}}}}}}\nroutes: [{{name: r, offers: [home/flux]}}]\n",
        embedder.addr
    );
    let path = config(folder.path(), &text);
    let output = calibrate(&[&arguments[..], &["--config", path.to_str().unwrap()]].concat(), &unmeasured_pairs());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("did you mean `words/small`?"), "{said}");
}
