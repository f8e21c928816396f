//! Tests of sandbox/dashscope/mod.rs.

use std::time::Duration;

use base64_simd::STANDARD;

use super::super::draw::Sketch;
use super::super::{Mode, Sandbox, Settings};
use super::*;
use crate::image::{Encoded, Fault, Format, Picture, Size};
use crate::money::Usd;
use crate::sandbox::test_client::{Reply, get, post, sandbox, send};

const MESSAGES: &str = "/dashscope/api/v1/services/aigc/multimodal-generation/generation";
const TASKS: &str = "/dashscope/api/v1/services/aigc/text2image/image-synthesis";
/// Long enough that nothing ends by itself while a test runs.
const SLOW: &str = "{vendors: {dashscope: {latency: 1h}}}";

fn wish(model: &str, content: Value, parameters: Value) -> Value {
    json!({"model": model, "input": {"messages": [{"role": "user", "content": content}]}, "parameters": parameters})
}

fn fox(model: &str, parameters: Value) -> Value {
    wish(model, json!([{"text": "a red fox"}]), parameters)
}

fn task_of(prompt: &str, parameters: Value) -> Value {
    json!({"model": "wan2.2-t2i-flash", "input": {"prompt": prompt}, "parameters": parameters})
}

fn png(width: u32, height: u32) -> Vec<u8> {
    Sketch::new("input", 7, 0, Size::new(width, height)).file().unwrap().to_vec()
}

fn part_of(media_type: &str, bytes: &[u8]) -> Value {
    json!({"image": format!("data:{media_type};base64,{}", STANDARD.encode_to_string(bytes))})
}

/// Asks for a task, with the header.
async fn take_on(sandbox: &Sandbox, body: &Value) -> Reply {
    let headers =
        [("authorization", "Bearer any"), ("content-type", "application/json"), ("x-dashscope-async", "enable")];
    send(sandbox.addr(), "POST", TASKS, &headers, body.to_string().as_bytes()).await
}

fn task_path(reply: &Reply) -> String {
    format!("/dashscope/api/v1/tasks/{}", reply.json()["output"]["task_id"].as_str().unwrap())
}

/// A task from its beginning to its end.
async fn run(sandbox: &Sandbox, body: &Value) -> Value {
    let reply = take_on(sandbox, body).await;
    assert_eq!(reply.status, 200, "{}", reply.json());
    sandbox.until(Name::DashScope, |bill| bill.in_flight == 0).await;
    get(sandbox, &task_path(&reply)).await.json()
}

fn links(json: &Value) -> Vec<Value> {
    let content = &json["output"]["choices"][0]["message"]["content"];
    content.as_array().unwrap().iter().map(|item| item["image"].clone()).collect()
}

async fn picture(sandbox: &Sandbox, link: &Value) -> Result<Picture, Fault> {
    Picture::inspect(Encoded::Raw(get(sandbox, link.as_str().unwrap()).await.body.into()))
}

fn bill(sandbox: &Sandbox) -> (u64, Usd, u64) {
    let bill = sandbox.invoice().vendor(Name::DashScope).clone();
    (bill.pictures, bill.usd, bill.violations_total)
}

#[tokio::test]
async fn messages_are_answered_at_once_with_links_to_png_of_the_size_asked() {
    let sandbox = sandbox("{vendors: {dashscope: {price: {qwen-image-2.0: 0.035}}}}").await;
    let parameters = json!({"size": "1024*768", "n": 2, "seed": 7, "negative_prompt": "text",
        "prompt_extend": false, "watermark": false});
    let reply = post(&sandbox, MESSAGES, fox("qwen-image-2.0", parameters.clone())).await;
    let json = reply.json();
    assert_eq!((reply.status, links(&json).len()), (200, 2), "{json}");
    assert_eq!(json["usage"], json!({"image_count": 2, "width": 1024, "height": 768}));
    assert_eq!(json["output"]["task_metric"], json!({"TOTAL": 2, "SUCCEEDED": 2, "FAILED": 0}));
    let first = picture(&sandbox, &links(&json)[0]).await.unwrap();
    assert_eq!((first.format, first.size), (Format::Png, Size::new(1024, 768)));
    let again = post(&sandbox, MESSAGES, fox("qwen-image-2.0", parameters)).await.json();
    assert_eq!(picture(&sandbox, &links(&again)[0]).await.unwrap().raw(), first.raw(), "the same seed");
    assert_eq!(bill(&sandbox), (4, Usd::from_nanos(140_000_000), 0));
}

