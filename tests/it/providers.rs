//! Every provider through the whole of Easel, over HTTP, against a vendor that is strict about what it takes.
//!
//! One table names the offers; each test walks through all of it, so that a new provider is held to everything by one
//! line. What one provider does differently is tested beside it.

use base64_simd::STANDARD;
use easel::sandbox::{Dialect, Name};
use image::RgbaImage;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::exchange::png;
use crate::world::{GENERATE, World};

pub const EDIT: &str = "/v1/images/edits";

pub const CONFIG: &str = "
providers:
  openai: {kind: openai, base_url: '${SANDBOX}/openai/v1/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {gpt-image-2: {price: 0.04}, dall-e-3: {price: 0.04}}}
  azure: {kind: azure, base_url: '${SANDBOX}/azure/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {pictures-gpt-image-1: {price: 0.04, model_family: gpt-image-1}}}
  compatible: {kind: openai_compatible, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, dialect: {edit_path: images/edits},
    models: {any-model: {price: 0.04, formats: [png, jpeg, webp]}}}
  tokenmix: {kind: openai_compatible, preset: tokenmix, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, models: {any-model: {price: 0.04}}}
  # Not what the vendor charges: the header settles it.
  litellm: {kind: openai_compatible, preset: litellm, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, models: {any-model: {price: 0.05}}}
  together: {kind: openai_compatible, preset: together, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, models: {black-forest-labs/FLUX.1-schnell: {price: 0.04},
      black-forest-labs/FLUX.1-kontext-pro: {price: 0.04, edit: true}}}
  siliconflow: {kind: openai_compatible, preset: siliconflow, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, models: {Kwai-Kolors/Kolors: {price: 0.04},
      Qwen/Qwen-Image-Edit: {price: 0.04, edit: true}}}
  janus: {kind: openai_compatible, preset: janus, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, models: {janus-pro-7b: {price: 0.04}}}
  janus-hosted: {kind: openai_compatible, preset: janus_hosted, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, models: {deepseek-ai/Janus-Pro-7B: {price: 0.04}}}
  vllm: {kind: openai_compatible, preset: vllm, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, models: {Qwen/Qwen-Image: {price: 0.04}}}
  localai: {kind: openai_compatible, preset: localai, base_url: '${SANDBOX}/compatible/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms}, models: {flux.1-dev: {price: 0.04}}}
  stability: {kind: stability, base_url: '${SANDBOX}/stability/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {core: {price: 0.04}, ultra: {price: 0.04}, sd3.5-medium: {price: 0.04}, inpaint: {price: 0.04},
      stable-diffusion-xl-1024-v1-0: {price: 0.04}}}
  replicate: {kind: replicate, base_url: '${SANDBOX}/replicate/v1/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {black-forest-labs/flux-schnell: {price: 0.04}, black-forest-labs/flux-dev: {price: 0.04},
      black-forest-labs/flux-kontext-pro: {price: 0.04}, black-forest-labs/flux-2-pro: {price: 0.04},
      black-forest-labs/flux-fill-pro: {price: 0.04},
      'stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc': {price: 0.04}}}
  openrouter: {kind: openrouter, base_url: '${SANDBOX}/openrouter/api/v1/', api_key: k,
    breaker: {failures: 1000, pause: 1ms},
    models: {openai/gpt-image-2: {price: 0.04}, google/gemini-3.1-flash-image: {price: 0.04},
      black-forest-labs/flux.2-pro: {price: 0.04, via: chat}}}
  dashscope: {kind: dashscope, base_url: '${SANDBOX}/dashscope/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {qwen-image-2.0: {price: 0.04}, wan2.2-t2i-flash: {price: 0.04}, qwen-image-edit-plus: {price: 0.04}}}
  bfl: {kind: bfl, base_url: '${SANDBOX}/bfl/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {flux-2-pro: {price: 0.04}, flux-pro-1.1: {price: 0.04}}}
  fal: {kind: fal, base_url: '${SANDBOX}/fal/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {fal-ai/flux/schnell: {price: 0.04, unit_price: 0.04}, fal-ai/flux-pro/kontext: {price: 0.04},
      fal-ai/flux-pro/v1/fill: {price: 0.04}, openai/gpt-image-2/edit: {price: 0.04}}}
  google: {kind: google, base_url: '${SANDBOX}/google/v1beta/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {gemini-3.1-flash-image: {price: 0.04}}}
  vertex: {kind: google, base_url: '${SANDBOX}/google/', project: p1, location: us-central1, credentials: 'CREDENTIALS',
    breaker: {failures: 1000, pause: 1ms}, models: {imagen-3.0-capability-001: {price: 0.04}}}
";

/// A key that signs requests for tokens in tests and opens nothing.
const KEY: &str = include_str!("google_key.pem");

/// An offer, its vendor, and what it can do: draw from words, change a picture, change part of one.
pub struct Line {
    pub offer: &'static str,
    pub vendor: Name,
    generate: bool,
    edit: bool,
    mask: bool,
}

impl Line {
    /// Whether it can do what such a request asks for, its wishes aside.
    pub fn able(&self, path: &str, body: &Value) -> bool {
        match (path, body.get("mask")) {
            (GENERATE, _) => self.generate,
            (_, None) => self.edit,
            (_, Some(_)) => self.mask,
        }
    }
}

/// The accents of the vendors that there are presets for, in the sandbox's own words: which fields each knows, what its
/// answers and errors look like. Written from the same documents as the presets, not from the presets.
const ACCENTS: [(&str, &str); 8] = [
    (
        "tokenmix",
        "{knows: [n, quality, style, user, background, moderation, output_format, output_compression, response_format],
          size: width_x_height}",
    ),
    (
        "litellm",
        "{knows: [n, quality, style, user, background, moderation, output_format, output_compression, response_format],
          size: width_x_height, cost_header: x-litellm-response-cost, cost_style: scientific}",
    ),
    (
        "together",
        "{knows: [n, seed, negative_prompt, output_format, response_format], size: two_fields, size_step: 16, max_n: 4,
          edits: url, rename: {image: image_url}, extra: [steps, guidance_scale, reference_images, image_loras, disable_safety_checker],
          base64_word: base64, formats: [jpeg, png], format: jpeg, created: false}",
    ),
    (
        "siliconflow",
        "{knows: [n, seed, negative_prompt], extra: [num_inference_steps, guidance_scale], max_n: 4, edits: url,
          rename: {n: batch_size, size: image_size}, size: width_x_height,
          sizes: [1024x1024, 960x1280, 768x1024, 720x1440, 720x1280], answer: url, list: images, errors: code_message}",
    ),
    (
        "janus",
        "{knows: [n, seed, response_format], size: none, default_size: 384x384, max_n: 1, answer: base64,
          errors: fastapi}",
    ),
    (
        "janus-hosted",
        "{knows: [seed], size: none, default_size: 384x384, answer: url, list: images, errors: code_message}",
    ),
    (
        "vllm",
        "{knows: [n, user, seed, negative_prompt, output_format, response_format], size: width_x_height,
          extra: [num_inference_steps, guidance_scale], rename: {image: image}, answer: base64, errors: fastapi}",
    ),
    ("localai", "{knows: [n, quality, seed, response_format], extra: [step, mode], size: width_x_height}"),
];

