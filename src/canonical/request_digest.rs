//! The digest of everything that a caller asks for: two requests with the same one ask for the same answer.
//!
//! Unlike the cache's key it holds how many pictures are wanted and how they are delivered, and it knows no route and no
//! config: what a request with an idempotency key is held against must be the same after a reload. It is SHA-256,
//! because an answer is given by it alone.

use sha2::{Digest, Sha256};

use crate::canonical::writer::FieldWriter;
use crate::request::ImageRequest;

/// The digest of a request as the caller sent it. Prompts count byte by byte: a request that is sent again is the same.
pub fn request_digest(request: &ImageRequest) -> [u8; 32] {
    // Destructured so that a new field breaks the build until it is decided whether it decides the answer.
    let ImageRequest {
        prompt,
        negative_prompt,
        model,
        n,
        size,
        quality,
        response_format,
        output_format,
        output_compression,
        background,
        moderation,
        style,
        complexity,
        seed,
        user,
        stream,
        partial_images,
        edit,
        filled: _,
    } = request;
    let mut bytes = FieldWriter(Vec::with_capacity(prompt.len() + 256));
    bytes.field(Some(if edit.is_some() { "edit" } else { "generate" }));
    bytes.field(Some(prompt));
    bytes.field(negative_prompt.as_deref());
    bytes.field(model.as_deref());
    bytes.field(Some(&n.to_string()));
    bytes.field(size.map(|size| size.to_string()).as_deref());
    bytes.field(quality.map(|quality| quality.as_str()));
    bytes.field(response_format.map(|format| format.as_str()));
    bytes.field(output_format.map(|format| format.as_str()));
    bytes.field(output_compression.map(|percent| percent.to_string()).as_deref());
    bytes.field(background.map(|background| background.as_str()));
    bytes.field(moderation.map(|moderation| moderation.as_str()));
    bytes.field(style.map(|style| style.as_str()));
    bytes.field(complexity.map(|complexity| complexity.as_str()));
    bytes.field(seed.map(|seed| seed.to_string()).as_deref());
    bytes.field(user.as_deref());
    bytes.field(stream.then_some("stream"));
    bytes.field(Some(&partial_images.to_string()));
    bytes.edit(edit.as_ref());
    Sha256::digest(&bytes.0).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::image::{Format, Size};
    use crate::request::{Edit, Fidelity, Input, Mask};

    fn of(more: &Value) -> [u8; 32] {
        let mut body = json!({"prompt": "a fox"});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        request_digest(&ImageRequest::from_json(body.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn every_field_that_decides_the_answer_makes_another_digest() {
        let each = [
            json!({}),
            json!({"prompt": "a hen"}),
            json!({"prompt": "cafe\u{301}"}),
            json!({"prompt": "caf\u{e9}"}),
            json!({"negative_prompt": "a hen"}),
            json!({"model": "m"}),
            json!({"n": 2}),
            json!({"size": "1024x1024"}),
            json!({"quality": "low"}),
            json!({"response_format": "url"}),
            json!({"output_format": "webp"}),
            json!({"output_format": "webp", "output_compression": 50}),
            json!({"background": "opaque"}),
            json!({"moderation": "low"}),
            json!({"style": "vivid"}),
            json!({"complexity": "high"}),
            json!({"seed": 7}),
            json!({"user": "someone"}),
            json!({"stream": true}),
            json!({"stream": true, "partial_images": 2}),
        ];
        let digests: BTreeSet<[u8; 32]> = each.iter().map(of).collect();
        assert_eq!(digests.len(), each.len());
        assert_eq!(of(&json!({})), of(&json!({"n": 1, "size": null, "quality": "auto"})), "what means the same");
    }

    #[test]
    fn every_file_and_its_place_counts() {
        let file = |tag: u8| Input::new(vec![tag].into(), Format::Png, Size::new(1, 1));
        let edit = |images: &[u8], mask: Option<u8>, fidelity| {
            let images = images.iter().map(|tag| file(*tag)).collect();
            let mask = mask.map(|tag| Mask { clear: file(tag), white: vec![0].into() });
            let request = ImageRequest::from_json(br#"{"prompt": "a fox"}"#).unwrap();
            request_digest(&ImageRequest { edit: Some(Edit { images, mask, fidelity }), ..request })
        };
        let all = [
            of(&json!({})),
            edit(&[1], None, None),
            edit(&[2], None, None),
            edit(&[1, 2], None, None),
            edit(&[2, 1], None, None),
            edit(&[1], Some(2), None),
            edit(&[1], None, Some(Fidelity::High)),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
