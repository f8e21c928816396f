//! A vendor's sentence made fit for a caller: what it says of the request stays, what it tells of the account goes.
//!
//! Vendors quote keys, name organisations and projects, and give addresses of their own insides. Whatever looks like
//! one of these is redacted; better a word too many than one too few, since the operator's log has them all. Nothing
//! here knows a vendor.

use std::net::IpAddr;

/// Characters of a vendor's sentence that a caller is shown.
const MOST: usize = 300;

/// What stands for a word that is not shown.
const BLOT: &str = "***";

/// Beginnings of keys, tokens and names of accounts, in lower case.
const PREFIXES: &[&str] = &[
    "sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "r8_", "hf_", "xai-", "fw_", "org-", "org_", "proj-", "proj_", "acct-",
    "acct_", "user-", "user_", "usr_", "team-", "team_", "key-", "key_", "req-", "req_", "akia", "aiza", "ya29.",
    "eyj", "asst_", "ws-", "sess-",
];

/// After these words comes a name or a secret.
const NAMERS: &[&str] = &[
    "account",
    "organization",
    "organisation",
    "org",
    "project",
    "tenant",
    "subscription",
    "workspace",
    "resource",
    "deployment",
    "team",
    "user",
    "customer",
    "key",
    "apikey",
    "api_key",
    "api-key",
    "x-api-key",
    "token",
    "password",
    "secret",
    "credential",
    "credentials",
    "bearer",
    "authorization",
    "host",
    "server",
    "endpoint",
    "id",
    "region",
];

/// First parts of dotted names that are fields of a request and no hosts.
const FIELD_ROOTS: &[&str] = &[
    "input",
    "inputs",
    "body",
    "parameters",
    "params",
    "config",
    "options",
    "output",
    "image",
    "images",
    "prompt",
    "message",
    "messages",
    "content",
    "contents",
    "instances",
    "request",
    "data",
    "generationconfig",
    "imageconfig",
    "generation",
    "e",
    "i",
];

/// `words` as a caller may see them: one line, bounded, without keys, names of accounts, addresses, hosts and paths.
pub fn redact(words: &str) -> String {
    let (mut told, mut named) = (String::new(), false);
    let mut quoted: Option<char> = None;
    for word in words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if let Some(quote) = quoted {
            // The rest of a name in quotes.
            if word.contains(quote) {
                quoted = None;
            }
            continue;
        }
        let shown = if named && is_a_name(word) { redacted(word) } else { shown(word) };
        let opens = word.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'));
        quoted = opens.filter(|quote| named && !word[1..].contains(*quote));
        let shown = if quoted.is_some() { BLOT.to_owned() } else { shown };
        named = names_next(word) || (named && matches!(word, "is" | "of" | "named" | "=" | ":"));
        if !told.is_empty() {
            told.push(' ');
        }
        told.push_str(&shown);
    }
    if let Some((end, _)) = told.char_indices().nth(MOST) {
        told.truncate(end);
        told.push('…');
    }
    told
}

/// A word without what stands around it: quotes, brackets, the end of a sentence.
fn core(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '_' | '*'))
}

/// The word with its core redacted.
fn redacted(word: &str) -> String {
    let core = core(word);
    if core.is_empty() { word.to_owned() } else { word.replacen(core, BLOT, 1) }
}

/// The word, or what may be shown of it.
fn shown(word: &str) -> String {
    let core = core(word);
    // `name=value`, `"name":"value"`, `a,b`: each part is a word.
    let parts: Vec<&str> =
        core.split(['=', ',', ';', '"', '\'', '`', '(', ')', '[', ']', '{', '}', '<', '>', '|']).collect();
    let secret = parts.iter().any(|part| is_secret(self::core(part)));
    let told_of = parts.len() > 1 && NAMERS.contains(&self::core(parts[0]).to_lowercase().as_str());
    let labelled = core
        .split_once(':')
        .is_some_and(|(name, value)| !value.is_empty() && NAMERS.contains(&name.to_lowercase().as_str()));
    if secret || told_of || labelled { redacted(word) } else { word.to_owned() }
}

/// Whether the next word is a name: `organization org-1`, `project: mine`, `token`.
fn names_next(word: &str) -> bool {
    let word = word.trim_end_matches([':', '=']);
    NAMERS.contains(&core(word).to_lowercase().as_str()) && !word.ends_with(['.', ',', ';', '!', '?'])
}

/// Whether a word behind such a one is a name, and not the sentence going on (`your account has`, `the key is`).
fn is_a_name(word: &str) -> bool {
    let quoted = word.starts_with(['\'', '"', '`', '<', '(']);
    let core = core(word);
    quoted || core.contains(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '*' | '/' | '@'))
}

fn is_secret(word: &str) -> bool {
    if word.is_empty() {
        return false;
    }
    let lower = word.to_lowercase();
    let prefixed = PREFIXES.iter().any(|prefix| lower.starts_with(prefix) && lower.len() > prefix.len() + 2);
    prefixed || is_address(word, &lower) || is_path(word) || is_opaque(word)
}

