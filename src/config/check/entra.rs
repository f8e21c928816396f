//! Azure's other way in: an application in Entra (Azure's directory), or the machine's own identity, instead of a key.
//!
//! The address that the application's secret goes to is made here, once: a tenant is a plain name, and plain http is
//! refused unless the pictures themselves are asked for over it. The secret is never repeated.

use url::Url;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::Credentials;
use crate::config::provider_kind::ProviderKind;
use crate::secret::Secret;

/// Where tokens are asked for in Azure's public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com/";

/// Words that Microsoft's own pages show in a tenant's place. They are for people who sign in, not for applications.
const NO_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

/// Checks that there is one way in and not both.
pub(super) fn way_in(checker: &mut Checker<'_>, at: NodePath<'_>, kind: Option<&ProviderKind>) {
    if kind.is_none_or(|kind| kind.name != AZURE) {
        return;
    }
    match (at.key("api_key").is_given(), at.key("entra").is_given()) {
        (true, true) => {
            let what = "`api_key` and `entra` are two ways into the same account";
            checker.report(at.key("entra"), what, "keep one of the two".to_owned());
        }
        (false, false) if !at.key("entra").is_bad() => {
            let help = "add `api_key: ${AZURE_OPENAI_API_KEY}`, or `entra:` with `tenant`, `client_id` and \
                        `client_secret`";
            checker.report(at.key("api_key"), "kind azure needs an `api_key` or `entra`", help.to_owned());
        }
        _ => {}
    }
}

/// Who asks for tokens, and where. `base_url` is where the pictures are asked for.
pub(super) fn credentials(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    written: &file::Entra,
    base_url: Option<&Url>,
) -> Option<Credentials> {
    let file::EntraApplication { tenant, client_id, client_secret, authority } = match written {
        file::Entra::Machine(_) => return Some(Credentials::Metadata),
        file::Entra::Application(application) => application,
    };
    for (key, given, example) in [
        ("tenant", tenant.is_some(), "contoso.onmicrosoft.com"),
        ("client_id", client_id.is_some(), "${AZURE_CLIENT_ID}"),
        ("client_secret", client_secret.is_some(), "${AZURE_CLIENT_SECRET}"),
    ] {
        if !given {
            checker.report(at.key(key), format!("`entra` needs a `{key}`"), format!("add `{key}: {example}`"));
        }
    }
    let tenant = self::tenant(checker, at.key("tenant"), tenant.as_deref());
    let client_id = checker.text(at.key("client_id"), client_id.as_deref());
    let secret = checker.text(at.key("client_secret"), client_secret.as_ref().map(|secret| secret.0.reveal()));
    let authority = self::authority(checker, at.key("authority"), authority.as_deref(), base_url);
    Some(Credentials::Entra {
        token_uri: token_uri(authority?, &tenant?)?,
        client_id: client_id?,
        client_secret: Secret::new(secret?),
    })
}

/// A directory's id or domain, which becomes a part of an address.
fn tenant(checker: &mut Checker<'_>, at: NodePath<'_>, written: Option<&str>) -> Option<String> {
    let tenant = checker.text(at, written)?;
    let plain = tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if !plain || tenant.starts_with('.') || NO_TENANTS.contains(&tenant.as_str()) {
        let help = "write the directory's id, or one of its domains like contoso.onmicrosoft.com".to_owned();
        checker.report(at, format!("{} is not a tenant", at.shown()), help);
        return None;
    }
    Some(tenant)
}

/// The host that people and applications sign in at.
fn authority(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    written: Option<&str>,
    base_url: Option<&Url>,
) -> Option<Url> {
    let Some(written) = written else { return Url::parse(AUTHORITY).ok() };
    let authority = checker.url(at, Some(written))?;
    if authority.scheme() == "http" && base_url.is_none_or(|url| url.scheme() != "http") {
        let help = format!("write an https address like {AUTHORITY}; http is for a `base_url` that is http itself");
        checker.report(at, "this authority is plain http, and the secret that is sent there opens the account", help);
        return None;
    }
    Some(authority)
}

fn token_uri(authority: Url, tenant: &str) -> Option<Url> {
    let mut url = authority;
    url.path_segments_mut().ok()?.pop_if_empty().extend([tenant, "oauth2", "v2.0", "token"]);
    Some(url)
}

/// The kind whose models are deployments with names of their own.
pub(super) const AZURE: &str = "azure";
