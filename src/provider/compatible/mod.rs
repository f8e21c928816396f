//! Servers that speak OpenAI's Images API with an accent, described in YAML instead of code (PROVIDERS.md 8.5).
//!
//! The dialect renames, drops and fixes fields, says how a size is written, and where the answer keeps its pictures.
//! Nothing here knows a vendor: what only one of them needs belongs into its config, or into a preset of the config.
//! What a reply means is in `provider/openai/reply.rs`, and what one about a job means in `poll.rs`.

use serde_json::{Map, Value};

use crate::capabilities::{BilledSize, Capabilities, Edits, ModelDefaults, Sizes};
use crate::config::plan::{Account, EditAs, Model, SizeFormat};
use crate::failure::{Class, Failure};
use crate::image::{Format, Size};
use crate::provider::adapter::{Adapter, Call, Job, Partial, Reply, Step};
use crate::provider::common::aspect_ratio;
use crate::provider::common::json_body;
use crate::provider::common::picture_source;
use crate::provider::compatible::endpoint_and_headers::{endpoint, headers};
use crate::provider::openai;
use crate::provider::openai::models::{Family, ParameterSet};
use crate::request::{Background, Complexity, Edit, Fidelity, Input, Moderation, PROMPT_MAX_CHARS, Quality, Style};

mod endpoint_and_headers;
pub(in crate::provider) mod poll;

/// Any server that is asked like OpenAI.
pub struct Compatible;

impl Adapter for Compatible {
    fn name(&self) -> &'static str {
        "openai_compatible"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    fn needs_key(&self) -> bool {
        false
    }

    fn known_models(&self) -> &'static [&'static str] {
        &[]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        &[]
    }

    /// As little as possible is presumed of a server nobody has described; the config states the rest. A wish whose
    /// field is dropped by the dialect cannot be met, nor one that OpenAI's model behind a name is known not to take.
    fn capabilities(&self, account: &Account, model: &str) -> Capabilities {
        let dialect = &account.dialect;
        let takes = |field: &str| !dialect.drop.contains(field);
        let openais = openai::models::resold(model);
        Capabilities {
            tiers: Vec::new(),
            partials: false,
            max_n: if takes("n") { 10 } else { 1 },
            prompt_chars: PROMPT_MAX_CHARS,
            sizes: if dialect.size == SizeFormat::Omit || !takes("size") { Sizes::None } else { Sizes::Any },
            negative_chars: PROMPT_MAX_CHARS,
            formats: Vec::new(),
            qualities: if takes("quality") { Quality::ALL.to_vec() } else { Vec::new() },
            seed: takes("seed") && openais.is_none(),
            negative_prompt: takes("negative_prompt") && openais.is_none(),
            transparent: openai::models::is_gpt_image(model) && takes("background"),
            compression: takes("output_compression"),
            style: takes("style")
                && (openais.is_some_and(|family| family.style) || dialect.rename.contains_key("style")),
            generate: true,
            edit: (dialect.edit_path.is_some() && takes("image")).then_some(Edits {
                mask: takes("mask"),
                ..Edits::up_to(if dialect.edit_as == EditAs::Json { 1 } else { 16 })
            }),
        }
    }

    /// Who sells OpenAI's models keeps their defaults. What is billed is what was asked, where a size is asked at all:
    /// by Together (PROVIDERS.md 8.3), and by resellers that reckon from the request.
    fn usual(&self, account: &Account, model: &Model) -> ModelDefaults {
        let dialect = &account.dialect;
        let theirs = |ours: &str| dialect.rename.get(ours).map_or(ours, String::as_str).to_owned();
        let (fields, by_pixels): (&[&str], bool) = match dialect.size {
            SizeFormat::WidthXHeight | SizeFormat::WidthStarHeight => (&["size"], true),
            SizeFormat::TwoFields => (&["width", "height"], true),
            SizeFormat::AspectRatio | SizeFormat::Omit => (&[], false),
        };
        let is_fixed = |field: &str| model.options.contains_key(field) || dialect.constants.contains_key(field);
        let is_sent = |ours: &&str| !dialect.drop.contains(*ours) && !is_fixed(&theirs(ours));
        let asked = by_pixels && fields.iter().all(is_sent);
        let billed = if asked { BilledSize::Asked } else { BilledSize::Drawn };
        ModelDefaults { billed, ..openai::models::usual(&model.name) }
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let dialect = &job.account.dialect;
        let headers = headers(job.account)?;
        let base = &job.account.base_url;
        let Some(edit) = &job.request.edit else {
            let url = endpoint(base, &dialect.path)?;
            return Ok(Call::post_json(url, headers, &Value::Object(nested(body(job)))));
        };
        let Some(path) = &dialect.edit_path else {
            return Err(Failure::new(Class::AdapterBug, "this server has no endpoint that changes pictures"));
        };
        let called = |ours: &str, usual: &'static str| dialect.rename.get(ours).map_or(usual, String::as_str);
        if dialect.edit_as != EditAs::Form {
            let mut body = body(job);
            put_pictures(&mut body, edit, dialect.edit_as, called("image", "image"), called("mask", "mask"));
            return Ok(Call::post_json(endpoint(base, path)?, headers, &Value::Object(nested(body))));
        }
        // As OpenAI's own client does it: one picture under the plain name, several under that of a list.
        let image = called("image", if edit.images.len() > 1 { "image[]" } else { "image" });
        let form = openai::body::form(body(job), edit, image, called("mask", "mask"));
        Ok(form.post(endpoint(base, path)?, headers))
    }

    fn partial(&self, event: &str) -> Option<Partial> {
        openai::stream::partial(event)
    }

    fn finishes(&self, event: &str) -> bool {
        openai::stream::finishes(event)
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        match &job.account.dialect.poll {
            None => openai::reply::read(job, reply),
            Some(poll) => poll::read(job, reply, poll),
        }
    }
}

