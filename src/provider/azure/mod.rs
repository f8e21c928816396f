//! Azure OpenAI: OpenAI's models behind a resource's own address (PROVIDERS.md section 2).
//!
//! A model's name in the config is the name of its deployment, which may be anything; the model behind it, named or
//! the same, decides what is sent. The classic surface has the deployment in the path and wants an `api-version`; the
//! v1 surface has it in the body. Bodies and replies are OpenAI's own. What Azure's content filters found in a picture
//! that was drawn is not passed on. A resource is opened with its key, or with a token of Entra's (Azure's directory).

use url::Url;

use crate::capabilities::{Capabilities, ModelDefaults};
use crate::config::plan::{Account, Credentials, Model};
use crate::failure::Failure;
use crate::provider::adapter::{Adapter, Call, Job, Partial, Reply, Step};
use crate::provider::common::addresses;
use crate::provider::common::headers;
use crate::provider::common::model_end::{self, ModelEnd};
use crate::provider::common::token_source::TokenSource;
use crate::provider::openai;
use crate::provider::openai::models::{Family, family};

/// A resource of Azure OpenAI.
pub struct Azure;

/// The `api-version` of an account that names none: the first that knows the GPT image models.
const VERSION: &str = "2025-04-01-preview";

/// The `api_version` that means the surface without one.
const V1: &str = "v1";

/// What Azure has shut down or will, by its own list of retirements, read 2026-11: another day than OpenAI's.
pub const ENDS: &[ModelEnd] = &[
    ModelEnd { model: "gpt-image-1.5*", ends: "2026-12-16", successor: Some("gpt-image-2") },
    ModelEnd { model: "gpt-image-1-mini", ends: "2027-04-07", successor: Some("gpt-image-2") },
];

/// Who answers for a machine in Azure: an address of the machine's own link, the same on every one.
const IDENTITY: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

impl Adapter for Azure {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        // Deployments are named by whoever made them.
        &[]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        // Where DALL-E's links pointed; base64 is asked for.
        &["*.blob.core.windows.net"]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        family(model).capabilities()
    }

    fn capabilities_of(&self, _: &Account, model: &Model) -> Capabilities {
        family_of(model).capabilities()
    }

    fn usual(&self, _: &Account, model: &Model) -> ModelDefaults {
        family_of(model).usual
    }

    fn ends(&self, _: &Account, model: &Model) -> Option<&'static ModelEnd> {
        model_end::find(ENDS, model.family.as_deref().unwrap_or(&model.name))
    }

    fn token(&self, account: &Account) -> Option<TokenSource> {
        let of_machine = || {
            let resource = audience(&account.base_url);
            let url = Url::parse_with_params(IDENTITY, [("api-version", "2018-02-01"), ("resource", &resource)]);
            Some(TokenSource::Metadata { url: url.ok()?, header: ("metadata", "true") })
        };
        match account.credentials.clone()? {
            Credentials::Entra { token_uri: url, client_id, client_secret } => {
                let scope = format!("{}/.default", audience(&url));
                Some(TokenSource::ClientCredentials { url, client_id, client_secret, scope })
            }
            Credentials::Metadata => of_machine(),
            Credentials::ServiceAccount { .. } => None,
        }
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let headers = headers::with_token(headers::call_headers(job.account, "api-key", "")?, job.bearer)?;
        let version = job.account.api_version.as_deref().unwrap_or(VERSION);
        let deployment = job.model.name.as_str();
        let named_in_body = (version == V1).then_some(deployment);
        openai::body::call(job, family_of(job.model), named_in_body, headers, |end| {
            address(&job.account.base_url, version, deployment, end)
        })
    }

    fn partial(&self, event: &str) -> Option<Partial> {
        openai::stream::partial(event)
    }

    fn finishes(&self, event: &str) -> bool {
        openai::stream::finishes(event)
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        openai::reply::read(job, reply)
    }
}

/// What a token is to open, by the cloud that `host` is in: Azure has one for the public, one for governments of the
/// United States and one in China.
fn audience(host: &Url) -> String {
    let host = host.host_str().unwrap_or_default();
    let cloud = match host.rsplit_once('.') {
        Some((_, "us")) => "us",
        Some((_, "cn")) => "cn",
        _ => "com",
    };
    format!("https://cognitiveservices.azure.{cloud}")
}

/// The family of the model that is deployed.
fn family_of(model: &Model) -> &'static Family {
    family(model.family.as_deref().unwrap_or(&model.name))
}

