//! Black Forest Labs as PROVIDERS.md 9.1 has it: tasks that are taken on, asked about by their own address, and fetched.
//!
//! What a model takes is in `models.rs`. A task is charged when it is ready, and its cost is told once, in credits,
//! when it is taken on; refused tasks cost nothing. A prompt with the word "forbidden" is refused as a request, a call
//! that is fated to be refused as content. Webhooks are taken and never called. Not here: fine-tunes, credits, limits
//! on concurrent tasks.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::{BadBody, No, VendorCall, act_out, finish, read_json, text, unix_time};
use super::draw::Sketch;
use super::faults::Mode;
use super::fields::{Fields, Why, Wrong};
use super::settings::{Name, Vendor};
use super::tasks::Task;
use crate::money::Usd;
use crate::sandbox::bfl::models::{Model, Order};
use crate::sandbox::desk::Desk;
use crate::sandbox::files;

pub(in crate::sandbox) mod models;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1/get_result", routing::get(poll))
        .route("/v1/{model}", routing::post(take_on))
        .route("/files/{id}/{file}", routing::get(files::fetch))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn take_on(State(desk): State<Arc<Desk>>, Path(model): Path<String>, request: Request) -> Response {
    let mut call = VendorCall::admit(&desk, Name::Bfl, request.headers());
    let answer = task(&mut call, model, request).await;
    call.close(answer)
}

async fn task(call: &mut VendorCall, name: String, request: Request) -> Result<Response, No> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let model = Model::of(&name, &call.vendor).ok_or_else(not_found)?;
    let order = read_order(model, &parts.headers, body).await?;
    act_out(call.fate, fault).await?;
    let by_pixels = call.vendor.rates.picture(&name, order.size, &order.inputs);
    let price = by_pixels.unwrap_or_else(|| call.vendor.price_of(&name, order.size, None));
    let ending = Ending::of(call, name, &order, price);
    let (desk, origin) = (Arc::clone(&call.desk), call.origin.clone());
    let tasks = &desk.book(Name::Bfl).tasks;
    let kept = Arc::clone(&desk);
    let task = tasks.start(call.take_guard(), call.time, move |_| ending.come(&kept, &origin));
    let polling_url = format!("{}/bfl/v1/get_result?id={}", call.origin, task.id);
    let hooked = order.webhook.is_some();
    let taken = Taken {
        id: &task.id,
        polling_url: (!hooked).then_some(polling_url),
        status: hooked.then_some("Pending"),
        webhook_url: order.webhook,
        cost: if call.vendor.tells_cost { Some(number(credits(price))?) } else { None },
        input_mp: number(hundredths(order.inputs.iter().map(|size| size.pixels() / 10_000).sum()))?,
        output_mp: number(hundredths(order.size.pixels() / 10_000))?,
    };
    Ok(Json(taken).into_response())
}

async fn read_order(model: Model, headers: &HeaderMap, body: Body) -> Result<Order, No> {
    let fields = Fields::nullable(read_json(headers, body).await.map_err(bad_body)?);
    model.read(fields).await.map_err(|wrong| bad_field("body", &wrong))
}

/// The answer to a task that was taken on. With a webhook there is no address to ask at.
#[derive(Serialize)]
struct Taken<'t> {
    id: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    polling_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
    /// The digits themselves, as are the others.
    cost: Option<Box<RawValue>>,
    input_mp: Box<RawValue>,
    output_mp: Box<RawValue>,
}

