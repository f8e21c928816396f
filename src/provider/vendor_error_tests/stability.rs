//! The errors of Stability.

use crate::provider::vendor_error_tests::*;

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
