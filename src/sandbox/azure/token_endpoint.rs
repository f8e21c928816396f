//! Entra's token endpoint, as far as an application needs it: client credentials for Azure's AI services.
//!
//! The form is read strictly: four fields, each once, and a scope that opens this vendor. Which application asks does
//! not matter; its secret does where the settings have one (`token_key`). Errors are Entra's, with their numbers.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::sandbox::access_tokens::read_token_form;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::finish;

/// What a token opens.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

pub(in crate::sandbox) async fn grant(
    State(shared): State<Arc<SandboxState>>,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    let vendor = shared.settings(Name::Azure);
    let answer = check(&tenant, request, &vendor).await;
    let answer = answer.map(|()| {
        let mut given = shared.vendor_state(Name::Azure).tokens.give("eyJ0eXAi.sandbox", vendor.token_life);
        given["ext_expires_in"] = given["expires_in"].clone();
        JsonResponse(given).into_response()
    });
    finish(&shared, Name::Azure, answer)
}

async fn check(tenant: &str, request: Request, vendor: &Vendor) -> Result<(), ErrorResponse> {
    if ["common", "organizations", "consumers"].contains(&tenant) {
        return Err(token_error("invalid_request", 53003, "Application must ask its own tenant"));
    }
    let fields = read_token_form(request).await.map_err(|why| token_error("invalid_request", 900144, why))?;
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    if names != ["client_id", "client_secret", "grant_type", "scope"] {
        let what = "The request body must contain client_id, client_secret, grant_type and scope, each once";
        return Err(token_error("invalid_request", 900144, what));
    }
    let value = |index: usize| fields[index].1.as_str();
    if value(2) != "client_credentials" {
        return Err(token_error("unsupported_grant_type", 70003, "The app requested an unsupported grant type"));
    }
    if value(3) != SCOPE {
        return Err(token_error(
            "invalid_scope",
            1002012,
            "The provided value for scope is not valid for client credentials",
        ));
    }
    if value(0).is_empty() {
        return Err(token_error("unauthorized_client", 700016, "Application was not found in the directory"));
    }
    let right = vendor.token_key.as_deref();
    if value(1).is_empty() || right.is_some_and(|right| right != value(1)) {
        return Err(token_error("invalid_client", 7_000_215, "Invalid client secret provided"));
    }
    Ok(())
}

fn token_error(word: &str, number: u32, what: &str) -> ErrorResponse {
    let status = if word == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let what = format!("AADSTS{number}: {what}.");
    ErrorResponse::violation(status, json!({"error": word, "error_description": what, "error_codes": [number]}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::test_client::{sandbox, send};

    const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

    #[tokio::test]
    async fn a_token_is_given_for_the_right_form_alone_and_opens_the_vendor_until_it_is_taken_back() {
        let sandbox = sandbox("{vendors: {azure: {key: k, token_key: s3cret}}}").await;
        let path = "/azure/login/t1/oauth2/v2.0/token";
        let scope = "https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
        let good = format!("grant_type=client_credentials&client_id=id&client_secret=s3cret&scope={scope}");
        let refused = [
            (good.replace("s3cret", "other"), 401, "invalid_client"),
            (good.replace("client_credentials", "password"), 400, "unsupported_grant_type"),
            (good.replace("cognitiveservices", "graph"), 400, "invalid_scope"),
            (good.replace("client_id=id", "client_id="), 400, "unauthorized_client"),
            (good.replace("client_id=id&", ""), 400, "invalid_request"),
            (format!("{good}&resource=x"), 400, "invalid_request"),
        ];
        for (body, status, word) in &refused {
            let reply = send(sandbox.addr(), "POST", path, &FORM, body.as_bytes()).await;
            assert_eq!((reply.status, reply.json()["error"].as_str()), (*status, Some(*word)), "{body}");
        }
        let common = path.replace("t1", "common");
        assert_eq!(send(sandbox.addr(), "POST", &common, &FORM, good.as_bytes()).await.status, 400);
        assert_eq!(send(sandbox.addr(), "POST", path, &[], good.as_bytes()).await.status, 400);
        assert_eq!(sandbox.tokens(Name::Azure), 0);
        let given = send(sandbox.addr(), "POST", path, &FORM, good.as_bytes()).await.json();
        assert_eq!((given["token_type"].as_str(), given["expires_in"].as_u64()), (Some("Bearer"), Some(3599)));
        let bearer = format!("Bearer {}", given["access_token"].as_str().unwrap());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let pictures = "/azure/openai/deployments/gpt-image-1/images/generations?api-version=2025-04-01-preview";
        let ask = async || send(sandbox.addr(), "POST", pictures, &headers, br#"{"prompt": "x"}"#).await.status;
        assert_eq!(ask().await, 200);
        sandbox.revoke_tokens(Name::Azure);
        assert_eq!(ask().await, 401);
        assert_eq!(sandbox.invoice().vendor(Name::Azure).violations_total, refused.len() as u64 + 3);
    }
}
