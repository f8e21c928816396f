//! Draws and charges what a request to OpenAI asks for, and words the answer: whole (PROVIDERS.md 1.4) or as the events
//! of a stream (1.5). Azure answers with it too.

use axum::body::Bytes;
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::sandbox::draw::{Sketch, draw_all};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::metered_prices::ImageTokens;
use crate::sandbox::openai::models::Family;
use crate::sandbox::openai::requests::ParsedRequest;
use crate::sandbox::unix_time::unix_time;
use crate::sandbox::vendor_call::{PendingCharge, VendorCall};

impl ParsedRequest {
    /// Draws, charges and answers.
    pub(in crate::sandbox) async fn respond(self, call: &VendorCall) -> Result<Value, ErrorResponse> {
        if call.fault == Mode::NoPictures {
            return Ok(json!({"created": unix_time(), "data": []}));
        }
        let sketches: Vec<Sketch> = (0..self.n).map(|index| self.sketch(call, index)).collect();
        let data = if self.links {
            let link =
                |sketch| json!({"url": format!("{}{}", call.origin, call.shared.picture_links.put(call.name, sketch))});
            sketches.into_iter().map(link).collect()
        } else {
            let files = draw_all(sketches).await?;
            files.iter().map(|file| json!({"b64_json": STANDARD.encode_to_string(file)})).collect()
        };
        // Nothing is awaited from here on: what is charged is answered.
        match call.charge_tokens(&self.model, &self.tokens(self.n), self.n) {
            Some(charged) => charged?,
            None => drop(call.charge(&self.model, self.size, Some(&self.quality), self.n, 0)?),
        }
        Ok(self.body(data, self.n))
    }

    /// The events of a stream, each as its JSON (section 1.5): unfinished pictures, then, for each picture, the end.
    pub(in crate::sandbox) async fn events(
        &self,
        call: &VendorCall,
        what: &str,
    ) -> Result<(Vec<Value>, Vec<Value>), ErrorResponse> {
        let partials = self.stream.unwrap_or(0);
        // An unfinished picture is another one, and of less effort.
        let unfinished = |index| Sketch { blurred: true, truncated: false, ..self.sketch(call, 100 + index) };
        let sketches = (0..partials).map(unfinished).chain((0..self.n).map(|index| self.sketch(call, index)));
        let files = draw_all(sketches.collect()).await?;
        let event = |kind: &str, file: &Bytes| {
            // Each event reports what its own picture took.
            let mut event = self.body(Vec::new(), 1);
            event["type"] = json!(format!("{what}.{kind}"));
            event["b64_json"] = json!(STANDARD.encode_to_string(file));
            if let Some(event) = event.as_object_mut() {
                event.remove("data");
                let created = event.remove("created");
                event.extend(created.map(|created| ("created_at".to_owned(), created)));
            }
            event
        };
        let (unfinished, finished) = files.split_at(usize::try_from(partials).unwrap_or(0));
        let partial = |(index, file): (usize, &Bytes)| {
            let mut event = event("partial_image", file);
            event["partial_image_index"] = json!(index);
            if let Some(event) = event.as_object_mut() {
                event.remove("usage");
            }
            event
        };
        let partials = unfinished.iter().enumerate().map(partial).collect();
        Ok((partials, finished.iter().map(|file| event("completed", file)).collect()))
    }

    /// What the request is charged when its stream ends.
    pub(in crate::sandbox) fn pending_charge(&self, call: &VendorCall) -> PendingCharge {
        let each = self.tokens(1);
        let n = u64::from(self.n);
        let all = ImageTokens {
            text_in: each.text_in * n,
            text_cached_in: each.text_cached_in * n,
            image_in: each.image_in * n,
            image_out: each.image_out * n,
            text_out: each.text_out * n,
        };
        let whole = call.vendor.rates.tokens(&self.model, &all);
        call.pending_charge(&self.model, self.size, Some(&self.quality), self.n).of_a_call(whole)
    }

    fn sketch(&self, call: &VendorCall, index: u32) -> Sketch {
        let sketch = call.sketch(&self.prompt, call.seed ^ self.fingerprint, index, self.size);
        Sketch { format: self.format, transparent: self.transparent, quality: self.compression.min(85), ..sketch }
    }

    /// `ImagesResponse` (section 1.4): the GPT image models echo what they really used, DALL-E 3 its prompt.
    fn body(&self, mut data: Vec<Value>, n: u32) -> Value {
        if self.family == Family::Dalle3 {
            for item in &mut data {
                item["revised_prompt"] = json!(format!("A detailed picture: {}", self.prompt));
            }
        }
        let mut body = json!({"created": unix_time(), "data": data});
        if !self.family.is_dalle() {
            body["background"] = json!(if self.transparent { "transparent" } else { "opaque" });
            body["output_format"] = json!(self.format.as_str());
            body["size"] = json!(self.size.to_string());
            body["quality"] = json!(self.quality);
            body["usage"] = self.usage(n);
        }
        body
    }
}