/// Whether it is a URL, an e-mail address, an IP address or a host.
fn is_address(word: &str, lower: &str) -> bool {
    if lower.contains("://") || lower.starts_with("www.") || word.contains('@') {
        return true;
    }
    let host = lower.split('/').next().unwrap_or_default().trim_matches(['[', ']']);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (name, true),
        _ => (host, false),
    };
    if [host, name.trim_matches(['[', ']'])].iter().any(|part| part.parse::<IpAddr>().is_ok()) {
        return true;
    }
    let labels: Vec<&str> = name.split('.').collect();
    let plain = |label: &&str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !labels.iter().all(plain) {
        return false;
    }
    if labels.len() == 1 {
        return name == "localhost" || (port && name.contains('-'));
    }
    let last = labels[labels.len() - 1];
    let word_like = last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic());
    // A sentence that goes on without a blank (`size.Please`), or a field in the vendor's spelling.
    let original = word.split(['/', ':']).next().unwrap_or_default();
    let mixed = original.chars().any(|c| c.is_ascii_uppercase()) && original.chars().any(|c| c.is_ascii_lowercase());
    let file = matches!(last, "png" | "jpg" | "jpeg" | "webp" | "gif" | "svg" | "json");
    word_like && !mixed && !file && !FIELD_ROOTS.contains(&labels[0])
}

/// Whether it is the path of a file or of an endpoint; `and/or`, `png/jpeg` and models (`owner/name`) are none.
fn is_path(word: &str) -> bool {
    let parts = word.split('/').count();
    (word.starts_with('/') && parts > 2) || parts > 3 || word.contains(":\\") || word.starts_with("~/")
}

/// Whether it looks like a key, an id or a hash: no word of a language mixes letters and digits for so long.
fn is_opaque(word: &str) -> bool {
    let mixes = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
        // `1024x1024` is a size.
        let size = letters == 1 && part.contains(['x', 'X']);
        part.len() >= 10 && digits > 0 && letters > 0 && !size
    };
    let number = |part: &str| part.len() >= 12 && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = word.split(['-', '_', '.', ':', '/', '+', '~']);
    let uuid = word.len() == 36 && word.bytes().filter(|b| *b == b'-').count() == 4;
    let stars = word.contains("***");
    uuid || stars || parts.any(|part| mixes(part) || number(part) || (part.len() >= 32 && part.is_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_request_stays() {
        for words in [
            "Prompt contains a weighting syntax that this model does not read: (red:1.3)",
            "Argument not supported: size",
            "The size does not match the allowed size 1664*928,1472*1104,1328*1328",
            "Invalid value: '512x512'. Supported values are: '1024x1024', '1024x1536', and 'auto'.",
            "input.prompt: String should have at most 800 characters",
            "generationConfig.imageConfig.aspectRatio must be one of 1:1, 16:9 (got 7:3)",
            "The model gpt-image-2.5-flare does not support n > 1; use black-forest-labs/flux-schnell.",
            "Your request was rejected by the safety system. safety_violations=[sexual].",
            "image must be png/jpeg/webp of at most 8294400 pixels and 10000x10000",
            "Total pixels (9) must be between 589824 and 2073600. seed is at most 4294967295",
            "Bildgröße ungültig: größer als 4096",
        ] {
            assert_eq!(redact(words), words);
        }
    }

    #[test]
    fn what_names_the_account_or_a_machine_goes() {
        for (words, told) in [
            ("Incorrect API key provided: sk-proj-abc123.", "Incorrect API key provided: ***."),
            ("bad key AIzaSyA1234567890 sent", "bad key *** sent"),
            ("token eyJhbGciOi.J9.x expired", "token *** expired"),
            (
                "Rate limit for gpt-image-2 in organization org-Ab12 on images",
                "Rate limit for gpt-image-2 in organization *** on images",
            ),
            ("project 'acme web' may not, says admin@acme.com", "project *** may not, says ***"),
            ("see https://acme.openai.azure.com/x?y=z for more", "see *** for more"),
            ("upstream image-7.internal:8080 said no (10.0.3.7)", "upstream *** said no (***)"),
            ("node [2001:db8::1]:443 and localhost:9000 and gpu-box:7860", "node [*** and *** and ***"),
            ("API.ACME.COM refused size", "*** refused size"),
            ("File \"/srv/app/main.py\", line 3", "File \"***\", line 3"),
            ("request id 6f1c9a52-77aa-4f51-9c1e-0123456789ab failed", "request id *** failed"),
            ("account=acme-prod is over", "*** is over"),
            ("{\"api_key\":\"hunter2hunter2\"}", "{\"***\"}"),
            ("project 123456789012 is unknown", "project *** is unknown"),
            ("key abcdef0123456789abcdef0123456789 is wrong", "key *** is wrong"),
            ("your account has no access to this size", "your account has no access to this size"),
        ] {
            assert_eq!(redact(words), told);
        }
    }

    #[test]
    fn it_is_one_line_and_no_longer_than_anybody_reads() {
        assert_eq!(redact("a\r\n\tb\0c"), "a b c");
        let long = redact(&"word ".repeat(1000));
        assert!(long.chars().count() == MOST + 1 && long.ends_with('…'));
    }

    #[test]
    fn no_words_make_it_panic() {
        for words in ["", "'", "é'", "project '", "project 'é", "key: ", "=", "::", "[", "org 'a b", "\"\u{301}"] {
            redact(words);
        }
    }
}
