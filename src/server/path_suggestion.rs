//! Suggests the path of Easel's own that a client probably meant: its base URL is one step off, or a word is misspelt.
//!
//! Anybody may send any path, so only a few short words of it are compared, whatever its length.

use strsim::jaro_winkler;

/// A longer path is none of ours, misspelt or not.
const LONGEST: usize = 512;

/// Nor is one of more words.
const MOST_WORDS: usize = 16;

/// A longer word resembles none of ours; comparing takes time by the product of both lengths.
const LONGEST_WORD: usize = 24;

/// From here on, of 1, a word is a misspelt one of ours: `image`, `generate`, `edit` and `variants` are.
const ALIKE: f64 = 0.85;

/// The last words of our paths below `/v1/images`.
const ENDPOINTS: [(&str, &str); 4] = [
    ("generations", "/v1/images/generations"),
    ("edits", "/v1/images/edits"),
    ("variations", "/v1/images/variations"),
    ("feedback", "/v1/images/feedback"),
];

/// What was probably meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSuggestion {
    /// The path of ours.
    pub path: &'static str,
    /// What to change so that it is sent.
    pub help: &'static str,
}

/// The path of ours that `path` is one step off, if it is.
pub fn suggest(path: &str) -> Option<PathSuggestion> {
    if path.len() > LONGEST {
        return None;
    }
    let lower = path.to_ascii_lowercase();
    let words: Vec<&str> = lower.split('/').filter(|word| !word.is_empty()).take(MOST_WORDS + 1).collect();
    let (path, before) = if words.len() > MOST_WORDS { None } else { endpoint(&words) }?;
    Some(PathSuggestion { path, help: help(before) })
}

/// Which path of ours the last words are, and the words before those.
fn endpoint<'w>(words: &'w [&'w str]) -> Option<(&'static str, &'w [&'w str])> {
    let (last, before) = words.split_last()?;
    let alike_most = ENDPOINTS.into_iter().max_by(|a, b| alike(last, a.0).total_cmp(&alike(last, b.0)));
    if let Some((_, path)) = alike_most.filter(|(word, _)| alike(last, word) >= ALIKE) {
        let below = before.split_last().filter(|(word, _)| alike(word, "images") >= ALIKE);
        return Some((path, below.map_or(before, |(_, before)| before)));
    }
    if alike(last, "images") >= ALIKE {
        return Some(("/v1/images/generations", before));
    }
    let models = words.iter().position(|word| matches!(*word, "models" | "model"))?;
    let path = if models + 1 == words.len() { "/v1/models" } else { "/v1/models/{id}" };
    Some((path, &words[..models]))
}

/// How alike two words are, from 0 to 1. Words that begin with another letter, as `credits` and `edits`, are others.
fn alike(word: &str, ours: &str) -> f64 {
    let comparable = word.len() <= LONGEST_WORD && word.as_bytes().first() == ours.as_bytes().first();
    if comparable { jaro_winkler(word, ours) } else { 0.0 }
}

/// What to change when these words are where `v1` alone should be.
fn help(before: &[&str]) -> &'static str {
    match before {
        ["v1"] => "write the path exactly so: in lower case, with single slashes and none at its end",
        [] => "let the base URL end in '/v1'",
        words if words.iter().all(|word| *word == "v1") => "let the base URL end in one '/v1'",
        words if words.contains(&"deployments") => {
            "this is Azure's kind of path: use OpenAI's own client instead of Azure's, with a base URL that ends in \
             '/v1', and send the deployment's name as 'model'"
        }
        _ => "let the base URL be this server's address and '/v1', with nothing between or after them",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_one_step_off_is_told_the_right_one_and_what_to_change() {
        for (path, right, word) in [
            ("/images/generations", "/v1/images/generations", "end in '/v1'"),
            ("/generations", "/v1/images/generations", "end in '/v1'"),
            ("/v1/v1/images/edits", "/v1/images/edits", "one '/v1'"),
            ("/v1/images/generations/", "/v1/images/generations", "exactly so"),
            ("//v1/images/generations", "/v1/images/generations", "exactly so"),
            ("/v1//images//variations", "/v1/images/variations", "exactly so"),
            ("/V1/Images/Generations", "/v1/images/generations", "exactly so"),
            ("/v1/image/generations", "/v1/images/generations", "exactly so"),
            ("/v1/images/generation", "/v1/images/generations", "exactly so"),
            ("/v1/images/generate", "/v1/images/generations", "exactly so"),
            ("/v1/images/genarations", "/v1/images/generations", "exactly so"),
            ("/v1/image/edit", "/v1/images/edits", "exactly so"),
            ("/v1/images/variation", "/v1/images/variations", "exactly so"),
            ("/v1/images/feedbacks", "/v1/images/feedback", "exactly so"),
            ("/v1/images", "/v1/images/generations", "exactly so"),
            ("/v1/generations", "/v1/images/generations", "exactly so"),
            ("/openai/deployments/m/images/generations", "/v1/images/generations", "Azure"),
            ("/v1/openai/deployments/m/images/edits", "/v1/images/edits", "Azure"),
            ("/openai/v1/images/generations", "/v1/images/generations", "nothing between"),
            ("/api/images/generations", "/v1/images/generations", "nothing between"),
            ("/v1/images/generations/images/generations", "/v1/images/generations", "nothing between"),
            ("/models", "/v1/models", "end in '/v1'"),
            ("/v1/v1/models", "/v1/models", "one '/v1'"),
            ("/models/openai/gpt-image-2", "/v1/models/{id}", "end in '/v1'"),
            ("/v1/model/m", "/v1/models/{id}", "exactly so"),
        ] {
            let near = suggest(path).unwrap_or_else(|| panic!("{path}: none"));
            assert_eq!(near.path, right, "{path}");
            assert!(near.help.contains(word), "{path}: {}", near.help);
        }
    }

    #[test]
    fn another_services_path_is_told_nothing_and_a_long_one_is_not_compared() {
        for path in [
            "/",
            "",
            "/v1",
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/responses",
            "/v1/embeddings",
            "/v1/moderations",
            "/v1/audio/transcriptions",
            "/v1/files",
            "/credits",
            "/metrics",
            "/index.html",
        ] {
            assert_eq!(suggest(path), None, "{path}");
        }
        for long in [
            format!("/v1/images/{}", "generations".repeat(3)),
            format!("{}/images/generations", "/v1".repeat(MOST_WORDS)),
            format!("/{}/images/generations", "x".repeat(LONGEST)),
        ] {
            assert_eq!(suggest(&long), None, "{} bytes", long.len());
        }
    }
}
