//! The errors of DashScope.

use crate::provider::vendor_error_tests::*;

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
