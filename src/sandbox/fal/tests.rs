//! Tests of sandbox/fal/mod.rs.

use super::super::{Mode, Sandbox, Settings};
use super::*;
use crate::image::{Encoded, Fault, Format, Picture, Size};
use crate::money::Usd;
use crate::sandbox::test_client::{Reply, sandbox, send};
use crate::sandbox::test_inputs::{as_url, picture};

const SCHNELL: &str = "fal-ai/flux/schnell";

async fn call(sandbox: &Sandbox, method: &str, url: &str, body: &str) -> Reply {
    let path = url.strip_prefix(sandbox.url().as_str()).unwrap_or(url);
    let headers = [("authorization", "Key any"), ("content-type", "application/json")];
    send(sandbox.addr(), method, path, &headers, body.as_bytes()).await
}

async fn submit(sandbox: &Sandbox, model: &str, input: &Value) -> Reply {
    call(sandbox, "POST", &format!("/fal/{model}"), &input.to_string()).await
}

/// A request from its beginning to its result.
async fn run(sandbox: &Sandbox, model: &str, mut input: Value) -> Reply {
    if input.get("prompt").is_none() {
        input["prompt"] = json!("a red fox");
    }
    let reply = submit(sandbox, model, &input).await;
    assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("IN_QUEUE")), "{}", reply.json());
    sandbox.until(Name::Fal, |bill| bill.in_flight == 0).await;
    let status = call(sandbox, "GET", reply.json()["status_url"].as_str().unwrap(), "").await;
    assert_eq!((status.status, &status.json()["status"]), (200, &json!("COMPLETED")));
    call(sandbox, "GET", status.json()["response_url"].as_str().unwrap(), "").await
}

async fn drawn(sandbox: &Sandbox, image: &Value) -> Result<Picture, Fault> {
    let file = call(sandbox, "GET", image["url"].as_str().unwrap(), "").await;
    Picture::inspect(Encoded::Raw(file.body.into()))
}

fn bill(sandbox: &Sandbox) -> (u64, Usd, u64) {
    let bill = sandbox.invoice().vendor(Name::Fal).clone();
    (bill.pictures, bill.usd, bill.violations_total)
}

#[tokio::test]
async fn a_request_is_queued_drawn_and_charged_once_in_units_of_pictures() {
    let sandbox = sandbox("{vendors: {fal: {price: {fal-ai/flux/schnell: 0.003}}}}").await;
    let input = json!({"image_size": {"width": 512, "height": 768}, "num_images": 2, "seed": 7,
        "output_format": "png", "enable_safety_checker": true});
    let result = run(&sandbox, SCHNELL, input).await;
    let json = result.json();
    assert_eq!((result.status, result.header("x-fal-billable-units")), (200, Some("2")));
    assert_eq!((&json["seed"], &json["has_nsfw_concepts"]), (&json!(7), &json!([false, false])));
    let picture = drawn(&sandbox, &json["images"][1]).await.unwrap();
    assert_eq!((picture.size, picture.format), (Size::new(512, 768), Format::Png));
    let again = format!("/fal/fal-ai/flux/requests/{}", result.header("x-fal-request-id").unwrap());
    assert_eq!(call(&sandbox, "GET", &again, "").await.json(), json, "a result can be fetched again");
    assert_eq!(bill(&sandbox), (2, Usd::from_nanos(6_000_000), 0));
}

