//! Alibaba's DashScope (Model Studio): Qwen-Image, Wan and Z-Image, on its two surfaces (PROVIDERS.md section 10).
//!
//! Newer models take messages and answer with links at once; older ones take a prompt and answer with a task to ask
//! about. Which is which, and what each model takes, is in `models.rs`; what replies mean in
//! `reply.rs`. The vendor would rewrite prompts if it were not told otherwise, so it always is: the same
//! request must stay the same request. A number of pictures is always sent, because Wan draws four when it is not.

use serde_json::{Map, Value, json};

use crate::capabilities::{Capabilities, ModelDefaults};
use crate::config::plan::{Account, Model};
use crate::failure::{Class, Failure};
use crate::provider::adapter::{Adapter, Call, Job, Reply, Step};
use crate::provider::common::headers;
use crate::provider::common::json_body;
use crate::provider::common::picture_source;
use crate::provider::dashscope::address::address;
use crate::provider::dashscope::models::{Surface, family};

mod address;
pub(in crate::provider) mod models;
pub(in crate::provider) mod reply;

/// DashScope, in any of its regions.
pub struct DashScope;

/// Seeds are from 0 to this.
const LARGEST_SEED: u32 = i32::MAX as u32;

/// The largest file that may be changed.
const LARGEST_INPUT: usize = 10 * 1024 * 1024;

impl Adapter for DashScope {
    fn name(&self) -> &'static str {
        "dashscope"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://dashscope-intl.aliyuncs.com/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        models::KNOWN
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        // Presigned links into a store whose host differs from region to region.
        &["*.aliyuncs.com"]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        family(model).capabilities()
    }

    fn usual(&self, _: &Account, model: &Model) -> ModelDefaults {
        family(&model.name).usual()
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        check(job)?;
        let mut headers = headers::call_headers(job.account, "authorization", "Bearer ")?;
        let (path, input) = match family(&job.model.name).surface {
            Surface::Messages => (["multimodal-generation", "generation"], messages(job)),
            Surface::Task => {
                headers::add_header(&mut headers, "x-dashscope-async", "enable");
                (["text2image", "image-synthesis"], prompts(job))
            }
        };
        let url = address(job.account, ["services", "aigc"].into_iter().chain(path))?;
        let body = json!({"model": job.model.name, "input": input, "parameters": parameters(job)});
        Ok(Call::post_json(url, headers, &body))
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        reply::read(job, reply)
    }
}

/// Refuses what this vendor would; another vendor may take it.
fn check(job: &Job<'_>) -> Result<(), Failure> {
    let family = family(&job.model.name);
    for input in job.request.edit.iter().flat_map(|edit| &edit.images) {
        if input.bytes.len() > LARGEST_INPUT || !family.takes_input(input.size) {
            let why = format!("an input picture of {} with {} bytes is not taken", input.size, input.bytes.len());
            return Err(Failure::new(Class::AdapterBug, why));
        }
    }
    Ok(())
}

/// One message of one user: the pictures to change, then the one text.
fn messages(job: &Job<'_>) -> Value {
    let pictures = job.request.edit.iter().flat_map(|edit| &edit.images);
    let pictures =
        pictures.map(|input| json!({"image": picture_source::data_url(input.format.media_type(), &input.bytes)}));
    let content: Vec<Value> = pictures.chain([json!({"text": job.request.prompt})]).collect();
    json!({"messages": [{"role": "user", "content": content}]})
}

/// The older surface has both prompts side by side.
fn prompts(job: &Job<'_>) -> Value {
    let mut input = Map::new();
    json_body::put(&mut input, "prompt", Some(job.request.prompt.as_str()));
    json_body::put(&mut input, "negative_prompt", job.request.negative_prompt.as_deref());
    Value::Object(input)
}

