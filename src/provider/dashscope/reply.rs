//! What DashScope's replies mean: pictures at once, a task to ask about, or what went wrong (PROVIDERS.md section 10).
//!
//! A task that is asked about answers 200 whatever became of it. It has succeeded when one of its pictures has; the
//! others are then errors in the same list. Addresses are built from the task's id below the account's own base, since
//! the key goes with them. The vendor names no field in its errors: it is looked for in the sentence.

use std::time::Duration;

use http::Method;

use crate::failure::{Class, Failure, Finding, Scope};
use crate::image::Size;
use crate::provider::adapter::{Call, Drawn, Found, Job, Reply, Reported, Step, Usage};
use crate::provider::common::json::Json;
use crate::provider::common::vendor_error::{VendorError, malformed};
use crate::provider::common::wire;
use crate::provider::dashscope::address::address;

/// A task takes 5 to 60 seconds, and an account may ask 20 times a second for all of its tasks together.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// The vendor's codes -> what they mean; a code also stands for those that go on after a dot. Earlier rows count first.
const CODES: &[(&str, Class)] = &[
    ("DataInspectionFailed", Class::Policy),
    ("data_inspection_failed", Class::Policy),
    ("IPInfringementSuspect", Class::Policy),
    ("Arrearage", Class::Quota),
    ("AllocationQuota", Class::Quota),
    ("PrepaidBillOverdue", Class::Quota),
    ("PostpaidBillOverdue", Class::Quota),
    ("Throttling", Class::RateLimited),
    ("LimitRequests", Class::RateLimited),
    ("limit_requests", Class::RateLimited),
    ("InvalidApiKey", Class::Auth),
    ("invalid_api_key", Class::Auth),
    ("Model.AccessDenied", Class::ModelGone),
    ("AccessDenied", Class::Auth),
    ("ModelNotFound", Class::ModelGone),
    ("model_not_found", Class::ModelGone),
    // Both are about getting at a picture, and ours come inside the request.
    ("InvalidParameter.DataInspection", Class::AdapterBug),
    ("InvalidURL", Class::AdapterBug),
    ("InvalidParameter", Class::CallerInvalid),
    ("InternalError", Class::Server),
    ("ServiceUnavailable", Class::Server),
];

/// Words of a sentence -> the field that it is about, by our name where we have one; earlier rows count first.
const FIELDS: &[(&str, &str)] = &[
    ("negative_prompt", "negative_prompt"),
    ("num_images", "n"),
    ("parameters.n", "n"),
    ("seed", "seed"),
    ("messages", "messages"),
    ("url error", "image"),
    ("prompt", "prompt"),
    ("size", "size"),
    ("pixels", "size"),
    ("image", "image"),
];

/// What a reply to any of our calls means.
pub fn read(job: &Job<'_>, reply: &Reply) -> Step {
    if !(200..300).contains(&reply.status) {
        let complaint = VendorError::read(&reply.body);
        let by_status = complaint.by_status(reply.status);
        return Step::Failed(failure(job, reply, complaint, by_status));
    }
    let json = match Json::read(&reply.body) {
        Ok(json) => json,
        Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
    };
    let Some(output) = json.get("output") else {
        return Step::Failed(without_output(job, reply, &json));
    };
    match output.text_at("task_status") {
        None | Some("SUCCEEDED") => finished(job, reply, &json, output),
        Some("FAILED") => {
            let complaint = VendorError::from_json(output);
            Step::Failed(failure(job, reply, complaint, Finding::stated(Class::Server)).at_the_end())
        }
        Some("CANCELED") => Step::Failed(Failure::new(Class::Server, "the task was canceled").at_the_end()),
        // Forgotten, or never known. It may have been drawn, and what was drawn is charged.
        Some("UNKNOWN") => Step::Failed(Failure::new(Class::TimeoutAmbiguous, "the vendor does not know the task")),
        // `PENDING`, `RUNNING`, and whatever is added to them later.
        Some(status) => poll(job, reply, output, status).unwrap_or_else(Step::Failed),
    }
}

