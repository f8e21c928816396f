//! OpenAI's Images API: the GPT image family and the classic DALL-E shape (PROVIDERS.md section 1).
//!
//! OpenAI answers an unknown parameter with an error, so a call holds only what its model takes, by the table below.
//! GPT image models always answer base64 and must not be sent `response_format`; DALL-E is always asked for base64.
//! What a reply means is shared with servers like OpenAI's and is in `openai_reply.rs`.

use serde_json::{Map, Value};

use crate::abilities::{Abilities, Sizes, Steps};
use crate::config::plan::Account;
use crate::failure::Failure;
use crate::image::{Format, Size};
use crate::provider::{Call, Job, Provider, Reply, Step, openai_reply, wire};
use crate::request::{Background, Complexity, Moderation, Quality, Style};

/// OpenAI itself, or an address that speaks exactly its language.
pub struct OpenAi;

/// Which parameters a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `response_format`, and no word on the file.
    Classic,
    /// `background`, `moderation`, `output_format`, `output_compression`; base64 only.
    Gpt,
}

/// The sizes of a family.
#[derive(Clone, Copy, Debug)]
enum Draws {
    Listed(&'static [Size]),
    Free,
}

/// Models that take the same parameters.
#[derive(Debug)]
struct Family {
    /// How the names of its models begin.
    prefix: &'static str,
    shape: Shape,
    max_n: u8,
    prompt_chars: usize,
    draws: Draws,
    qualities: &'static [Quality],
    style: bool,
    complexity: bool,
}

const SQUARE: Size = Size::new(1024, 1024);
const GPT_1_SIZES: &[Size] = &[SQUARE, Size::new(1536, 1024), Size::new(1024, 1536)];
const DALL_E_2_SIZES: &[Size] = &[Size::new(256, 256), Size::new(512, 512), SQUARE];
const DALL_E_3_SIZES: &[Size] = &[SQUARE, Size::new(1792, 1024), Size::new(1024, 1792)];

/// The free sizes of gpt-image-2 and later (PROVIDERS.md 1.1).
const FREE: Steps =
    Steps { multiple_of: 16, min_side: 16, max_side: 3840, min_pixels: 655_360, max_pixels: 8_294_400, max_ratio: 3 };

const THREE: &[Quality] = &[Quality::Low, Quality::Medium, Quality::High];
const FIVE: &[Quality] = &[Quality::Low, Quality::Medium, Quality::High, Quality::Xhigh, Quality::Max];

/// A family of GPT image models; the exceptions are written over it.
const GPT: Family = Family {
    prefix: "",
    shape: Shape::Gpt,
    max_n: 10,
    prompt_chars: 32_000,
    draws: Draws::Free,
    qualities: THREE,
    style: false,
    complexity: false,
};

/// Every family; the first whose prefix fits counts. The last fits everything: a model newer than this table is taken
/// to be like gpt-image-2.
static FAMILIES: &[Family] = &[
    Family {
        prefix: "dall-e-3",
        shape: Shape::Classic,
        max_n: 1,
        prompt_chars: 4_000,
        draws: Draws::Listed(DALL_E_3_SIZES),
        qualities: &[Quality::Standard, Quality::Hd],
        style: true,
        complexity: false,
    },
    Family {
        prefix: "dall-e-2",
        shape: Shape::Classic,
        max_n: 10,
        prompt_chars: 1_000,
        draws: Draws::Listed(DALL_E_2_SIZES),
        qualities: &[Quality::Standard],
        style: false,
        complexity: false,
    },
    Family { prefix: "gpt-image-1", draws: Draws::Listed(GPT_1_SIZES), ..GPT },
    Family { prefix: "chatgpt-image", draws: Draws::Listed(GPT_1_SIZES), ..GPT },
    Family { prefix: "gpt-image-2.5", qualities: FIVE, ..GPT },
    Family { prefix: "gpt-image-2.6", qualities: FIVE, complexity: true, ..GPT },
    GPT,
];

fn family(model: &str) -> &'static Family {
    FAMILIES.iter().find(|family| model.starts_with(family.prefix)).unwrap_or(&GPT)
}

