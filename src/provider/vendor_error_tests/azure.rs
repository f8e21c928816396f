//! The errors of Azure.

use crate::provider::vendor_error_tests::*;

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
