//! Replicate: predictions of official models or of versions, waited for, polled and cancelled (PROVIDERS.md section 5).
//!
//! Inputs differ from model to model: `models.rs` knows the common ones and the model's `options` say the
//! rest. Addresses for polling and cancelling are built from the prediction's id below the account's own base:
//! the ones in the reply are not followed, because the key goes with them. A failed prediction comes with HTTP 200.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use crate::capabilities::{BilledSize, Capabilities, OutputSize, Usual};
use crate::config::plan::{Account, Model};
use crate::failure::{Class, Failure, Finding, Scope};
use crate::image::Format;
use crate::pricing::Counted;
use crate::provider::adapter::{Adapter, Call, Drawn, Found, Job, Reply, Step, Usage};
use crate::provider::common::json::{Json, number_at};
use crate::provider::common::vendor_error::{VendorError, malformed, told};
use crate::provider::common::wire;
use crate::provider::replicate::models::{EditInput, SizeInput, family};

pub(in crate::provider) mod models;

/// Replicate's own API.
pub struct Replicate;

/// Options by which a model's config says that it takes the size in its own way.
const SIZE_OPTIONS: [&str; 6] = ["width", "height", "aspect_ratio", "size", "image_size", "resolution"];

/// The longest `Prefer: wait`, in seconds.
const LONGEST_WAIT: u64 = 60;

/// The shortest `Cancel-After`, in seconds.
const SHORTEST_LIFE: u64 = 5;

/// Sentences by which a model refuses (PROVIDERS.md section 5).
const REFUSALS: &[&str] = &["nsfw", "flagged as sensitive", "(e005)", "content policy", "content moderation"];

/// The version in `owner/name:<version>` or in a bare version; `None` names an official model.
fn version(model: &str) -> Option<&str> {
    match model.split_once(':') {
        Some((_, version)) => Some(version),
        None if !model.contains('/') => Some(model),
        None => None,
    }
}

impl Adapter for Replicate {
    fn name(&self) -> &'static str {
        "replicate"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://api.replicate.com/v1/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        &[
            "black-forest-labs/flux-schnell",
            "black-forest-labs/flux-dev",
            "black-forest-labs/flux-1.1-pro",
            "black-forest-labs/flux-1.1-pro-ultra",
            "black-forest-labs/flux-2-pro",
            "black-forest-labs/flux-kontext-pro",
            "black-forest-labs/flux-fill-pro",
            "stability-ai/sdxl",
        ]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        &["replicate.delivery", "*.replicate.delivery"]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        family(model).capabilities()
    }

    /// A model decides the pixels of a shape, and megapixels are those of the picture (PROVIDERS.md 5.2).
    fn usual(&self, _: &Account, _: &Model) -> Usual {
        Usual { billed: BilledSize::Drawn, ..Usual::default() }
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let model = &job.model.name;
        let base = &job.account.base_url;
        let mut headers = wire::headers(job.account, "authorization", "Bearer ")?;
        let left = job.time_left.as_secs();
        // One second is kept back, so that the prediction's id arrives while there is time to cancel it.
        let wait = left.saturating_sub(1).min(LONGEST_WAIT);
        if wait > 0 {
            wire::add_header(&mut headers, "prefer", &format!("wait={wait}"));
        }
        wire::add_header(&mut headers, "cancel-after", &format!("{}s", left.max(SHORTEST_LIFE)));
        let input = Value::Object(input(job));
        match version(model) {
            Some(version) => {
                let url = wire::address(base, ["predictions"])?;
                Ok(Call::post_json(url, headers, &json!({"version": version, "input": input})))
            }
            None => {
                let path = std::iter::once("models").chain(model.split('/')).chain(["predictions"]);
                Ok(Call::post_json(wire::address(base, path)?, headers, &json!({"input": input})))
            }
        }
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        if !(200..300).contains(&reply.status) {
            return Step::Failed(failure(job, reply, &VendorError::read(&reply.body)));
        }
        let json = match Json::read(&reply.body) {
            Ok(json) => json,
            Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
        };
        match json.text_at("status") {
            None => Step::Failed(not_a_prediction(job, reply, &json)),
            Some("succeeded") => succeeded(job, reply, &json),
            Some("failed") => Step::Failed(failed(job, &json).with_counted(counted(reply))),
            Some(status @ ("canceled" | "aborted")) => {
                let words = told(job, &format!("{status}: {}", error_text(&json)));
                Step::Failed(Failure::new(Class::Server, words).at_the_end().with_counted(counted(reply)))
            }
            // `starting`, `processing`, and whatever is added to them later.
            Some(_) => poll(job, reply, &json).unwrap_or_else(Step::Failed),
        }
    }
}