/// A 2xx that is an error all the same, or nothing at all.
fn without_output(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Failure {
    match json.text_at("code").filter(|code| !code.is_empty()) {
        Some(_) => failure(job, reply, VendorError::from_json(json), Finding::stated(Class::Server)),
        None => malformed(job, reply, "has no output"),
    }
}

/// The next look at a task that is not finished, and how to stop it while it waits for its turn; after that the vendor
/// stops nothing.
fn poll(job: &Job<'_>, reply: &Reply, output: &Json<'_>, status: &str) -> Result<Step, Failure> {
    let id = output
        .text_at("task_id")
        .filter(|id| wire::is_plain_id(id))
        .ok_or_else(|| malformed(job, reply, "is an unfinished task without an id"))?;
    let headers = wire::headers(job.account, "authorization", "Bearer ")?;
    let cancel = Call::get(address(job.account, ["tasks", id, "cancel"])?, headers.clone());
    let cancel = (status == "PENDING").then_some(Call { method: Method::POST, ..cancel });
    let call = Call::get(address(job.account, ["tasks", id])?, headers);
    Ok(Step::Again { call, after: POLL_EVERY, cancel, noted: None })
}

/// The pictures of a finished job: `results` of a task, `choices` of an answer to messages, or of both surfaces' newer
/// models.
fn finished(job: &Job<'_>, reply: &Reply, json: &Json<'_>, output: &Json<'_>) -> Step {
    let results = items(output.get("results"));
    let contents = items(output.get("choices")).iter().flat_map(|choice| items(choice.at("message.content")));
    let images: Vec<Found> =
        results.iter().chain(contents).filter_map(|item| found(job, reply, item)).take(wire::MOST_PICTURES).collect();
    let errors = results.iter().filter(|item| item.get("url").is_none()).map(VendorError::from_json);
    let errors: Vec<VendorError> = errors.filter(|error| !error.is_empty()).collect();
    let told = billed(json);
    let billed = told.unwrap_or(0);
    if images.is_empty() {
        let failure = match errors.into_iter().next() {
            Some(error) => failure(job, reply, error, Finding::stated(Class::Server)),
            // It counts what it charges, and that is none.
            None if told == Some(0) => Failure { class: Class::Server, ..malformed(job, reply, "has no pictures") },
            None => malformed(job, reply, "has no pictures"),
        };
        return Step::Failed(failure.with_billed(billed.min(job.n)).at_the_end());
    }
    let drawn = u8::try_from(images.len()).unwrap_or(job.n);
    let server = Finding::stated(Class::Server);
    let refused = errors.iter().filter(|error| finding(error, server).class == Class::Policy).count();
    let refused = u8::try_from(refused).unwrap_or(u8::MAX).min(job.n.saturating_sub(drawn));
    let refused_billed = billed.saturating_sub(drawn).min(refused);
    Step::Done(Drawn { images, refused, refused_billed, usage: usage(json) })
}

fn items<'j, 'a>(list: Option<&'j Json<'a>>) -> &'j [Json<'a>] {
    list.map(Json::items).unwrap_or_default()
}

/// The picture of one list item.
fn found(job: &Job<'_>, reply: &Reply, item: &Json<'_>) -> Option<Found> {
    let link = item.text_at("url").or_else(|| item.text_at("image")).filter(|link| !link.is_empty())?;
    let source = wire::link(&reply.body, &job.account.base_url, link)?;
    let rewritten = item.text_at("actual_prompt").filter(|text| !text.is_empty() && *text != job.request.prompt);
    Some(Found { source, revised_prompt: rewritten.map(str::to_owned) })
}

/// Pictures that are charged. The newest models spell it differently.
fn billed(json: &Json<'_>) -> Option<u8> {
    let count = json.at("usage.image_count").or_else(|| json.at("usage.output_image_count"));
    count.and_then(whole).and_then(|count| u8::try_from(count).ok())
}

