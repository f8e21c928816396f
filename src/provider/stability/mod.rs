//! Stability AI: v2beta `core`, `ultra` and `sd3.5-*` by form, and the v1 engines (PROVIDERS.md section 3).
//!
//! v2beta draws one picture a call and knows shapes, not pixels; v1 draws up to ten in exact sizes. Both answer 200 for a picture that the filter blurred: that is a refusal here, and it is charged.
//! `ultra`, `sd3.5-*` and v1 can start from a picture, `inpaint` and v1 change part of one. Not built: the other edits,
//! upscaling.

use http::header::CONTENT_TYPE;

use crate::capabilities::{Capabilities, Edits, ModelDefaults, Sizes};
use crate::config::plan::{Account, Model};
use crate::failure::Failure;
use crate::image::Format;
use crate::provider::adapter::{Adapter, Call, Job, Reply, Step};
use crate::provider::common::headers;
use crate::provider::common::json::Json;
use crate::provider::common::vendor_error::{VendorError, malformed};
use crate::provider::stability::errors::failure;
use crate::provider::stability::v1::{SDXL_SIZES, V1_STEPS};
use crate::provider::stability::v2beta::INPAINT;

mod common;
mod errors;
pub(in crate::provider) mod v1;
mod v2beta;

/// Stability AI's own API.
pub struct Stability;

/// Which of the two APIs draws a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api<'a> {
    /// `v1/generation/{engine}`.
    V1 { engine: &'a str },
    /// `v2beta/stable-image/generate/{service}`, with a `model` field where the service has several.
    V2 { service: &'static str, model: Option<&'a str> },
}

impl Api<'_> {
    fn of(model: &str) -> Api<'_> {
        match model {
            "core" => Api::V2 { service: "core", model: None },
            "ultra" => Api::V2 { service: "ultra", model: None },
            "inpaint" => Api::V2 { service: INPAINT, model: None },
            _ if model.starts_with("sd3") => Api::V2 { service: "sd3", model: Some(model) },
            _ => Api::V1 { engine: model },
        }
    }
}

/// The shapes of v2beta.
const SHAPES: [(u32, u32); 9] = [(21, 9), (16, 9), (3, 2), (5, 4), (1, 1), (4, 5), (2, 3), (9, 16), (9, 21)];

impl Adapter for Stability {
    fn name(&self) -> &'static str {
        "stability"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://api.stability.ai/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        &[
            "core",
            "ultra",
            "sd3.5-large",
            "sd3.5-large-turbo",
            "sd3.5-medium",
            "sd3.5-flash",
            "inpaint",
            "stable-diffusion-xl-1024-v1-0",
        ]
    }

    /// Stability never answers with links.
    fn download_hosts(&self) -> &'static [&'static str] {
        &[]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        let api = Api::of(model);
        let (max_n, prompt_chars, formats) = match api {
            Api::V1 { .. } => (10, 2_000, vec![Format::Png]),
            Api::V2 { .. } => (1, 10_000, Format::ALL.to_vec()),
        };
        let sizes = match api {
            Api::V1 { engine } if engine.contains("xl-1024") => Sizes::Listed(SDXL_SIZES.to_vec()),
            Api::V1 { .. } => Sizes::Stepped(V1_STEPS),
            // 1.5 megapixels by the price list.
            Api::V2 { service: "core", .. } => Sizes::Ratios { shapes: SHAPES.to_vec(), pixels: 1536 * 1024 },
            Api::V2 { .. } => Sizes::Ratios { shapes: SHAPES.to_vec(), pixels: 1024 * 1024 },
        };
        Capabilities {
            tiers: Vec::new(),
            partials: false,
            max_n,
            prompt_chars,
            sizes,
            formats,
            qualities: Vec::new(),
            seed: true,
            negative_prompt: true,
            // Both APIs read as much of what must not be there as of what is to be drawn.
            negative_chars: prompt_chars,
            transparent: false,
            compression: false,
            style: false,
            generate: !matches!(api, Api::V2 { service: INPAINT, .. }),
            edit: match api {
                Api::V2 { service: "ultra", .. } => Some(Edits::up_to(1)),
                Api::V2 { service: "sd3", .. } => Some(Edits { keeps_size: true, ..Edits::up_to(1) }),
                Api::V2 { service: INPAINT, .. } => Some(Edits { mask: true, keeps_size: true, ..Edits::up_to(1) }),
                Api::V1 { .. } => Some(v1::EDITS),
                Api::V2 { .. } => None,
            },
        }
    }

    /// v1 is told a size in any case.
    fn usual(&self, _: &Account, model: &Model) -> ModelDefaults {
        let size = match Api::of(&model.name) {
            Api::V1 { .. } => SDXL_SIZES.first().copied(),
            Api::V2 { .. } => None,
        };
        ModelDefaults { size, ..ModelDefaults::default() }
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let mut headers = headers::call_headers(job.account, "authorization", "Bearer ")?;
        if let Some(user) = &job.request.user {
            headers::add_header(&mut headers, "stability-client-user-id", user);
        }
        match Api::of(&job.model.name) {
            Api::V1 { engine } => v1::ask(job, engine, headers),
            Api::V2 { service, model } => v2beta::ask(job, service, model, headers),
        }
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        if !(200..300).contains(&reply.status) {
            return Step::Failed(failure(job, reply, &VendorError::read(&reply.body)));
        }
        let kind = reply.header(&CONTENT_TYPE).unwrap_or_default();
        if kind.starts_with("image/") {
            return v2beta::read_bytes(reply);
        }
        let json = match Json::read(&reply.body) {
            Ok(json) => json,
            Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
        };
        match Api::of(&job.model.name) {
            Api::V1 { .. } => v1::read(job, reply, &json),
            Api::V2 { .. } => v2beta::read(job, reply, &json),
        }
    }
}

#[cfg(test)]
mod tests;