/// The body in the dialect's words: our fields, then its constants, then the model's options.
fn body(job: &Job<'_>) -> Map<String, Value> {
    let dialect = &job.account.dialect;
    let mut body: Map<String, Value> = fields(job)
        .into_iter()
        .filter(|(ours, _)| !dialect.drop.contains(ours))
        .map(|(ours, value)| (dialect.rename.get(&ours).cloned().unwrap_or(ours), value))
        .collect();
    let fixed = dialect.constants.iter().chain(&job.model.options);
    body.extend(fixed.map(|(field, value)| (field.clone(), value.clone())));
    body
}

/// The pictures of an edit as `data:` URLs, and the mask, where transparent is to change.
fn put_pictures(body: &mut Map<String, Value>, edit: &Edit, how: EditAs, image: &str, mask: &str) {
    let url = |input: &Input| picture_source::data_url(input.format.media_type(), &input.bytes);
    let mut urls = edit.images.iter().map(url);
    match how {
        EditAs::Form => {}
        EditAs::Json => json_body::put(body, image, urls.next()),
        EditAs::JsonList => json_body::put(body, image, Some(urls.collect::<Vec<_>>())),
    }
    json_body::put(body, mask, edit.mask.as_ref().map(|mask| url(&mask.clear)));
}

/// The fields as an object: `input.prompt` is the prompt within `input`. A form has no objects, its names stay whole.
fn nested(fields: Map<String, Value>) -> Map<String, Value> {
    let mut body = Map::new();
    for (name, value) in fields {
        put_in(&mut body, &name, value);
    }
    body
}

fn put_in(body: &mut Map<String, Value>, name: &str, value: Value) {
    match (name.split_once('.'), body.get_mut(name), value) {
        (Some((outer, inner)), _, value) => {
            let below = body.entry(outer).or_insert(Value::Null);
            if !below.is_object() {
                *below = Value::Object(Map::new());
            }
            if let Value::Object(below) = below {
                put_in(below, inner, value);
            }
        }
        (None, Some(Value::Object(own)), Value::Object(more)) => own.extend(more),
        (None, _, value) => {
            body.insert(name.to_owned(), value);
        }
    }
}

/// Every field that says something, by our names.
fn fields(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let dialect = &job.account.dialect;
    let mut fields = Map::new();
    json_body::put(&mut fields, "model", Some(job.model.name.as_str()));
    json_body::put(&mut fields, "prompt", Some(request.prompt.as_str()));
    json_body::put(&mut fields, "negative_prompt", request.negative_prompt.as_deref());
    json_body::put(&mut fields, "n", Some(job.n));
    json_body::put(&mut fields, "quality", job.quality.map(Quality::as_str));
    json_body::put(&mut fields, "output_format", job.format.map(Format::as_str));
    // OpenAI's models take a level with these formats alone; of others nothing is known.
    let openais = openai::models::resold(&job.model.name);
    let lossy = openais.is_none() || matches!(job.format, Some(Format::Jpeg | Format::Webp));
    json_body::put(&mut fields, "output_compression", request.output_compression.filter(|_| lossy));
    json_body::put(&mut fields, "seed", request.seed);
    json_body::put(&mut fields, "user", request.user.as_deref());
    json_body::put(&mut fields, "response_format", dialect.response_format.as_deref());
    openai::body::put_stream(&mut fields, job);
    put_size(&mut fields, job);
    // Only OpenAI's own models know these words, and not each of them; other servers get them when the config has a name
    // for them, or says that the model can.
    let knows = |does: fn(&Family) -> bool| openais.is_some_and(does);
    let stated = |capability: Option<bool>| capability == Some(true);
    let able = &job.model.capabilities;
    let mut put_known = |field: &str, known: bool, word: Option<&'static str>| {
        json_body::put(&mut fields, field, word.filter(|_| known || dialect.rename.contains_key(field)));
    };
    let gpt = knows(|family| family.shape == ParameterSet::Gpt);
    put_known("background", gpt || stated(able.transparent), request.background.map(Background::as_str));
    match &request.edit {
        Some(edit) => {
            put_known("input_fidelity", knows(|family| family.fidelity), edit.fidelity.map(Fidelity::as_str));
        }
        // OpenAI's edits know none of these.
        None => {
            put_known("moderation", gpt, request.moderation.map(Moderation::as_str));
            put_known("complexity", knows(|family| family.complexity), request.complexity.map(Complexity::as_str));
            let style = knows(|family| family.style) || stated(able.style);
            put_known("style", style, request.style.map(Style::as_str));
        }
    }
    fields
}

/// The size as the dialect writes it.
fn put_size(fields: &mut Map<String, Value>, job: &Job<'_>) {
    let Some(Size { width, height }) = job.output_size.nominal() else { return };
    match job.account.dialect.size {
        SizeFormat::WidthXHeight => json_body::put(fields, "size", Some(format!("{width}x{height}"))),
        SizeFormat::WidthStarHeight => json_body::put(fields, "size", Some(format!("{width}*{height}"))),
        SizeFormat::TwoFields => {
            json_body::put(fields, "width", Some(width));
            json_body::put(fields, "height", Some(height));
        }
        SizeFormat::AspectRatio => json_body::put(fields, "aspect_ratio", aspect_ratio::ratio(job.output_size)),
        SizeFormat::Omit => {}
    }
}

#[cfg(test)]
mod tests;
