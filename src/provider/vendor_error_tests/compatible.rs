//! The errors of OpenAI-compatible servers: SiliconFlow, LiteLLM, Together and xAI.

use crate::provider::vendor_error_tests::*;

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
