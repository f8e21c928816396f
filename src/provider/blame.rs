//! The table of vendors' errors: what each documented answer is taken for, who is paused by it, how wide and for how
//! long, and whether the next offer is asked. Compiled for tests only.
//!
//! The rows are PROVIDERS.md's, plus answers that were seen in the field. Each is read by its provider and handed to the
//! breakers as the gateway does it.

use std::time::{Duration, Instant};

use crate::breaker::{Asked, Breakers, Operation};
use crate::config::plan::Breaker;
use crate::failure::{Class, Failure};
use crate::provider::adapter::Step;
use crate::provider::common::fixture::Desk;

const LIMITS: Breaker = Breaker { failures: 5, window: Duration::from_secs(30), pause: Duration::from_secs(20) };

/// What an answer leads to, in one line: `class | who is paused, why, for how many seconds | what is next`.
///
/// `account`, `model` and `operation` are how wide the pause is; `counts` is none, but one failure of the operation;
/// `-` is nothing at all. `next` is another offer; `back` is the answer to the client; `last` is another offer first,
/// and the answer to the client if none draws.
fn verdict(failure: &Failure) -> String {
    let next = match failure.class {
        Class::Policy => "back",
        Class::CallerInvalid if failure.is_the_callers() => "back",
        Class::CallerInvalid => "last",
        _ => "next",
    };
    format!("{} | {} | {next}", failure.class.word(), pause(failure))
}

fn pause(failure: &Failure) -> String {
    let now = Instant::now();
    let asked = |model, operation| Asked { provider: "p", account: 1, model, operation };
    let fail = |breakers: &std::sync::Arc<Breakers>| {
        let pass = breakers.pass(asked("m", Operation::Generate), now).unwrap();
        pass.failed(failure, LIMITS, 0, now)
    };
    let breakers = Breakers::new();
    let Some(cooling) = fail(&breakers) else {
        let tripped = (0..4).any(|_| fail(&breakers).is_some());
        return if tripped { "counts" } else { "-" }.to_owned();
    };
    let hit = |model, operation| breakers.cooling(asked(model, operation), now).is_some();
    let elsewhere = Asked { account: 2, ..asked("m", Operation::Generate) };
    assert!(breakers.cooling(elsewhere, now).is_none(), "another key has nothing to do with it");
    let width = match (hit("other", Operation::Generate), hit("m", Operation::Edit)) {
        (true, true) => "account",
        (false, true) => "model",
        (_, false) => "operation",
    };
    format!("{width} {} {}", cooling.pause.word(), (cooling.until - now).as_secs())
}

/// Reads a row's answer. The request has a prompt and a size of the caller's own.
fn read(kind: &str, model: &str, status: u16, retry_after: &str, body: &str) -> Failure {
    let desk = Desk::new(kind, model, r#"{"prompt":"a red fox","size":"1024x1024"}"#);
    let reply = desk.reply(status, body);
    let reply = if retry_after.is_empty() { reply } else { reply.with("retry-after", retry_after) };
    match desk.provider.read(&desk.job(), &reply) {
        Step::Failed(failure) => failure,
        other => panic!("{kind} {status} {body}: {other:?}"),
    }
}

/// One row: status, `retry-after`, body, verdict.
type Row<'a> = (u16, &'a str, &'a str, &'a str);