/// Whether this is the name of a GPT image model, perhaps behind a reseller's prefix such as `openai/`.
pub(super) fn is_gpt_image(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gpt-image") || name.starts_with("chatgpt-image")
}

impl Provider for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://api.openai.com/v1/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        &[
            "gpt-image-2",
            "gpt-image-2-2026-04-21",
            "gpt-image-2.5-flare",
            "gpt-image-2.5-sunburst",
            "gpt-image-2.6-flare",
            "gpt-image-2.6-sunburst",
            "gpt-image-1.5",
            "gpt-image-1-mini",
            "gpt-image-1",
            "chatgpt-image-latest",
            "dall-e-3",
            "dall-e-2",
        ]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        // Where links have been seen to point, from DALL-E and once from gpt-image-1-mini (PROVIDERS.md 0.7).
        &["*.blob.core.windows.net"]
    }

    fn abilities(&self, _: &Account, model: &str) -> Abilities {
        let family = family(model);
        let gpt = family.shape == Shape::Gpt;
        Abilities {
            max_n: family.max_n,
            prompt_chars: family.prompt_chars,
            sizes: match family.draws {
                Draws::Listed(sizes) => Sizes::Listed(sizes.to_vec()),
                Draws::Free => Sizes::Stepped(FREE),
            },
            // DALL-E takes no such wish, but what it draws is PNG.
            formats: if gpt { Format::ALL.to_vec() } else { vec![Format::Png] },
            qualities: family.qualities.to_vec(),
            seed: false,
            negative_prompt: false,
            transparent: gpt,
            compression: gpt,
            style: family.style,
            generate: true,
            edit: None,
        }
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let mut headers = wire::headers(job.account, "authorization", "Bearer ")?;
        if let Some(organization) = &job.account.organization {
            wire::add_header(&mut headers, "openai-organization", organization);
        }
        if let Some(project) = &job.account.project {
            wire::add_header(&mut headers, "openai-project", project);
        }
        let url = wire::address(&job.account.base_url, ["images", "generations"])?;
        Ok(Call::post_json(url, headers, &Value::Object(body(job))))
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        openai_reply::read(job, reply)
    }
}

