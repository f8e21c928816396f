//! Servers that speak OpenAI's Images API with an accent, described in YAML instead of code (PROVIDERS.md 8.5).
//!
//! The dialect renames, drops and fixes fields, says how a size is written, and where the answer keeps its pictures.
//! Nothing here knows a vendor: what only one of them needs belongs into its config, or into a preset of the config.
//! What a reply means is in `provider/openai/reply.rs`, and what one about a job means in `poll.rs`.

use serde_json::{Map, Value};

use crate::capabilities::{BilledSize, Capabilities, Edits, Sizes, Usual};
use crate::config::plan::{Account, EditAs, Model, SizeFormat};
use crate::failure::{Class, Failure};
use crate::image::{Format, Size};
use crate::provider::adapter::{Adapter, Call, Job, Partial, Reply, Step};
use crate::provider::common::wire;
use crate::provider::compatible::endpoint::{endpoint, headers};
use crate::provider::openai;
use crate::provider::openai::models::{Family, Shape};
use crate::request::{Background, Complexity, Edit, Fidelity, Input, Moderation, PROMPT_MAX_CHARS, Quality, Style};

mod endpoint;
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
    fn usual(&self, account: &Account, model: &Model) -> Usual {
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
        Usual { billed, ..openai::models::usual(&model.name) }
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
    let url = |input: &Input| wire::data_url(input.format.media_type(), &input.bytes);
    let mut urls = edit.images.iter().map(url);
    match how {
        EditAs::Form => {}
        EditAs::Json => wire::put(body, image, urls.next()),
        EditAs::JsonList => wire::put(body, image, Some(urls.collect::<Vec<_>>())),
    }
    wire::put(body, mask, edit.mask.as_ref().map(|mask| url(&mask.clear)));
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
    wire::put(&mut fields, "model", Some(job.model.name.as_str()));
    wire::put(&mut fields, "prompt", Some(request.prompt.as_str()));
    wire::put(&mut fields, "negative_prompt", request.negative_prompt.as_deref());
    wire::put(&mut fields, "n", Some(job.n));
    wire::put(&mut fields, "quality", job.quality.map(Quality::word));
    wire::put(&mut fields, "output_format", job.format.map(Format::word));
    // OpenAI's models take a level with these formats alone; of others nothing is known.
    let openais = openai::models::resold(&job.model.name);
    let lossy = openais.is_none() || matches!(job.format, Some(Format::Jpeg | Format::Webp));
    wire::put(&mut fields, "output_compression", request.output_compression.filter(|_| lossy));
    wire::put(&mut fields, "seed", request.seed);
    wire::put(&mut fields, "user", request.user.as_deref());
    wire::put(&mut fields, "response_format", dialect.response_format.as_deref());
    openai::body::put_stream(&mut fields, job);
    put_size(&mut fields, job);
    // Only OpenAI's own models know these words, and not each of them; other servers get them when the config has a name
    // for them, or says that the model can.
    let knows = |does: fn(&Family) -> bool| openais.is_some_and(does);
    let stated = |capability: Option<bool>| capability == Some(true);
    let able = &job.model.capabilities;
    let mut put_known = |field: &str, known: bool, word: Option<&'static str>| {
        wire::put(&mut fields, field, word.filter(|_| known || dialect.rename.contains_key(field)));
    };
    let gpt = knows(|family| family.shape == Shape::Gpt);
    put_known("background", gpt || stated(able.transparent), request.background.map(Background::word));
    match &request.edit {
        Some(edit) => {
            put_known("input_fidelity", knows(|family| family.fidelity), edit.fidelity.map(Fidelity::word));
        }
        // OpenAI's edits know none of these.
        None => {
            put_known("moderation", gpt, request.moderation.map(Moderation::word));
            put_known("complexity", knows(|family| family.complexity), request.complexity.map(Complexity::word));
            let style = knows(|family| family.style) || stated(able.style);
            put_known("style", style, request.style.map(Style::word));
        }
    }
    fields
}