#[tokio::test]
async fn a_request_keeps_only_the_first_two_parts_of_its_endpoint_and_is_202_until_it_is_done() {
    let sandbox = sandbox("{vendors: {fal: {latency: 1h}}}").await;
    let json = submit(&sandbox, "fal-ai/flux-pro/v1.1", &json!({"prompt": "x"})).await.json();
    let own = json["response_url"].as_str().unwrap();
    assert!(own.starts_with(&format!("{}/fal/fal-ai/flux-pro/requests/", sandbox.url())), "{own}");
    let status = call(&sandbox, "GET", json["status_url"].as_str().unwrap(), "").await;
    assert_eq!((status.status, &status.json()["status"]), (202, &json!("IN_QUEUE")));
    assert_eq!(call(&sandbox, "GET", own, "").await.status, 400, "still in progress");
    let stop = json["cancel_url"].as_str().unwrap();
    let stopped = call(&sandbox, "PUT", stop, "").await;
    assert_eq!((stopped.status, &stopped.json()["status"]), (202, &json!("CANCELLATION_REQUESTED")));
    assert_eq!(call(&sandbox, "PUT", stop, "").await.json()["status"], "ALREADY_COMPLETED");
    assert_eq!(call(&sandbox, "GET", own, "").await.status, 499);
    let bill = sandbox.until(Name::Fal, |bill| bill.in_flight == 0).await;
    assert_eq!(bill.usd, Usd::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_been_begun_is_not_stopped_and_goes_on_to_be_charged() {
    let mut settings = Settings::default();
    settings.vendors.fal.latency = Duration::from_secs(10);
    let shared = Arc::new(SandboxState::new("http://sandbox".to_owned(), settings));
    let kept = Arc::clone(&shared);
    let mut call = VendorCall::admit(&shared, Name::Fal, &HeaderMap::new());
    let task = shared.vendor_state(Name::Fal).tasks.start(call.take_guard(), call.time, move |_| {
        kept.vendor_state(Name::Fal).billing.charge(SCHNELL, Usd::from_nanos(7), 1, 0);
        stored_result(200, Some("1".to_owned()), "", json!({}))
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Key any".parse().unwrap());
    assert_eq!(cancel(&shared, &public_id(&task.id), &headers).await.status(), StatusCode::ACCEPTED);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!((task.ended_with().unwrap()["status"].as_u64(), bill_of(&shared)), (Some(200), Usd::from_nanos(7)));
}

#[tokio::test]
async fn a_request_that_is_not_begun_in_the_time_it_gives_is_never_begun_and_its_status_says_so() {
    let sandbox = sandbox("{vendors: {fal: {latency: 1h}}}").await;
    let ask = async |patience: &str| {
        let headers =
            [("authorization", "Key any"), ("content-type", "application/json"), ("x-fal-request-timeout", patience)];
        let path = format!("/fal/{SCHNELL}");
        send(sandbox.addr(), "POST", &path, &headers, b"{\"prompt\":\"x\"}").await.json()
    };
    let late = ask("0.2").await;
    sandbox.until(Name::Fal, |bill| bill.in_flight == 0).await;
    let status = call(&sandbox, "GET", late["status_url"].as_str().unwrap(), "").await;
    let json = status.json();
    assert_eq!((status.status, &json["status"]), (200, &json!("COMPLETED")));
    assert_eq!(json["error_type"], "startup_timeout");
    assert!(json["error"].as_str().unwrap().contains("timed out"), "{json}");
    let result = call(&sandbox, "GET", late["response_url"].as_str().unwrap(), "").await;
    assert_eq!((result.status, result.header("x-fal-error-type")), (504, Some("startup_timeout")));
    assert_eq!(result.header("x-fal-request-timeout-type"), Some("user"));
    let patient = ask("3600").await;
    let status = call(&sandbox, "GET", patient["status_url"].as_str().unwrap(), "").await;
    assert_eq!((status.status, status.json().get("error_type").cloned()), (202, None));
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, 0));
}

fn bill_of(shared: &SandboxState) -> Usd {
    shared.invoice().vendor(Name::Fal).usd
}

#[tokio::test]
async fn what_a_model_does_not_take_is_told_by_its_result_and_costs_nothing() {
    let sandbox = sandbox("{}").await;
    let png = as_url(&picture(64, Format::Png, false));
    let clear = as_url(&picture(64, Format::Png, true));
    let small = as_url(&picture(32, Format::Png, false));
    let half = as_url(&picture(64, Format::Png, false).slice(..60));
    let sides = |width: u32, height: u32| json!({"image_size": {"width": width, "height": height}});
    let cases = [
        (SCHNELL, json!({"prompt": ""}), "prompt", "string_too_short"),
        (SCHNELL, json!({"prompt": 7}), "prompt", "type_error"),
        (SCHNELL, json!({"n": 2}), "n", "extra_forbidden"),
        (SCHNELL, json!({"num_images": 5}), "num_images", "less_than_equal"),
        (SCHNELL, json!({"output_format": "webp"}), "output_format", "literal_error"),
        (SCHNELL, json!({"negative_prompt": "text"}), "negative_prompt", "extra_forbidden"),
        (SCHNELL, json!({"image_url": png}), "image_url", "extra_forbidden"),
        (SCHNELL, json!({"image_size": "1024x1024"}), "image_size", "literal_error"),
        (SCHNELL, sides(1000, 1000), "image_size", "value_error"),
        (SCHNELL, json!({"image_size": {"width": 512}}), "image_size", "missing"),
        ("fal-ai/flux-pro/v1.1", sides(1472, 1024), "image_size", "value_error"),
        ("fal-ai/flux-2-pro", json!({"num_images": 1}), "num_images", "extra_forbidden"),
        ("openai/gpt-image-2", sides(512, 512), "image_size", "value_error"),
        ("openai/gpt-image-2", json!({"seed": 1}), "seed", "extra_forbidden"),
        ("fal-ai/gpt-image-1.5", sides(1024, 1024), "image_size", "type_error"),
        ("fal-ai/nano-banana", json!({"aspect_ratio": "7:4"}), "aspect_ratio", "literal_error"),
        ("fal-ai/flux-pro/kontext", json!({}), "image_url", "missing"),
        ("fal-ai/flux-pro/kontext", json!({"image_url": half}), "image_url", "value_error"),
        ("fal-ai/flux-pro/kontext", json!({"image_url": "https://h/1.png"}), "image_url", "value_error"),
        ("fal-ai/gpt-image-1/edit-image", json!({"image_urls": []}), "image_urls", "value_error"),
        ("fal-ai/flux-pro/v1/fill", json!({"image_url": png}), "mask_url", "missing"),
        ("fal-ai/flux-pro/v1/fill", json!({"image_url": png, "mask_url": small}), "mask_url", "value_error"),
        ("fal-ai/flux-pro/v1/fill", json!({"image_url": png, "mask_url": clear}), "mask_url", "value_error"),
    ];
    let count = cases.len() as u64;
    for (model, input, field, kind) in cases {
        let result = run(&sandbox, model, input.clone()).await;
        let error = result.json()["detail"][0].clone();
        assert_eq!((result.status, &error["loc"][1], &error["type"]), (422, &json!(field), &json!(kind)), "{input}");
        assert_eq!(result.header("x-fal-error-type"), Some(kind));
        assert_eq!(result.header("x-fal-billable-units"), None);
    }
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, count));
}