/// The body, with only what the model takes.
fn body(job: &Job<'_>) -> Map<String, Value> {
    let family = family(&job.model.name);
    let request = job.request;
    let mut body = Map::new();
    wire::put(&mut body, "model", Some(job.model.name.as_str()));
    wire::put(&mut body, "prompt", Some(request.prompt.as_str()));
    wire::put(&mut body, "n", Some(job.n));
    wire::put(&mut body, "size", job.frame.nominal().map(|size| size.to_string()));
    wire::put(&mut body, "quality", job.quality.map(Quality::word));
    wire::put(&mut body, "user", request.user.as_deref());
    if family.style {
        wire::put(&mut body, "style", request.style.map(Style::word));
    }
    if family.complexity {
        wire::put(&mut body, "complexity", request.complexity.map(Complexity::word));
    }
    match family.shape {
        Shape::Classic => wire::put(&mut body, "response_format", Some("b64_json")),
        Shape::Gpt => {
            wire::put(&mut body, "background", request.background.map(Background::word));
            wire::put(&mut body, "moderation", request.moderation.map(Moderation::word));
            wire::put(&mut body, "output_format", request.output_format.map(Format::word));
            // Only these formats take a level; sending one with PNG is an error.
            let lossy = matches!(request.output_format, Some(Format::Jpeg | Format::Webp));
            wire::put(&mut body, "output_compression", request.output_compression.filter(|_| lossy));
        }
    }
    for (field, value) in &job.model.options {
        body.insert(field.clone(), value.clone());
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::fixture::Desk;

    #[test]
    fn each_model_is_sent_only_what_it_takes() {
        let wish = r#"{"prompt":"a fox","size":"1024x1024","quality":"high","output_format":"webp",
            "output_compression":80,"background":"opaque","moderation":"low","style":"vivid","complexity":"low",
            "user":"u","response_format":"url"}"#;
        let gpt = json!({"model":"gpt-image-2","prompt":"a fox","n":1,"size":"1024x1024","quality":"high",
            "output_format":"webp","output_compression":80,"background":"opaque","moderation":"low","user":"u"});
        assert_eq!(Desk::new("openai", "gpt-image-2", wish).body(), gpt);
        let mut with_complexity = gpt.clone();
        with_complexity["model"] = json!("gpt-image-2.6-flare");
        with_complexity["complexity"] = json!("low");
        assert_eq!(Desk::new("openai", "gpt-image-2.6-flare", wish).body(), with_complexity);

        let wish = r#"{"prompt":"a fox","size":"1792x1024","quality":"hd","style":"vivid","background":"opaque",
            "moderation":"low","user":"u"}"#;
        let dall_e_3 = json!({"model":"dall-e-3","prompt":"a fox","n":1,"size":"1792x1024","quality":"hd",
            "style":"vivid","user":"u","response_format":"b64_json"});
        assert_eq!(Desk::new("openai", "dall-e-3", wish).body(), dall_e_3);
    }

    #[test]
    fn a_compression_level_is_sent_only_with_a_format_that_has_one() {
        let body = Desk::new("openai", "gpt-image-1", r#"{"prompt":"x","output_compression":80}"#).body();
        assert_eq!(body, json!({"model":"gpt-image-1","prompt":"x","n":1}));
    }

    #[test]
    fn the_models_options_have_the_last_word() {
        let mut desk = Desk::new("openai", "gpt-image-1", r#"{"prompt":"x","moderation":"low"}"#);
        desk.model.options.insert("moderation".to_owned(), json!("auto"));
        assert_eq!(desk.body()["moderation"], "auto");
    }

    #[test]
    fn every_family_has_its_own_sizes_counts_and_qualities() {
        let able = |model: &str| {
            let desk = Desk::new("openai", model, r#"{"prompt":"x"}"#);
            OpenAi.abilities(&desk.account, model)
        };
        assert_eq!((able("dall-e-3").max_n, able("dall-e-2").max_n, able("gpt-image-1").max_n), (1, 10, 10));
        assert_eq!(able("gpt-image-1.5").sizes, Sizes::Listed(GPT_1_SIZES.to_vec()));
        assert_eq!(able("chatgpt-image-latest").sizes, Sizes::Listed(GPT_1_SIZES.to_vec()));
        for model in ["gpt-image-2", "gpt-image-2-2026-04-21", "gpt-image-2.5-flare", "gpt-image-7"] {
            assert_eq!(able(model).sizes, Sizes::Stepped(FREE), "{model}");
        }
        assert!(able("gpt-image-2.6-sunburst").qualities.contains(&Quality::Max));
        assert!(!able("gpt-image-2").qualities.contains(&Quality::Max));
        assert!(OpenAi.known_models().iter().all(|model| !family(model).prefix.is_empty() || model.contains("-2")));
    }

    #[test]
    fn an_organisation_and_a_project_are_named_in_headers() {
        let mut desk = Desk::new("openai", "gpt-image-1", r#"{"prompt":"x"}"#);
        desk.account.organization = Some("org-1".to_owned());
        desk.account.project = Some("proj-1".to_owned());
        let call = desk.call();
        assert_eq!(
            (&call.headers["openai-organization"], &call.headers["openai-project"]),
            (&"org-1".parse().unwrap(), &"proj-1".parse().unwrap())
        );
        assert!(call.headers["authorization"].is_sensitive());
    }
}
