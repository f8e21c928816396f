//! OpenAI's Images API: the GPT image family and the classic DALL-E shape (PROVIDERS.md section 1).
//!
//! Addresses and headers are here; which parameters a model takes is in `models.rs`, the bodies are in
//! `body.rs`, and what a reply means is shared with servers like OpenAI's and is in `reply.rs`.

use crate::capabilities::{Capabilities, ModelDefaults};
use crate::config::plan::{Account, Model};
use crate::failure::Failure;
use crate::provider::adapter::{Adapter, Call, Job, Partial, Reply, Step};
use crate::provider::common::addresses;
use crate::provider::common::headers;
use crate::provider::common::model_end::{self, ModelEnd};
use crate::provider::openai::models::{ENDS, family};

pub(in crate::provider) mod body;
pub(in crate::provider) mod errors;
pub(in crate::provider) mod models;
pub mod pictures_and_usage;
pub(in crate::provider) mod reply;
pub(in crate::provider) mod stream;

/// OpenAI itself, or an address that speaks exactly its language.
pub struct OpenAi;

impl Adapter for OpenAi {
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
        ]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        // Where links have been seen to point, from DALL-E and once from gpt-image-1-mini (PROVIDERS.md 0.7).
        &["*.blob.core.windows.net"]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        family(model).capabilities()
    }

    fn usual(&self, _: &Account, model: &Model) -> ModelDefaults {
        family(&model.name).usual
    }

    fn ends(&self, _: &Account, model: &Model) -> Option<&'static ModelEnd> {
        model_end::find(ENDS, &model.name)
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let mut headers = headers::call_headers(job.account, "authorization", "Bearer ")?;
        if let Some(organization) = &job.account.organization {
            headers::add_header(&mut headers, "openai-organization", organization);
        }
        if let Some(project) = &job.account.project {
            headers::add_header(&mut headers, "openai-project", project);
        }
        let model = job.model.name.as_str();
        let images = |end: &str| addresses::address(&job.account.base_url, ["images", end]);
        body::call(job, family(model), Some(model), headers, images)
    }

    fn partial(&self, event: &str) -> Option<Partial> {
        stream::partial(event)
    }

    fn finishes(&self, event: &str) -> bool {
        stream::finishes(event)
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        reply::read(job, reply)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::provider::common::fixture::JobFixture;

    #[test]
    fn each_model_is_sent_only_what_it_takes() {
        let wish = r#"{"prompt":"a fox","size":"1024x1024","quality":"high","output_format":"webp",
            "output_compression":80,"background":"opaque","moderation":"low","style":"vivid","complexity":"low",
            "user":"u","response_format":"url"}"#;
        let gpt = json!({"model":"gpt-image-2","prompt":"a fox","n":1,"size":"1024x1024","quality":"high",
            "output_format":"webp","output_compression":80,"background":"opaque","moderation":"low","user":"u"});
        assert_eq!(JobFixture::new("openai", "gpt-image-2", wish).body(), gpt);
        let mut with_complexity = gpt.clone();
        with_complexity["model"] = json!("gpt-image-2.6-flare");
        with_complexity["complexity"] = json!("low");
        assert_eq!(JobFixture::new("openai", "gpt-image-2.6-flare", wish).body(), with_complexity);

        let wish = r#"{"prompt":"a fox","size":"1792x1024","quality":"hd","style":"vivid","background":"opaque",
            "moderation":"low","user":"u"}"#;
        let dall_e_3 = json!({"model":"dall-e-3","prompt":"a fox","n":1,"size":"1792x1024","quality":"hd",
            "style":"vivid","user":"u","response_format":"b64_json"});
        assert_eq!(JobFixture::new("openai", "dall-e-3", wish).body(), dall_e_3);
    }

    #[test]
    fn a_compression_level_is_sent_only_with_a_format_that_has_one() {
        let body = JobFixture::new("openai", "gpt-image-1", r#"{"prompt":"x","output_compression":80}"#).body();
        assert_eq!(body, json!({"model":"gpt-image-1","prompt":"x","n":1}));
    }

    #[test]
    fn the_models_options_have_the_last_word() {
        let mut fixture = JobFixture::new("openai", "gpt-image-1", r#"{"prompt":"x","moderation":"low"}"#);
        fixture.model.options.insert("moderation".to_owned(), json!("auto"));
        assert_eq!(fixture.body()["moderation"], "auto");
    }

    #[test]
    fn an_organisation_and_a_project_are_named_in_headers() {
        let mut fixture = JobFixture::new("openai", "gpt-image-1", r#"{"prompt":"x"}"#);
        fixture.account.organization = Some("org-1".to_owned());
        fixture.account.project = Some("proj-1".to_owned());
        let call = fixture.call();
        assert_eq!(
            (&call.headers["openai-organization"], &call.headers["openai-project"]),
            (&"org-1".parse().unwrap(), &"proj-1".parse().unwrap())
        );
        assert!(call.headers["authorization"].is_sensitive());
    }
}
