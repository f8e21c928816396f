//! A picture that a vendor drew, as it is delivered, kept and linked to: with its id, its maker and its price.

use std::sync::Arc;

use ::bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::image::{Encoded, Picture};
use crate::money::Usd;
use crate::quality::PictureQuality;

/// What a picture's record takes besides the record itself: the heads of its shared parts, and what an allocator adds.
const OVERHEAD: usize = 160;

/// A finished picture with its name and who drew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedPicture {
    /// 32 hex digits: XXH3-128 of the held bytes under the deployment's secret seed.
    pub id: Arc<str>,
    /// The picture.
    pub picture: Picture,
    /// `provider/model` of the offer that drew it.
    pub drawn_by: Arc<str>,
    /// What it cost, so that a hit can say what it saved.
    pub usd: Usd,
    /// What was changed of the wishes it was drawn for, so that a hit can tell it as well.
    pub adjusted: Arc<[String]>,
    /// What the quality gate says of it; `None` where nobody looked.
    pub quality: Option<Arc<PictureQuality>>,
}

/// A picture, and which of its request's pictures it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedPicture {
    /// Counted from 0. With a seed it says which seed drew it: the request's own and so many more.
    pub place: u8,
    /// The picture.
    pub generated: Arc<GeneratedPicture>,
}

impl GeneratedPicture {
    /// Names a picture by its bytes. `seed` is the deployment's secret hash seed, so that ids cannot be guessed from
    /// a picture.
    pub fn new(picture: Picture, drawn_by: Arc<str>, usd: Usd, seed: u64) -> GeneratedPicture {
        let id = format!("{:032x}", xxh3_128_with_seed(picture.encoded.bytes(), seed)).into();
        GeneratedPicture { id, picture, drawn_by, usd, adjusted: Arc::new([]), quality: None }
    }

    /// All of it but its bytes, and but what only a comparison with others of its request needs.
    pub(super) fn without_bytes(&self) -> GeneratedPicture {
        let mut cold = self.clone();
        cold.picture.encoded = match self.picture.encoded {
            Encoded::Raw(_) => Encoded::Raw(Bytes::new()),
            Encoded::Base64(_) => Encoded::Base64(Bytes::new()),
        };
        cold.quality = self.quality.as_deref().map(|quality| Arc::new(quality.without_fingerprint()));
        cold
    }

    /// The same with bytes that were held apart.
    pub fn with_bytes(&self, bytes: Bytes) -> GeneratedPicture {
        let mut warm = self.clone();
        warm.picture.encoded = match self.picture.encoded {
            Encoded::Raw(_) => Encoded::Raw(bytes),
            Encoded::Base64(_) => Encoded::Base64(bytes),
        };
        warm
    }

    /// Bytes of memory held, the picture's and its record's.
    pub fn weight(&self) -> usize {
        let adjusted: usize = self.adjusted.iter().map(|text| size_of::<String>() + text.len()).sum();
        let record = size_of::<GeneratedPicture>() + OVERHEAD + self.id.len() + self.drawn_by.len() + adjusted;
        let record = record + self.quality.as_deref().map_or(0, PictureQuality::weight);
        record + self.picture.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Encoded, Format, Size};

    #[test]
    fn a_picture_weighs_its_bytes_and_every_text_that_is_kept_with_it() {
        let picture = |bytes: usize| Picture {
            encoded: Encoded::Raw(vec![7; bytes].into()),
            format: Format::Png,
            size: Size::new(1, 1),
            revised_prompt: None,
        };
        let of = |bytes| GeneratedPicture::new(picture(bytes), "p/m".into(), Usd::ZERO, 5);
        let (plain, larger) = (of(100).weight(), of(1100).weight());
        assert_eq!(larger, plain + 1000);
        let longer = GeneratedPicture { drawn_by: "provider/m".into(), ..of(100) };
        assert_eq!(longer.weight(), plain + "provider/m".len() - "p/m".len());
        let adjusted = GeneratedPicture { adjusted: ["x".repeat(40), "y".repeat(2)].into(), ..of(100) };
        assert_eq!(adjusted.weight(), plain + 2 * size_of::<String>() + 42);
    }
}
