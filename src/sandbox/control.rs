//! The sandbox's own endpoints: read the invoice, change a vendor's behaviour, start afresh.
//!
//! They need no key: any client that reaches the sandbox may use them. Nothing here speaks a vendor's format.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde::Deserialize;

use super::faults::{Faults, Mode};
use super::settings::{Name, ScriptedAnswer, Vendor};
use crate::money::Usd;
use crate::sandbox::billing::Invoice;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::settings_serde::{amounts, duration, parsed};
use crate::sandbox::state::SandboxState;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/invoice", routing::get(invoice))
        .route("/faults", routing::post(faults))
        .route("/reset", routing::post(reset))
}

/// `GET /`: what this is.
pub(super) async fn page(State(shared): State<Arc<SandboxState>>) -> String {
    let url = &shared.url;
    format!(
        "Easel's sandbox: pretend image vendors that speak the real wire formats. Any key will do.

  {url}/openai/v1           the OpenAI Images API
  {url}/compatible/v1       something like it
  {url}/stability           Stability AI, v1 and v2beta
  {url}/replicate/v1        Replicate predictions
  {url}/azure               Azure OpenAI, classic and v1
  {url}/openrouter/api/v1   OpenRouter, images and chat
  {url}/dashscope/api/v1    Alibaba's DashScope
  {url}/fal                 fal.ai's queue
  {url}/bfl                 Black Forest Labs
  {url}/anthropic/v1        Anthropic's messages, which draw nothing
  {url}/text/v1             OpenAI's chat completions and embeddings, which draw nothing

  GET  {url}/control/invoice   what was drawn and what it costs
  POST {url}/control/faults    {{\"vendor\": \"openai\", \"mode\": \"down500\"}}
  POST {url}/control/reset     an empty invoice and the first settings

  modes: normal, down500, rate_limited, out_of_money, refusing, hang, garbage, no_pictures, truncated, blank, blurred, overloaded;
  and, with the work done and charged: unreadable, gateway_timeout, cdn_timeout, redirect, cut, hanging_download

A prompt with the word \"forbidden\" is refused; Stability blurs what is \"blurred\"; Anthropic and the text
vendor read much of what is \"cached\" from a cache of their own.
"
    )
}

/// Amounts are exact decimal texts.
async fn invoice(State(shared): State<Arc<SandboxState>>) -> JsonResponse<Invoice> {
    JsonResponse(shared.invoice())
}

async fn reset(State(shared): State<Arc<SandboxState>>) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}

/// Changes what is named and leaves the rest.
async fn faults(State(shared): State<Arc<SandboxState>>, body: Bytes) -> Response {
    match serde_json::from_slice::<SettingsChange>(&body) {
        Ok(change) => {
            shared.set(change.vendor, |vendor| change.apply(vendor));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

/// A change to one vendor's settings; the words are those of the settings file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsChange {
    vendor: Name,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    mode: Option<NewMode>,
    #[serde(default)]
    faults: Option<Faults>,
    #[serde(default)]
    latency: Option<DurationSetting>,
    #[serde(default)]
    jitter: Option<DurationSetting>,
    #[serde(default)]
    price: Option<PriceSettings>,
    #[serde(default)]
    default_price: Option<AmountSetting>,
    #[serde(default)]
    min_bytes: Option<usize>,
    #[serde(default)]
    answers: Option<Vec<ScriptedAnswer>>,
}

#[derive(Debug, Deserialize)]
struct NewMode(#[serde(with = "serde_yaml::with::singleton_map")] Mode);

#[derive(Debug, Deserialize)]
struct DurationSetting(#[serde(deserialize_with = "duration")] Duration);

#[derive(Debug, Deserialize)]
struct PriceSettings(#[serde(deserialize_with = "amounts")] BTreeMap<String, Usd>);

#[derive(Debug, Deserialize)]
struct AmountSetting(#[serde(deserialize_with = "parsed")] Usd);

impl SettingsChange {
    fn apply(self, to: &mut Vendor) {
        let SettingsChange { vendor: _, key, mode, faults, latency, jitter, price, default_price, min_bytes, answers } =
            self;
        to.key = key.or(to.key.take());
        to.mode = mode.map_or(to.mode, |NewMode(mode)| mode);
        to.faults = faults.unwrap_or(to.faults);
        to.latency = latency.map_or(to.latency, |DurationSetting(time)| time);
        to.jitter = jitter.map_or(to.jitter, |DurationSetting(time)| time);
        if let Some(PriceSettings(price)) = price {
            to.price = price;
        }
        to.default_price = default_price.map_or(to.default_price, |AmountSetting(usd)| usd);
        to.min_bytes = min_bytes.unwrap_or(to.min_bytes);
        if let Some(answers) = answers {
            to.answers = answers;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sandbox::test_client::{get, post, sandbox};

    const PATH: &str = "/openai/v1/images/generations";

    #[tokio::test]
    async fn the_invoice_is_json_with_exact_amounts() {
        let sandbox = sandbox("{vendors: {openai: {price: {dall-e-2: 0.016000001}}}}").await;
        let body = json!({"model": "dall-e-2", "prompt": "x", "n": 3, "size": "256x256"});
        post(&sandbox, PATH, body).await;
        let json = get(&sandbox, "/control/invoice").await.json();
        assert_eq!(
            (json["total"].as_str(), json["openai"]["usd"].as_str()),
            (Some("0.048000003"), Some("0.048000003"))
        );
        assert_eq!(json["openai"]["by_model"]["dall-e-2"], json!({"pictures": 3, "usd": "0.048000003"}));
        assert_eq!((&json["openai"]["calls"], &json["stability"]["calls"]), (&json!(1), &json!(0)));
    }

    #[tokio::test]
    async fn a_vendor_can_be_broken_changed_and_mended_while_it_runs() {
        let sandbox = sandbox("{vendors: {openai: {default_price: 0.5}}}").await;
        let body = json!({"model": "dall-e-2", "prompt": "x", "size": "256x256"});
        let mode = json!({"vendor": "openai", "mode": {"rate_limited": {"retry_after": "7s"}}});
        assert_eq!(post(&sandbox, "/control/faults", mode).await.status, 204);
        assert_eq!(post(&sandbox, PATH, body.clone()).await.header("retry-after"), Some("7"));
        let change = json!({"vendor": "openai", "mode": "normal", "faults": {"error_rate": "100%"}});
        assert_eq!(post(&sandbox, "/control/faults", change).await.status, 204);
        assert_eq!(post(&sandbox, PATH, body.clone()).await.status, 500);
        let change = json!({"vendor": "openai", "faults": {}, "price": {"dall-e-2": "0.25"}, "latency": "1ms"});
        assert_eq!(post(&sandbox, "/control/faults", change).await.status, 204);
        assert_eq!(post(&sandbox, PATH, body.clone()).await.status, 200);
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(250_000_000)));
        assert_eq!(post(&sandbox, "/control/reset", json!({})).await.status, 204);
        assert_eq!((sandbox.invoice().total, sandbox.invoice().vendors.openai.calls), (Some(Usd::ZERO), 0));
        post(&sandbox, PATH, body).await;
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(500_000_000)), "the first settings are back");
    }

    #[tokio::test]
    async fn a_change_that_is_not_understood_changes_nothing_and_says_why() {
        let sandbox = sandbox("{}").await;
        for (body, words) in [
            (json!({"vendor": "openia", "mode": "down500"}), "openia"),
            (json!({"vendor": "openai", "moood": "down500"}), "moood"),
            (json!({"vendor": "openai", "faults": {"error_rate": "lots"}}), "percentage"),
            (json!({"vendor": "openai", "price": {"m": 0.5}}), "expected a string"),
        ] {
            let reply = post(&sandbox, "/control/faults", body).await;
            assert_eq!(reply.status, 400);
            assert!(String::from_utf8(reply.body).unwrap().contains(words), "{words}");
        }
    }

    #[tokio::test]
    async fn the_front_page_says_what_this_is() {
        let sandbox = sandbox("{}").await;
        let page = String::from_utf8(get(&sandbox, "/").await.body).unwrap();
        assert!(page.contains(&format!("{}/openai/v1", sandbox.url())));
    }
}
