//! The errors of OpenAI.

use crate::provider::vendor_error_tests::*;

#[test]
fn openai() {
    let rows: &[BlameCase<'_>] = &[
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
