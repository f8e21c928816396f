//! A picture's file as it is held, raw or in base64, of which any few bytes can be read without decoding the rest.

use std::borrow::Cow;

use base64_simd::{AsOut, STANDARD};

use crate::image::picture_bytes::Encoded;

/// The most bytes that are read at once by [`EncodedReader::read`].
const MOST: usize = 12;

/// A file's bytes.
#[derive(Clone, Copy)]
pub enum EncodedReader<'a> {
    /// As they are.
    Raw(&'a [u8]),
    /// In standard padded base64.
    Base64(&'a [u8]),
}

impl<'a> EncodedReader<'a> {
    /// The file of a picture; base64 must be standard.
    pub fn of(encoded: &'a Encoded) -> EncodedReader<'a> {
        match encoded {
            Encoded::Raw(bytes) => EncodedReader::Raw(bytes),
            Encoded::Base64(text) => EncodedReader::Base64(text),
        }
    }

    /// Bytes in all.
    pub fn len(self) -> usize {
        match self {
            EncodedReader::Raw(bytes) => bytes.len(),
            EncodedReader::Base64(text) => {
                let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
                (text.len() / 4 * 3).saturating_sub(padding)
            }
        }
    }

    /// The `N` bytes at `at`, at most twelve; `None` beyond the end.
    pub fn read<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        let end = at.checked_add(N).filter(|_| N <= MOST)?;
        match self {
            EncodedReader::Raw(bytes) => bytes.get(at..end)?.try_into().ok(),
            EncodedReader::Base64(text) => {
                // Three bytes are four characters. Twelve bytes lie in at most five such groups.
                let groups = text.get(at / 3 * 4..(end.div_ceil(3) * 4).min(text.len()))?;
                let mut decoded = [0; (MOST / 3 + 1) * 3];
                let decoded = STANDARD.decode(groups, decoded.as_mut_slice().as_out()).ok()?;
                decoded.get(at % 3..at % 3 + N)?.try_into().ok()
            }
        }
    }

    /// The first bytes, `most` of them or a few less.
    pub fn head(self, most: usize) -> Cow<'a, [u8]> {
        match self {
            EncodedReader::Raw(bytes) => Cow::Borrowed(&bytes[..bytes.len().min(most)]),
            EncodedReader::Base64(text) => {
                let groups = (text.len() / 4).min(most / 3);
                Cow::Owned(STANDARD.decode_to_vec(&text[..groups * 4]).unwrap_or_default())
            }
        }
    }

    /// All of them.
    pub fn whole(self) -> Cow<'a, [u8]> {
        self.head(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_few_bytes_are_the_same_raw_and_in_base64() {
        for length in [30, 31, 32] {
            let file: Vec<u8> = (0..length).collect();
            let text = STANDARD.encode_to_string(&file);
            let (raw, encoded) = (EncodedReader::Raw(&file), EncodedReader::Base64(text.as_bytes()));
            assert_eq!((raw.len(), encoded.len()), (file.len(), file.len()));
            for at in 0..40 {
                assert_eq!(raw.read::<1>(at), encoded.read::<1>(at), "{at}");
                assert_eq!(raw.read::<8>(at), encoded.read::<8>(at), "{at}");
                assert_eq!(raw.read::<12>(at), encoded.read::<12>(at), "{at}");
            }
            assert_eq!((raw.whole(), encoded.whole()), (Cow::Borrowed(&file[..]), Cow::Owned(file.clone())));
            assert_eq!(encoded.head(10), Cow::<[u8]>::Owned(file[..9].to_vec()));
        }
    }
}