#[tokio::test]
async fn what_is_not_said_is_the_vendors_own_choice_and_wan_chooses_four() {
    let sandbox = sandbox("{}").await;
    for (model, count, usage) in [
        ("qwen-image-plus", 1, json!({"image_count": 1, "width": 1664, "height": 928})),
        ("z-image-turbo", 1, json!({"image_count": 1, "width": 1024, "height": 1536})),
        ("qwen-image-3.0-pro", 1, json!({"output_image_count": 1, "output_width": 2048, "output_height": 2048})),
        (
            "wan2.6-t2i",
            4,
            json!({"image_count": 4, "size": "1280*1280", "input_tokens": 0, "output_tokens": 0,
                "total_tokens": 0}),
        ),
    ] {
        let json = post(&sandbox, MESSAGES, fox(model, json!({}))).await.json();
        assert_eq!((links(&json).len(), &json["usage"]), (count, &usage), "{model}");
    }
}

#[tokio::test]
async fn a_task_waits_then_runs_and_is_charged_once_when_it_is_done() {
    let sandbox = sandbox("{vendors: {dashscope: {latency: 50ms, default_price: 0.025}}}").await;
    let reply = take_on(&sandbox, &task_of("a red fox", json!({"size": "1440*810", "n": 2}))).await;
    assert_eq!((reply.status, &reply.json()["output"]["task_status"]), (200, &json!("PENDING")));
    let states = ["PENDING", "RUNNING", "SUCCEEDED"];
    let mut last = 0;
    while last < 2 {
        let json = get(&sandbox, &task_path(&reply)).await.json();
        let place = states.iter().position(|status| json["output"]["task_status"] == *status).unwrap();
        assert!(place >= last, "never backwards");
        last = place;
    }
    let json = get(&sandbox, &task_path(&reply)).await.json();
    let results = json["output"]["results"].as_array().unwrap();
    assert_eq!((results.len(), &json["usage"]), (2, &json!({"image_count": 2})));
    assert_eq!(results[0]["actual_prompt"], "In detail: a red fox", "unless told not to");
    assert_eq!(picture(&sandbox, &results[1]["url"]).await.unwrap().size, Size::new(1440, 810));
    assert_eq!(json["output"]["submit_time"].as_str().map(str::len), Some("2026-11-22 20:03:01.802".len()));
    assert_eq!(bill(&sandbox), (2, Usd::from_nanos(50_000_000), 0));
}

#[tokio::test]
async fn only_a_task_that_waits_can_be_stopped_and_then_it_costs_nothing() {
    let sandbox = sandbox(SLOW).await;
    let reply = take_on(&sandbox, &task_of("a red fox", json!({"n": 1}))).await;
    let (path, stop) = (task_path(&reply), format!("{}/cancel", task_path(&reply)));
    assert_eq!(get(&sandbox, &path).await.json()["output"]["task_status"], "PENDING");
    assert_eq!(post(&sandbox, &stop, json!({})).await.status, 200);
    assert_eq!(get(&sandbox, &path).await.json()["output"]["task_status"], "CANCELED");
    let again = post(&sandbox, &stop, json!({})).await;
    assert_eq!((again.status, &again.json()["code"]), (400, &json!("UnsupportedOperation")));
    sandbox.until(Name::DashScope, |bill| bill.in_flight == 0).await;
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, 0));
    let unknown = get(&sandbox, "/dashscope/api/v1/tasks/00000000-0000-4000-ffff-ffffffffffff").await;
    assert_eq!((unknown.status, &unknown.json()["output"]["task_status"]), (200, &json!("UNKNOWN")));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_been_begun_is_not_stopped_and_goes_on_to_be_charged() {
    let mut settings = Settings::default();
    settings.vendors.dashscope.latency = Duration::from_secs(10);
    let shared = Arc::new(SandboxState::new("http://sandbox".to_owned(), settings));
    let kept = Arc::clone(&shared);
    let mut call = VendorCall::admit(&shared, Name::DashScope, &HeaderMap::new());
    let task = shared.vendor_state(Name::DashScope).tasks.start(call.take_guard(), call.time, move |_| {
        kept.vendor_state(Name::DashScope).billing.charge("wan2.2-t2i-flash", Usd::from_nanos(7), 1, 0);
        json!({"output": {"task_status": "SUCCEEDED"}})
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(status_and_usage(&task).0["task_status"], "RUNNING");
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer any".parse().unwrap());
    let answer = cancel(State(Arc::clone(&shared)), Path(public_id(&task.id)), headers).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(status_and_usage(&task).0["task_status"], "SUCCEEDED");
    assert_eq!(shared.invoice().total, Some(Usd::from_nanos(7)));
}

#[tokio::test]
async fn pictures_to_change_are_decoded_and_give_the_answer_its_shape() {
    let sandbox = sandbox("{}").await;
    let change = |parts: &[Value], parameters: Value| {
        let content: Vec<Value> = parts.iter().cloned().chain([json!({"text": "make it red"})]).collect();
        wish("qwen-image-edit-plus", json!(content), parameters)
    };
    let wide = part_of("image/png", &png(1600, 800));
    let json = post(&sandbox, MESSAGES, change(std::slice::from_ref(&wide), json!({"n": 1, "seed": 1}))).await.json();
    let first = picture(&sandbox, &links(&json)[0]).await.unwrap();
    assert_eq!(first.size, Size::new(1456, 720));
    let other = part_of("image/png", &png(800, 400));
    let json = post(&sandbox, MESSAGES, change(&[other, wide.clone()], json!({"seed": 1}))).await.json();
    let second = picture(&sandbox, &links(&json)[0]).await.unwrap();
    assert!(second.size == first.size && second.raw() != first.raw(), "another input is another picture");
    let json = post(&sandbox, MESSAGES, change(std::slice::from_ref(&wide), json!({"size": "512*768"}))).await.json();
    assert_eq!(picture(&sandbox, &links(&json)[0]).await.unwrap().size, Size::new(512, 768));
    assert_eq!(bill(&sandbox).0, 3);
    let cut_off = png(1024, 1024);
    for parts in [
        vec![],
        vec![wide.clone(), wide.clone(), wide.clone(), wide],
        vec![part_of("image/png", &cut_off[..cut_off.len() / 2])],
        vec![part_of("image/jpeg", &png(1024, 1024))],
        vec![part_of("image/gif", &png(1024, 1024))],
        vec![part_of("image/png", &png(383, 1024))],
        vec![json!({"image": "data:image/png;base64,%"})],
        vec![json!({"image": "https://example.com/1.png"})],
        vec![json!({"image": part_of("image/png", &png(512, 512))["image"], "mask": "x"})],
    ] {
        let reply = post(&sandbox, MESSAGES, change(&parts, json!({}))).await;
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("InvalidParameter")), "{}", reply.json());
    }
    assert_eq!((bill(&sandbox).0, bill(&sandbox).2), (3, 9), "nothing of that was charged");
}

