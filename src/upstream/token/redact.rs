//! An endpoint's words without the secrets that were sent to it.

use crate::provider::Call;

/// The fields of a request for a token that are secret.
const SECRET_FIELDS: [&str; 2] = ["assertion", "client_secret"];
/// A word of an endpoint's that has so many bytes of a secret in a row repeats the secret; chance does not.
pub const SHARED: usize = 6;

/// The secrets of a request, plain and form-encoded; no failure may repeat them.
pub fn secrets(call: &Call) -> Vec<String> {
    let fields = url::form_urlencoded::parse(&call.body).filter(|(name, _)| SECRET_FIELDS.contains(&&**name));
    fields
        .flat_map(|(_, value)| {
            let written = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            [value.into_owned(), written]
        })
        .filter(|secret| !secret.is_empty())
        .collect()
}

/// An endpoint's words without anything of a secret that it echoes, be it a part of one.
pub fn without(secrets: &[String], words: &str) -> String {
    let words = secrets.iter().fold(words.to_owned(), |words, secret| words.replace(secret.as_str(), "***"));
    let of_a_secret =
        |part: &[u8]| secrets.iter().any(|secret| secret.as_bytes().windows(SHARED).any(|own| own == part));
    let echoes = |word: &str| word.as_bytes().windows(SHARED).any(of_a_secret);
    let words = words.split_whitespace().map(|word| if echoes(word) { "***" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
