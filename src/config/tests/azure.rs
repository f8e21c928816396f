//! Providers of kind azure.

use super::*;

#[test]
fn azure_has_a_version_and_the_model_behind_each_deployment() {
    let base = "base_url: https://r.openai.azure.com/, ";
    let read = |more: &str, model: &str| plan(&one("azure", &format!("{base}{more}"), model)).providers["a"].clone();
    let provider = read("", "");
    assert_eq!((provider.account.api_version.clone(), provider.models["m"].family.clone()), (None, None));
    let provider = read("api_version: 2024-02-01, ", ", model_family: dall-e-3");
    assert_eq!(provider.account.api_version.as_deref(), Some("2024-02-01"));
    assert_eq!(provider.models["m"].family.as_deref(), Some("dall-e-3"));
    for version in ["v1", "2025-04-01-preview"] {
        assert_eq!(read(&format!("api_version: {version}, "), "").account.api_version.as_deref(), Some(version));
    }
    let wrong = |version: &str| problems(&one("azure", &format!("{base}api_version: {version}, "), ""));
    for version in ["2025-04", "preview", "v2", "2025-04-01-beta"] {
        let what = format!(
            "`{version}` is not an api-version | write it like 2025-04-01-preview, or `v1` for addresses without a version"
        );
        assert!(matches!(&wrong(version)[..], [problem] if problem.ends_with(&what)), "{:?}", wrong(version));
    }
    for path in ["openai", "openai/v1/", "openai/deployments/d"] {
        let told = problems(&one("azure", &format!("base_url: https://r.openai.azure.com/{path}, "), ""));
        let what = "Easel adds `/openai/...` to this address by itself | write `https://r.openai.azure.com/`";
        assert!(matches!(&told[..], [problem] if problem.ends_with(what)), "{told:?}");
    }
    let missing = problems(&one("azure", "", ""));
    let told = "kind azure needs a `base_url` | add `base_url: https://RESOURCE.openai.azure.com/`";
    assert!(missing[0].ends_with(told), "{missing:?}");
}

/// A config with a provider of Azure's that is opened as `keys` say.
fn azure(keys: &str) -> String {
    let keys = format!("kind: azure, base_url: 'https://r.openai.azure.com/', {keys}");
    format!("providers:\n  a: {{{keys}, models: {{m: {{price: 1}}}}}}\nroutes: [{{name: r, offers: [a/m]}}]\n")
}

#[test]
fn azure_is_opened_by_an_application_of_entras_or_by_the_machine_itself() {
    let credentials = |keys: &str| plan(&azure(keys)).providers["a"].account.credentials.clone();
    assert_eq!(
        (credentials("api_key: k"), credentials("entra: managed_identity")),
        (None, Some(Credentials::Metadata))
    );
    for (authority, host) in [
        ("", "https://login.microsoftonline.com/"),
        (", authority: 'https://login.microsoftonline.us'", "https://login.microsoftonline.us/"),
        (", authority: 'https://proxy.local/login/'", "https://proxy.local/login/"),
    ] {
        let keys = format!("entra: {{tenant: t-1, client_id: app, client_secret: '${{S}}'{authority}}}");
        let wanted = Credentials::Entra {
            token_uri: format!("{host}t-1/oauth2/v2.0/token").parse().unwrap(),
            client_id: "app".to_owned(),
            client_secret: Secret::new(SECRET),
        };
        assert_eq!(credentials(&keys), Some(wanted), "{authority}");
    }
}

#[test]
fn half_an_application_of_entras_is_told_and_its_secret_is_never_shown() {
    let told = |keys: &str| {
        let problems = read(&azure(keys)).unwrap_err().to_string();
        assert!(!problems.contains(SECRET), "{problems}");
        self::problems(&azure(keys)).join("\n")
    };
    let entra = |more: &str| format!("entra: {{client_secret: {SECRET}{more}}}");
    let good = ", tenant: t, client_id: c";
    for (keys, what) in [
        ("timeout: 1s".to_owned(), "kind azure needs an `api_key` or `entra` | add `api_key: ${AZURE_OPENAI_API_KEY}`"),
        (format!("api_key: k, {}", entra(good)), "`api_key` and `entra` are two ways into the same account | keep one"),
        (entra(", client_id: c"), "`entra` needs a `tenant` | add `tenant: contoso.onmicrosoft.com`"),
        (entra(", tenant: t"), "`entra` needs a `client_id` | add `client_id: ${AZURE_CLIENT_ID}`"),
        (
            "entra: {tenant: t, client_id: c}".to_owned(),
            "`entra` needs a `client_secret` | add `client_secret: ${AZURE_",
        ),
        (
            entra(", client_id: c, tenant: a/b"),
            "`a/b` is not a tenant | write the directory's id, or one of its domains",
        ),
        (entra(", client_id: c, tenant: .."), "`..` is not a tenant"),
        (entra(", client_id: c, tenant: common"), "`common` is not a tenant"),
        (entra(&format!("{good}, authority: login")), "`login` is not a URL"),
        (entra(&format!("{good}, authority: 'http://login.local/'")), "this authority is plain http, and the secret"),
        (entra(", tenent: t, client_id: c"), "unknown key `tenent` | did you mean `tenant`?"),
        ("entra: managed".to_owned(), "`managed_identity`"),
    ] {
        assert!(told(&keys).contains(what), "{keys}: {}", told(&keys));
    }
    let at_home =
        azure(&entra(&format!("{good}, authority: 'http://login.local/'"))).replace("https://r.o", "http://r.o");
    assert!(plan(&at_home).providers["a"].account.credentials.is_some());
    let other = problems(&one("openai", "entra: managed_identity, ", "")).join("\n");
    assert!(other.contains("`entra` means nothing to this kind of provider | delete it, or use kind azure"), "{other}");
}
