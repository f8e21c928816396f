//! The errors of Black Forest Labs.

use crate::provider::vendor_error_tests::*;

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
