//! What every provider of the table costs, written twice: in Easel's words and in its vendor's own.
//!
//! Every kind of price is among them that a vendor of the sandbox can charge by. Nothing is computed here.

use std::path::Path;
use std::time::Duration;

use easel::sandbox::{Name, Rate, Settings};

use crate::providers::config;

/// A provider, how often it is asked for what, and its prices.
pub struct Part {
    pub provider: &'static str,
    pub vendor: Name,
    pub requests: usize,
    pub sizes: [&'static str; 2],
    /// Of some of its models, all that the config says of them.
    models: &'static [(&'static str, &'static str)],
    /// What the vendor charges, in its own words.
    pub charges: &'static str,
}

/// Large pictures, of vendors that draw no others.
const LARGE: [&str; 2] = ["1024x1024", "1536x1024"];
const SMALL: [&str; 2] = ["320x320", "384x256"];

const fn part(provider: &'static str, vendor: Name, requests: usize, sizes: [&'static str; 2]) -> Part {
    Part { provider, vendor, requests, sizes, models: &[], charges: "{}" }
}

pub const PARTS: [Part; 19] = [
    Part {
        models: &[
            (
                "gpt-image-2",
                "price: {tokens_per_million: {text_in: 5.0007, text_cached_in: 1.25, image_in: 8.0003, \
                 image_out: 30.0009, text_out: 10}, estimate: [{quality: low, usd: 0.02}, {usd: 0.3}]}",
            ),
            ("dall-e-3", "price: [{size: 1024x1024, usd: 0.040000001}, {usd: 0.080000003}]"),
        ],
        charges: "{price_table: [{model: dall-e-3, size: 1024x1024, usd: 0.040000001}, {usd: 0.080000003}],
            rates: {image_tokens: {gpt-image-2: {text_in: 5.0007, text_cached_in: 1.25, image_in: 8.0003,
                image_out: 30.0009, text_out: 10}}}}",
        ..part("openai", Name::OpenAi, 400, LARGE)
    },
    Part {
        models: &[(
            "pictures-gpt-image-1",
            "price: [{size: 1024x1024, quality: low, usd: 0.011000003}, {quality: high, usd: 0.167}, \
             {usd: 0.042000007}], model_family: gpt-image-1",
        )],
        charges: "{price_table: [{size: 1024x1024, quality: low, usd: 0.011000003}, {quality: high, usd: 0.167},
            {usd: 0.042000007}]}",
        ..part("azure", Name::Azure, 400, LARGE)
    },
    Part {
        models: &[(
            "any-model",
            "price: {per_step: 0.000350001, per_tile: 0.000053, steps: 4}, formats: [png, jpeg, webp], sizes: any",
        )],
        charges: "{rates: {per_step: {any-model: {usd: 0.000350001, tile: 0.000053, steps: 4}}}}",
        ..part("compatible", Name::Compatible, 850, SMALL)
    },
    Part {
        models: &[("any-model", "price: [{quality: low, usd: 0.003000001}, {size: 320x320, usd: 0.02}, {usd: 0.031}]")],
        charges: "{price_table: [{quality: low, usd: 0.003000001}, {size: 320x320, usd: 0.02}, {usd: 0.031}]}",
        ..part("tokenmix", Name::Compatible, 700, SMALL)
    },
    // The config knows another price: the answer's header tells this one.
    Part { charges: "{default_price: 0.006000007}", ..part("litellm", Name::Compatible, 700, SMALL) },
    Part {
        models: &[("black-forest-labs/FLUX.1-schnell", "price: {per_megapixel: 0.0027001, round: exact}")],
        charges: "{rates: {per_megapixel: {black-forest-labs/FLUX.1-schnell: {usd: 0.0027001, round: exact}}}}",
        ..part("together", Name::Compatible, 700, SMALL)
    },
    part("siliconflow", Name::Compatible, 500, LARGE),
    // Promised by the token and told of none: only the estimate is known, and the vendor charges what it says.
    Part {
        models: &[("janus-pro-7b", "price: {tokens_per_million: {image_out: 30}, estimate: 0.041000001}")],
        charges: "{default_price: 0.041000001}",
        ..part("janus", Name::Compatible, 800, SMALL)
    },
    part("janus-hosted", Name::Compatible, 800, SMALL),
    part("vllm", Name::Compatible, 700, SMALL),
    part("localai", Name::Compatible, 700, SMALL),
    Part {
        models: &[("core", "price: 0.030000001"), ("stable-diffusion-xl-1024-v1-0", "price: 0.009000007")],
        charges: "{price: {core: 0.030000001, stable-diffusion-xl-1024-v1-0: 0.009000007}}",
        ..part("stability", Name::Stability, 300, LARGE)
    },
    Part {
        models: &[(
            "black-forest-labs/flux-schnell",
            "price: {per_second: {gpu-l40s: 0.000975001, gpu-h100: 0.001525}, hardware: gpu-l40s, estimate: 0.02}",
        )],
        charges: "{rates: {per_second: {black-forest-labs/flux-schnell: 0.000975001}}}",
        ..part("replicate", Name::Replicate, 400, SMALL)
    },
    Part { charges: "{default_price: 0.041000009}", ..part("openrouter", Name::OpenRouter, 350, LARGE) },
    Part {
        models: &[(
            "qwen-image-2.0",
            "price: [{up_to: 1024x1024, usd: 0.035000001}, {up_to: 4096x4096, usd: 0.075000001}]",
        )],
        charges: "{price_table: [{model: qwen-image-2.0, up_to: 1024x1024, usd: 0.035000001},
            {model: qwen-image-2.0, usd: 0.075000001}]}",
        ..part("dashscope", Name::DashScope, 350, ["512x512", "768x512"])
    },
    Part {
        models: &[(
            "flux-2-pro",
            "price: {first_megapixel: 0.03, extra_megapixel: 0.0150007, input_megapixel: 0.0100003, round: exact}",
        )],
        charges: "{rates: {per_megapixel: {flux-2-pro: {usd: 0.03, extra: 0.0150007, input: 0.0100003, round: exact}}}}",
        ..part("bfl", Name::Bfl, 400, SMALL)
    },
    Part {
        models: &[(
            "fal-ai/flux/schnell",
            "price: {per_megapixel: 0.003000001, round: nearest}, unit_price: 0.003000001",
        )],
        charges: "{rates: {per_megapixel: {fal-ai/flux/schnell: {usd: 0.003000001, round: nearest}}}}",
        ..part("fal", Name::Fal, 400, ["512x512", "768x512"])
    },
    Part {
        models: &[(
            "gemini-3.1-flash-image",
            "price: {tokens_per_million: {text_in: 0.5, text_cached_in: 0.0501, image_in: 0.5003, image_out: 60, \
             text_out: 3}, estimate: [{size: 512, usd: 0.05}, {size: 1K, usd: 0.07}, {usd: 0.2}]}",
        )],
        charges: "{rates: {image_tokens: {gemini-3.1-flash-image: {text_in: 0.5, text_cached_in: 0.0501,
            image_in: 0.5003, image_out: 60, text_out: 3}}}}",
        ..part("google", Name::Google, 400, ["512x512", "768x512"])
    },
    part("vertex", Name::Google, 150, LARGE),
];

