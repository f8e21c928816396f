//! The compatible vendor's answer with pictures, where its dialect has them, and their price.
//!
//! Drawing comes first and charging last, with nothing awaited in between: what is charged is answered.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::money::Usd;
use crate::sandbox::compatible::dialect::{AnswerForm, CostStyle, Dialect};
use crate::sandbox::compatible::requests::ParsedRequest;
use crate::sandbox::draw::Sketch;
use crate::sandbox::draw::draw_all;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::state::SandboxState;
use crate::sandbox::unix_time::unix_time;
use crate::sandbox::vendor_call::VendorCall;

/// Pictures that are ready and not charged yet.
#[derive(Debug)]
pub(in crate::sandbox) struct UnchargedPictures {
    shared: Arc<SandboxState>,
    vendor: Arc<Vendor>,
    /// Where links lead.
    origin: String,
    request: ParsedRequest,
    sketches: Vec<Sketch>,
    /// Base64, where the answer holds the pictures itself.
    inside: Vec<String>,
}

impl UnchargedPictures {
    /// Draws what the request asks for.
    pub(in crate::sandbox) async fn prepare(
        call: &VendorCall,
        request: ParsedRequest,
    ) -> Result<UnchargedPictures, ErrorResponse> {
        let sketch = |index| {
            let seed = request.seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(call.seed);
            Sketch {
                format: request.format,
                ..call.sketch(&request.prompt, seed ^ request.fingerprint, index, request.size)
            }
        };
        let sketches: Vec<Sketch> = match call.fault {
            Mode::NoPictures => Vec::new(),
            _ => (0..request.n).map(sketch).collect(),
        };
        let drawn = if request.links { Vec::new() } else { draw_all(sketches.clone()).await? };
        let prefix = match call.vendor.dialect.answer {
            AnswerForm::DataUrl => format!("data:{};base64,", request.format.media_type()),
            AnswerForm::Asked | AnswerForm::Base64 | AnswerForm::Url => String::new(),
        };
        let inside = drawn.iter().map(|file| format!("{prefix}{}", STANDARD.encode_to_string(file))).collect();
        let (shared, vendor) = (Arc::clone(&call.shared), Arc::clone(&call.vendor));
        Ok(UnchargedPictures { shared, vendor, origin: call.origin.clone(), request, sketches, inside })
    }

    /// Charges, and gives the answer's body and its price. `None` when the bill does not fit.
    pub(in crate::sandbox) fn finish(self) -> Option<(Value, Usd)> {
        let (request, dialect) = (&self.request, &self.vendor.dialect);
        let count = u32::try_from(self.sketches.len()).ok()?;
        let price = self.vendor.price_of(&request.model, request.size, request.quality.as_deref());
        let charged = self.shared.vendor_state(Name::Compatible).billing.charge(&request.model, price, count, 0)?;
        let link = |sketch: Sketch| {
            let path = self.shared.picture_links.put(Name::Compatible, sketch);
            if dialect.relative_urls { path } else { format!("{}{path}", self.origin) }
        };
        let pictures = if request.links { self.sketches.into_iter().map(link).collect() } else { self.inside };
        let key = if request.links { &dialect.url } else { &dialect.base64 };
        let item = |picture: String| match dialect.bare_items {
            true => Value::String(picture),
            false => {
                let mut item = json!({});
                put_at(&mut item, key, json!(picture));
                item
            }
        };
        let mut body = json!({});
        put_at(&mut body, &dialect.list, pictures.into_iter().map(item).collect());
        if dialect.created {
            body["created"] = json!(unix_time());
        }
        // JSON's own number: an amount of so few digits is written as it is.
        let cost = dialect
            .cost_at
            .as_ref()
            .and_then(|path| Some((path, serde_json::from_str::<Value>(&charged.to_string()).ok()?)));
        if let Some((path, amount)) = cost {
            put_at(&mut body, path, amount);
        }
        Some((body, charged))
    }
}

/// The whole answer to a request that is drawn at once.
pub(in crate::sandbox) async fn respond(call: &VendorCall, request: ParsedRequest) -> Result<Response, ErrorResponse> {
    let (body, charged) =
        UnchargedPictures::prepare(call, request).await?.finish().ok_or_else(ErrorResponse::broken)?;
    let mut answer = JsonResponse(body).into_response();
    set_cost_header(&mut answer, &call.vendor.dialect, charged);
    Ok(answer)
}

/// The exact price in the dialect's header.
fn set_cost_header(answer: &mut Response, dialect: &Dialect, charged: Usd) {
    let text = match dialect.cost_style {
        CostStyle::Plain => charged.to_string(),
        CostStyle::Scientific => format!("{}e-09", charged.nanos()),
        CostStyle::None => "None".to_owned(),
    };
    let name = dialect.cost_header.as_deref().and_then(|name| HeaderName::try_from(name).ok());
    if let (Some(name), Ok(value)) = (name, HeaderValue::from_str(&text)) {
        answer.headers_mut().insert(name, value);
    }
}

/// Puts a value at a path of keys with dots between, beside what is there.
pub(in crate::sandbox) fn put_at(body: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        None => body[path] = value,
        Some((outer, inner)) => {
            if !body[outer].is_object() {
                body[outer] = json!({});
            }
            put_at(&mut body[outer], inner, value);
        }
    }
}
