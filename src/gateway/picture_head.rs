//! A picture as JSON, without its bytes: what is written beside a picture's file, and read again.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cache::GeneratedPicture;
use crate::config::plan::QualityCheck;
use crate::image::{Encoded, Picture, Size};
use crate::money::Usd;
use crate::quality::PictureQuality;

/// What is written of a picture, whose bytes are elsewhere.
#[derive(Serialize, Deserialize)]
pub struct PictureHead {
    id: String,
    drawn_by: String,
    nano_usd: i64,
    adjusted: Vec<String>,
    format: String,
    width: u32,
    height: u32,
    revised_prompt: Option<String>,
    base64: bool,
    /// How long it is.
    pub bytes: usize,
    /// Absent in files of before the quality gate.
    #[serde(default)]
    flagged: Vec<String>,
    #[serde(default)]
    rejected: Vec<String>,
}

impl PictureHead {
    /// All of a picture but its bytes, and but what pictures are compared by.
    pub fn of(generated: &GeneratedPicture) -> PictureHead {
        let picture = &generated.picture;
        PictureHead {
            id: generated.id.to_string(),
            drawn_by: generated.drawn_by.to_string(),
            nano_usd: generated.usd.nanos(),
            adjusted: generated.adjusted.to_vec(),
            format: picture.format.as_str().to_owned(),
            width: picture.size.width,
            height: picture.size.height,
            revised_prompt: picture.revised_prompt.clone(),
            base64: matches!(picture.encoded, Encoded::Base64(_)),
            bytes: picture.encoded.bytes().len(),
            flagged: check_words(generated.quality.as_deref().map(|quality| &*quality.flagged)),
            rejected: check_words(generated.quality.as_deref().map(|quality| &*quality.rejected)),
        }
    }

    /// The picture with these bytes. `None` where it was written by another.
    pub fn with(self, bytes: Bytes) -> Option<GeneratedPicture> {
        let picture = Picture {
            encoded: if self.base64 { Encoded::Base64(bytes) } else { Encoded::Raw(bytes) },
            format: self.format.parse().ok()?,
            size: Size::new(self.width, self.height),
            revised_prompt: self.revised_prompt,
        };
        let (flagged, rejected) = (known_checks(&self.flagged), known_checks(&self.rejected));
        Some(GeneratedPicture {
            id: self.id.into(),
            picture,
            drawn_by: self.drawn_by.into(),
            usd: Usd::from_nanos(self.nano_usd),
            adjusted: self.adjusted.into(),
            quality: (!flagged.is_empty() || !rejected.is_empty())
                .then(|| Arc::new(PictureQuality { flagged, rejected, fingerprint: None })),
        })
    }
}

fn check_words(checks: Option<&[QualityCheck]>) -> Vec<String> {
    checks.into_iter().flatten().map(|check| check.as_str().to_owned()).collect()
}

/// The checks of words that a later version may have written; what this one does not know is left out.
fn known_checks(words: &[String]) -> Vec<QualityCheck> {
    words.iter().filter_map(|word| QualityCheck::from_word(word)).collect()
}
