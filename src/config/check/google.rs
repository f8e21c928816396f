//! Google's two ways in: an API key for the Gemini API, or credentials with project and location for Vertex AI.
//!
//! A service account's JSON is taken apart here, down to its key, so that what is wrong with it is told before the
//! first call. What it holds is never repeated.

use serde_json::{Map, Value};
use url::Url;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::Credentials;
use crate::config::provider_kind::ProviderKind;
use crate::rsa_key::rsa_key;
use crate::secret::{Secret, Zeroizing};

/// The kind that may be either.
pub(super) const GOOGLE: &str = "google";

/// The word for the machine's own identity.
const METADATA: &str = "metadata";

/// What to give in place of credentials that are none.
const HELP: &str = "give the JSON file that Google Cloud made for a service account, like \
                    ${file:/run/secrets/service-account.json}, or the word metadata";

/// Where a service account asks for tokens when its JSON does not say.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// Checks that the keys of one way in are all there, and none of the other's.
pub(super) fn way_in(checker: &mut Checker<'_>, at: NodePath<'_>, kind: Option<&ProviderKind>) {
    if kind.is_none_or(|kind| kind.name != GOOGLE) {
        return;
    }
    let given = |key: &str| at.key(key).is_given();
    let vertex = ["credentials", "project", "location"];
    if !vertex.iter().any(|key| given(key)) {
        if !given("api_key") {
            let help = "add `api_key:` for the Gemini API, or `credentials:`, `project:` and `location:` for Vertex AI";
            let what = "kind google needs an `api_key` or `credentials`";
            checker.report(at.key("api_key"), what, help.to_owned());
        }
        return;
    }
    if given("api_key") {
        let what = "`api_key` is for the Gemini API and `credentials`, `project` and `location` are for Vertex AI";
        checker.report(at.key("api_key"), what, "keep one of the two ways in".to_owned());
        return;
    }
    for (key, example) in [
        ("credentials", "${file:/run/secrets/service-account.json}"),
        ("project", "my-project"),
        ("location", "global"),
    ] {
        if !given(key) {
            let present = vertex.iter().copied().find(|key| given(key)).unwrap_or(key);
            let what = format!("`{present}` is of no use without `{key}`");
            checker.report(at.key(present), what, format!("add `{key}: {example}`"));
        }
    }
}

/// A region, `global`, `us` or `eu`; it becomes part of a host's name.
pub(super) fn location(checker: &mut Checker<'_>, at: NodePath<'_>, written: Option<&str>) -> Option<String> {
    let location = checker.text(at, written)?;
    if location.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Some(location);
    }
    let help = "write a region like europe-west4, or global, us or eu".to_owned();
    checker.report(at, format!("{} is not a location", at.shown()), help);
    None
}

/// Where Vertex AI is for a location.
pub(super) fn host(location: &str) -> Option<Url> {
    let host = match location {
        "global" => "aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
        region => format!("{region}-aiplatform.googleapis.com"),
    };
    Url::parse(&format!("https://{host}/")).ok()
}

/// The word `metadata`, or a service account's JSON. `base_url` is where the pictures are asked for.
pub(super) fn credentials(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    written: Option<&file::Hidden>,
    base_url: Option<&Url>,
) -> Option<Credentials> {
    let text = Zeroizing::new(checker.text(at, written.map(|written| written.0.reveal()))?);
    if text.trim() == METADATA {
        return Some(Credentials::Metadata);
    }
    match service_account(&text) {
        Ok(Credentials::ServiceAccount { token_uri, .. }) if !may_be_asked(&token_uri, base_url) => {
            let what =
                "the `token_uri` of this service account is plain http, and what is sent there opens the account";
            let help = format!("let the file say `{TOKEN_URI}`; http is for a `base_url` that is http itself");
            checker.report(at, what, help);
            None
        }
        Ok(account) => Some(account),
        Err(what) => {
            checker.report(at, what, HELP.to_owned());
            None
        }
    }
}

/// Whether a signed statement may be sent to `token_uri`: where the pictures themselves go over plain http, nothing is
/// lost by it.
fn may_be_asked(token_uri: &Url, base_url: Option<&Url>) -> bool {
    token_uri.scheme() == "https" || base_url.is_some_and(|url| url.scheme() == "http")
}

fn service_account(text: &str) -> Result<Credentials, String> {
    let Ok(json) = serde_json::from_str::<Map<String, Value>>(text) else {
        return Err("this is not a service account's JSON".to_owned());
    };
    let member = |key: &str| json.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if member("type").is_none_or(|kind| kind != "service_account") {
        return Err("this JSON does not say `\"type\": \"service_account\"`".to_owned());
    }
    let needed = |key: &str| member(key).ok_or_else(|| format!("this service account's JSON has no `{key}`"));
    let private_key = Secret::new(needed("private_key")?);
    rsa_key(&private_key).map_err(|why| format!("the `private_key` of this service account {why}"))?;
    let token_uri = Url::parse(member("token_uri").unwrap_or(TOKEN_URI)).ok();
    let token_uri = token_uri.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    Ok(Credentials::ServiceAccount {
        client_email: needed("client_email")?.to_owned(),
        private_key,
        key_id: member("private_key_id").map(str::to_owned),
        token_uri: token_uri.ok_or("the `token_uri` of this service account is not a URL")?,
    })
}