fn parameters(job: &Job<'_>) -> Map<String, Value> {
    let mut parameters = Map::new();
    json_body::put(
        &mut parameters,
        "size",
        job.output_size.nominal().map(|size| format!("{}*{}", size.width, size.height)),
    );
    json_body::put(&mut parameters, "n", Some(job.n));
    if family(&job.model.name).surface == Surface::Messages {
        json_body::put(&mut parameters, "negative_prompt", job.request.negative_prompt.as_deref());
    }
    // A seed only has to lead to the same picture again; a bit less does that as well.
    json_body::put(&mut parameters, "seed", job.request.seed.map(|seed| seed & LARGEST_SEED));
    json_body::put(&mut parameters, "prompt_extend", Some(false));
    json_body::put(&mut parameters, "watermark", Some(false));
    for (field, value) in &job.model.options {
        parameters.insert(field.clone(), value.clone());
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Size;
    use crate::provider::common::fixture::JobFixture;

    #[test]
    fn each_surface_is_sent_only_what_it_takes() {
        let wish = r#"{"prompt":"a fox","n":2,"size":"1024x1024","negative_prompt":"text","seed":4294967295,
            "quality":"high","output_format":"png","output_compression":80,"background":"opaque","moderation":"low",
            "style":"vivid","complexity":"low","user":"u","response_format":"url"}"#;
        let messages = json!({"model":"qwen-image-2.0","input":{"messages":[{"role":"user","content":[{"text":"a fox"}]}]},
            "parameters":{"size":"1024*1024","n":2,"negative_prompt":"text","seed":2147483647,"prompt_extend":false,
                "watermark":false}});
        assert_eq!(JobFixture::new("dashscope", "qwen-image-2.0", wish).body(), messages);
        let task = json!({"model":"wan2.2-t2i-flash","input":{"prompt":"a fox","negative_prompt":"text"},
            "parameters":{"size":"1024*1024","n":2,"seed":2147483647,"prompt_extend":false,"watermark":false}});
        assert_eq!(JobFixture::new("dashscope", "wan2.2-t2i-flash", wish).body(), task);
    }

    #[test]
    fn only_a_task_is_asked_for_with_the_header_that_makes_it_one() {
        for (model, path, header) in [
            ("wan2.2-t2i-flash", "/api/v1/services/aigc/text2image/image-synthesis", Some("enable")),
            ("qwen-image", "/api/v1/services/aigc/multimodal-generation/generation", None),
            ("something-new", "/api/v1/services/aigc/multimodal-generation/generation", None),
        ] {
            let call = JobFixture::new("dashscope", model, r#"{"prompt":"x"}"#).call();
            let sent = call.headers.get("x-dashscope-async").map(|value| value.to_str().unwrap());
            assert_eq!((call.url.path(), sent), (path, header), "{model}");
            assert!(call.headers["authorization"].is_sensitive());
        }
    }

    #[test]
    fn an_address_that_already_ends_in_the_root_is_not_given_it_twice() {
        for base in ["https://dashscope.aliyuncs.com/", "https://ws.cn-beijing.maas.aliyuncs.com/api/v1/"] {
            let mut fixture = JobFixture::new("dashscope", "z-image-turbo", r#"{"prompt":"x"}"#);
            fixture.account.base_url = base.parse().unwrap();
            let url = fixture.call().url;
            assert_eq!(url.path(), "/api/v1/services/aigc/multimodal-generation/generation");
            assert_eq!(url.host_str(), fixture.account.base_url.host_str());
        }
    }

    #[test]
    fn pictures_to_change_stand_before_the_text_in_their_order() {
        let fixture =
            JobFixture::new("dashscope", "qwen-image-edit-plus", r#"{"prompt":"make it red"}"#).editing(2, false);
        let picture = |bytes: &str| json!({"image": picture_source::data_url("image/png", bytes.as_bytes())});
        let content = json!([picture("image 0"), picture("image 1"), {"text": "make it red"}]);
        assert_eq!(fixture.body()["input"]["messages"], json!([{"role": "user", "content": content}]));
        assert_eq!(fixture.body()["parameters"], json!({"n": 1, "prompt_extend": false, "watermark": false}));
    }

    #[test]
    fn the_models_options_have_the_last_word() {
        let mut fixture = JobFixture::new("dashscope", "wan2.6-t2i", r#"{"prompt":"x"}"#);
        fixture.model.options.insert("prompt_extend".to_owned(), json!(true));
        assert_eq!(fixture.body()["parameters"], json!({"n": 1, "prompt_extend": true, "watermark": false}));
    }

    #[test]
    fn an_input_picture_that_the_vendor_does_not_take_goes_to_another_vendor() {
        let ask = |model: &str, side: u32, bytes: usize| {
            let mut fixture = JobFixture::new("dashscope", model, r#"{"prompt":"x"}"#).editing(1, false);
            let input = &mut fixture.request.edit.as_mut().unwrap().images[0];
            input.size = Size::new(1024, side);
            input.bytes = vec![0; bytes].into();
            DashScope.ask(&fixture.job()).map(|_| ()).map_err(|failure| failure.class)
        };
        assert_eq!(ask("qwen-image-edit", 3072, 9), Ok(()));
        assert_eq!(ask("qwen-image-edit", 3073, 9), Err(Class::AdapterBug));
        assert_eq!(ask("wan2.6-image", 3073, 9), Ok(()));
        assert_eq!(ask("wan2.6-image", 239, 9), Err(Class::AdapterBug));
        assert_eq!(ask("wan2.6-image", 1024, LARGEST_INPUT + 1), Err(Class::AdapterBug));
    }
}