/// What the vendor says about the work; models differ in how they spell the size.
fn usage(json: &Json<'_>) -> Usage {
    let side = |names: [&str; 2]| names.into_iter().find_map(|name| json.at(name)).and_then(whole);
    let sides = side(["usage.width", "usage.output_width"]).zip(side(["usage.height", "usage.output_height"]));
    let text = || json.at("usage.size").and_then(Json::text).map(|size| size.replace('*', "x"));
    let size = sides.map(|(width, height)| format!("{width}x{height}")).or_else(text);
    Usage {
        size: size.and_then(|size| size.parse::<Size>().ok()),
        // A config that prices a unit prices a picture; without one the price table counts.
        reported: billed(json).map(|count| Reported::Units(count.to_string())),
        ..Usage::default()
    }
}

/// A number without a fraction.
fn whole(value: &Json<'_>) -> Option<u32> {
    match value {
        Json::Number(number) if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number) => {
            Some(*number as u32)
        }
        _ => None,
    }
}

/// A failure out of what the vendor says; `otherwise` where its words are none we know.
fn failure(job: &Job<'_>, reply: &Reply, mut complaint: VendorError, otherwise: Finding) -> Failure {
    let finding = finding(&complaint, otherwise);
    complaint.field = FIELDS.iter().find(|(words, _)| complaint.mentions(&[words])).map(|(_, ours)| (*ours).to_owned());
    complaint.failure(finding, job, reply, |ours| Some(ours.to_owned()))
}