#[tokio::test]
async fn whom_and_what_the_queue_does_not_serve_it_says_at_once() {
    let sandbox = sandbox("{vendors: {fal: {key: right}}}").await;
    let ask = async |path: &str, key: &str, kind: &str, extra: (&str, &str)| {
        let headers = [("authorization", key), ("content-type", kind), extra];
        send(sandbox.addr(), "POST", path, &headers, b"{\"prompt\":\"x\"}").await.status
    };
    let none = ("accept", "*/*");
    let (path, json_type) = ("/fal/fal-ai/flux/schnell", "application/json");
    assert_eq!(ask(path, "Key right", json_type, none).await, 200);
    assert_eq!(ask(path, "Key wrong", json_type, none).await, 401);
    assert_eq!(ask(path, "Bearer right", json_type, none).await, 401);
    assert_eq!(ask(path, "Key right", "text/plain", none).await, 415);
    assert_eq!(ask(path, "Key right", json_type, ("x-fal-request-timeout", "0")).await, 400);
    assert_eq!(ask("/fal/fal-ai/nothing", "Key right", json_type, none).await, 404);
    assert_eq!(ask("/fal/fal-ai", "Key right", json_type, none).await, 404);
    assert_eq!(bill(&sandbox).2, 6);
}

#[tokio::test]
async fn pictures_to_change_are_decoded_and_change_what_is_drawn() {
    let sandbox = sandbox("{}").await;
    let edit = async |side: u32| {
        let png = as_url(&picture(side, Format::Png, false));
        let input = json!({"image_url": png, "mask_url": png, "seed": 1, "output_format": "png"});
        let json = run(&sandbox, "fal-ai/flux-pro/v1/fill", input).await.json();
        drawn(&sandbox, &json["images"][0]).await.unwrap()
    };
    let (first, again, other) = (edit(64).await, edit(64).await, edit(96).await);
    assert_eq!((first.size, other.size), (Size::new(64, 64), Size::new(96, 96)));
    assert_eq!(first.raw(), again.raw());
    let two =
        |first: u32| json!([as_url(&picture(first, Format::Png, false)), as_url(&picture(48, Format::Png, false))]);
    let multi = async |first| {
        let input = json!({"image_urls": two(first), "seed": 1, "aspect_ratio": "16:9"});
        let json = run(&sandbox, "fal-ai/flux-pro/kontext/multi", input).await.json();
        drawn(&sandbox, &json["images"][0]).await.unwrap()
    };
    let (one, another) = (multi(32).await, multi(40).await);
    assert!(one.size == another.size && one.raw() != another.raw());
}

