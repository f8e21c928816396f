//! Tests of provider/compatible/mod.rs.

use serde_json::json;

use super::*;
use crate::provider::common::fixture::JobFixture;

fn fixture(request: &str) -> JobFixture {
    JobFixture::new("openai_compatible", "janus-pro-7b", request)
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
        let mut fixture = fixture(r#"{"prompt":"x","size":"1536x1024"}"#);
        fixture.account.dialect.size = format;
        fixture.account.dialect.drop = ["model", "prompt", "n", "response_format"].map(str::to_owned).into();
        assert_eq!(fixture.body(), written, "{format:?}");
    }
}

#[test]
fn fields_are_renamed_dropped_and_fixed_and_options_come_last() {
    let mut fixture = fixture(r#"{"prompt":"x","n":2,"seed":7,"user":"u"}"#);
    let dialect = &mut fixture.account.dialect;
    dialect.rename.insert("n".to_owned(), "batch_size".to_owned());
    dialect.drop.insert("user".to_owned());
    dialect.constants.insert("steps".to_owned(), json!(20));
    dialect.response_format = None;
    fixture.model.options.insert("steps".to_owned(), json!(30));
    let body = json!({"model":"janus-pro-7b","prompt":"x","batch_size":2,"seed":7,"steps":30});
    assert_eq!(fixture.body(), body);
}

#[test]
fn a_dotted_name_leads_into_an_object_and_headers_are_added() {
    let mut fixture = fixture(r#"{"prompt":"x","seed":7}"#);
    let dialect = &mut fixture.account.dialect;
    for (ours, theirs) in [("prompt", "input.prompt"), ("seed", "input.settings.seed"), ("model", "engine")] {
        dialect.rename.insert(ours.to_owned(), theirs.to_owned());
    }
    dialect.constants.insert("input".to_owned(), json!({"steps": 20}));
    dialect.constants.insert("input.settings.fast".to_owned(), json!(true));
    dialect.headers.push(("x-project".to_owned(), crate::secret::Secret::new("p-1")));
    dialect.response_format = None;
    let input = json!({"prompt":"x","steps":20,"settings":{"seed":7,"fast":true}});
    assert_eq!(fixture.body(), json!({"engine":"janus-pro-7b","n":1,"input":input}));
    let headers = fixture.call().headers;
    assert!(headers["x-project"] == "p-1" && headers["x-project"].is_sensitive());
    let reply =
        fixture.reply(422, r#"{"detail":[{"loc":["body","input","prompt"],"msg":"bad","type":"value_error"}]}"#);
    let Step::Failed(failure) = Compatible.read(&fixture.job(), &reply) else { panic!() };
    assert_eq!((failure.class, failure.param.as_deref()), (Class::CallerInvalid, Some("prompt")));
}

#[test]
fn a_transparent_background_is_asked_of_a_model_that_is_said_to_draw_it() {
    let mut fixture =
        JobFixture::new("openai_compatible", "gpt-image-2", r#"{"prompt":"x","background":"transparent"}"#);
    assert_eq!(fixture.body()["background"], "transparent");
    fixture.model.name = "other".to_owned();
    fixture.model.capabilities.transparent = Some(true);
    assert_eq!(fixture.body()["background"], "transparent");
}

#[test]
fn what_the_dialect_drops_the_model_cannot_do() {
    let mut fixture = fixture(r#"{"prompt":"x"}"#);
    fixture.account.dialect.drop = ["n", "seed", "negative_prompt", "quality"].map(str::to_owned).into();
    let able = Compatible.capabilities(&fixture.account, "any");
    assert_eq!((able.max_n, able.seed, able.negative_prompt, able.qualities.len()), (1, false, false, 0));
}

#[test]
fn words_of_the_gpt_image_family_reach_only_servers_that_know_them() {
    let wish = r#"{"prompt":"x","moderation":"low"}"#;
    assert_eq!(fixture(wish).body().get("moderation"), None);
    assert_eq!(JobFixture::new("openai_compatible", "openai/gpt-image-2", wish).body()["moderation"], "low");
    let mut renamed = fixture(wish);
    renamed.account.dialect.rename.insert("moderation".to_owned(), "filter".to_owned());
    assert_eq!(renamed.body()["filter"], "low");
}

#[test]
fn a_word_that_only_some_of_openais_models_know_reaches_those_alone() {
    let wish = r#"{"prompt":"x","complexity":"low","style":"vivid","output_compression":80}"#;
    let sent = |model: &str| {
        let body = JobFixture::new("openai_compatible", model, wish).body();
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
    let mut stated = fixture(wish);
    stated.model.capabilities.style = Some(true);
    assert_eq!(stated.body()["style"], "vivid");
    for (model, known) in [("gpt-image-2", true), ("gpt-image-1-mini", false), ("janus-pro-7b", false)] {
        let mut fixture = JobFixture::new("openai_compatible", model, r#"{"prompt":"x"}"#);
        fixture.account.dialect.edit_path = Some("images/edits".to_owned());
        fixture.account.dialect.edit_as = EditAs::JsonList;
        let mut fixture = fixture.editing(1, false);
        fixture.request.edit.as_mut().unwrap().fidelity = Some(Fidelity::High);
        assert_eq!(fixture.body().get("input_fidelity").is_some(), known, "{model}");
    }
}

#[test]
fn no_seed_goes_to_a_resold_model_of_openais_and_no_style_to_who_is_not_known_to_take_it() {
    let able = |model: &str| Compatible.capabilities(&fixture(r#"{"prompt":"x"}"#).account, model);
    let told = |model: &str| (able(model).seed, able(model).negative_prompt, able(model).style);
    assert_eq!(told("openai/gpt-image-2"), (false, false, false));
    assert_eq!(told("dall-e-3"), (false, false, true));
    assert_eq!(told("janus-pro-7b"), (true, true, false));
}

#[test]
fn a_server_that_is_sent_no_size_draws_its_own() {
    let mut fixture = fixture(r#"{"prompt":"x"}"#);
    assert_eq!(Compatible.capabilities(&fixture.account, "any").sizes, Sizes::Any);
    fixture.account.dialect.size = SizeFormat::Omit;
    assert_eq!(Compatible.capabilities(&fixture.account, "any").sizes, Sizes::None);
}

#[test]
fn the_key_goes_where_the_dialect_says_and_the_path_keeps_its_query() {
    let mut fixture = fixture(r#"{"prompt":"x"}"#);
    fixture.account.dialect.auth = ("api-key".to_owned(), String::new());
    fixture.account.dialect.path = "/deployments/d/images/generations?api-version=1".to_owned();
    let call = fixture.call();
    assert_eq!(call.headers["api-key"], fixture.key());
    assert!(!call.headers.contains_key("authorization"));
    let address = "https://server.example/prefix/v1/deployments/d/images/generations?api-version=1";
    assert_eq!(call.url.as_str(), address);
    fixture.account.api_key = None;
    assert!(!fixture.call().headers.contains_key("api-key"));
}

#[test]
fn only_a_server_with_an_endpoint_for_it_changes_pictures() {
    let mut fixture = fixture(r#"{"prompt":"x"}"#);
    let edits = |fixture: &JobFixture| Compatible.capabilities(&fixture.account, "any").edit;
    assert_eq!(edits(&fixture), None);
    fixture.account.dialect.edit_path = Some("images/edits".to_owned());
    assert_eq!(edits(&fixture), Some(Edits { mask: true, ..Edits::up_to(16) }));
    fixture.account.dialect.drop.insert("mask".to_owned());
    assert_eq!(edits(&fixture), Some(Edits::up_to(16)));
    fixture.account.dialect.drop.insert("image".to_owned());
    assert_eq!(edits(&fixture), None);
}

#[test]
fn an_edits_pictures_go_under_the_name_the_server_has_for_them() {
    let named = |images, rename: Option<&str>| {
        let mut fixture = fixture(r#"{"prompt":"x"}"#);
        fixture.account.dialect.edit_path = Some("images/edits".to_owned());
        fixture.account.dialect.rename.extend(rename.map(|theirs| ("image".to_owned(), theirs.to_owned())));
        let fixture = fixture.editing(images, false);
        let body = String::from_utf8_lossy(&fixture.call().body).into_owned();
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
        let mut fixture = fixture(r#"{"prompt":"x"}"#);
        fixture.account.dialect.edit_path = Some("images/generations".to_owned());
        fixture.account.dialect.edit_as = edit_as;
        fixture.account.dialect.rename.insert("image".to_owned(), "input.image".to_owned());
        let body = fixture.editing(images, mask).body();
        (body["input"]["image"].clone(), body["mask"].clone())
    };
    let url = |text: &str| json!(picture_source::data_url("image/png", text.as_bytes()));
    assert_eq!(sent(EditAs::Json, 1, true), (url("image 0"), url("mask clear")));
    let both = json!([url("image 0"), url("image 1")]);
    assert_eq!(sent(EditAs::JsonList, 2, false), (both, Value::Null));
    let mut fixture = fixture(r#"{"prompt":"x"}"#);
    fixture.account.dialect.edit_path = Some("images/edits".to_owned());
    fixture.account.dialect.edit_as = EditAs::Json;
    assert_eq!(Compatible.capabilities(&fixture.account, "any").edit.map(|edit| edit.images), Some(1));
}

#[test]
fn a_blamed_field_is_told_by_our_name() {
    for (format, theirs, ours) in [
        (SizeFormat::TwoFields, "width", Some("size")),
        (SizeFormat::AspectRatio, "aspect_ratio", Some("size")),
        (SizeFormat::WidthXHeight, "batch_size", Some("n")),
        (SizeFormat::WidthXHeight, "width", None),
    ] {
        let mut fixture = fixture(r#"{"prompt":"x","n":2,"size":"512x512"}"#);
        fixture.account.dialect.size = format;
        fixture.account.dialect.rename.insert("n".to_owned(), "batch_size".to_owned());
        let body = format!(r#"{{"detail":[{{"loc":["body","{theirs}"],"msg":"bad","type":"value_error"}}]}}"#);
        let Step::Failed(failure) = Compatible.read(&fixture.job(), &fixture.reply(422, &body)) else { panic!() };
        assert_eq!(failure.param.as_deref(), ours, "{theirs}");
        let class = if ours.is_some() { Class::CallerInvalid } else { Class::AdapterBug };
        assert_eq!(failure.class, class, "{theirs}");
    }
}