fn finding(complaint: &VendorError, otherwise: Finding) -> Finding {
    let said = |code: &str| {
        let goes_on = |word: &str| word.strip_prefix(code).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        complaint.words.iter().any(|word| goes_on(word))
    };
    let by_code = CODES.iter().find(|(code, _)| said(code)).map(|(_, class)| *class);
    let found = by_code.map_or(otherwise, Finding::stated);
    match found.class {
        // The same code as for a field that is wrong; by its status, or by its sentence, it is about the model.
        Class::CallerInvalid if otherwise.class == Class::ModelGone => Finding::stated(Class::ModelGone),
        Class::CallerInvalid if complaint.mentions(&["model not exist"]) => Finding::stated(Class::ModelGone),
        // A model of the other surface.
        Class::Auth if complaint.mentions(&["synchronous calls"]) => Finding::stated(Class::AdapterBug),
        Class::Auth if complaint.mentions(&["good standing", "overdue"]) => Finding::stated(Class::Quota),
        // The same code says of an account what it says of a model.
        Class::Auth if said("AccessDenied.Unpurchased") => found,
        Class::Auth if said("AccessDenied") => Finding::guess(Class::Auth),
        Class::RateLimited if complaint.mentions(&["free allocated quota"]) => {
            Finding::stated(Class::Quota).at(Scope::Model)
        }
        // Each model has a free allowance of its own.
        Class::Quota if said("AllocationQuota") => found.at(Scope::Model),
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::adapter::PictureSource;
    use crate::provider::common::fixture::Desk;

    const WISH: &str = r#"{"prompt":"a red fox","n":2,"size":"1024x1024"}"#;

    fn read_as(model: &str, status: u16, body: &str) -> Step {
        let desk = Desk::new("dashscope", model, WISH);
        read(&desk.job(), &desk.reply(status, body))
    }

    fn failure_of(status: u16, body: &str) -> Failure {
        match read_as("wan2.2-t2i-flash", status, body) {
            Step::Failed(failure) => failure,
            other => panic!("{status} {body} is {other:?}"),
        }
    }

    fn drawn(body: &Value) -> Drawn {
        match read_as("wan2.2-t2i-flash", 200, &body.to_string()) {
            Step::Done(drawn) => drawn,
            other => panic!("{body} is {other:?}"),
        }
    }

    fn flat(code: &str, message: &str) -> String {
        json!({"code": code, "message": message, "request_id": "r"}).to_string()
    }

    #[test]
    fn every_error_has_its_class_and_names_our_field() {
        let size = "The size does not match the allowed size 1664*928,1472*1104.";
        let asynchronous = "current user api does not support asynchronous calls";
        for (status, code, message, class, param) in [
            (400, "InvalidParameter", size, Class::CallerInvalid, Some("size")),
            (
                400,
                "InvalidParameter",
                "Total pixels (9) must be between 589824 and 2073600.",
                Class::CallerInvalid,
                Some("size"),
            ),
            (400, "InvalidParameter", "num_images_per_prompt must be 1", Class::CallerInvalid, Some("n")),
            (400, "InvalidParameter", "prompt is too long", Class::CallerInvalid, Some("prompt")),
            (400, "InvalidParameter", "seed is out of range", Class::AdapterBug, None),
            (400, "InvalidParameter", "Input should contain one of messages and prompt", Class::AdapterBug, None),
            (400, "InvalidParameter", "url error, please check url", Class::AdapterBug, None),
            (400, "InvalidParameter", "something is wrong", Class::CallerInvalid, None),
            (400, "InvalidParameter.DataInspection", "Unable to download the media resource", Class::AdapterBug, None),
            (400, "InvalidURL", "Required URL is missing or invalid", Class::AdapterBug, None),
            (400, "DataInspectionFailed", "Input data may contain inappropriate content.", Class::Policy, None),
            (400, "IPInfringementSuspect", "Input data is suspected of IP infringement.", Class::Policy, None),
            (400, "data_inspection_failed", "Output data may contain it.", Class::Policy, None),
            (400, "Arrearage", "Access denied, your account is in arrears.", Class::Quota, None),
            (403, "Arrearage", "Access denied.", Class::Quota, None),
            (403, "AccessDenied", "Please make sure your account is in good standing.", Class::Quota, None),
            (403, "AllocationQuota.FreeTierOnly", "The free tier is exhausted.", Class::Quota, None),
            (429, "Throttling.AllocationQuota", "Free allocated quota exceeded.", Class::Quota, None),
            (401, "InvalidApiKey", "Invalid API-key provided.", Class::Auth, None),
            (403, "AccessDenied", "Access denied.", Class::Auth, None),
            (403, "AccessDenied.Unpurchased", "Access to model denied.", Class::Auth, None),
            (403, "AccessDenied", asynchronous, Class::AdapterBug, None),
            (403, "Model.AccessDenied", "Model access denied.", Class::ModelGone, None),
            (404, "ModelNotFound", "Model can not be found.", Class::ModelGone, None),
            (404, "InvalidParameter", "Model not exist.", Class::ModelGone, None),
            (400, "InvalidParameter", "Model not exist.", Class::ModelGone, None),
            (429, "Throttling", "Requests throttling triggered.", Class::RateLimited, None),
            (429, "Throttling.RateQuota", "Requests rate limit exceeded.", Class::RateLimited, None),
            (429, "Throttling.AllocationQuota", "Allocated quota exceeded.", Class::RateLimited, None),
            (500, "InternalError", "An internal error has occurred.", Class::Server, None),
            (500, "InternalError.Algo", "inference error", Class::Server, None),
            (500, "InternalError.Timeout", "timed out", Class::Server, None),
            (503, "ServiceUnavailable", "busy", Class::Server, None),
            (418, "SomethingNew", "a teapot", Class::CallerInvalid, None),
        ] {
            let failure = failure_of(status, &flat(code, message));
            assert_eq!((failure.class, failure.param.as_deref()), (class, param), "{status} {code} {message}");
            assert_eq!(failure.billed, 0, "{code}");
            assert!(failure.message.contains(code), "{failure}");
        }
        assert_eq!(failure_of(400, "<html>nginx</html>").class, Class::Malformed);
        assert_eq!(failure_of(200, &flat("Throttling", "slow down")).class, Class::RateLimited);
    }

    #[test]
    fn a_failed_task_says_why_and_costs_nothing() {
        let failed = |code: &str, message: &str| {
            let output = json!({"task_id": "t1", "task_status": "FAILED", "code": code, "message": message});
            failure_of(200, &json!({"output": output, "request_id": "r"}).to_string())
        };
        for (code, message, class, param) in [
            ("DataInspectionFailed", "Output data may contain inappropriate content.", Class::Policy, None),
            ("InvalidParameter", "The size does not match the allowed size", Class::CallerInvalid, Some("size")),
            ("InternalError.Timeout", "timed out", Class::Server, None),
            ("Arrearage", "in arrears", Class::Quota, None),
            ("SomethingNew", "who knows", Class::Server, None),
        ] {
            let failure = failed(code, message);
            assert_eq!((failure.class, failure.param.as_deref(), failure.billed), (class, param, 0), "{code}");
        }
        let ended = |status: &str| failure_of(200, &json!({"output": {"task_status": status}}).to_string()).class;
        assert_eq!((ended("FAILED"), ended("CANCELED")), (Class::Server, Class::Server));
        assert_eq!(ended("UNKNOWN"), Class::TimeoutAmbiguous, "it may have been drawn and charged");
    }

    #[test]
    fn what_is_no_answer_of_this_api_is_malformed() {
        for body in [
            "<html>",
            "{}",
            "[]",
            r#"{"code":"","message":""}"#,
            r#"{"output":{}}"#,
            r#"{"output":"done"}"#,
            r#"{"output":{"choices":[{"message":{"content":"a fox"}}]}}"#,
            r#"{"output":{"choices":[{"message":{"content":[{"text":"a fox"},{"image":""},{"image":7}]}}]}}"#,
            r#"{"output":{"task_status":"SUCCEEDED","results":[{"url":"ftp://x/1.png"}]}}"#,
            r#"{"output":{"task_status":"PENDING"}}"#,
            r#"{"output":{"task_status":"PENDING","task_id":"../x"}}"#,
        ] {
            assert_eq!(failure_of(200, body).class, Class::Malformed, "{body}");
        }
    }

    #[test]
    fn a_task_is_asked_about_below_the_accounts_own_address_and_stopped_only_while_it_waits() {
        for (status, stoppable) in [("PENDING", true), ("RUNNING", false), ("SUSPENDED", false)] {
            let output = json!({"task_id": "86ecf553-d340", "task_status": status, "url": "https://evil.example/"});
            let body = json!({"output": output}).to_string();
            let Step::Again { call, after, cancel, .. } = read_as("wan2.2-t2i-flash", 200, &body) else {
                panic!("again")
            };
            assert_eq!((call.method, after), (Method::GET, Duration::from_secs(2)));
            assert_eq!(call.url.as_str(), "https://dashscope-intl.aliyuncs.com/api/v1/tasks/86ecf553-d340");
            assert!(call.headers["authorization"].is_sensitive());
            let stop = cancel.map(|call| format!("{} {}", call.method, call.url.path()));
            let wanted = stoppable.then(|| "POST /api/v1/tasks/86ecf553-d340/cancel".to_owned());
            assert_eq!(stop, wanted, "{status}");
        }
    }

    #[test]
    fn pictures_are_found_in_every_list_that_models_answer_with() {
        let links = |output: Value| -> Vec<String> {
            let images = drawn(&json!({"output": output})).images;
            let link = |found: Found| match found.source {
                PictureSource::Link(url) => url.to_string(),
                PictureSource::Inline(_) => panic!("a link"),
            };
            images.into_iter().map(link).collect()
        };
        let choice = |links: &[&str]| {
            let content: Vec<Value> = links.iter().map(|link| json!({"image": link, "type": "image"})).collect();
            json!({"finish_reason": "stop", "message": {"role": "assistant", "content": content}})
        };
        let two = ["https://a/1.png", "https://a/2.png"];
        assert_eq!(links(json!({"choices": [choice(&two)]})), two);
        assert_eq!(links(json!({"choices": [choice(&two[..1]), choice(&two[1..])]})), two);
        let finished = json!({"task_status": "SUCCEEDED", "choices": [choice(&two)]});
        assert_eq!(links(finished), two);
        let three = [two[0], two[1], "https://a/3.png"];
        let results: Vec<Value> = three.iter().map(|link| json!({"url": link})).collect();
        assert_eq!(links(json!({"task_status": "SUCCEEDED", "results": results})), three, "two were asked");
    }

    #[test]
    fn a_withheld_picture_counts_as_refused_and_a_broken_one_as_missing() {
        let with = |error: Value, billed: u8| {
            drawn(&json!({"output": {"task_status": "SUCCEEDED", "results": [{"url": "https://a/1.png"}, error]},
                "usage": {"image_count": billed}}))
        };
        let counts = |drawn: &Drawn| (drawn.images.len(), drawn.refused, drawn.refused_billed);
        let withheld = json!({"code": "DataInspectionFailed", "message": "Output data may contain it."});
        assert_eq!(counts(&with(withheld.clone(), 1)), (1, 1, 0));
        assert_eq!(counts(&with(withheld, 2)), (1, 1, 1), "charged all the same, if the vendor says so");
        assert_eq!(counts(&with(json!({"code": "InternalError.Timeout", "message": "slow"}), 1)), (1, 0, 0));
    }

    #[test]
    fn when_no_picture_is_left_the_first_error_counts_and_what_is_charged_is_told() {
        let of = |results: Value, billed: u8| {
            let body = json!({"output": {"task_status": "SUCCEEDED", "results": results},
                "usage": {"image_count": billed}});
            let failure = failure_of(200, &body.to_string());
            (failure.class, failure.billed)
        };
        let withheld = json!({"code": "IPInfringementSuspect", "message": "m"});
        let broken = json!({"code": "InternalError", "message": "m"});
        assert_eq!(of(json!([withheld, broken]), 0), (Class::Policy, 0));
        assert_eq!(of(json!([broken, withheld]), 0), (Class::Server, 0));
        assert_eq!(of(json!([]), 9), (Class::Malformed, 2), "no more than were asked");
    }

    #[test]
    fn a_rewritten_prompt_is_told_and_an_untouched_one_is_not() {
        let of = |actual: &str| {
            let results = json!([{"orig_prompt": "a red fox", "actual_prompt": actual, "url": "https://a/1.png"}]);
            drawn(&json!({"output": {"results": results}})).images.remove(0).revised_prompt
        };
        assert_eq!(of("A vivid red fox").as_deref(), Some("A vivid red fox"));
        assert_eq!((of("a red fox"), of("")), (None, None));
    }

    #[test]
    fn the_size_and_the_number_of_charged_pictures_are_read_in_every_spelling() {
        let of = |usage: Value| {
            let usage = drawn(&json!({"output": {"results": [{"url": "https://a/1.png"}]}, "usage": usage})).usage;
            (usage.size.map(|size| size.to_string()), usage.reported)
        };
        let one = Some(Reported::Units("1".to_owned()));
        let wide = Some("1664x928".to_owned());
        assert_eq!(of(json!({"image_count": 1, "width": 1664, "height": 928})), (wide.clone(), one.clone()));
        assert_eq!(of(json!({"image_count": 1, "size": "1664*928"})), (wide.clone(), one.clone()));
        let newest = json!({"output_image_count": 1, "output_width": 1664, "output_height": 928});
        assert_eq!(of(newest), (wide, one));
        assert_eq!(of(json!({"image_count": -1, "width": 0.5, "height": "x", "size": "0*0"})), (None, None));
        assert_eq!(of(Value::Null), (None, None));
    }

    #[test]
    fn a_key_that_the_vendor_quotes_is_blotted_out() {
        let desk = Desk::new("dashscope", "qwen-image", r#"{"prompt":"x"}"#);
        let body = flat("InvalidApiKey", &format!("Invalid API-key provided: {}", desk.key()));
        let Step::Failed(failure) = read(&desk.job(), &desk.reply(401, body)) else { panic!("a failure") };
        assert!(!failure.message.contains(desk.key()) && failure.message.contains("***"), "{failure}");
    }
}