fn check(kind: &str, model: &str, rows: &[Row<'_>]) {
    let wrong: Vec<String> = rows
        .iter()
        .map(|(status, after, body, wanted)| (read(kind, model, *status, after, body), status, body, wanted))
        .map(|(failure, status, body, wanted)| (verdict(&failure), status, body, wanted))
        .filter(|(told, _, _, wanted)| told != *wanted)
        .map(|(told, status, body, wanted)| format!("{status} {body}\n  is     {told}\n  wanted {wanted}"))
        .collect();
    assert!(wrong.is_empty(), "{kind} {model}:\n{}", wrong.join("\n"));
}

const REFUSED: &str = "refused | - | back";
const BACK: &str = "caller_invalid | - | back";
const LAST: &str = "caller_invalid | - | last";
const OURS: &str = "adapter_bug | - | next";
const NO_KEY: &str = "auth | account auth 60 | next";
const NOT_THIS_MODEL: &str = "auth | model auth 60 | next";
const NO_MONEY: &str = "quota | account quota 300 | next";
const MAYBE_AUTH: &str = "auth | counts | next";
const MAYBE_GONE: &str = "model_gone | counts | next";
const GONE: &str = "model_gone | operation model_gone 600 | next";
const SILENT: &str = "timeout | counts | next";
const TROUBLE: &str = "server_error | counts | next";
const PAGE: &str = "<html><h1>Access denied</h1></html>";

/// What every kind makes of what any proxy on the way may say.
#[test]
fn a_page_on_the_way_is_one_failure_of_one_operation_and_no_more() {
    for (kind, model) in [
        ("openai", "gpt-image-2"),
        ("azure", "gpt-image-1"),
        ("openai_compatible", "any"),
        ("stability", "core"),
        ("stability", "stable-diffusion-xl-1024-v1-0"),
        ("replicate", "black-forest-labs/flux-schnell"),
        ("openrouter", "openai/gpt-image-2"),
        ("dashscope", "qwen-image-2.0"),
        ("fal", "fal-ai/flux/schnell"),
        ("google", "gemini-3-pro-image"),
        ("bfl", "flux-2-pro"),
    ] {
        check(
            kind,
            model,
            &[
                (400, "", PAGE, "malformed | counts | next"),
                (401, "", PAGE, MAYBE_AUTH),
                (402, "", PAGE, "quota | counts | next"),
                (403, "", PAGE, MAYBE_AUTH),
                (403, "", "", MAYBE_AUTH),
                (404, "", PAGE, MAYBE_GONE),
                (404, "", "", MAYBE_GONE),
                (413, "", PAGE, "malformed | counts | next"),
                (422, "", PAGE, "malformed | counts | next"),
                (500, "", PAGE, TROUBLE),
                (502, "", PAGE, TROUBLE),
                (503, "", PAGE, TROUBLE),
                (503, "7", PAGE, "server_error | operation overloaded 7 | next"),
            ],
        );
    }
}

#[test]
fn an_answer_in_no_table_goes_on_to_the_next_offer() {
    for (kind, model) in [("openai", "gpt-image-2"), ("openai_compatible", "any"), ("openrouter", "openai/gpt-image-2")]
    {
        let body = r#"{"error":{"message":"a teapot","type":"teapot","param":null,"code":"short_and_stout"}}"#;
        let rows: Vec<Row<'_>> = [400, 412, 418, 422, 424, 428, 431, 451].map(|status| (status, "", body, LAST)).into();
        check(kind, model, &rows);
    }
}

#[test]
fn openai() {
    let rows: &[Row<'_>] = &[
        (
            400,
            "",
            r#"{"error":{"message":"Invalid size","type":"invalid_request_error","param":"size","code":"invalid_value"}}"#,
            BACK,
        ),
        (400, "", r#"{"error":{"message":"Bad","type":"invalid_request_error","param":null,"code":null}}"#, LAST),
        (
            400,
            "",
            r#"{"error":{"message":"Unknown parameter: 'response_format'.","type":"invalid_request_error","param":"response_format","code":"unknown_parameter"}}"#,
            OURS,
        ),
        (
            400,
            "",
            r#"{"error":{"message":"The value of 'moderation' is not supported by this model","param":"moderation","code":"invalid_value"}}"#,
            OURS,
        ),
        (
            400,
            "",
            r#"{"error":{"message":"The value of 'moderation' is not supported; see our content policy","param":null,"code":null}}"#,
            LAST,
        ),
        (
            400,
            "",
            r#"{"error":{"message":"Your request was rejected by the safety system. safety_violations=[sexual].","type":"image_generation_user_error","param":null,"code":"moderation_blocked"}}"#,
            REFUSED,
        ),
        (
            400,
            "",
            r#"{"error":{"message":"Your request was rejected as a result of our safety system.","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}"#,
            REFUSED,
        ),
        (
            400,
            "",
            r#"{"error":{"message":"Your request was rejected as a result of our safety system.","type":"invalid_request_error"}}"#,
            REFUSED,
        ),
        (
            400,
            "",
            r#"{"error":{"message":"Billing hard limit has been reached","type":"invalid_request_error","param":null,"code":"billing_hard_limit_reached"}}"#,
            NO_MONEY,
        ),
        (
            400,
            "",
            r#"{"error":{"message":"Your organization was suspended under our content policy","type":"invalid_request_error","param":null,"code":null}}"#,
            LAST,
        ),
        (
            401,
            "",
            r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            NO_KEY,
        ),
        (401, "", r#"{"error":{"message":"no","type":"authentication_error","param":null,"code":null}}"#, NO_KEY),
        (401, "", r#""Invalid token""#, NO_KEY),
        (402, "", r#"{"error":{"message":"no credit"}}"#, NO_MONEY),
        (
            403,
            "",
            r#"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}"#,
            NO_KEY,
        ),
        (
            403,
            "",
            r#"{"error":{"message":"Your organization must be verified to use the model `gpt-image-2`.","type":"invalid_request_error","param":null,"code":null}}"#,
            NOT_THIS_MODEL,
        ),
        (
            403,
            "",
            r#"{"error":{"message":"You are not permitted: your organization must accept the content policy first","code":"terms_not_accepted"}}"#,
            NO_KEY,
        ),
        (
            403,
            "",
            r#"{"error":{"message":"Your account has been blocked for repeated violations","code":"content_policy_violation"}}"#,
            NO_KEY,
        ),
        (403, "", r#"{"error":{"message":"no","type":"x","param":null,"code":null}}"#, MAYBE_AUTH),
        (
            404,
            "",
            r#"{"error":{"message":"The model 'x' does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            GONE,
        ),
        (
            404,
            "",
            r#"{"error":{"message":"Invalid URL (POST /v1/images/edits)","type":"invalid_request_error","param":null,"code":null}}"#,
            MAYBE_GONE,
        ),
        (
            429,
            "",
            r#"{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            "rate_limited | model rate_limited 2 | next",
        ),
        (
            429,
            "30",
            r#"{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            "rate_limited | model rate_limited 30 | next",
        ),
        (429, "99999999", r#"{"error":{"message":"slow"}}"#, "rate_limited | model rate_limited 600 | next"),
        (
            429,
            "",
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            NO_MONEY,
        ),
        (
            429,
            "",
            r#"{"error":{"message":"slow","code":"content_policy_violation"}}"#,
            "rate_limited | model rate_limited 2 | next",
        ),
        (
            500,
            "",
            r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#,
            TROUBLE,
        ),
        (
            503,
            "20",
            r#"{"error":{"message":"Slow down","type":"server_error","param":null,"code":"slow_down"}}"#,
            "server_error | operation overloaded 20 | next",
        ),
        (
            503,
            "",
            r#"{"error":{"message":"No available channel for model x","type":"new_api_error","param":"","code":"model_not_found"}}"#,
            TROUBLE,
        ),
    ];
    for kind in ["openai", "openai_compatible"] {
        check(kind, "gpt-image-2", rows);
    }
}

#[test]
fn azure() {
    check(
        "azure",
        "gpt-image-1",
        &[
            (
                400,
                "",
                r#"{"error":{"code":"contentFilter","message":"Your task failed as a result of our safety system.","inner_error":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                REFUSED,
            ),
            (
                400,
                "",
                r#"{"error":{"code":"content_policy_violation","message":"rejected","type":"invalid_request_error","inner_error":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                REFUSED,
            ),
            (400, "", r#"{"error":{"code":"BadRequest","message":"Invalid size."}}"#, LAST),
            (
                400,
                "",
                r#"{"error":{"code":"OperationNotSupported","message":"does not work with the specified model"}}"#,
                GONE,
            ),
            (
                401,
                "",
                r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
                NO_KEY,
            ),
            (
                403,
                "",
                r#"{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}"#,
                NO_KEY,
            ),
            (
                403,
                "",
                r#"{"error":{"code":"Forbidden","message":"Your resource has been temporarily blocked because we detected behavior that may violate our content policy."}}"#,
                NO_KEY,
            ),
            (
                404,
                "",
                r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
                "model_gone | model model_gone 600 | next",
            ),
            (404, "", r#"{"error":{"code":"404","message":"Resource not found"}}"#, MAYBE_GONE),
            (
                429,
                "",
                r#"{"error":{"code":"429","message":"Please retry after 26 seconds."}}"#,
                "rate_limited | model rate_limited 26 | next",
            ),
            (429, "", r#"{"error":{"code":"insufficient_quota","message":"no"}}"#, NO_MONEY),
            (408, "", r#"{"error":{"code":"Timeout","message":"The operation was timeout."}}"#, SILENT),
        ],
    );
}

#[test]
fn siliconflow_litellm_together_and_xai() {
    check(
        "openai_compatible",
        "any",
        &[
            (
                400,
                "",
                r#"{"code":20012,"message":"Model does not exist. Please check it carefully.","data":null}"#,
                GONE,
            ),
            (400, "", r#"{"code":20015,"message":"The prompt is not allowed","data":null}"#, REFUSED),
            (
                403,
                "",
                r#"{"code":30001,"message":"Sorry, your account balance is insufficient","data":null}"#,
                NO_MONEY,
            ),
            (401, "", r#""Invalid token""#, NO_KEY),
            (404, "", "404 page not found", MAYBE_GONE),
            (
                429,
                "",
                r#"{"message":"Request was rejected due to rate limiting.","data":""}"#,
                "rate_limited | model rate_limited 2 | next",
            ),
            (
                503,
                "",
                r#"{"code":50505,"message":"Model service overloaded. Please try again later.","data":null}"#,
                TROUBLE,
            ),
            (
                400,
                "",
                r#"{"error":{"message":"{'error': '/images/generations: Invalid model name passed in model=foo. Call `/v1/models`'}","type":"None","param":"None","code":"400"}}"#,
                GONE,
            ),
            (
                400,
                "",
                r#"{"error":{"message":"litellm.ContentPolicyViolationError: rejected","type":null,"param":null,"code":"400"}}"#,
                REFUSED,
            ),
            (
                400,
                "",
                r#"{"error":{"message":"Budget has been exceeded!","type":"budget_exceeded","param":null,"code":"400"}}"#,
                NO_MONEY,
            ),
            (
                401,
                "",
                r#"{"error":{"message":"key not allowed to access model.","type":"key_model_access_denied","param":"model","code":"401"}}"#,
                NOT_THIS_MODEL,
            ),
            (
                429,
                "",
                r#"{"error":{"message":"ExceededBudget","type":"budget_exceeded","param":null,"code":"429"}}"#,
                NO_MONEY,
            ),
            (
                422,
                "",
                r#"{"error":{"message":"NSFW content detected in the prompt","type":"invalid_request_error","param":null,"code":null}}"#,
                REFUSED,
            ),
            (
                400,
                "",
                r#"{"code":"Client specified an invalid argument","error":"Argument not supported: size"}"#,
                LAST,
            ),
            (404, "", r#"{"detail":"Not Found"}"#, MAYBE_GONE),
            (422, "", r#"{"detail":[{"loc":["body","size"],"msg":"bad","type":"value_error"}]}"#, BACK),
            (422, "", r#"{"detail":[{"loc":["body","user"],"msg":"bad","type":"value_error"}]}"#, OURS),
            (200, "", r#"{"error":{"code":429,"message":"slow down"}}"#, "rate_limited | model rate_limited 2 | next"),
        ],
    );
}

#[test]
fn stability() {
    let v1 = "stable-diffusion-xl-1024-v1-0";
    check(
        "stability",
        "core",
        &[
            (400, "", r#"{"id":"x","name":"bad_request","errors":["aspect_ratio: must be one of"]}"#, BACK),
            (400, "", r#"{"id":"x","name":"bad_request","errors":["style_preset: no such"]}"#, OURS),
            (401, "", r#"{"id":"x","name":"unauthorized","errors":["missing key"]}"#, NO_KEY),
            (402, "", r#"{"id":"x","name":"payment_required","errors":["no credits"]}"#, NO_MONEY),
            (
                403,
                "",
                r#"{"id":"x","name":"content_moderation","errors":["Your request was flagged by our content moderation system"]}"#,
                REFUSED,
            ),
            (403, "", r#"{"id":"x","name":"forbidden","errors":["no"]}"#, MAYBE_AUTH),
            (413, "", r#"{"id":"x","name":"payload_too_large","errors":["10 MiB"]}"#, LAST),
            (422, "", r#"{"id":"x","name":"invalid_language","errors":["English only"]}"#, OURS),
            (422, "", r#"{"id":"x","name":"public_figure","errors":["no"]}"#, REFUSED),
            (
                429,
                "",
                r#"{"id":"x","name":"rate_limit_exceeded","errors":["150 in 10 s"]}"#,
                "rate_limited | account rate_limited 60 | next",
            ),
            (500, "", r#"{"id":"x","name":"internal_error","errors":["oops"]}"#, TROUBLE),
        ],
    );
    check(
        "stability",
        v1,
        &[
            (400, "", r#"{"id":"x","name":"invalid_prompts","message":"filtered words"}"#, REFUSED),
            (
                403,
                "",
                r#"{"id":"x","name":"permission_denied","message":"You do not have permission"}"#,
                NOT_THIS_MODEL,
            ),
            (404, "", r#"{"id":"x","name":"not_found","message":"The specified engine was not found"}"#, GONE),
            (404, "", r#"{"id":"x","name":"not_found","message":"no such path"}"#, MAYBE_GONE),
        ],
    );
}

#[test]
fn google() {
    check(
        "google",
        "gemini-3-pro-image",
        &[
            (
                400,
                "",
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"Unable to process input image."}}"#,
                LAST,
            ),
            (
                400,
                "",
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"generation_config.image_config.aspect_ratio"}]}]}}"#,
                BACK,
            ),
            (
                400,
                "",
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"safety filter threshold","details":[{"fieldViolations":[{"field":"safety_settings[0].threshold"}]}]}}"#,
                OURS,
            ),
            (
                400,
                "",
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"This prompt contains sensitive words that violate Google's Responsible AI practices."}}"#,
                REFUSED,
            ),
            (
                400,
                "",
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                NO_KEY,
            ),
            (
                400,
                "",
                r#"{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"Please enable billing."}}"#,
                NO_MONEY,
            ),
            (
                400,
                "",
                r#"{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"User location is not supported."}}"#,
                NO_KEY,
            ),
            (401, "", r#"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#, NO_KEY),
            (
                403,
                "",
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"Permission denied on resource"}}"#,
                NOT_THIS_MODEL,
            ),
            (
                403,
                "",
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}"#,
                NO_KEY,
            ),
            (
                403,
                "",
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"reason":"CONSUMER_SUSPENDED"}]}}"#,
                NO_KEY,
            ),
            (
                403,
                "",
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"reason":"BILLING_DISABLED"}]}}"#,
                NO_MONEY,
            ),
            (404, "", r#"{"error":{"code":404,"status":"NOT_FOUND","message":"models/x is not found"}}"#, GONE),
            (
                429,
                "",
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"41s"}]}}"#,
                "rate_limited | model rate_limited 41 | next",
            ),
            (
                429,
                "",
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]}]}}"#,
                "rate_limited | model rate_limited 2 | next",
            ),
            (
                429,
                "",
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}"#,
                "quota | model quota 300 | next",
            ),
            (
                429,
                "",
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"RequestsPerDayPerProject"}]}]}}"#,
                NO_MONEY,
            ),
            (
                429,
                "",
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Your prepayment credits are depleted."}}"#,
                NO_MONEY,
            ),
            (503, "", r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"The model is overloaded."}}"#, TROUBLE),
        ],
    );
}

