//! The errors of Google.

use crate::provider::vendor_error_tests::*;

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
