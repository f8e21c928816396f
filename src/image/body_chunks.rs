//! A picture's bytes in the form they are wanted in, made piece by piece while they are sent.
//!
//! Whoever reads slowly shares the picture with all others and has no copy of it, whichever form it is held in.

use base64_simd::STANDARD;
use bytes::Bytes;

use crate::image::reader::EncodedReader;

/// Characters of base64 that are decoded, or made, at once: whole groups of four, and no long wait for anybody else.
const TEXT: usize = 64 * 1024;

/// Bytes on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyChunks {
    /// As they are held.
    Held(Bytes),
    /// Held in standard padded base64; goes as the file it stands for.
    Decoded(Bytes),
    /// Held as a file; goes in base64.
    Encoded(Bytes),
}

impl BodyChunks {
    /// Bytes that are still to go.
    pub fn len(&self) -> usize {
        match self {
            BodyChunks::Held(bytes) => bytes.len(),
            BodyChunks::Decoded(text) => EncodedReader::Base64(text).len(),
            BodyChunks::Encoded(file) => STANDARD.encoded_length(file.len()),
        }
    }

    /// Whether all have gone.
    pub fn is_empty(&self) -> bool {
        let (BodyChunks::Held(bytes) | BodyChunks::Decoded(bytes) | BodyChunks::Encoded(bytes)) = self;
        bytes.is_empty()
    }

    /// The next piece: of what is held at most `most` bytes, of what has to be made some ten thousand.
    pub fn next(&mut self, most: usize) -> Bytes {
        match self {
            BodyChunks::Held(bytes) => bytes.split_to(bytes.len().min(most)),
            BodyChunks::Decoded(text) => {
                let groups = text.split_to(text.len().min(TEXT));
                // Whoever keeps a picture in base64 has checked the whole of it.
                STANDARD.decode_to_vec(groups).unwrap_or_default().into()
            }
            BodyChunks::Encoded(file) => {
                let groups = file.split_to(file.len().min(TEXT / 4 * 3));
                STANDARD.encode_to_string(groups).into()
            }
        }
    }
}

impl From<Bytes> for BodyChunks {
    fn from(bytes: Bytes) -> BodyChunks {
        BodyChunks::Held(bytes)
    }
}

impl From<String> for BodyChunks {
    fn from(text: String) -> BodyChunks {
        BodyChunks::Held(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut part: BodyChunks, most: usize) -> (Vec<u8>, usize) {
        let (mut all, mut largest) = (Vec::new(), 0);
        while !part.is_empty() {
            let (before, piece) = (part.len(), part.next(most));
            assert_eq!(before, piece.len() + part.len());
            largest = largest.max(piece.len());
            all.extend_from_slice(&piece);
        }
        (all, largest)
    }

    #[test]
    fn in_pieces_it_is_what_it_is_as_a_whole_and_no_piece_is_large() {
        for length in [0, 1, 2, 3, 4, 48 * 1024 - 1, 48 * 1024, 48 * 1024 + 1, 200_000] {
            let file: Bytes = (0..length).map(|at: usize| ((at * 31) >> 3) as u8).collect();
            let text = Bytes::from(STANDARD.encode_to_string(&file));
            let (decoded, largest) = all(BodyChunks::Decoded(text.clone()), usize::MAX);
            assert!(decoded == file && largest <= TEXT, "{length}");
            let (encoded, largest) = all(BodyChunks::Encoded(file.clone()), usize::MAX);
            assert!(encoded == text && largest <= TEXT, "{length}");
            assert!(all(BodyChunks::Held(file.clone()), 1000).0 == file, "{length}");
        }
    }
}
