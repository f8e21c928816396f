//! The same meaning becomes the same bytes, and the bytes a key.
//!
//! A [`Canonical`] holds everything that decides which picture is right: tenant, route, prompt, size, quality and the
//! rest. Provider and model are not in it unless the caller pinned them, so a picture drawn by one provider answers
//! for another. How many pictures are wanted and how they are delivered (url, base64, stream) are not part of the meaning.
//! What of the config is, [`config_digest`] decides.
//!
//! The key is XXH3-128 with a secret seed; it only finds candidates. XXH3 is not collision-resistant, so whoever finds
//! an entry must compare the whole [`Canonical::bytes`] before serving it.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::canonical::writer::{Digest, FieldWriter, read_field};
use crate::request::ImageRequest;

pub mod config_digest;
pub mod request_digest;
mod writer;

/// Layout version of the bytes; a change here makes old entries unreachable instead of wrong.
const LAYOUT: u8 = 3;

/// A request's meaning in bytes, and their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    bytes: Box<[u8]>,
    /// Where in them the prompt begins.
    hard: usize,
    key: u128,
    seeded: bool,
}

impl Canonical {
    /// The canonical form of `request` for `tenant` on `route`. `pinned` is the one offer the caller insists on.
    /// `seed` is the deployment's secret hash seed.
    pub fn new(tenant: &str, route: &str, pinned: Option<&str>, request: &ImageRequest, seed: u64) -> Canonical {
        Canonical::under(&[], tenant, route, pinned, request, seed)
    }

    /// The same under the rules of a config: what it does to prompts and sizes, and where a pinned offer leads. The
    /// prompt in the form is the caller's own, so that a hit needs no rewriting.
    pub fn under(
        rules: &[Digest],
        tenant: &str,
        route: &str,
        pinned: Option<&str>,
        request: &ImageRequest,
        seed: u64,
    ) -> Canonical {
        let mut bytes = FieldWriter(vec![LAYOUT]);
        bytes.field(Some(tenant));
        bytes.field(Some(route));
        bytes.field(pinned);
        bytes.request(request);
        rules.iter().for_each(|digest| bytes.0.extend_from_slice(digest));
        // Last, so that what two requests with other words must have in common is the beginning of both forms.
        let hard = bytes.0.len();
        bytes.0.extend_from_slice(normalise(&request.prompt).as_bytes());
        let key = Canonical::key_of(&bytes.0, seed);
        Canonical { bytes: bytes.0.into_boxed_slice(), hard, key, seeded: request.seed.is_some() }
    }

    /// The same form found under another key, as if the hash were a bad one.
    #[cfg(test)]
    pub fn colliding(self, key: u128) -> Canonical {
        Canonical { key, ..self }
    }

    /// The whole canonical form, to be compared on every hit.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What must be the same for a picture to be right, whatever is said of the prompt.
    pub fn hard_key(&self) -> &[u8] {
        &self.bytes[..self.hard]
    }

    /// The prompt within a form whose hard key is as long as this one's. `None` where the hard key is another.
    pub fn prompt_under<'b>(&self, bytes: &'b [u8]) -> Option<&'b str> {
        std::str::from_utf8(bytes.strip_prefix(self.hard_key())?).ok()
    }

    /// The prompt, in Unicode NFC.
    pub fn prompt(&self) -> &str {
        self.prompt_under(&self.bytes).unwrap_or_default()
    }

    /// The tenant and the route of a canonical form.
    pub fn owners(bytes: &[u8]) -> Option<(&str, &str)> {
        let (tenant, rest) = read_field(bytes.strip_prefix(&[LAYOUT])?)?;
        let (route, _) = read_field(rest)?;
        Some((tenant, route))
    }

    /// Whether each of its pictures is one of its own: a seed draws the first, the next seed the second. Without a seed
    /// one picture is as good as another.
    pub fn seeded(&self) -> bool {
        self.seeded
    }

    /// Where to look for a canonical form.
    pub fn key_of(bytes: &[u8], seed: u64) -> u128 {
        xxh3_128_with_seed(bytes, seed)
    }

    /// Where to look.
    pub fn key(&self) -> u128 {
        self.key
    }
}