#[test]
fn replicate() {
    check(
        "replicate",
        "black-forest-labs/flux-schnell",
        &[
            (401, "", r#"{"detail":"Unauthenticated"}"#, NO_KEY),
            (402, "", r#"{"detail":"Insufficient credit"}"#, NO_MONEY),
            (404, "", r#"{"detail":"The requested resource could not be found."}"#, MAYBE_GONE),
            (404, "", r#"{"detail":"No such model"}"#, GONE),
            (
                422,
                "",
                r#"{"detail":"The specified version does not exist"}"#,
                "model_gone | model model_gone 600 | next",
            ),
            (
                422,
                "",
                r#"{"detail":"d","status":422,"title":"Input validation failed","invalid_fields":[{"field":"input.prompt","description":"bad"}]}"#,
                BACK,
            ),
            (
                422,
                "",
                r#"{"detail":"d","status":422,"title":"Input validation failed","invalid_fields":[{"field":"input.go_fast","description":"bad"}]}"#,
                OURS,
            ),
            (
                429,
                "",
                r#"{"detail":"Request was throttled. Your rate limit resets in ~30s."}"#,
                "rate_limited | account rate_limited 30 | next",
            ),
            (
                200,
                "",
                r#"{"id":"p","status":"failed","error":"NSFW content detected. Try running it again."}"#,
                REFUSED,
            ),
            (200, "", r#"{"id":"p","status":"failed","error":"CUDA out of memory"}"#, TROUBLE),
        ],
    );
}

#[test]
fn openrouter() {
    check(
        "openrouter",
        "openai/gpt-image-2",
        &[
            (400, "", r#"{"error":{"code":400,"message":"foo is not a valid model ID"}}"#, GONE),
            (
                400,
                "",
                r#"{"error":{"message":"The value of 'moderation' is not supported by this model","param":"moderation","code":"invalid_value"}}"#,
                OURS,
            ),
            (
                400,
                "",
                r#"{"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"rejected by the safety system\",\"code\":\"moderation_blocked\"}}"}}}"#,
                REFUSED,
            ),
            (401, "", r#"{"error":{"code":401,"message":"No auth credentials found"}}"#, NO_KEY),
            (402, "", r#"{"error":{"code":402,"message":"Insufficient credits"}}"#, NO_MONEY),
            (
                403,
                "",
                r#"{"error":{"code":403,"message":"moderated","metadata":{"reasons":["violence"],"flagged_input":"a"}}}"#,
                REFUSED,
            ),
            (
                403,
                "",
                r#"{"error":{"code":403,"message":"Your chosen model requires moderation and your input was flagged"}}"#,
                REFUSED,
            ),
            (403, "", r#"{"error":{"code":403,"message":"Key limit exceeded (total limit)"}}"#, NO_MONEY),
            (
                403,
                "",
                r#"{"error":{"code":403,"message":"You are not permitted: your organization must accept the content policy first"}}"#,
                NO_KEY,
            ),
            (
                404,
                "",
                r#"{"error":{"code":404,"message":"No endpoints found that support the requested output modalities: image, text"}}"#,
                OURS,
            ),
            (404, "", r#"{"error":{"code":404,"message":"No endpoints found for x/y."}}"#, MAYBE_GONE),
            (
                404,
                "",
                r#"{"error":{"code":404,"message":"No endpoints found matching your data policy."}}"#,
                MAYBE_GONE,
            ),
            (408, "", r#"{"error":{"code":408,"message":"Timeout"}}"#, SILENT),
            (
                429,
                "",
                r#"{"error":{"code":429,"message":"Rate limit exceeded"}}"#,
                "rate_limited | model rate_limited 2 | next",
            ),
            (502, "", r#"{"error":{"code":502,"message":"Provider returned error"}}"#, TROUBLE),
        ],
    );
}

#[test]
fn black_forest_labs() {
    check(
        "bfl",
        "flux-2-pro",
        &[
            (
                400,
                "",
                r#"{"error":{"message":"The value of 'moderation' is not supported by this model","param":"moderation","code":"invalid_value"}}"#,
                OURS,
            ),
            (400, "", r#"{"detail":"Request Moderated"}"#, REFUSED),
            (403, "", r#"{"detail":"Not authenticated"}"#, NO_KEY),
            (403, "", r#"{"detail":"Forbidden"}"#, MAYBE_AUTH),
            (402, "", r#"{"detail":"Insufficient credits"}"#, NO_MONEY),
            (404, "", r#"{"detail":"Not Found"}"#, MAYBE_GONE),
            (422, "", r#"{"detail":[{"loc":["body","prompt"],"msg":"bad","type":"value_error"}]}"#, BACK),
            (422, "", r#"{"detail":[{"loc":["header","x-key"],"msg":"bad","type":"uuid_parsing"}]}"#, NO_KEY),
            (
                429,
                "",
                r#"{"error":"rate_limit_exceeded","message":"slow","retry_after":5}"#,
                "rate_limited | account rate_limited 5 | next",
            ),
            (503, "", r#"{"detail":"busy"}"#, TROUBLE),
        ],
    );
    let limited = r#"{"error":"rate_limit_exceeded","message":"slow","retry_after":5}"#;
    check("bfl", "flux-kontext-max", &[(429, "", limited, "rate_limited | model rate_limited 5 | next")]);
}

#[test]
fn fal() {
    check(
        "fal",
        "fal-ai/flux/schnell",
        &[
            (401, "", r#"{"detail":"No user found for Key ID and Secret"}"#, NO_KEY),
            (403, "", r#"{"detail":"User is locked. Reason: Exhausted balance."}"#, NO_MONEY),
            (403, "", r#"{"detail":"not allowed"}"#, MAYBE_AUTH),
            (404, "", r#"{"detail":"Application 'nothing' not found"}"#, GONE),
            (404, "", r#"{"detail":"Not Found"}"#, MAYBE_GONE),
            (
                422,
                "",
                r#"{"detail":[{"loc":["body","prompt"],"msg":"no","type":"content_policy_violation"}]}"#,
                REFUSED,
            ),
            (422, "", r#"{"detail":[{"loc":["body","image_size"],"msg":"bad","type":"value_error"}]}"#, BACK),
            (400, "", r#"{"message":"bad"}"#, LAST),
            (400, "", r#"{"detail":[{"loc":["body","prompt"],"msg":"m","type":"downstream_service_error"}]}"#, TROUBLE),
            (
                429,
                "3",
                r#"{"detail":"text","error_type":"concurrent_requests_limit"}"#,
                "rate_limited | account rate_limited 3 | next",
            ),
            (503, "", r#"{"detail":"text","error_type":"runner_scheduling_failure"}"#, TROUBLE),
        ],
    );
}

#[test]
fn dashscope() {
    check(
        "dashscope",
        "qwen-image-2.0",
        &[
            (400, "", r#"{"code":"InvalidParameter","message":"The size does not match the allowed size"}"#, BACK),
            (400, "", r#"{"code":"InvalidParameter","message":"something is wrong"}"#, LAST),
            (
                400,
                "",
                r#"{"code":"DataInspectionFailed","message":"Input data may contain inappropriate content."}"#,
                REFUSED,
            ),
            (400, "", r#"{"code":"Arrearage","message":"Access denied, your account is in arrears."}"#, NO_MONEY),
            (401, "", r#"{"code":"InvalidApiKey","message":"Invalid API-key provided."}"#, NO_KEY),
            (403, "", r#"{"code":"AccessDenied","message":"Access denied."}"#, MAYBE_AUTH),
            (403, "", r#"{"code":"AccessDenied.Unpurchased","message":"Access to model denied."}"#, NO_KEY),
            (
                403,
                "",
                r#"{"code":"AccessDenied","message":"current user api does not support synchronous calls"}"#,
                OURS,
            ),
            (403, "", r#"{"code":"Model.AccessDenied","message":"Model access denied."}"#, GONE),
            (
                403,
                "",
                r#"{"code":"AllocationQuota.FreeTierOnly","message":"The free tier is exhausted."}"#,
                "quota | model quota 300 | next",
            ),
            (404, "", r#"{"code":"ModelNotFound","message":"Model can not be found."}"#, GONE),
            (
                429,
                "",
                r#"{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded."}"#,
                "rate_limited | model rate_limited 2 | next",
            ),
            (
                429,
                "",
                r#"{"code":"Throttling.AllocationQuota","message":"Free allocated quota exceeded."}"#,
                "quota | model quota 300 | next",
            ),
            (503, "", r#"{"code":"ServiceUnavailable","message":"busy"}"#, TROUBLE),
        ],
    );
}

#[test]
fn a_reason_is_the_vendors_sentence_without_its_codes_and_the_key() {
    let body =
        r#"{"error":{"message":"No key key-0123456789abcdef reads (red:1.3)","type":"t","param":null,"code":"c"}}"#;
    let failure = read("openai", "gpt-image-2", 400, "", body);
    assert_eq!(failure.reason(), Some("No key *** reads (red:1.3)"));
    assert_eq!(failure.message, "HTTP 400 t c: No key *** reads (red:1.3)");
}

#[test]
fn what_the_route_put_into_a_request_is_not_the_callers_mistake() {
    let body =
        |field: &str| format!(r#"{{"error":{{"message":"m","type":"t","param":"{field}","code":"invalid_value"}}}}"#);
    let verdict_of = |field: &str, fill: fn(&mut crate::request::Filled)| {
        let wish = r#"{"prompt":"x","size":"1024x1024","quality":"high","output_format":"png"}"#;
        let mut desk = Desk::new("openai", "gpt-image-2", wish);
        fill(&mut desk.request.filled);
        match desk.provider.read(&desk.job(), &desk.reply(400, body(field))) {
            Step::Failed(failure) => verdict(&failure),
            other => panic!("{other:?}"),
        }
    };
    for field in ["size", "quality", "output_format", "prompt"] {
        assert_eq!(verdict_of(field, |_| {}), BACK, "{field}");
    }
    assert_eq!(verdict_of("size", |filled| filled.size = true), OURS);
    assert_eq!(verdict_of("quality", |filled| filled.quality = true), OURS);
    assert_eq!(verdict_of("output_format", |filled| filled.output_format = true), OURS);
    assert_eq!(verdict_of("prompt", |filled| filled.prompt = true), LAST);
}
