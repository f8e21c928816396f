//! The request for a token, as each kind of source wants it.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use url::Url;

use crate::failure::Failure;
use crate::provider::Call;
use crate::provider::common::token_source::TokenSource;
use crate::upstream::token::jwt;

/// How long a signed statement is good, which is as long as Google allows.
const STATEMENT: u64 = 3600;

/// The request for a token.
pub fn request(source: &TokenSource, now: u64) -> Result<Call, Failure> {
    match source {
        TokenSource::Metadata { url, header: (name, value) } => {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            Ok(Call::get(url.clone(), headers))
        }
        TokenSource::ServiceAccount { client_email, private_key, key_id, token_uri, scope } => {
            let claims = json!({"iss": client_email, "scope": scope, "aud": token_uri.as_str(), "iat": now,
                "exp": now + STATEMENT});
            let mut header = json!({"alg": "RS256", "typ": "JWT"});
            if let Some(key_id) = key_id {
                header["kid"] = json!(key_id);
            }
            let statement = jwt::signed(&header, &claims, private_key)?;
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            Ok(form(token_uri, &[("grant_type", grant), ("assertion", &statement)]))
        }
        TokenSource::ClientCredentials { url, client_id, client_secret, scope } => Ok(form(
            url,
            &[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret.reveal()),
                ("scope", scope),
            ],
        )),
    }
}

/// A POST of form fields.
fn form(url: &Url, fields: &[(&str, &str)]) -> Call {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    Call { method: Method::POST, url: url.clone(), headers, body: Bytes::from(body) }
}

#[cfg(test)]
pub mod tests {
    use base64_simd::URL_SAFE_NO_PAD;
    use serde_json::Value;

    use super::*;
    use crate::failure::Class;
    use crate::rsa_key::rsa_key;
    use crate::secret::Secret;

    pub const KEY: &str = include_str!("../../../tests/it/google_key.pem");

    pub fn source(key: &str) -> TokenSource {
        TokenSource::ServiceAccount {
            client_email: "easel@p.iam.gserviceaccount.com".to_owned(),
            private_key: Secret::new(key),
            key_id: Some("k1".to_owned()),
            token_uri: "https://oauth2.googleapis.com/token".parse().unwrap(),
            scope: "https://www.googleapis.com/auth/cloud-platform".to_owned(),
        }
    }

    #[test]
    fn a_statement_is_signed_with_the_accounts_key_and_says_who_asks_for_what_of_whom() {
        let call = request(&source(KEY), 1_000).unwrap();
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&call.body).into_owned().collect();
        assert_eq!(fields[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let (text, signature) = fields[1].1.rsplit_once('.').unwrap();
        let parts: Vec<Value> = text
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
        let claims = json!({"iss": "easel@p.iam.gserviceaccount.com", "iat": 1_000, "exp": 4_600,
            "scope": "https://www.googleapis.com/auth/cloud-platform", "aud": "https://oauth2.googleapis.com/token"});
        assert_eq!(parts[1], claims);
        let pair = rsa_key(&Secret::new(KEY)).unwrap();
        let public = ring::signature::UnparsedPublicKey::new(
            &ring::signature::RSA_PKCS1_2048_8192_SHA256,
            pair.public().as_ref(),
        );
        public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap()).unwrap();
    }

    #[test]
    fn a_key_that_is_none_is_told_without_being_shown() {
        for key in
            ["-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nsecret*"]
        {
            let failure = request(&source(key), 1_000).unwrap_err();
            assert_eq!(failure.class, Class::Auth);
            assert!(!failure.message.contains("c2VjcmV0") && !failure.message.contains("secret*"));
        }
        assert!(!format!("{:?}", source("c2VjcmV0")).contains("c2VjcmV0"));
    }

    #[test]
    fn client_credentials_are_a_form_and_the_metadata_server_wants_its_header() {
        let url: Url = "https://login.example/token".parse().unwrap();
        let source = TokenSource::ClientCredentials {
            url: url.clone(),
            client_id: "id".to_owned(),
            client_secret: Secret::new("s&t"),
            scope: "https://a/.default".to_owned(),
        };
        let body = "grant_type=client_credentials&client_id=id&client_secret=s%26t&scope=https%3A%2F%2Fa%2F.default";
        assert_eq!(request(&source, 0).unwrap().body, body);
        let call = request(&TokenSource::Metadata { url, header: ("metadata-flavor", "Google") }, 0).unwrap();
        assert_eq!((call.method, &call.headers["metadata-flavor"]), (Method::GET, &HeaderValue::from_static("Google")));
    }
}
