//! Tests of provider/dashscope/reply.rs.

use serde_json::{Value, json};

use super::*;
use crate::provider::adapter::PictureSource;
use crate::provider::common::fixture::JobFixture;

const WISH: &str = r#"{"prompt":"a red fox","n":2,"size":"1024x1024"}"#;

fn read_as(model: &str, status: u16, body: &str) -> Step {
    let fixture = JobFixture::new("dashscope", model, WISH);
    read(&fixture.job(), &fixture.reply(status, body))
}

fn failure_of(status: u16, body: &str) -> Failure {
    match read_as("wan2.2-t2i-flash", status, body) {
        Step::Failed(failure) => failure,
        other => panic!("{status} {body} is {other:?}"),
    }
}

fn drawn(body: &Value) -> JobResult {
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
        let Step::Again { call, after, cancel, .. } = read_as("wan2.2-t2i-flash", 200, &body) else { panic!("again") };
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
        let link = |found: ReplyPicture| match found.source {
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
    let counts = |drawn: &JobResult| (drawn.images.len(), drawn.refused, drawn.refused_billed);
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
    let fixture = JobFixture::new("dashscope", "qwen-image", r#"{"prompt":"x"}"#);
    let body = flat("InvalidApiKey", &format!("Invalid API-key provided: {}", fixture.key()));
    let Step::Failed(failure) = read(&fixture.job(), &fixture.reply(401, body)) else { panic!("a failure") };
    assert!(!failure.message.contains(fixture.key()) && failure.message.contains("***"), "{failure}");
}