/// A good answer that is no prediction: an error all the same, or one that says nothing.
fn not_a_prediction(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Failure {
    let complaint = VendorError::from_json(json);
    if complaint.error { failure(job, reply, &complaint) } else { malformed(job, reply, "is not a prediction") }
}

/// The model's inputs: ours first, the config's options over them.
fn input(job: &Job<'_>) -> Map<String, Value> {
    let family = family(&job.model.name);
    let request = job.request;
    let mut input = Map::new();
    wire::put(&mut input, "prompt", Some(request.prompt.as_str()));
    wire::put(&mut input, "negative_prompt", request.negative_prompt.as_deref());
    wire::put(&mut input, "seed", request.seed);
    // A model without the input draws one; a config that raises `max_n` says that there is one.
    wire::put(&mut input, "num_outputs", Some(job.n).filter(|n| family.max_n > 1 || *n > 1));
    let takes_format = !family.formats.is_empty() || job.model.capabilities.formats.is_some();
    wire::put(&mut input, "output_format", job.format.filter(|_| takes_format).map(format_word));
    wire::put(&mut input, "output_quality", request.output_compression.filter(|_| family.output_quality));
    let own_size = put_pictures(&mut input, job, family.edit);
    if !own_size {
        put_size(&mut input, job, family.size);
    }
    for (field, value) in &job.model.options {
        input.insert(field.clone(), value.clone());
    }
    input
}

/// The pictures of an edit as `data:` URLs, and whether the model draws in their size.
fn put_pictures(input: &mut Map<String, Value>, job: &Job<'_>, how: Option<EditInput>) -> bool {
    let (Some(edit), Some(how)) = (&job.request.edit, how) else { return false };
    let mut urls = edit.images.iter().map(|image| wire::data_url(image.format.media_type(), &image.bytes));
    match how.takes.images {
        1 => wire::put(input, how.image, urls.next()),
        _ => wire::put(input, how.image, Some(urls.collect::<Vec<_>>())),
    }
    let mask = edit.mask.as_ref().map(|mask| wire::data_url(Format::Png.media_type(), &mask.white));
    wire::put(input, "mask", mask);
    how.takes.keeps_size
}

fn put_size(input: &mut Map<String, Value>, job: &Job<'_>, how: SizeInput) {
    let in_pixels = |input: &mut Map<String, Value>| {
        wire::put(input, "width", job.output_size.nominal().map(|size| size.width));
        wire::put(input, "height", job.output_size.nominal().map(|size| size.height));
    };
    match how {
        SizeInput::Ratio => wire::put(input, "aspect_ratio", wire::ratio(job.output_size)),
        SizeInput::RatioAndMegapixels => {
            wire::put(input, "aspect_ratio", wire::ratio(job.output_size));
            let quarter = job.output_size.nominal().filter(|size| size.pixels() <= 512 * 512);
            wire::put(input, "megapixels", quarter.map(|_| "0.25"));
        }
        SizeInput::Pixels => in_pixels(input),
        SizeInput::Unknown if SIZE_OPTIONS.iter().any(|option| job.model.options.contains_key(*option)) => {}
        SizeInput::Unknown => match job.output_size {
            // Only a config that lists shapes makes such a frame, for a model that takes shapes.
            OutputSize::Ratio { .. } => wire::put(input, "aspect_ratio", wire::ratio(job.output_size)),
            OutputSize::Pixels(_) | OutputSize::Default => in_pixels(input),
        },
    }
}

/// Replicate's word for a file format.
fn format_word(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "jpg",
        Format::Png | Format::Webp => format.word(),
    }
}