/// The size as the dialect writes it.
fn put_size(fields: &mut Map<String, Value>, job: &Job<'_>) {
    let Some(Size { width, height }) = job.output_size.nominal() else { return };
    match job.account.dialect.size {
        SizeFormat::WidthXHeight => wire::put(fields, "size", Some(format!("{width}x{height}"))),
        SizeFormat::WidthStarHeight => wire::put(fields, "size", Some(format!("{width}*{height}"))),
        SizeFormat::TwoFields => {
            wire::put(fields, "width", Some(width));
            wire::put(fields, "height", Some(height));
        }
        SizeFormat::AspectRatio => wire::put(fields, "aspect_ratio", wire::ratio(job.output_size)),
        SizeFormat::Omit => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::common::fixture::Desk;

    fn desk(request: &str) -> Desk {
        Desk::new("openai_compatible", "janus-pro-7b", request)
    }

    #[test]
    fn a_size_is_written_as_the_dialect_writes_it() {
        for (format, written) in [
            (SizeFormat::WidthXHeight, json!({"size":"1536x1024"})),
            (SizeFormat::WidthStarHeight, json!({"size":"1536*1024"})),
            (SizeFormat::TwoFields, json!({"width":1536,"height":1024})),
            (SizeFormat::AspectRatio, json!({"aspect_ratio":"3:2"})),
            (SizeFormat::Omit, json!({})),
        ] {
            let mut desk = desk(r#"{"prompt":"x","size":"1536x1024"}"#);
            desk.account.dialect.size = format;
            desk.account.dialect.drop = ["model", "prompt", "n", "response_format"].map(str::to_owned).into();
            assert_eq!(desk.body(), written, "{format:?}");
        }
    }

    #[test]
    fn fields_are_renamed_dropped_and_fixed_and_options_come_last() {
        let mut desk = desk(r#"{"prompt":"x","n":2,"seed":7,"user":"u"}"#);
        let dialect = &mut desk.account.dialect;
        dialect.rename.insert("n".to_owned(), "batch_size".to_owned());
        dialect.drop.insert("user".to_owned());
        dialect.constants.insert("steps".to_owned(), json!(20));
        dialect.response_format = None;
        desk.model.options.insert("steps".to_owned(), json!(30));
        let body = json!({"model":"janus-pro-7b","prompt":"x","batch_size":2,"seed":7,"steps":30});
        assert_eq!(desk.body(), body);
    }

    #[test]
    fn a_dotted_name_leads_into_an_object_and_headers_are_added() {
        let mut desk = desk(r#"{"prompt":"x","seed":7}"#);
        let dialect = &mut desk.account.dialect;
        for (ours, theirs) in [("prompt", "input.prompt"), ("seed", "input.settings.seed"), ("model", "engine")] {
            dialect.rename.insert(ours.to_owned(), theirs.to_owned());
        }
        dialect.constants.insert("input".to_owned(), json!({"steps": 20}));
        dialect.constants.insert("input.settings.fast".to_owned(), json!(true));
        dialect.headers.push(("x-project".to_owned(), crate::secret::Secret::new("p-1")));
        dialect.response_format = None;
        let input = json!({"prompt":"x","steps":20,"settings":{"seed":7,"fast":true}});
        assert_eq!(desk.body(), json!({"engine":"janus-pro-7b","n":1,"input":input}));
        let headers = desk.call().headers;
        assert!(headers["x-project"] == "p-1" && headers["x-project"].is_sensitive());
        let reply =
            desk.reply(422, r#"{"detail":[{"loc":["body","input","prompt"],"msg":"bad","type":"value_error"}]}"#);
        let Step::Failed(failure) = Compatible.read(&desk.job(), &reply) else { panic!() };
        assert_eq!((failure.class, failure.param.as_deref()), (Class::CallerInvalid, Some("prompt")));
    }

    #[test]
    fn a_transparent_background_is_asked_of_a_model_that_is_said_to_draw_it() {
        let mut desk = Desk::new("openai_compatible", "gpt-image-2", r#"{"prompt":"x","background":"transparent"}"#);
        assert_eq!(desk.body()["background"], "transparent");
        desk.model.name = "other".to_owned();
        desk.model.capabilities.transparent = Some(true);
        assert_eq!(desk.body()["background"], "transparent");
    }

    #[test]
    fn what_the_dialect_drops_the_model_cannot_do() {
        let mut desk = desk(r#"{"prompt":"x"}"#);
        desk.account.dialect.drop = ["n", "seed", "negative_prompt", "quality"].map(str::to_owned).into();
        let able = Compatible.capabilities(&desk.account, "any");
        assert_eq!((able.max_n, able.seed, able.negative_prompt, able.qualities.len()), (1, false, false, 0));
    }

    #[test]
    fn words_of_the_gpt_image_family_reach_only_servers_that_know_them() {
        let wish = r#"{"prompt":"x","moderation":"low"}"#;
        assert_eq!(desk(wish).body().get("moderation"), None);
        assert_eq!(Desk::new("openai_compatible", "openai/gpt-image-2", wish).body()["moderation"], "low");
        let mut renamed = desk(wish);
        renamed.account.dialect.rename.insert("moderation".to_owned(), "filter".to_owned());
        assert_eq!(renamed.body()["filter"], "low");
    }

    #[test]
    fn a_word_that_only_some_of_openais_models_know_reaches_those_alone() {
        let wish = r#"{"prompt":"x","complexity":"low","style":"vivid","output_compression":80}"#;
        let sent = |model: &str| {
            let body = Desk::new("openai_compatible", model, wish).body();
            ["complexity", "style", "output_compression"].map(|field| body.get(field).is_some())
        };
        for (model, fields) in [
            ("openai/gpt-image-2.6-flare", [true, false, false]),
            ("openai/gpt-image-2", [false, false, false]),
            ("dall-e-3", [false, true, false]),
            ("janus-pro-7b", [false, false, true]),
        ] {
            assert_eq!(sent(model), fields, "{model}");
        }
        let mut stated = desk(wish);
        stated.model.capabilities.style = Some(true);
        assert_eq!(stated.body()["style"], "vivid");
        for (model, known) in [("gpt-image-2", true), ("gpt-image-1-mini", false), ("janus-pro-7b", false)] {
            let mut desk = Desk::new("openai_compatible", model, r#"{"prompt":"x"}"#);
            desk.account.dialect.edit_path = Some("images/edits".to_owned());
            desk.account.dialect.edit_as = EditAs::JsonList;
            let mut desk = desk.editing(1, false);
            desk.request.edit.as_mut().unwrap().fidelity = Some(Fidelity::High);
            assert_eq!(desk.body().get("input_fidelity").is_some(), known, "{model}");
        }
    }

    #[test]
    fn no_seed_goes_to_a_resold_model_of_openais_and_no_style_to_who_is_not_known_to_take_it() {
        let able = |model: &str| Compatible.capabilities(&desk(r#"{"prompt":"x"}"#).account, model);
        let told = |model: &str| (able(model).seed, able(model).negative_prompt, able(model).style);
        assert_eq!(told("openai/gpt-image-2"), (false, false, false));
        assert_eq!(told("dall-e-3"), (false, false, true));
        assert_eq!(told("janus-pro-7b"), (true, true, false));
    }

    #[test]
    fn a_server_that_is_sent_no_size_draws_its_own() {
        let mut desk = desk(r#"{"prompt":"x"}"#);
        assert_eq!(Compatible.capabilities(&desk.account, "any").sizes, Sizes::Any);
        desk.account.dialect.size = SizeFormat::Omit;
        assert_eq!(Compatible.capabilities(&desk.account, "any").sizes, Sizes::None);
    }

    #[test]
    fn the_key_goes_where_the_dialect_says_and_the_path_keeps_its_query() {
        let mut desk = desk(r#"{"prompt":"x"}"#);
        desk.account.dialect.auth = ("api-key".to_owned(), String::new());
        desk.account.dialect.path = "/deployments/d/images/generations?api-version=1".to_owned();
        let call = desk.call();
        assert_eq!(call.headers["api-key"], desk.key());
        assert!(!call.headers.contains_key("authorization"));
        let address = "https://server.example/prefix/v1/deployments/d/images/generations?api-version=1";
        assert_eq!(call.url.as_str(), address);
        desk.account.api_key = None;
        assert!(!desk.call().headers.contains_key("api-key"));
    }

    #[test]
    fn only_a_server_with_an_endpoint_for_it_changes_pictures() {
        let mut desk = desk(r#"{"prompt":"x"}"#);
        let edits = |desk: &Desk| Compatible.capabilities(&desk.account, "any").edit;
        assert_eq!(edits(&desk), None);
        desk.account.dialect.edit_path = Some("images/edits".to_owned());
        assert_eq!(edits(&desk), Some(Edits { mask: true, ..Edits::up_to(16) }));
        desk.account.dialect.drop.insert("mask".to_owned());
        assert_eq!(edits(&desk), Some(Edits::up_to(16)));
        desk.account.dialect.drop.insert("image".to_owned());
        assert_eq!(edits(&desk), None);
    }

    #[test]
    fn an_edits_pictures_go_under_the_name_the_server_has_for_them() {
        let named = |images, rename: Option<&str>| {
            let mut desk = desk(r#"{"prompt":"x"}"#);
            desk.account.dialect.edit_path = Some("images/edits".to_owned());
            desk.account.dialect.rename.extend(rename.map(|theirs| ("image".to_owned(), theirs.to_owned())));
            let desk = desk.editing(images, false);
            let body = String::from_utf8_lossy(&desk.call().body).into_owned();
            let names = body.lines().filter(|line| line.contains("filename="));
            names.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(named(1, None), ["image"]);
        assert_eq!(named(2, None), ["image[]", "image[]"]);
        assert_eq!(named(2, Some("input")), ["input", "input"]);
    }

    #[test]
    fn an_edits_pictures_may_be_texts_in_the_body() {
        let sent = |edit_as, images, mask| {
            let mut desk = desk(r#"{"prompt":"x"}"#);
            desk.account.dialect.edit_path = Some("images/generations".to_owned());
            desk.account.dialect.edit_as = edit_as;
            desk.account.dialect.rename.insert("image".to_owned(), "input.image".to_owned());
            let body = desk.editing(images, mask).body();
            (body["input"]["image"].clone(), body["mask"].clone())
        };
        let url = |text: &str| json!(wire::data_url("image/png", text.as_bytes()));
        assert_eq!(sent(EditAs::Json, 1, true), (url("image 0"), url("mask clear")));
        let both = json!([url("image 0"), url("image 1")]);
        assert_eq!(sent(EditAs::JsonList, 2, false), (both, Value::Null));
        let mut desk = desk(r#"{"prompt":"x"}"#);
        desk.account.dialect.edit_path = Some("images/edits".to_owned());
        desk.account.dialect.edit_as = EditAs::Json;
        assert_eq!(Compatible.capabilities(&desk.account, "any").edit.map(|edit| edit.images), Some(1));
    }

    #[test]
    fn a_blamed_field_is_told_by_our_name() {
        for (format, theirs, ours) in [
            (SizeFormat::TwoFields, "width", Some("size")),
            (SizeFormat::AspectRatio, "aspect_ratio", Some("size")),
            (SizeFormat::WidthXHeight, "batch_size", Some("n")),
            (SizeFormat::WidthXHeight, "width", None),
        ] {
            let mut desk = desk(r#"{"prompt":"x","n":2,"size":"512x512"}"#);
            desk.account.dialect.size = format;
            desk.account.dialect.rename.insert("n".to_owned(), "batch_size".to_owned());
            let body = format!(r#"{{"detail":[{{"loc":["body","{theirs}"],"msg":"bad","type":"value_error"}}]}}"#);
            let Step::Failed(failure) = Compatible.read(&desk.job(), &desk.reply(422, &body)) else { panic!() };
            assert_eq!(failure.param.as_deref(), ours, "{theirs}");
            let class = if ours.is_some() { Class::CallerInvalid } else { Class::AdapterBug };
            assert_eq!(failure.class, class, "{theirs}");
        }
    }
}