#[tokio::test]
async fn a_refusal_costs_nothing_and_a_picture_that_was_blacked_out_costs_as_much_as_any() {
    let sandbox = sandbox("{}").await;
    let result = run(&sandbox, SCHNELL, json!({"prompt": "a forbidden fox"})).await;
    assert_eq!((result.status, result.header("x-fal-error-type")), (422, Some("content_policy_violation")));
    assert_eq!((bill(&sandbox), result.header("x-fal-billable-units")), ((0, Usd::ZERO, 0), None));
    let result = run(&sandbox, SCHNELL, json!({"prompt": "withheld", "num_images": 3})).await;
    assert_eq!(result.json()["has_nsfw_concepts"], json!([false, false, true]));
    assert_eq!(result.header("x-fal-billable-units"), Some("3"));
    let bill = sandbox.invoice().vendor(Name::Fal).clone();
    assert_eq!((bill.pictures, bill.refused_billed, bill.usd), (3, 1, Usd::from_nanos(120_000_000)));
}

#[tokio::test]
async fn pictures_come_inside_the_answer_when_that_is_asked() {
    let sandbox = sandbox("{}").await;
    let json = run(&sandbox, "openai/gpt-image-2", json!({"sync_mode": true, "background": "opaque"})).await;
    assert_eq!(json.status, 422, "gpt-image-2 has no background");
    let json = run(&sandbox, "fal-ai/gpt-image-1.5", json!({"sync_mode": true, "quality": "low"})).await.json();
    assert!(json["images"][0]["url"].as_str().unwrap().starts_with("data:image/png;base64,"), "{json}");
    assert_eq!(json.get("has_nsfw_concepts"), None);
}

#[tokio::test]
async fn each_fault_looks_as_it_does_at_the_vendor() {
    let sandbox = sandbox("{}").await;
    let input = json!({"prompt": "a red fox", "image_size": "square"});
    let meet = async |mode| {
        sandbox.set(Name::Fal, |vendor| vendor.mode = mode);
        submit(&sandbox, SCHNELL, &input).await
    };
    let reply = meet(Mode::RateLimited { retry_after: Duration::from_secs(3) }).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, None));
    let reply = meet(Mode::OutOfMoney).await;
    assert!(reply.status == 403 && reply.json()["detail"].as_str().unwrap().contains("Exhausted balance"));
    assert_eq!(meet(Mode::Down500).await.status, 500);
    assert!(meet(Mode::Garbage).await.body.starts_with(b"<!doctype"));
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, 0));
    sandbox.set(Name::Fal, |vendor| vendor.mode = Mode::NoPictures);
    let result = run(&sandbox, SCHNELL, input.clone()).await;
    assert_eq!((&result.json()["images"], result.header("x-fal-billable-units")), (&json!([]), Some("0")));
    sandbox.set(Name::Fal, |vendor| vendor.mode = Mode::Refusing);
    assert_eq!(run(&sandbox, SCHNELL, input.clone()).await.status, 422);
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, 0));
    sandbox.set(Name::Fal, |vendor| vendor.mode = Mode::Truncated);
    let json = run(&sandbox, SCHNELL, input.clone()).await.json();
    assert_eq!(drawn(&sandbox, &json["images"][0]).await.err(), Some(Fault::Truncated));
    assert_eq!(bill(&sandbox).0, 1, "what was drawn is charged");
}