/// An amount in credits of a cent, never without a point, as the vendor's Python writes it.
fn credits(usd: Usd) -> String {
    let nanos = usd.nanos();
    let text = format!("{}.{:07}", nanos / 10_000_000, nanos % 10_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

fn number(digits: String) -> Result<Box<RawValue>, No> {
    RawValue::from_string(digits).map_err(|_| No::broken())
}

/// What a task will end with.
#[derive(Debug)]
enum Ending {
    Refused(&'static str, &'static str),
    Nothing,
    Picture { model: String, price: Usd, sketch: Box<Sketch> },
}

impl Ending {
    fn of(call: &VendorCall, model: String, order: &Order, price: Usd) -> Ending {
        match call.fate {
            Mode::Refusing => Ending::Refused("Content Moderated", "Derivative Works Filter"),
            _ if call.refuses(&order.prompt) => Ending::Refused("Request Moderated", "Violence"),
            Mode::NoPictures => Ending::Nothing,
            _ => {
                let seed = order.seed.map_or(call.luck, i64::cast_unsigned);
                let drawn = call.sketch(&order.prompt, seed ^ order.mark, 0, order.size);
                Ending::Picture { model, price, sketch: Box::new(Sketch { format: order.format, ..drawn }) }
            }
        }
    }

    /// Charges what is drawn and says how the task stands from now on.
    fn come(self, desk: &Desk, origin: &str) -> Value {
        match self {
            Ending::Refused(status, reason) => {
                json!({"status": status, "result": null, "details": {"Moderation Reasons": [reason]}})
            }
            Ending::Nothing => json!({"status": "Ready", "result": {}, "details": null}),
            Ending::Picture { model, price, sketch } => {
                if desk.book(Name::Bfl).billing.charge(&model, price, 1, 0).is_none() {
                    return json!({"status": "Error", "result": null, "details": {"error": "the sandbox itself failed"}});
                }
                let (prompt, seed) = (sketch.prompt.clone(), sketch.seed);
                let sample = format!("{origin}{}", desk.shelf.put(Name::Bfl, *sketch));
                let now = unix_time();
                let result = json!({"sample": sample, "prompt": prompt, "seed": seed, "start_time": now,
                    "end_time": now, "duration": 0.0});
                json!({"status": "Ready", "result": result, "details": null})
            }
        }
    }
}

/// How a task stands; one that is not known is told in the same words as any other.
async fn poll(
    State(desk): State<Arc<Desk>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let answer = find(&desk, &query, &headers).await.map(|(id, found)| {
        let mut body = match found {
            None => json!({"status": "Task not found", "result": null, "details": null}),
            Some(task) => standing(&task),
        };
        body["id"] = json!(id);
        body["progress"] = Value::Null;
        Json(body).into_response()
    });
    finish(&desk, Name::Bfl, answer)
}

/// The task asked about, unless the whole vendor misbehaves. Odds are for new work only.
async fn find(
    desk: &Desk,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Result<(String, Option<Arc<Task>>), No> {
    let vendor = desk.settings(Name::Bfl);
    authorise(&vendor, headers)?;
    act_out(vendor.mode, fault).await?;
    let id = query.get("id").ok_or_else(|| bad_field("query", &Wrong::new("id", Why::Missing)))?;
    Ok((id.clone(), desk.book(Name::Bfl).tasks.get(id)))
}

fn standing(task: &Task) -> Value {
    match task.ended_with() {
        Some(ended) if ended.is_object() => ended,
        Some(_) => json!({"status": "Error", "result": null, "details": {"error": "the sandbox is closing"}}),
        // The first fifth of the time is spent waiting for a turn.
        None if task.created.elapsed() < task.time / 5 => json!({"status": "Pending", "result": null, "details": null}),
        None => json!({"status": "Generating", "result": null, "details": null}),
    }
}

async fn lost(State(desk): State<Arc<Desk>>) -> Response {
    finish(&desk, Name::Bfl, Err(not_found()))
}

fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), No> {
    match text(headers, &HeaderName::from_static("x-key")) {
        key if vendor.accepts(key) => Ok(()),
        None | Some("") => Err(violation(StatusCode::FORBIDDEN, "Not authenticated")),
        Some(_) => Err(violation(StatusCode::FORBIDDEN, "Not authenticated - Invalid Authentication")),
    }
}

fn violation(status: StatusCode, words: &str) -> No {
    No::violation(status, json!({"detail": words}))
}

fn not_found() -> No {
    violation(StatusCode::NOT_FOUND, "Not Found")
}

fn bad_field(place: &str, wrong: &Wrong) -> No {
    let kind = match wrong.why {
        Why::Missing => "missing",
        Why::Unknown => "extra_forbidden",
        Why::NotA(..) => "type_error",
        Why::Below(_) => "greater_than_equal",
        Why::Above(_) => "less_than_equal",
        Why::NotOneOf(_) => "enum",
        Why::Empty | Why::TooLong(..) | Why::Other(_) => "value_error",
    };
    unprocessable(json!([place, wrong.field]), &wrong.sentence(), kind)
}

fn unprocessable(place: Value, words: &str, kind: &str) -> No {
    No::violation(StatusCode::UNPROCESSABLE_ENTITY, json!({"detail": [{"loc": place, "msg": words, "type": kind}]}))
}

fn bad_body(why: BadBody) -> No {
    match why {
        BadBody::TooLarge => violation(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"),
        BadBody::NotJson(why) => unprocessable(json!(["body"]), &format!("JSON decode error: {why}"), "json_invalid"),
        BadBody::NotAnObject | BadBody::ContentType(_) => {
            unprocessable(json!(["body"]), "Input should be a valid dictionary", "model_attributes_type")
        }
    }
}

fn fault(mode: Mode) -> No {
    match mode {
        Mode::RateLimited { retry_after } => {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            let words = "Too many concurrent tasks";
            let body = json!({"error": "rate_limit_exceeded", "message": words, "retry_after": seconds});
            No::fault(StatusCode::TOO_MANY_REQUESTS, body).with_retry_after(retry_after)
        }
        Mode::OutOfMoney => No::fault(StatusCode::PAYMENT_REQUIRED, json!({"detail": "Insufficient credits"})),
        _ => No::fault(StatusCode::INTERNAL_SERVER_ERROR, json!({"detail": "Internal Server Error"})),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64_simd::STANDARD;

    use super::super::client::{Reply, sandbox, send};
    use super::super::edits::tests::picture;
    use super::super::{Mode, Sandbox, Settings};
    use super::*;
    use crate::image::{Encoded, Fault, Format, Picture, Size};

    async fn ask(sandbox: &Sandbox, model: &str, wish: Value) -> Reply {
        let headers = [("x-key", "any"), ("content-type", "application/json")];
        let mut body = json!({"prompt": "a red bicycle"});
        body.as_object_mut().unwrap().extend(wish.as_object().cloned().unwrap());
        send(sandbox.addr(), "POST", &format!("/bfl/v1/{model}"), &headers, body.to_string().as_bytes()).await
    }

    async fn get(sandbox: &Sandbox, url: &str) -> Reply {
        let path = url.strip_prefix(sandbox.url().as_str()).unwrap_or(url);
        send(sandbox.addr(), "GET", path, &[("x-key", "any")], b"").await
    }

    /// A task from its beginning to its end.
    async fn run(sandbox: &Sandbox, model: &str, wish: Value) -> Value {
        let reply = ask(sandbox, model, wish).await;
        assert_eq!(reply.status, 200, "{}", reply.json());
        sandbox.until(Name::Bfl, |bill| bill.in_flight == 0).await;
        get(sandbox, reply.json()["polling_url"].as_str().unwrap()).await.json()
    }

    async fn drawn(sandbox: &Sandbox, json: &Value) -> Result<Picture, Fault> {
        let sample = json["result"]["sample"].as_str().unwrap_or_else(|| panic!("{json}"));
        let path = sample.strip_prefix(sandbox.url().as_str()).unwrap();
        let file = send(sandbox.addr(), "GET", path, &[], b"").await;
        Picture::inspect(Encoded::Raw(file.body.into()))
    }

    fn bill(sandbox: &Sandbox) -> (u64, Usd, u64) {
        let bill = sandbox.invoice().vendor(Name::Bfl).clone();
        (bill.pictures, bill.usd, bill.violations_total)
    }

    #[tokio::test]
    async fn a_task_is_taken_on_asked_about_and_fetched_without_a_key() {
        let sandbox = sandbox("{vendors: {bfl: {price: {flux-2-pro: 0.03}}}}").await;
        let wish = json!({"width": 640, "height": 320, "seed": 7, "output_format": "png"});
        let json = run(&sandbox, "flux-2-pro", wish.clone()).await;
        assert_eq!((json["status"].as_str(), json["result"]["seed"].as_u64()), (Some("Ready"), Some(7)));
        let first = drawn(&sandbox, &json).await.unwrap();
        assert_eq!((first.format, first.size), (Format::Png, Size::new(640, 320)));
        let again = run(&sandbox, "flux-2-pro", wish).await;
        assert_eq!(drawn(&sandbox, &again).await.unwrap().raw(), first.raw(), "the same seed");
        assert_eq!(bill(&sandbox), (2, Usd::from_nanos(60_000_000), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_stands_differently_in_its_time_and_is_charged_at_its_end() {
        let mut settings = Settings::default();
        settings.vendors.bfl.latency = Duration::from_secs(10);
        let desk = Arc::new(Desk::new("http://sandbox".to_owned(), settings));
        let mut call = VendorCall::admit(&desk, Name::Bfl, &HeaderMap::new());
        let order = Order {
            prompt: "x".to_owned(),
            size: Size::new(64, 64),
            format: Format::Jpeg,
            seed: None,
            mark: 0,
            inputs: Vec::new(),
            webhook: None,
        };
        let ending = Ending::of(&call, "flux-2-pro".to_owned(), &order, Usd::from_nanos(7));
        let kept = Arc::clone(&desk);
        let task = desk
            .book(Name::Bfl)
            .tasks
            .start(call.take_guard(), call.time, move |_| ending.come(&kept, "http://sandbox"));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push((standing(&task)["status"].as_str().unwrap().to_owned(), desk.invoice().total));
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        let at = |status: &str, nanos| (status.to_owned(), Some(Usd::from_nanos(nanos)));
        assert_eq!(seen, [at("Pending", 0), at("Generating", 0), at("Ready", 7)]);
    }

    #[tokio::test]
    async fn the_cost_is_told_once_in_credits_to_the_last_digit() {
        let sandbox = sandbox("{vendors: {bfl: {price: {flux-2-pro: 0.03, flux-dev: 0.000000301}}}}").await;
        for (model, cost) in [("flux-2-pro", "3.0"), ("flux-dev", "0.0000301"), ("flux-2-max", "4.0")] {
            let reply = ask(&sandbox, model, json!({})).await;
            let told = String::from_utf8(reply.body.clone()).unwrap();
            assert!(told.contains(&format!("\"cost\":{cost},")), "{told}");
            let polled = get(&sandbox, reply.json()["polling_url"].as_str().unwrap()).await.json();
            assert_eq!(polled.get("cost"), None);
        }
        sandbox.until(Name::Bfl, |bill| bill.in_flight == 0).await;
        assert_eq!(bill(&sandbox), (3, Usd::from_nanos(70_000_301), 0));
    }

    #[tokio::test]
    async fn pictures_to_change_are_decoded_and_change_what_is_drawn() {
        let change = async |side: u32| {
            let sandbox = sandbox("{}").await;
            let image = STANDARD.encode_to_string(picture(side, Format::Png, false));
            let wish = json!({"input_image": image, "width": 64, "height": 64, "seed": 1, "output_format": "png"});
            let json = run(&sandbox, "flux-2-pro", wish).await;
            drawn(&sandbox, &json).await.unwrap().raw()
        };
        assert_eq!(change(32).await, change(32).await);
        assert_ne!(change(32).await, change(48).await);
        let sandbox = sandbox("{}").await;
        let image = STANDARD.encode_to_string(picture(96, Format::Png, true));
        let json = run(&sandbox, "flux-pro-1.0-fill", json!({"image": image})).await;
        assert_eq!(drawn(&sandbox, &json).await.unwrap().size, Size::new(96, 96));
        let half = STANDARD.encode_to_string(&picture(96, Format::Png, true)[..60]);
        let reply = ask(&sandbox, "flux-pro-1.0-fill", json!({"image": half})).await;
        assert_eq!((reply.status, &reply.json()["detail"][0]["loc"]), (422, &json!(["body", "image"])));
    }

    #[tokio::test]
    async fn what_the_vendor_does_not_take_is_refused_in_its_own_words() {
        let sandbox = sandbox("{vendors: {bfl: {key: right}}}").await;
        let send = async |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
            let reply = send(sandbox.addr(), method, path, headers, body).await;
            (reply.status, reply.json()["detail"].clone())
        };
        let (key, json_type) = (("x-key", "right"), ("content-type", "application/json"));
        let pro = "/bfl/v1/flux-2-pro";
        let detail = |place: Value, kind: &str, (status, detail): (u16, Value)| {
            assert_eq!((status, &detail[0]["loc"], detail[0]["type"].as_str()), (422, &place, Some(kind)));
        };
        assert_eq!(send("POST", pro, &[json_type], b"{}").await, (403, json!("Not authenticated")));
        assert_eq!(send("POST", pro, &[("x-key", "wrong"), json_type], b"{}").await.0, 403);
        assert_eq!(send("POST", pro, &[("authorization", "Bearer right"), json_type], b"{}").await.0, 403);
        assert_eq!(send("POST", "/bfl/v1/flux-9", &[key, json_type], b"{}").await, (404, json!("Not Found")));
        assert_eq!(send("GET", pro, &[key], b"").await.0, 404);
        assert_eq!(send("GET", "/bfl/v1/get_result?id=1", &[], b"").await.0, 403);
        detail(json!(["query", "id"]), "missing", send("GET", "/bfl/v1/get_result", &[key], b"").await);
        detail(json!(["body"]), "json_invalid", send("POST", pro, &[key, json_type], b"{").await);
        detail(json!(["body"]), "model_attributes_type", send("POST", pro, &[key], b"{}").await);
        detail(json!(["body", "prompt"]), "missing", send("POST", pro, &[key, json_type], b"{}").await);
        let body = br#"{"prompt":"x","n":2}"#;
        detail(json!(["body", "n"]), "extra_forbidden", send("POST", pro, &[key, json_type], body).await);
        let body = br#"{"prompt":"x","output_format":"gif"}"#;
        detail(json!(["body", "output_format"]), "enum", send("POST", pro, &[key, json_type], body).await);
        assert_eq!(bill(&sandbox), (0, Usd::ZERO, 12));
        let unknown = super::super::client::send(sandbox.addr(), "GET", "/bfl/v1/get_result?id=1", &[key], b"").await;
        assert_eq!((unknown.status, unknown.json()["status"].as_str()), (200, Some("Task not found")));
    }

    #[tokio::test]
    async fn refusals_and_faults_are_the_vendors_own_and_cost_nothing() {
        let sandbox = sandbox("{}").await;
        let json = run(&sandbox, "flux-2-pro", json!({"prompt": "forbidden"})).await;
        assert_eq!((&json["status"], &json["result"]), (&json!("Request Moderated"), &Value::Null));
        assert_eq!(json["details"]["Moderation Reasons"], json!(["Violence"]));
        let mode = |mode| sandbox.set(Name::Bfl, |vendor| vendor.mode = mode);
        let meet = async |met| {
            mode(met);
            ask(&sandbox, "flux-2-pro", json!({})).await
        };
        let reply = meet(Mode::RateLimited { retry_after: Duration::from_secs(3) }).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
        assert_eq!(reply.json()["retry_after"], 3);
        assert_eq!(meet(Mode::OutOfMoney).await.status, 402);
        assert_eq!(meet(Mode::Down500).await.status, 500);
        assert!(meet(Mode::Garbage).await.body.starts_with(b"<!doctype html>"));
        mode(Mode::Refusing);
        assert_eq!(run(&sandbox, "flux-2-pro", json!({})).await["status"], "Content Moderated");
        mode(Mode::NoPictures);
        assert_eq!(run(&sandbox, "flux-2-pro", json!({})).await["result"], json!({}));
        assert_eq!(bill(&sandbox), (0, Usd::ZERO, 0));
        mode(Mode::Truncated);
        let json = run(&sandbox, "flux-2-pro", json!({})).await;
        assert_eq!(drawn(&sandbox, &json).await.err(), Some(Fault::Truncated));
        assert_eq!(bill(&sandbox).1, Usd::from_nanos(40_000_000), "what was drawn is charged");
    }

    #[tokio::test]
    async fn with_a_webhook_there_is_no_address_to_ask_at() {
        let sandbox = sandbox("{}").await;
        let json = ask(&sandbox, "flux-2-pro", json!({"webhook_url": "https://hook.example/"})).await.json();
        assert_eq!((json.get("polling_url"), &json["webhook_url"]), (None, &json!("https://hook.example/")));
    }
}
