//! The errors of fal.

use crate::provider::vendor_error_tests::*;

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
