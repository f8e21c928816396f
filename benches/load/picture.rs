//! The two bodies that are measured: an OpenAI answer of 300 B and one of 1.5 MB, each holding a real PNG.
//!
//! The pictures are noise, because noise does not compress: the file is about as large as its pixels.

use std::io::Cursor;
use std::str::FromStr;

use base64_simd::STANDARD;
use bytes::Bytes;
use image::{ImageFormat, RgbImage};

use crate::Failed;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// About 300 B.
    Small,
    /// About 1.5 MB.
    Big,
}

impl Body {
    /// Both.
    pub const ALL: [Body; 2] = [Body::Small, Body::Big];

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Body::Small => "small",
            Body::Big => "big",
        }
    }

    /// The size in the table.
    pub fn size(self) -> &'static str {
        match self {
            Body::Small => "300 B",
            Body::Big => "1.5 MB",
        }
    }

    /// The whole answer as the origin and the direct answer send it.
    pub fn answer(self) -> Result<Bytes, Failed> {
        let side = match self {
            Body::Small => 6,
            Body::Big => 612,
        };
        let mut noise = fastrand::Rng::with_seed(7);
        let pixels = RgbImage::from_fn(side, side, |_, _| image::Rgb([noise.u8(..), noise.u8(..), noise.u8(..)]));
        let mut file = Cursor::new(Vec::new());
        pixels.write_to(&mut file, ImageFormat::Png)?;
        let base64 = STANDARD.encode_to_string(file.into_inner());
        let answer = format!(r#"{{"created":1750000000,"data":[{{"b64_json":"{base64}"}}],"output_format":"png"}}"#);
        Ok(Bytes::from(answer))
    }
}

impl FromStr for Body {
    type Err = Failed;

    fn from_str(word: &str) -> Result<Body, Failed> {
        Body::ALL.into_iter().find(|body| body.as_str() == word).ok_or_else(|| format!("no body '{word}'").into())
    }
}
