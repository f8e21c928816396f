//! The errors of OpenRouter.

use crate::provider::vendor_error_tests::*;

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
