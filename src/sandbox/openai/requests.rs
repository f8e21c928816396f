//! An order at OpenAI: what its fields say is to be drawn, and the drawing (PROVIDERS.md 1.1, 1.2 and 1.4).
//!
//! The GPT image models and the two DALL-E models each take only their own fields, and an edit takes others than a
//! generation. Azure serves the same models and reads its orders here too. Words for what is wrong are elsewhere.

use axum::body::Bytes;
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::image::{Format, Size};
use crate::sandbox::draw::Sketch;
use crate::sandbox::draw::draw_all;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, Fields};
use crate::sandbox::metered_prices::ImageTokens;
use crate::sandbox::openai::models::{Family, quality, size, tokens};
use crate::sandbox::unix_time::unix_time;
use crate::sandbox::vendor_call::{PendingCharge, VendorCall};

/// How an order comes in; each way knows fields of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum RequestForm {
    /// A prompt alone.
    Generation,
    /// Pictures in a form.
    FormEdit,
    /// Pictures in JSON.
    JsonEdit,
}

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct ParsedRequest {
    model: String,
    pub family: Family,
    pub prompt: String,
    n: u32,
    size: Size,
    /// Never `auto`.
    quality: String,
    format: Format,
    compression: u8,
    transparent: bool,
    /// Links instead of base64.
    links: bool,
    /// Stands for the pictures an edit starts from; 0 when there are none.
    pub mark: u64,
    /// Tokens of those pictures.
    pub image_tokens: u64,
    /// Unfinished pictures to show in a stream; `None` answers in one piece.
    pub stream: Option<u32>,
}

impl ParsedRequest {
    /// The order in `fields`, from which the model has been taken.
    pub(in crate::sandbox) fn read(
        model: String,
        family: Family,
        mut fields: Fields,
        way: RequestForm,
    ) -> Result<ParsedRequest, FieldError> {
        let prompt = fields.prompt("prompt", family.prompt_chars())?;
        let most = if family == Family::Dalle3 { 1 } else { 10 };
        let n = fields.whole("n", 1..=most)?.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        let size = size(family, &mut fields)?;
        let quality = quality(family, fields.choice("quality", family.qualities())?);
        fields.text("user")?;
        let mut order = ParsedRequest {
            model,
            family,
            prompt,
            n,
            size,
            quality,
            format: Format::Png,
            compression: 100,
            transparent: false,
            links: false,
            mark: 0,
            image_tokens: 0,
            stream: None,
        };
        if family.is_dalle() {
            order.read_dalle(&mut fields, way)?
        } else {
            order.read_gpt(&mut fields, way)?
        }
        fields.end()?;
        Ok(order)
    }

    /// Fields of the DALL-E models only.
    fn read_dalle(&mut self, fields: &mut Fields, way: RequestForm) -> Result<(), FieldError> {
        let form = fields.choice("response_format", &["url", "b64_json"])?;
        self.links = form.as_deref() != Some("b64_json");
        if self.family == Family::Dalle3 && way == RequestForm::Generation {
            fields.choice("style", &["vivid", "natural"])?;
        }
        Ok(())
    }

    /// Fields of the GPT image models only.
    fn read_gpt(&mut self, fields: &mut Fields, way: RequestForm) -> Result<(), FieldError> {
        let format = fields.choice("output_format", &["png", "jpeg", "webp"])?;
        self.format = format.and_then(|word| word.parse().ok()).unwrap_or(Format::Png);
        let compression = fields.whole("output_compression", 0..=100)?;
        self.compression = compression.and_then(|share| u8::try_from(share).ok()).unwrap_or(100);
        if self.compression < 100 && self.format == Format::Png {
            return Err(FieldError::other(
                "output_compression",
                "Compression less than 100 is not supported for PNG output format.",
            ));
        }
        let background = fields.choice("background", &["transparent", "opaque", "auto"])?;
        self.transparent = background.as_deref() == Some("transparent");
        if self.transparent && self.format == Format::Jpeg {
            return Err(FieldError::other(
                "background",
                "Transparent background is not supported for JPEG output format.",
            ));
        }
        if way != RequestForm::FormEdit {
            fields.choice("moderation", &["low", "auto"])?;
        }
        let fidelity =
            if way == RequestForm::Generation { None } else { fields.choice("input_fidelity", &["high", "low"])? };
        if fidelity.is_some() && self.model.contains("mini") {
            return Err(FieldError::other(
                "input_fidelity",
                "This model does not support the 'input_fidelity' parameter.",
            ));
        }
        let partials = fields.whole("partial_images", 0..=3)?.and_then(|count| u32::try_from(count).ok());
        self.stream = fields.flag("stream")?.filter(|stream| *stream).map(|_| partials.unwrap_or(0));
        if self.family == Family::Gpt26 && way == RequestForm::Generation {
            fields.choice("complexity", &["low", "medium", "high"])?;
        }
        Ok(())
    }