/// Lets the compatible vendor speak as it does to this provider.
pub fn speak(world: &World, provider: &str) {
    let accent = ACCENTS.iter().find(|(name, _)| *name == provider);
    let accent: Dialect = accent.map_or_else(Dialect::default, |(_, yaml)| serde_yaml::from_str(yaml).unwrap());
    world.set(Name::Compatible, |vendor| vendor.dialect = accent);
}

/// The provider that an offer names.
pub fn provider_of(offer: &str) -> &str {
    offer.split_once('/').unwrap().0
}

const fn line(offer: &'static str, vendor: Name, does: [bool; 3]) -> Line {
    let [generate, edit, mask] = does;
    Line { offer, vendor, generate, edit, mask }
}

pub const ALL: [Line; 39] = [
    line("openai/gpt-image-2", Name::OpenAi, [true, true, true]),
    line("openai/dall-e-3", Name::OpenAi, [true, false, false]),
    line("azure/pictures-gpt-image-1", Name::Azure, [true, true, true]),
    line("compatible/any-model", Name::Compatible, [true, true, true]),
    line("tokenmix/any-model", Name::Compatible, [true, false, false]),
    line("litellm/any-model", Name::Compatible, [true, true, true]),
    line("together/black-forest-labs/FLUX.1-schnell", Name::Compatible, [true, false, false]),
    line("together/black-forest-labs/FLUX.1-kontext-pro", Name::Compatible, [true, true, false]),
    line("siliconflow/Kwai-Kolors/Kolors", Name::Compatible, [true, false, false]),
    line("siliconflow/Qwen/Qwen-Image-Edit", Name::Compatible, [true, true, false]),
    line("janus/janus-pro-7b", Name::Compatible, [true, false, false]),
    line("janus-hosted/deepseek-ai/Janus-Pro-7B", Name::Compatible, [true, false, false]),
    line("vllm/Qwen/Qwen-Image", Name::Compatible, [true, true, false]),
    line("localai/flux.1-dev", Name::Compatible, [true, false, false]),
    line("stability/core", Name::Stability, [true, false, false]),
    line("stability/ultra", Name::Stability, [true, true, false]),
    line("stability/sd3.5-medium", Name::Stability, [true, true, false]),
    line("stability/inpaint", Name::Stability, [false, true, true]),
    line("stability/stable-diffusion-xl-1024-v1-0", Name::Stability, [true, true, true]),
    line("replicate/black-forest-labs/flux-schnell", Name::Replicate, [true, false, false]),
    line("replicate/black-forest-labs/flux-dev", Name::Replicate, [true, true, false]),
    line("replicate/black-forest-labs/flux-kontext-pro", Name::Replicate, [true, true, false]),
    line("replicate/black-forest-labs/flux-2-pro", Name::Replicate, [true, true, false]),
    line("replicate/black-forest-labs/flux-fill-pro", Name::Replicate, [false, true, true]),
    line(
        "replicate/stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc",
        Name::Replicate,
        [true, true, true],
    ),
    line("openrouter/openai/gpt-image-2", Name::OpenRouter, [true, true, false]),
    line("openrouter/google/gemini-3.1-flash-image", Name::OpenRouter, [true, true, false]),
    line("openrouter/black-forest-labs/flux.2-pro", Name::OpenRouter, [true, true, false]),
    line("dashscope/qwen-image-2.0", Name::DashScope, [true, true, false]),
    line("dashscope/wan2.2-t2i-flash", Name::DashScope, [true, false, false]),
    line("dashscope/qwen-image-edit-plus", Name::DashScope, [false, true, false]),
    line("bfl/flux-2-pro", Name::Bfl, [true, true, false]),
    line("bfl/flux-pro-1.1", Name::Bfl, [true, false, false]),
    line("fal/fal-ai/flux/schnell", Name::Fal, [true, false, false]),
    line("fal/fal-ai/flux-pro/kontext", Name::Fal, [false, true, false]),
    line("fal/fal-ai/flux-pro/v1/fill", Name::Fal, [false, false, true]),
    line("fal/openai/gpt-image-2/edit", Name::Fal, [false, true, true]),
    line("google/gemini-3.1-flash-image", Name::Google, [true, true, false]),
    line("vertex/imagen-3.0-capability-001", Name::Google, [false, false, true]),
];