#[tokio::test]
async fn whatever_is_not_in_the_table_is_refused() {
    let sandbox = sandbox("{}").await;
    let qwen = |parameters: Value| fox("qwen-image", parameters);
    let content = |content: Value| wish("qwen-image", content, json!({}));
    let text = json!({"text": "x"});
    let bad = [
        (qwen(json!({"size": "1024*1024"})), "The size does not match the allowed size 1664*928,"),
        (qwen(json!({"size": "1664x928"})), "The size must be width*height"),
        (qwen(json!({"n": 2})), "The num_images_per_prompt must be less"),
        (qwen(json!({"n": "1"})), "must be of type integer, not string"),
        (qwen(json!({"seed": 2147483648_u32})), "The seed must be less than"),
        (qwen(json!({"negative_prompt": "x".repeat(501)})), "The negative_prompt must have at most 500"),
        (qwen(json!({"quality": "high"})), "The quality is not a known field"),
        (qwen(json!({"watermark": "no"})), "The watermark must be of type boolean"),
        (qwen(json!([])), "The parameters must be of type object"),
        (fox("z-image-turbo", json!({"negative_prompt": "x"})), "The negative_prompt is not a known field"),
        (fox("wan2.6-image", json!({})), "The content.image needs 1 to 4 images, not 0"),
        (fox("qwen-image-edit", json!({})), "The content.image needs 1 to 3 images, not 0"),
        (content(json!([text, text])), "exactly once, not 2 times"),
        (content(json!([])), "exactly once, not 0 times"),
        (content(json!("x")), "The content must be of type array"),
        (content(json!([{"text": "x".repeat(801)}])), "must have at most 800 characters"),
        (content(json!([part_of("image/png", &png(512, 512)), text])), "needs 0 to 0 images, not 1"),
        (json!({"model": "qwen-image"}), "The input is required"),
        (json!({"model": "qwen-image", "input": {"prompt": "x"}}), "The messages is required"),
        (json!({"input": {}}), "The model is required"),
        (fox("wan2.2-t2i-flash", json!({})), "url error, please check url"),
    ];
    let count = bad.len() as u64;
    for (body, words) in bad {
        let reply = post(&sandbox, MESSAGES, body.clone()).await;
        let json = reply.json();
        assert_eq!((reply.status, &json["code"]), (400, &json!("InvalidParameter")), "{body}");
        assert!(json["message"].as_str().unwrap().contains(words), "{json}");
        assert!(json["request_id"].is_string());
    }
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, count));
}

