//! The errors of Replicate.

use crate::provider::vendor_error_tests::*;

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
