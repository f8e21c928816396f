//! Draws and charges what a request to Google asks for, and words the answer, in Gemini's shape or in Imagen's.

use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::sandbox::draw::{Sketch, draw_all};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::google::requests::ParsedRequest;
use crate::sandbox::google::usage;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::metered_prices::ImageTokens;
use crate::sandbox::vendor_call::VendorCall;

impl ParsedRequest {
    /// Draws, charges and answers.
    pub(super) async fn respond(self, call: &VendorCall, predict: bool) -> Result<Response, ErrorResponse> {
        if call.fault == Mode::NoPictures {
            let empty = if predict { json!({"predictions": [{}]}) } else { json!({"candidates": []}) };
            return Ok(JsonResponse(empty).into_response());
        }
        let seed = self.seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(call.seed) ^ self.fingerprint;
        let sketch = |index| Sketch { format: self.format, ..call.sketch(&self.prompt, seed, index, self.size.0) };
        let files = draw_all((0..self.n).map(sketch).collect()).await?;
        // Nothing is awaited from here on: what is charged is answered.
        let counted = if predict { None } else { charge_tokens(call, &self.model, &self.tokens(), self.n)? };
        if counted.is_none() {
            call.charge(&self.model, self.size.1, None, self.n, 0)?;
        }
        let few = json!({"promptTokenCount": 8, "candidatesTokenCount": 1290, "totalTokenCount": 1298});
        let media_type = self.format.media_type();
        let texts: Vec<String> = files.iter().map(|file| STANDARD.encode_to_string(file)).collect();
        if predict {
            let item = |text| json!({"bytesBase64Encoded": text, "mimeType": media_type});
            return Ok(JsonResponse(json!({"predictions": texts.iter().map(item).collect::<Vec<_>>()})).into_response());
        }
        let part = |text| json!({"inlineData": {"mimeType": media_type, "data": text}, "thoughtSignature": "c2ln"});
        let mut parts = vec![json!({"text": "Let me think.", "thought": true})];
        parts.extend(texts.iter().map(part));
        Ok(JsonResponse(json!({
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": counted.unwrap_or(few),
            "modelVersion": self.model,
            "responseId": format!("{:x}", call.seed),
        }))
        .into_response())
    }

    pub(super) fn tokens(&self) -> ImageTokens {
        usage::of_drawing(&self.prompt, self.inputs, self.size.1.width)
    }
}

/// Charges a model that has a price by the token, and gives `usageMetadata`; `None` for any other model.
pub(super) fn charge_tokens(
    call: &VendorCall,
    model: &str,
    tokens: &ImageTokens,
    count: u32,
) -> Result<Option<Value>, ErrorResponse> {
    let charged = call.charge_tokens(model, tokens, count).transpose()?;
    Ok(charged.map(|()| usage::to_json(tokens)))
}

/// A 200 without a picture.
pub(super) fn refusal(predict: bool, counted: Option<Value>) -> Value {
    match predict {
        true => json!({"predictions": [{"raiFilteredReason": "Unable to show generated images. 58061214"}]}),
        false => json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": counted.unwrap_or_else(|| json!({"promptTokenCount": 8, "totalTokenCount": 8}))}),
    }
}