/// A model of words, which rewrites whatever this one provider's model of pictures is asked.
const ENRICHED: &str = "
  claude: {kind: anthropic, base_url: '${SANDBOX}/anthropic/v1/', api_key: k, breaker: {failures: 1000, pause: 1ms},
    models: {claude-haiku-4-5: {price: {tokens_per_million: {text_in: 1.00, text_out: 5.00}}}}}
routes:
  - {name: enriched, match: {models: [enriched]}, cache: false, offers: [compatible/any-model],
    prompt: {enrich: {offer: claude/claude-haiku-4-5, system: Rewrite the prompt., timeout: 20s}}}
";

/// The table's config at this test's prices, with its record on disk.
pub fn priced(state: &Path) -> String {
    let mut text = config().replace("\nroutes:\n", ENRICHED);
    for part in &PARTS {
        for (model, said) in part.models {
            let provider = text.find(&format!("\n  {}: {{", part.provider)).unwrap();
            let start = provider + text[provider..].find(&format!("{model}: {{price")).unwrap() + model.len() + 3;
            let end = start + text[start..].find('}').unwrap();
            text.replace_range(start..end, said);
        }
    }
    format!("server: {{state_dir: '{}'}}\n{text}", state.display())
}

/// One call in five meets something: 15% faults of every sort that is over at once, 5% refusals.
pub fn settings() -> Settings {
    let mut settings = Settings { seed: 23, ..Settings::default() };
    for name in Name::ALL {
        // Those that do not say when to come back would be left alone for seconds after a 429, with nobody else to ask.
        let silent = matches!(name, Name::Stability | Name::DashScope | Name::Fal);
        let faults = &mut settings.vendors.get_mut(name).faults;
        faults.error_rate = Rate::percent(if silent { 7 } else { 5 });
        faults.rate_limit_rate = Rate::percent(if silent { 0 } else { 2 });
        faults.retry_after = Duration::ZERO;
        faults.garbage_rate = Rate::percent(3);
        faults.truncated_rate = Rate::percent(3);
        faults.empty_rate = Rate::percent(2);
        faults.refusal_rate = Rate::percent(5);
    }
    settings
}
