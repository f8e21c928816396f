//! An answer as it is kept for its idempotency key: in memory as it is, on disk as a line of JSON with the pictures'
//! bytes behind it.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cache::GeneratedPicture;
use crate::gateway::outcome::{CacheUse, Outcome};
use crate::gateway::picture_head::PictureHead;
use crate::idempotency::KeyUse;
use crate::money::Usd;
use crate::request::ResponseFormat;

/// What a request was answered, without what it cost: that was paid once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    pub(super) route: String,
    pub(super) wanted: u8,
    pub(super) format: ResponseFormat,
    pub(super) pictures: Vec<Arc<GeneratedPicture>>,
}

/// The line of JSON.
#[derive(Serialize, Deserialize)]
struct Head {
    route: String,
    wanted: u8,
    response_format: String,
    pictures: Vec<PictureHead>,
}

impl KeptAnswer {
    /// What is kept of `outcome`, if it has pictures.
    pub fn of(outcome: &Outcome) -> Option<KeptAnswer> {
        let (Some(route), Ok(pictures)) = (&outcome.route, &outcome.result) else { return None };
        let (route, pictures) = (route.clone(), pictures.clone());
        Some(KeptAnswer { route, wanted: outcome.wanted, format: outcome.format, pictures })
    }

    /// Bytes of memory that its pictures hold.
    pub fn weight(&self) -> u64 {
        self.pictures.iter().map(|generated| generated.weight() as u64).sum()
    }

    /// The answer again, which costs nothing.
    pub fn outcome(&self, version: u64) -> Outcome {
        Outcome {
            version,
            route: Some(self.route.clone()),
            cache: CacheUse::Replayed,
            near: Vec::new(),
            similarity: None,
            joined: None,
            idempotency: Some(KeyUse::Replayed),
            cost: Usd::ZERO,
            attempts: 0,
            calls: Vec::new(),
            under_way: Vec::new(),
            skipped: Vec::new(),
            not_needed: Vec::new(),
            enriched: None,
            wanted: self.wanted,
            format: self.format,
            steps: Vec::new(),
            result: Ok(self.pictures.clone()),
        }
    }

    /// The parts of its file. The pictures' bytes are shared, not copied.
    pub fn encode(&self) -> Vec<Bytes> {
        let pictures = self.pictures.iter().map(|generated| PictureHead::of(generated)).collect();
        let response_format = self.format.as_str().to_owned();
        let head = Head { route: self.route.clone(), wanted: self.wanted, response_format, pictures };
        // Texts and numbers always become JSON.
        let mut line = serde_json::to_vec(&head).unwrap_or_default();
        line.push(b'\n');
        let bytes = self.pictures.iter().map(|generated| generated.picture.encoded.bytes().clone());
        std::iter::once(line.into()).chain(bytes).collect()
    }

    /// Reads a file that [`KeptAnswer::encode`] made. The pictures are parts of `file`. `None` where it is another's.
    pub fn decode(file: &Bytes) -> Option<KeptAnswer> {
        let line = file.iter().position(|byte| *byte == b'\n')?;
        let Head { route, wanted, response_format, pictures } = serde_json::from_slice(&file[..line]).ok()?;
        let mut rest = file.slice(line + 1..);
        let mut decoded = Vec::with_capacity(pictures.len());
        for head in pictures {
            if head.bytes > rest.len() {
                return None;
            }
            let bytes = rest.split_to(head.bytes);
            decoded.push(Arc::new(head.with(bytes)?));
        }
        Some(KeptAnswer { route, wanted, format: response_format.parse().ok()?, pictures: decoded })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::image::{Encoded, Format, Picture, Size};

    #[test]
    fn what_is_read_of_a_file_is_what_was_kept() {
        let picture = |encoded, revised: Option<&str>| Picture {
            encoded,
            format: Format::Webp,
            size: Size::new(640, 384),
            revised_prompt: revised.map(str::to_owned),
        };
        let usd: Usd = "0.040000001".parse().unwrap();
        let raw = picture(Encoded::Raw(Bytes::from_static(b"\x00\n\xff{}")), Some("a \"fox\"\n"));
        let text = picture(Encoded::Base64(Bytes::from_static(b"QUJD")), None);
        let mut first = GeneratedPicture::new(raw, "p/m".into(), usd, 5);
        first.adjusted = ["size 1x1 -> 2x2".to_owned()].into();
        let pictures = vec![Arc::new(first), Arc::new(GeneratedPicture::new(text, "p/m".into(), Usd::ZERO, 5))];
        let failed = Outcome::failed(1, Error::new(ErrorKind::Busy, "x"));
        let format = ResponseFormat::Url;
        let outcome =
            Outcome { route: Some("r".to_owned()), wanted: 3, format, result: Ok(pictures), ..failed.clone() };
        let kept = KeptAnswer::of(&outcome).unwrap();
        let file: Bytes = kept.encode().concat().into();
        assert_eq!(KeptAnswer::decode(&file), Some(kept.clone()));
        assert_eq!(KeptAnswer::decode(&file.slice(..file.len() - 1)), None);
        let again = kept.outcome(7);
        assert_eq!((again.version, again.wanted, again.cost, again.as_str()), (7, 3, Usd::ZERO, "partial"));
        assert_eq!(KeptAnswer::of(&failed), None);
    }
}