/// The next look at a prediction that is not finished, and how to stop it.
fn poll(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Result<Step, Failure> {
    let id = json
        .text_at("id")
        .filter(|id| wire::is_plain_id(id))
        .ok_or_else(|| malformed(job, reply, "is an unfinished prediction without an id"))?;
    let base = &job.account.base_url;
    let headers = wire::headers(job.account, "authorization", "Bearer ")?;
    let call = Call::get(wire::address(base, ["predictions", id])?, headers.clone());
    let mut cancel = Call::get(wire::address(base, ["predictions", id, "cancel"])?, headers);
    cancel.method = Method::POST;
    // The answer to a poll is a plain 200; by then the picture is not one of the fast ones.
    let after = Duration::from_millis(if reply.status == 200 { 1000 } else { 500 });
    Ok(Step::Again { call, after, cancel: Some(cancel), noted: None })
}

/// The pictures of a finished prediction: a link, a `data:` URL, or a list of them.
fn succeeded(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    let output = json.get("output").map(Json::items).unwrap_or_default();
    let images: Vec<Found> = output
        .iter()
        .filter_map(Json::text)
        // A model that writes text answers with strings too.
        .filter(|text| wire::is_address(text))
        .filter_map(|text| wire::link(&reply.body, &job.account.base_url, text))
        .map(|source| Found { source, revised_prompt: None })
        .take(wire::MOST_PICTURES)
        .collect();
    if images.is_empty() {
        let failure = malformed(job, reply, "succeeded without pictures").at_the_end();
        return Step::Failed(failure.with_counted(counted(reply)));
    }
    let usage = Usage { counted: counted(reply), ..Usage::default() };
    Step::Done(Drawn { images, usage, ..Drawn::default() })
}

/// How long it ran, whatever came of it.
fn counted(reply: &Reply) -> Counted {
    Counted { seconds: number_at(&reply.body, "metrics.predict_time"), ..Counted::default() }
}

/// A prediction that ran and failed; refusals say so only in their sentence.
fn failed(job: &Job<'_>, json: &Json<'_>) -> Failure {
    let complaint = VendorError { message: error_text(json), ..VendorError::default() };
    // The field is the model's own word on its work, and refusals are told nowhere else.
    let class = if complaint.mentions(REFUSALS) { Class::Policy } else { Class::Server };
    Failure::new(class, "failed").with_reason(&told(job, &complaint.message)).at_the_end()
}

fn error_text(json: &Json<'_>) -> String {
    json.get("error").map(|error| VendorError::from_json(error).message).unwrap_or_default()
}

/// A failure out of an error reply.
fn failure(job: &Job<'_>, reply: &Reply, complaint: &VendorError) -> Failure {
    let found = complaint.by_status(reply.status);
    let finding = match found.class {
        Class::CallerInvalid if complaint.refuses(reply.status, REFUSALS) => Finding::stated(Class::Policy),
        // The one 422 that is about the model: a version that is gone or was never ours to run.
        Class::CallerInvalid if complaint.mentions(&["version does not exist"]) => {
            Finding::stated(Class::ModelGone).at(Scope::Model)
        }
        Class::ModelGone if complaint.misses_the_model() => Finding::stated(Class::ModelGone),
        // So many predictions a minute are an account's (PROVIDERS.md section 5).
        Class::RateLimited => found.at(Scope::Account),
        _ => found,
    };
    let mut complaint = complaint.clone();
    complaint.retry_after = complaint.retry_after.or_else(|| resets_in(&complaint.message));
    complaint.failure(finding, job, reply, our_field)
}

/// `Your rate limit resets in ~30s.`
fn resets_in(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("resets in ~")?;
    let (number, _) = rest.split_once('s')?;
    wire::seconds(number.trim().parse().ok()?)
}

/// Our name of a model's input.
fn our_field(field: &str) -> Option<String> {
    let ours = match field.strip_prefix("input.").unwrap_or(field) {
        field @ ("prompt" | "negative_prompt" | "seed" | "output_format") => field,
        "aspect_ratio" | "megapixels" | "width" | "height" => "size",
        "num_outputs" => "n",
        "output_quality" => "output_compression",
        _ => return None,
    };
    Some(ours.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Encoded;
    use crate::provider::adapter::PictureSource;
    use crate::provider::common::fixture::Desk;

    const SCHNELL: &str = "black-forest-labs/flux-schnell";
    const HASH: &str = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc";

    fn desk() -> Desk {
        Desk::new("replicate", SCHNELL, r#"{"prompt":"a red fox","size":"1024x1024","n":2}"#)
    }

    fn read(status: u16, body: &str) -> Step {
        let desk = desk();
        Replicate.read(&desk.job(), &desk.reply(status, body))
    }

    #[test]
    fn every_error_has_its_class_and_names_our_field() {
        let invalid = |field: &str| {
            format!(
                r#"{{"detail":"d","status":422,"title":"Input validation failed",
                    "invalid_fields":[{{"type":"x","field":"{field}","description":"bad"}}]}}"#
            )
        };
        let failed = |error: &str| format!(r#"{{"id":"p1","status":"failed","output":null,"error":"{error}"}}"#);
        let nsfw = "NSFW content detected. Try running it again, or try a different prompt.";
        let flagged = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)";
        for (status, body, class, param) in [
            (400, r#"{"detail":"bad"}"#.to_owned(), Class::CallerInvalid, None),
            (401, r#"{"detail":"Unauthenticated"}"#.to_owned(), Class::Auth, None),
            (402, r#"{"detail":"Insufficient credit"}"#.to_owned(), Class::Quota, None),
            (404, r#"{"detail":"no such model"}"#.to_owned(), Class::ModelGone, None),
            (422, invalid("input.prompt"), Class::CallerInvalid, Some("prompt")),
            (422, invalid("input.num_outputs"), Class::CallerInvalid, Some("n")),
            (422, invalid("input.aspect_ratio"), Class::CallerInvalid, Some("size")),
            (422, invalid("input.seed"), Class::AdapterBug, None),
            (422, invalid("input.go_fast"), Class::AdapterBug, None),
            (422, r#"{"detail":"The specified version does not exist"}"#.to_owned(), Class::ModelGone, None),
            (429, r#"{"detail":"throttled"}"#.to_owned(), Class::RateLimited, None),
            (503, "upstream connect error".to_owned(), Class::Server, None),
            (200, failed(nsfw), Class::Policy, None),
            (201, failed(flagged), Class::Policy, None),
            (200, failed("Prediction interrupted; please retry (code: PA)"), Class::Server, None),
            (200, failed("Director: unexpected error handling prediction (E6716)"), Class::Server, None),
            (200, failed("CUDA out of memory"), Class::Server, None),
            (200, r#"{"id":"p1","status":"failed","error":null}"#.to_owned(), Class::Server, None),
            (200, r#"{"id":"p1","status":"aborted","error":null}"#.to_owned(), Class::Server, None),
            (200, r#"{"id":"p1","status":"canceled","error":"stopped"}"#.to_owned(), Class::Server, None),
            (200, r#"{"id":"p1","status":"succeeded","output":null}"#.to_owned(), Class::Malformed, None),
            (200, r#"{"id":"p1","status":"succeeded","output":["a fox"]}"#.to_owned(), Class::Malformed, None),
            (201, r#"{"id":"../x","status":"starting"}"#.to_owned(), Class::Malformed, None),
            (201, r#"{"status":"starting"}"#.to_owned(), Class::Malformed, None),
            (200, r#"{"detail":"hello"}"#.to_owned(), Class::Server, None),
            (200, r#"{"hello":1}"#.to_owned(), Class::Malformed, None),
            (200, "<html>".to_owned(), Class::Malformed, None),
        ] {
            let Step::Failed(failure) = read(status, &body) else { panic!("{status} {body} is no failure") };
            assert_eq!((failure.class, failure.param.as_deref()), (class, param), "{status} {body}");
        }
    }

    #[test]
    fn a_sentence_may_hold_the_waiting_time() {
        let body = r#"{"detail":"Request was throttled. Your rate limit resets in ~30s."}"#;
        let Step::Failed(failure) = read(429, body) else { panic!("a failure") };
        assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
    }

    #[test]
    fn polling_and_cancelling_never_follow_an_address_from_the_reply() {
        let body = r#"{"id":"gm3q","status":"processing",
            "urls":{"get":"https://evil.example/p","cancel":"https://evil.example/c"}}"#;
        for (status, millis) in [(201, 500), (202, 500), (200, 1000)] {
            let Step::Again { call, after, cancel: Some(cancel), .. } = read(status, body) else { panic!("again") };
            assert_eq!(call.url.as_str(), "https://api.replicate.com/v1/predictions/gm3q");
            assert_eq!((call.method, after), (Method::GET, Duration::from_millis(millis)));
            assert_eq!(cancel.url.as_str(), "https://api.replicate.com/v1/predictions/gm3q/cancel");
            assert_eq!(cancel.method, Method::POST);
            assert!(cancel.headers["authorization"].is_sensitive());
        }
    }

    #[test]
    fn an_output_may_be_one_link_a_list_or_the_picture_itself() {
        let sources = |output: &str| match read(200, &format!(r#"{{"status":"succeeded","output":{output}}}"#)) {
            Step::Done(drawn) => drawn.images.into_iter().map(|found| found.source).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let link = |text: &str| PictureSource::Link(text.parse().unwrap());
        assert_eq!(sources(r#""https://replicate.delivery/1.webp""#), [link("https://replicate.delivery/1.webp")]);
        let three = sources(r#"["https://a/1","https://a/2","https://a/3"]"#);
        let all = ["https://a/1", "https://a/2", "https://a/3"].map(link);
        assert_eq!(three, all, "two were asked, and the third is charged too");
        assert_eq!(sources(r#"["HTTPS://a/1","a text"]"#), [link("https://a/1")]);
        let inside = PictureSource::Inline(Encoded::Base64(bytes::Bytes::from_static(b"QUJD")));
        assert_eq!(sources(r#"["data:image/webp;base64,QUJD"]"#), [inside]);
    }

    #[test]
    fn the_models_name_decides_the_address() {
        let call = |model: &str| {
            let desk = Desk::new("replicate", model, r#"{"prompt":"x"}"#);
            (desk.call().url.path().to_owned(), desk.body()["version"].clone())
        };
        assert_eq!(call(SCHNELL), (format!("/v1/models/{SCHNELL}/predictions"), Value::Null));
        assert_eq!(call(&format!("stability-ai/sdxl:{HASH}")), ("/v1/predictions".to_owned(), json!(HASH)));
        assert_eq!(call(HASH), ("/v1/predictions".to_owned(), json!(HASH)));
    }

    #[test]
    fn waiting_and_life_are_bounded_by_the_time_left() {
        for (left, prefer, life) in
            [(120_000, Some("wait=60"), "120s"), (10_500, Some("wait=9"), "10s"), (900, None, "5s")]
        {
            let mut desk = desk();
            desk.time_left = Duration::from_millis(left);
            let headers = desk.call().headers;
            assert_eq!(headers.get("prefer").map(|value| value.to_str().unwrap()), prefer, "{left}");
            assert_eq!(headers["cancel-after"], life, "{left}");
        }
    }

    #[test]
    fn each_family_gets_the_size_its_own_way() {
        let input = |model: &str, options: &[(&str, Value)]| {
            let mut desk = Desk::new("replicate", model, r#"{"prompt":"x","size":"512x512"}"#);
            desk.model.options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            desk.body()["input"].clone()
        };
        let flux = json!({"prompt":"x","num_outputs":1,"aspect_ratio":"1:1","megapixels":"0.25"});
        assert_eq!(input(SCHNELL, &[]), flux);
        assert_eq!(input("black-forest-labs/flux-2-pro", &[]), json!({"prompt":"x","aspect_ratio":"1:1"}));
        let sdxl = json!({"prompt":"x","num_outputs":1,"width":512,"height":512});
        assert_eq!(input(&format!("stability-ai/sdxl:{HASH}"), &[]), sdxl);
        assert_eq!(input("acme/other", &[]), json!({"prompt":"x","width":512,"height":512}));
        let own = [("resolution", json!("1K")), ("steps", json!(4))];
        assert_eq!(input("acme/other", &own), json!({"prompt":"x","resolution":"1K","steps":4}));
    }
}