impl FieldWriter {
    /// What a request means.
    fn request(&mut self, request: &ImageRequest) {
        // Destructured so that a new field breaks the build until it is decided whether it belongs to the meaning.
        let ImageRequest {
            // Behind all of this.
            prompt: _,
            negative_prompt,
            model: _,
            n: _,
            size,
            quality,
            response_format: _,
            output_format,
            output_compression,
            background,
            moderation,
            style,
            complexity,
            seed,
            user: _,
            stream: _,
            partial_images: _,
            edit,
            filled: _,
        } = request;
        self.field(Some(if edit.is_some() { "edit" } else { "generate" }));
        self.field(negative_prompt.as_deref().map(normalise).as_deref());
        self.field(size.map(|size| size.to_string()).as_deref());
        self.field(quality.map(|quality| quality.as_str()));
        self.field(output_format.map(|format| format.as_str()));
        self.field(output_compression.map(|percent| percent.to_string()).as_deref());
        self.field(background.map(|background| background.as_str()));
        self.field(moderation.map(|moderation| moderation.as_str()));
        self.field(style.map(|style| style.as_str()));
        self.field(complexity.map(|complexity| complexity.as_str()));
        self.field(seed.map(|seed| seed.to_string()).as_deref());
        self.edit(edit.as_ref());
    }
}