    /// Draws, charges and answers.
    pub(in crate::sandbox) async fn fill(self, call: &VendorCall) -> Result<Value, ErrorResponse> {
        if call.fate == Mode::NoPictures {
            return Ok(json!({"created": unix_time(), "data": []}));
        }
        let sketches: Vec<Sketch> = (0..self.n).map(|index| self.sketch(call, index)).collect();
        let data = if self.links {
            let link = |sketch| json!({"url": format!("{}{}", call.origin, call.shared.shelf.put(call.name, sketch))});
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
        let told = |kind: &str, file: &Bytes| {
            // Each event tells what its own picture took.
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
            let mut event = told("partial_image", file);
            event["partial_image_index"] = json!(index);
            if let Some(event) = event.as_object_mut() {
                event.remove("usage");
            }
            event
        };
        let partials = unfinished.iter().enumerate().map(partial).collect();
        Ok((partials, finished.iter().map(|file| told("completed", file)).collect()))
    }

    /// What the order is charged, for when its stream ends.
    pub(in crate::sandbox) fn tab(&self, call: &VendorCall) -> PendingCharge {
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
        call.tab(&self.model, self.size, Some(&self.quality), self.n).of_a_call(whole)
    }

    fn sketch(&self, call: &VendorCall, index: u32) -> Sketch {
        let sketch = call.sketch(&self.prompt, call.luck ^ self.mark, index, self.size);
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
            body["output_format"] = json!(self.format.word());
            body["size"] = json!(self.size.to_string());
            body["quality"] = json!(self.quality);
            body["usage"] = self.usage(n);
        }
        body
    }

    /// What drawing `n` pictures takes. Of a prompt with the word "cached" half is found in the cache, and one with the
    /// word "thinking" is thought about first.
    fn tokens(&self, n: u32) -> ImageTokens {
        let text = u64::try_from(self.prompt.len()).unwrap_or(u64::MAX).div_ceil(4) + 7;
        let text_cached_in = if self.prompt.contains("cached") { text / 2 } else { 0 };
        ImageTokens {
            text_in: text - text_cached_in,
            text_cached_in,
            image_in: self.image_tokens,
            image_out: tokens(self.size, &self.quality) * u64::from(n),
            text_out: if self.prompt.contains("thinking") { 64 } else { 0 },
        }
    }

    fn usage(&self, n: u32) -> Value {
        let ImageTokens { text_in, text_cached_in, image_in, image_out, text_out } = self.tokens(n);
        let (text, output) = (text_in + text_cached_in, image_out + text_out);
        let mut usage = json!({
            "input_tokens": text + image_in,
            "output_tokens": output,
            "total_tokens": text + image_in + output,
            "input_tokens_details": {"text_tokens": text, "image_tokens": image_in},
            "output_tokens_details": {"image_tokens": image_out, "text_tokens": text_out},
        });
        if text_cached_in > 0 {
            let details = &mut usage["input_tokens_details"];
            details["cached_tokens"] = json!(text_cached_in);
            details["cached_tokens_details"] = json!({"text_tokens": text_cached_in, "image_tokens": 0});
        }
        usage
    }
}