/// The address of `generations` or `edits`.
fn address(base: &Url, version: &str, deployment: &str, end: &str) -> Result<Url, Failure> {
    if version == V1 {
        return addresses::address(base, ["openai", "v1", "images", end]);
    }
    let mut url = addresses::address(base, ["openai", "deployments", deployment, "images", end])?;
    url.query_pairs_mut().append_pair("api-version", version);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::failure::Class;
    use crate::provider::common::fixture::JobFixture;
    use crate::secret::Secret;

    #[test]
    fn a_token_is_asked_for_in_the_cloud_that_the_account_is_in() {
        let mut fixture = fixture("m", r#"{"prompt":"x"}"#);
        assert_eq!(Azure.token(&fixture.account), None, "a key opens it");
        for (login, cloud) in
            [("login.microsoftonline.com", "com"), ("login.microsoftonline.us", "us"), ("login.chinacloudapi.cn", "cn")]
        {
            let url: Url = format!("https://{login}/t/oauth2/v2.0/token").parse().unwrap();
            let (client_id, client_secret) = ("app".to_owned(), Secret::new("s"));
            let entra = Credentials::Entra {
                token_uri: url.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
            };
            fixture.account.credentials = Some(entra);
            let scope = format!("https://cognitiveservices.azure.{cloud}/.default");
            let wanted = TokenSource::ClientCredentials { url, client_id, client_secret, scope };
            assert_eq!(Azure.token(&fixture.account), Some(wanted));
        }
        fixture.account.credentials = Some(Credentials::Metadata);
        fixture.account.base_url = "https://r.openai.azure.us/".parse().unwrap();
        let Some(TokenSource::Metadata { url, header }) = Azure.token(&fixture.account) else { panic!("no source") };
        let asked = "api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.us";
        assert_eq!((url.as_str(), header), (&*format!("{IDENTITY}?{asked}"), ("metadata", "true")));
    }

    fn fixture(model: &str, request: &str) -> JobFixture {
        JobFixture::new("azure", model, request)
    }

    #[test]
    fn a_deployment_is_named_in_the_path_or_in_the_body_but_never_in_both() {
        let mut fixture = fixture("my pictures/1", r#"{"prompt":"x"}"#);
        let call = fixture.call();
        let path = "openai/deployments/my%20pictures%2F1/images/generations?api-version=2025-04-01-preview";
        assert_eq!(call.url.as_str(), format!("https://server.example/prefix/v1/{path}"));
        assert_eq!(fixture.body(), json!({"prompt": "x", "n": 1}));
        assert!(call.headers["api-key"] == fixture.key() && call.headers["api-key"].is_sensitive());
        assert!(!call.headers.contains_key("authorization"));

        fixture.account.api_version = Some("v1".to_owned());
        assert_eq!(fixture.call().url.as_str(), "https://server.example/prefix/v1/openai/v1/images/generations");
        assert_eq!(fixture.body(), json!({"model": "my pictures/1", "prompt": "x", "n": 1}));
    }

    #[test]
    fn the_model_behind_a_deployment_decides_what_it_is_sent() {
        let wish = r#"{"prompt":"x","size":"1024x1024","style":"vivid","quality":"hd","moderation":"low"}"#;
        let mut fixture = fixture("pictures", wish);
        assert_eq!(fixture.body(), json!({"prompt": "x", "n": 1, "size": "1024x1024", "moderation": "low"}));
        fixture.model.family = Some("dall-e-3".to_owned());
        let classic = json!({"prompt": "x", "n": 1, "size": "1024x1024", "quality": "hd", "style": "vivid",
            "response_format": "b64_json"});
        assert_eq!(fixture.body(), classic);
        assert_eq!(Azure.capabilities_of(&fixture.account, &fixture.model).edit, None);
    }

    #[test]
    fn every_error_has_its_class_and_its_waiting_time() {
        let error = |code: &str, message: &str| format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#);
        let filtered = r#"{"error":{"code":"contentFilter","message":"Your task failed as a result of our safety system.",
            "inner_error":{"code":"ResponsibleAIPolicyViolation","content_filter_results":{"hate":{"filtered":false}}}}}"#;
        let in_chat_spelling = r#"{"error":{"code":"400","message":"m","param":"prompt",
            "innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
        let wait =
            "Requests have exceeded call rate limit of your current pricing tier. Please retry after 26 seconds.";
        for (status, body, class, after) in [
            (400, filtered.to_owned(), Class::Policy, None),
            (400, in_chat_spelling.to_owned(), Class::Policy, None),
            (400, error("content_policy_violation", "m"), Class::Policy, None),
            (400, error("moderation_blocked", "m"), Class::Policy, None),
            (401, error("401", "Access denied due to invalid subscription key."), Class::Auth, None),
            (403, error("403", "Access denied due to Virtual Network rules."), Class::Auth, None),
            (404, error("DeploymentNotFound", "The API deployment does not exist."), Class::ModelGone, None),
            (404, error("404", "Resource not found"), Class::ModelGone, None),
            (400, error("OperationNotSupported", "does not work with the model"), Class::ModelGone, None),
            (429, error("429", wait), Class::RateLimited, Some(26)),
            (429, error("insufficient_quota", wait), Class::Quota, None),
            (400, error("BadRequest", "Invalid size."), Class::CallerInvalid, None),
            (500, error("InternalServerError", "m"), Class::Server, None),
            (503, error("503", "m"), Class::Server, None),
            (408, error("Timeout", "The operation was timeout."), Class::TimeoutAmbiguous, None),
        ] {
            let fixture = fixture("gpt-image-1", r#"{"prompt":"x"}"#);
            let Step::Failed(failure) = Azure.read(&fixture.job(), &fixture.reply(status, &body)) else {
                panic!("{body}")
            };
            assert_eq!((failure.class, failure.retry_after), (class, after.map(Duration::from_secs)), "{body}");
        }
    }

    #[test]
    fn a_waiting_time_in_a_header_counts_before_the_sentence() {
        let fixture = fixture("gpt-image-1", r#"{"prompt":"x"}"#);
        let body = r#"{"error":{"code":"429","message":"Please retry after 26 seconds."}}"#;
        let reply = fixture.reply(429, body).with("retry-after", "9");
        let Step::Failed(failure) = Azure.read(&fixture.job(), &reply) else { panic!("a failure") };
        assert_eq!(failure.retry_after, Some(Duration::from_secs(9)));
    }
}