/// The exact tier's prompt: Unicode NFC and nothing more. That makes one of the ways to write the same characters, and
/// unlike NFKC keeps what looks different: `H₂O` is not `H2O`, and `x²` not `x2`. Case, spacing and word order stay,
/// because they may change the picture.
fn normalise(prompt: &str) -> Cow<'_, str> {
    // Most prompts are in NFC already, and to see that costs less than to write them anew.
    match is_nfc_quick(prompt.chars()) {
        IsNormalized::Yes => Cow::Borrowed(prompt),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(prompt.nfc().collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::request::Edit;

    fn canonical(body: &Value) -> Canonical {
        let request = ImageRequest::from_json(body.to_string().as_bytes()).unwrap();
        Canonical::new("default", "mockups", None, &request, 7)
    }

    #[test]
    fn spelling_of_the_same_unicode_does_not_matter_but_words_do() {
        let composed = canonical(&json!({"prompt": "caf\u{e9} fish", "negative_prompt": "\u{e9}"}));
        let decomposed = canonical(&json!({"prompt": "cafe\u{301} fish", "negative_prompt": "e\u{301}"}));
        assert_eq!(composed, decomposed);
        let composed = canonical(&json!({"prompt": "caf\u{e9} fish"}));
        for other in ["Caf\u{e9} fish", "caf\u{e9}  fish", "fish caf\u{e9}"] {
            assert_ne!(composed.bytes(), canonical(&json!({"prompt": other})).bytes(), "{other}");
        }
    }

    #[test]
    fn characters_that_look_different_are_different() {
        for (shown, plain) in [
            ("H\u{2082}O", "H2O"),
            ("x\u{b2}", "x2"),
            ("Acme\u{2122}", "AcmeTM"),
            ("\u{fb01}sh", "fish"),
            ("\u{bd} moon", "1\u{2044}2 moon"),
            ("\u{2460}", "1"),
            ("\u{ff21}", "A"),
            ("\u{211d}", "R"),
        ] {
            for field in ["prompt", "negative_prompt"] {
                let ask = |words: &str| {
                    let mut body = json!({"prompt": "x"});
                    body[field] = json!(words);
                    canonical(&body)
                };
                assert_ne!(ask(shown).bytes(), ask(plain).bytes(), "{field} {shown}");
            }
        }
    }

    #[test]
    fn delivery_count_and_user_are_not_part_of_the_meaning() {
        let plain = canonical(&json!({"prompt": "x"}));
        let dressed = canonical(&json!({"prompt": "x", "n": 4, "response_format": "url", "user": "u", "model": "any"}));
        assert_eq!(plain, dressed);
    }

    #[test]
    fn input_pictures_their_order_the_mask_and_the_fidelity_are_part_of_the_meaning() {
        use crate::image::{Format, Size};
        use crate::request::{Fidelity, Input, Mask};
        let input = |text: &'static str| Input::new(text.into(), Format::Png, Size::new(1, 1));
        let masked = |text| Mask { clear: input(text), white: Default::default() };
        let edits = [
            None,
            Some(Edit { images: vec![input("a")], mask: None, fidelity: None }),
            Some(Edit { images: vec![input("a"), input("b")], mask: None, fidelity: None }),
            Some(Edit { images: vec![input("b"), input("a")], mask: None, fidelity: None }),
            Some(Edit { images: vec![input("a")], mask: Some(masked("b")), fidelity: None }),
            Some(Edit { images: vec![input("a")], mask: Some(masked("c")), fidelity: None }),
            Some(Edit { images: vec![input("a")], mask: None, fidelity: Some(Fidelity::High) }),
        ];
        let forms = edits.map(|edit| {
            let request = ImageRequest { edit, ..ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap() };
            Canonical::new("default", "mockups", None, &request, 7).bytes().to_vec()
        });
        assert_eq!(forms.iter().collect::<std::collections::HashSet<_>>().len(), forms.len());
    }

    #[test]
    fn everything_that_changes_the_picture_changes_the_key() {
        let plain = canonical(&json!({"prompt": "x"}));
        let changes = json!({
            "negative_prompt": "y", "size": "512x512", "quality": "high", "output_format": "webp",
            "output_compression": 50, "background": "opaque", "moderation": "low", "style": "vivid",
            "complexity": "low", "seed": 0,
        });
        for (field, value) in changes.as_object().unwrap() {
            let mut body = Map::new();
            body.insert("prompt".into(), json!("x"));
            body.insert(field.clone(), value.clone());
            let changed = canonical(&Value::Object(body));
            assert_ne!(plain.bytes(), changed.bytes(), "{field}");
            assert_ne!(plain.key(), changed.key(), "{field}");
        }
        let request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
        for other in [
            Canonical::new("other", "mockups", None, &request, 7),
            Canonical::new("default", "drafts", None, &request, 7),
            Canonical::new("default", "mockups", Some("stability/core"), &request, 7),
        ] {
            assert_ne!(plain.bytes(), other.bytes());
        }
    }

    #[test]
    fn the_rules_of_the_config_are_part_of_the_meaning() {
        let request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
        let under = |rules: &[Digest]| Canonical::under(rules, "t", "r", None, &request, 7).bytes().to_vec();
        assert_eq!(under(&[]), Canonical::new("t", "r", None, &request, 7).bytes());
        let all: [&[Digest]; 4] = [&[], &[[1; 32]], &[[2; 32]], &[[1; 32], [2; 32]]];
        let forms: std::collections::HashSet<_> = all.into_iter().map(under).collect();
        assert_eq!(forms.len(), all.len());
    }

    #[test]
    fn another_secret_seed_gives_another_key_for_the_same_meaning() {
        let request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
        let (one, two) = (Canonical::new("t", "r", None, &request, 1), Canonical::new("t", "r", None, &request, 2));
        assert_eq!(one.bytes(), two.bytes());
        assert_ne!(one.key(), two.key());
    }

    proptest! {
        #[test]
        fn the_order_of_keys_and_the_spacing_of_the_body_do_not_matter(
            prompt in "[a-zA-Z ]{0,20}x", seed in any::<u32>(), rotate in 0usize..4,
        ) {
            let mut fields = [
                format!("\"prompt\" :  {}", json!(prompt)),
                format!("\"seed\":{seed}"),
                "\"size\": \"512x512\"".to_owned(),
                "\"quality\":null".to_owned(),
            ];
            let plain = ImageRequest::from_json(format!("{{{}}}", fields.join(",")).as_bytes()).unwrap();
            fields.rotate_left(rotate);
            let turned = ImageRequest::from_json(format!("{{ {} }}", fields.join(" , ")).as_bytes()).unwrap();
            prop_assert_eq!(
                Canonical::new("t", "r", None, &plain, 3),
                Canonical::new("t", "r", None, &turned, 3)
            );
        }

        #[test]
        fn normalising_twice_changes_nothing(prompt in ".*") {
            let once = normalise(&prompt);
            prop_assert_eq!(&once, &prompt.nfc().collect::<String>());
            prop_assert_eq!(normalise(&once), once.clone());
        }

        #[test]
        fn different_prompts_never_share_their_bytes(a in ".{1,30}", b in ".{1,30}") {
            prop_assume!(normalise(&a) != normalise(&b) && !a.trim().is_empty() && !b.trim().is_empty());
            prop_assert_ne!(
                canonical(&json!({"prompt": a})).bytes().to_vec(),
                canonical(&json!({"prompt": b})).bytes().to_vec()
            );
        }
    }
}
