//! Providers of kind google.

use super::*;

/// A config with a provider of Google's.
fn google(keys: &str) -> String {
    format!(
        "providers:\n  a: {{kind: google, {keys}, models: {{m: {{price: 1}}}}}}\nroutes: [{{name: r, offers: [a/m]}}]\n"
    )
}

/// A key that signs tokens in tests and opens nothing.
const KEY: &str = include_str!("../../../tests/it/google_key.pem");

/// A service account's JSON, quoted for YAML, with one member replaced.
fn service_account(member: &str, value: &str) -> String {
    let mut json = serde_json::json!({"type": "service_account", "client_email": "e@p", "private_key_id": "k1",
        "private_key": KEY,
        "token_uri": "https://oauth2.googleapis.com/token"});
    json[member] = value.into();
    format!("'{json}'")
}

#[test]
fn google_has_two_ways_in_and_the_location_decides_the_host() {
    let account = |keys: &str| plan(&google(keys)).providers["a"].account.clone();
    assert_eq!(account("api_key: k").base_url.as_str(), "https://generativelanguage.googleapis.com/v1beta/");
    for (location, host) in [
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com/"),
        ("global", "https://aiplatform.googleapis.com/"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com/"),
    ] {
        let keys = format!("credentials: metadata, project: p, location: {location}");
        let account = account(&keys);
        assert_eq!((account.base_url.as_str(), account.credentials), (host, Some(Credentials::Metadata)));
    }
    let keys = format!(
        "credentials: {}, project: p, location: us, base_url: 'http://h/x'",
        service_account("private_key_id", "k2")
    );
    let account = account(&keys);
    assert_eq!(account.base_url.as_str(), "http://h/x/");
    let Some(Credentials::ServiceAccount { key_id, private_key, .. }) = account.credentials else { panic!("none") };
    assert_eq!(key_id.as_deref(), Some("k2"));
    assert_eq!(private_key.reveal(), KEY);
}

#[test]
fn half_a_way_in_to_google_is_told_and_credentials_are_never_shown() {
    let told = |keys: &str| {
        let told = problems(&google(keys)).join("\n");
        assert!(!read(&google(keys)).unwrap_err().to_string().contains(SECRET), "{keys}");
        told
    };
    for (keys, what) in [
        ("timeout: 1s", "kind google needs an `api_key` or `credentials`"),
        ("api_key: k, location: us, project: p", "`api_key` is for the Gemini API"),
        ("credentials: metadata, location: us", "`credentials` is of no use without `project`"),
        ("credentials: metadata, project: p", "`credentials` is of no use without `location`"),
        ("project: p, location: us", "`project` is of no use without `credentials`"),
        ("credentials: metadata, project: p, location: 'a.b/c'", "is not a location | write a region like"),
        ("credentials: nonsense, project: p, location: us", "this is not a service account's JSON"),
    ] {
        assert!(told(keys).contains(what), "{keys}: {}", told(keys));
    }
    for (member, value, what) in [
        ("type", "authorized_user", "does not say `\"type\": \"service_account\"`"),
        ("client_email", "", "has no `client_email`"),
        ("private_key", "", "has no `private_key`"),
        ("private_key", SECRET, "is not PEM"),
        ("private_key", &format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"), "is not PEM"),
        ("private_key", &KEY[..KEY.len() / 2 / 65 * 65], "`private_key` of this service account is"),
        ("token_uri", "file:///etc/passwd", "is not a URL"),
        ("token_uri", "http://oauth2.googleapis.com/token", "is plain http"),
    ] {
        let keys = format!("credentials: {}, project: p, location: us", service_account(member, value));
        assert!(told(&keys).contains(what), "{member}: {}", told(&keys));
        assert!(KEY.lines().skip(2).all(|line| !told(&keys).contains(line)), "{member}");
    }
    let plain = service_account("token_uri", "http://token.local/token");
    let at_home = format!("credentials: {plain}, project: p, location: us, base_url: 'http://vertex.local/'");
    assert!(plan(&google(&at_home)).providers["a"].account.credentials.is_some());
    let abroad = format!("credentials: {plain}, project: p, location: us, base_url: 'https://vertex.example/'");
    let told = problems(&google(&abroad)).join("\n");
    assert!(told.contains("let the file say `https://oauth2.googleapis.com/token`"), "{told}");
    let other = problems(&one("openai", "location: us, ", "")).join("\n");
    assert!(other.contains("`location` means nothing to this kind of provider"), "{other}");
}