pub fn config() -> String {
    let offers: Vec<&str> = ALL.iter().map(|line| line.offer).collect();
    let account = json!({"type": "service_account", "client_email": "easel@p1.iam.gserviceaccount.com",
        "private_key_id": "k1", "private_key": KEY, "token_uri": "${SANDBOX}/google/token"});
    let providers = CONFIG.replace("CREDENTIALS", &account.to_string());
    format!(
        "{providers}\nroutes:\n  - {{name: all, offers: {}, cache: false, size: {{tolerance: 60%}}}}\n",
        json!(offers)
    )
}

/// A PNG as a `data:` URL.
pub fn picture(side: u32, alpha: u8) -> Value {
    let row: Vec<u8> = (0..side).flat_map(|x| [x as u8, 160, 90, alpha]).collect();
    let file = png(RgbaImage::from_raw(side, side, row.repeat(side as usize)).unwrap());
    json!({"image_url": format!("data:image/png;base64,{}", STANDARD.encode_to_string(file))})
}

/// The same twelve requests for everybody: sizes, qualities, n, formats, an edit, one with a mask, a seed, a link.
pub fn twelve() -> [(&'static str, Value); 12] {
    let edit = |more: Value| {
        let mut body = json!({"images": [picture(1024, 255)]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    [
        (GENERATE, json!({})),
        (GENERATE, json!({"size": "1024x1024"})),
        (GENERATE, json!({"size": "1536x1024"})),
        (GENERATE, json!({"quality": "low", "n": 2})),
        (GENERATE, json!({"quality": "high", "style": "vivid"})),
        (GENERATE, json!({"n": 4})),
        (GENERATE, json!({"output_format": "png", "user": "u-1"})),
        (GENERATE, json!({"output_format": "jpeg", "output_compression": 80})),
        (GENERATE, json!({"seed": 7, "moderation": "low"})),
        (GENERATE, json!({"response_format": "url", "negative_prompt": "text"})),
        (EDIT, edit(json!({"n": 2}))),
        (EDIT, edit(json!({"mask": picture(1024, 0)}))),
    ]
}

/// Every picture of an answer, decoded.
async fn decoded(world: &World, answer: &Answer) -> usize {
    let body = answer.json();
    let data = body["data"].as_array().unwrap();
    for item in data {
        let bytes = match (item["b64_json"].as_str(), item["url"].as_str()) {
            (Some(base64), None) => STANDARD.decode_to_vec(base64).unwrap(),
            (None, Some(url)) => {
                let (_, path) = url.split_once("/v1/").unwrap();
                world.client().await.get(&format!("/v1/{path}")).await.body
            }
            other => panic!("{other:?}"),
        };
        image::load_from_memory(&bytes).unwrap();
    }
    data.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_twelve_requests_break_no_vendors_rules_and_every_picture_decodes() {
    let world = World::new(&config()).await;
    for line in &ALL {
        speak(&world, provider_of(line.offer));
        for (path, mut body) in twelve() {
            let case = format!("{} {path} {}", line.offer, body.to_string().chars().take(60).collect::<String>());
            body["model"] = json!(line.offer);
            body["prompt"] = json!("a red fox in the snow");
            let n = body["n"].as_u64().unwrap_or(1) as usize;
            let able = line.able(path, &body);
            let answer = world.client().await.post(path, &body).await;
            let (told, plain) = (answer.status, body.get("seed").or(body.get("negative_prompt")).is_none());
            match told {
                200 => assert_eq!((able, decoded(&world, &answer).await), (true, n), "{case}"),
                400 | 404 => {
                    let (_, code, param) = answer.error();
                    assert!(
                        ["unsupported_value", "model_not_found"].contains(&code.as_str()),
                        "{case}: {code} {param}"
                    );
                    assert!(!able || !plain || param == "output_format", "{case}: {}", answer.text());
                }
                _ => panic!("{case}: {}", answer.text()),
            }
            let bill = world.bill(line.vendor);
            assert_eq!(bill.violations, Vec::<String>::new(), "{case}");
        }
    }
    world.settled().await;
    assert_eq!(world.spent(), world.invoiced());
}
