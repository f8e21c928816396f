//! Reads and checks the fields of a request to OpenAI (PROVIDERS.md 1.1 and 1.2).
//!
//! The GPT image models and the two DALL-E models each take only their own fields, and an edit takes others than a
//! generation. Azure serves the same models and reads its requests here too.

use crate::image::{Format, Size};
use crate::sandbox::fields::{FieldError, RequestFields};
use crate::sandbox::openai::models::{Family, quality, size};

/// The form in which a request comes; each form has fields of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum RequestForm {
    /// A prompt alone.
    Generation,
    /// Pictures in a form.
    FormEdit,
    /// Pictures in JSON.
    JsonEdit,
}

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct ParsedRequest {
    pub model: String,
    pub family: Family,
    pub prompt: String,
    pub n: u32,
    pub size: Size,
    /// Never `auto`.
    pub quality: String,
    pub format: Format,
    pub compression: u8,
    pub transparent: bool,
    /// Links instead of base64.
    pub links: bool,
    /// Hash of the pictures an edit starts from; 0 when there are none.
    pub fingerprint: u64,
    /// Tokens of those pictures.
    pub image_tokens: u64,
    /// Unfinished pictures to show in a stream; `None` answers in one piece.
    pub stream: Option<u32>,
}

impl ParsedRequest {
    /// Reads `fields`, from which the model has been taken.
    pub(in crate::sandbox) fn read(
        model: String,
        family: Family,
        mut fields: RequestFields,
        form: RequestForm,
    ) -> Result<ParsedRequest, FieldError> {
        let prompt = fields.prompt("prompt", family.prompt_chars())?;
        let most = if family == Family::Dalle3 { 1 } else { 10 };
        let n = fields.whole("n", 1..=most)?.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        let size = size(family, &mut fields)?;
        let quality = quality(family, fields.choice("quality", family.qualities())?);
        fields.text("user")?;
        let mut parsed = ParsedRequest {
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
            fingerprint: 0,
            image_tokens: 0,
            stream: None,
        };
        if family.is_dalle() {
            parsed.read_dalle(&mut fields, form)?
        } else {
            parsed.read_gpt(&mut fields, form)?
        }
        fields.end()?;
        Ok(parsed)
    }

    /// Fields of the DALL-E models only.
    fn read_dalle(&mut self, fields: &mut RequestFields, form: RequestForm) -> Result<(), FieldError> {
        let response_format = fields.choice("response_format", &["url", "b64_json"])?;
        self.links = response_format.as_deref() != Some("b64_json");
        if self.family == Family::Dalle3 && form == RequestForm::Generation {
            fields.choice("style", &["vivid", "natural"])?;
        }
        Ok(())
    }

    /// Fields of the GPT image models only.
    fn read_gpt(&mut self, fields: &mut RequestFields, form: RequestForm) -> Result<(), FieldError> {
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
        if form != RequestForm::FormEdit {
            fields.choice("moderation", &["low", "auto"])?;
        }
        let fidelity =
            if form == RequestForm::Generation { None } else { fields.choice("input_fidelity", &["high", "low"])? };
        if fidelity.is_some() && self.model.contains("mini") {
            return Err(FieldError::other(
                "input_fidelity",
                "This model does not support the 'input_fidelity' parameter.",
            ));
        }
        let partials = fields.whole("partial_images", 0..=3)?.and_then(|count| u32::try_from(count).ok());
        self.stream = fields.flag("stream")?.filter(|stream| *stream).map(|_| partials.unwrap_or(0));
        if self.family == Family::Gpt26 && form == RequestForm::Generation {
            fields.choice("complexity", &["low", "medium", "high"])?;
        }
        Ok(())
    }
}