#[tokio::test]
async fn the_way_in_must_be_the_models_own() {
    let sandbox = sandbox("{}").await;
    let status_and_code = |reply: Reply| (reply.status, reply.json()["code"].as_str().unwrap().to_owned());
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(status_and_code(post(&sandbox, TASKS, task_of("x", json!({}))).await), denied, "without the header");
    let newer = json!({"model": "qwen-image-2.0", "input": {"prompt": "x"}});
    assert_eq!(status_and_code(take_on(&sandbox, &newer).await), denied);
    let stranger = json!({"model": "dall-e-3", "input": {"prompt": "x"}});
    assert_eq!(status_and_code(take_on(&sandbox, &stranger).await), (404, "ModelNotFound".to_owned()));
    let misplaced =
        json!({"model": "wan2.2-t2i-flash", "input": {"prompt": "x"}, "parameters": {"negative_prompt": "y"}});
    assert_eq!(status_and_code(take_on(&sandbox, &misplaced).await), (400, "InvalidParameter".to_owned()));
    assert_eq!(status_and_code(get(&sandbox, MESSAGES).await), (404, "NotFound".to_owned()));
    let form = [("authorization", "Bearer any"), ("content-type", "text/plain")];
    let reply = send(sandbox.addr(), "POST", MESSAGES, &form, b"{}").await;
    assert_eq!(status_and_code(reply), (400, "InvalidParameter".to_owned()));
    let keyless = [("content-type", "application/json")];
    let reply = send(sandbox.addr(), "POST", MESSAGES, &keyless, b"{}").await;
    assert_eq!(status_and_code(reply), (401, "InvalidApiKey".to_owned()));
    sandbox.set(Name::DashScope, |vendor| vendor.key = Some("right".to_owned()));
    let path = "/dashscope/api/v1/tasks/x";
    assert_eq!(status_and_code(get(&sandbox, path).await), (401, "InvalidApiKey".to_owned()), "polls need the key too");
}

#[tokio::test]
async fn a_refusal_costs_nothing_and_a_withheld_picture_is_told_among_the_good_ones() {
    let sandbox = sandbox("{}").await;
    let forbidden = wish("qwen-image-2.0", json!([{"text": "a forbidden fox"}]), json!({}));
    let reply = post(&sandbox, MESSAGES, forbidden).await;
    assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("DataInspectionFailed")));
    let json = run(&sandbox, &task_of("a forbidden fox", json!({"n": 2}))).await;
    assert_eq!(json["output"]["task_status"], "FAILED");
    assert_eq!((&json["output"]["code"], &json["usage"]), (&json!("DataInspectionFailed"), &Value::Null));
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, 0));
    let json = run(&sandbox, &task_of("a withheld fox", json!({"n": 3}))).await;
    let results = json["output"]["results"].as_array().unwrap();
    assert!(results[1]["url"].is_string() && results[2]["code"] == "DataInspectionFailed", "{json}");
    assert_eq!(json["output"]["task_metrics"], json!({"TOTAL": 3, "SUCCEEDED": 2, "FAILED": 1}));
    let withheld = wish("qwen-image-2.0", json!([{"text": "a withheld fox"}]), json!({"n": 3}));
    assert_eq!(links(&post(&sandbox, MESSAGES, withheld).await.json()).len(), 2);
    assert_eq!(bill(&sandbox).0, 4, "only what is delivered");
}

#[tokio::test]
async fn each_fault_looks_as_it_does_at_the_vendor() {
    let sandbox = sandbox("{}").await;
    let meet = async |mode| {
        sandbox.set(Name::DashScope, |vendor| vendor.mode = mode);
        post(&sandbox, MESSAGES, fox("qwen-image", json!({}))).await
    };
    let reply = meet(Mode::RateLimited { retry_after: Duration::from_secs(30) }).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, None));
    assert_eq!(reply.json()["code"], "Throttling.RateQuota");
    let reply = meet(Mode::OutOfMoney).await;
    assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("Arrearage")));
    assert_eq!(meet(Mode::Refusing).await.json()["code"], "DataInspectionFailed");
    let page = meet(Mode::Garbage).await;
    assert!(page.status == 200 && page.body.starts_with(b"<!doctype html>"));
    let json = meet(Mode::NoPictures).await.json();
    assert_eq!((links(&json).len(), &json["usage"]["image_count"]), (0, &json!(0)));
    let json = run(&sandbox, &task_of("a red fox", json!({}))).await;
    assert_eq!((&json["output"]["results"], &json["usage"]["image_count"]), (&json!([]), &json!(0)));
    assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
    let json = meet(Mode::Truncated).await.json();
    assert_eq!(picture(&sandbox, &links(&json)[0]).await.err(), Some(Fault::Truncated));
    assert_eq!(bill(&sandbox).0, 1);
    let reply = meet(Mode::Down500).await;
    assert_eq!((reply.status, &reply.json()["code"]), (500, &json!("InternalError")));
    let path = "/dashscope/api/v1/tasks/x";
    assert_eq!(get(&sandbox, path).await.status, 500, "a vendor that is down answers no polls either");
}
