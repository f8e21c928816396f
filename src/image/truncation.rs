//! Whether a picture's file is whole: a walk over its chunks or markers to the one that ends it.
//!
//! What follows the end is nobody's concern: phones add trailers, disks pad to a block, and every decoder reads the
//! picture all the same. A file that ends before it is at its end was cut off.

use crate::image::format::Format;
use crate::image::reader::EncodedReader;
use crate::image::truncation::jpeg::marker;
use crate::image::truncation::jpeg::marker::SCAN;

pub(in crate::image) mod jpeg;

/// A chunk of a PNG besides its data: length, type and checksum.
const PNG_CHUNK: usize = 12;
/// A chunk of a RIFF file besides its data: type and length.
const RIFF_CHUNK: usize = 8;

/// Whether `file`, which begins like one of this format, is whole.
pub fn is_whole(format: Format, file: EncodedReader<'_>) -> bool {
    match format {
        Format::Png => png(file),
        Format::Jpeg => jpeg(file),
        Format::Webp => webp(file),
    }
}

/// From chunk to chunk to `IEND`, whose checksum is the last of the file, with a picture on the way.
fn png(file: EncodedReader<'_>) -> bool {
    let (length, mut at, mut drawn) = (file.len(), 8_usize, false);
    while let Some([a, b, c, d, kind @ ..]) = file.read::<8>(at) {
        let data = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(next) = at.checked_add(PNG_CHUNK).and_then(|at| at.checked_add(data)) else { return false };
        if kind == *b"IEND" {
            return drawn && next <= length;
        }
        drawn |= kind == *b"IDAT";
        at = next;
    }
    false
}

/// From marker to marker to the scan; a file whose last two bytes end a picture needs no look at what is between, since
/// no scan holds them. Any other is walked to its end.
fn jpeg(file: EncodedReader<'_>) -> bool {
    let ended = file.len().checked_sub(2).and_then(|at| file.read::<2>(at)) == Some([0xff, marker::END]);
    (ended && begins_a_scan(file)) || jpeg::is_whole(&file.whole())
}

fn begins_a_scan(file: EncodedReader<'_>) -> bool {
    let mut at = 2_usize;
    while let Some([0xff, marker, high, low]) = file.read::<4>(at) {
        at += match marker {
            SCAN => return true,
            0xff => 1,
            marker if marker::is_alone(marker) => 2,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
    }
    false
}

/// From chunk to chunk to where the header says that it ends, with a picture on the way. A chunk of an odd length is
/// padded to an even one; some writers leave that out behind the last.
fn webp(file: EncodedReader<'_>) -> bool {
    let Some(told) = file.read::<4>(4).map(u32::from_le_bytes) else { return false };
    let (length, end) = (file.len(), told as usize + RIFF_CHUNK);
    let (mut at, mut drawn) = (12_usize, false);
    while at < end {
        let Some([kind @ .., a, b, c, d]) = file.read::<8>(at) else { break };
        let data = u32::from_le_bytes([a, b, c, d]) as usize;
        let Some(next) = at.checked_add(RIFF_CHUNK).and_then(|at| at.checked_add(data)) else { return false };
        if next > length {
            return false;
        }
        drawn |= matches!(&kind, b"VP8 " | b"VP8L" | b"ANMF");
        at = next.saturating_add(data % 2);
    }
    drawn && at >= end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn riff(told: usize, chunks: &[(&[u8; 4], usize, usize)]) -> Vec<u8> {
        let mut file = [b"RIFF", &(told as u32).to_le_bytes()[..], b"WEBP"].concat();
        for (kind, told, held) in chunks {
            file.extend_from_slice(&[&kind[..], &(*told as u32).to_le_bytes()].concat());
            file.resize(file.len() + held, 7);
        }
        file
    }

    #[test]
    fn the_padding_of_an_odd_chunk_may_be_missing_at_the_end_and_nothing_else() {
        for (told, chunks, whole) in [
            (4 + 8 + 10, &[(b"VP8 ", 10, 10)][..], true),
            // Eleven bytes and one of padding, told and there; told and missing; neither.
            (4 + 8 + 12, &[(b"VP8 ", 11, 12)], true),
            (4 + 8 + 12, &[(b"VP8 ", 11, 11)], true),
            (4 + 8 + 11, &[(b"VP8L", 11, 11)], true),
            // Odd in the middle.
            (4 + 8 + 12 + 8 + 4, &[(b"VP8 ", 11, 12), (b"EXIF", 4, 4)], true),
            (4 + 8 + 12 + 8 + 4, &[(b"VP8 ", 11, 12), (b"EXIF", 4, 2)], false),
            (4 + 8 + 12 + 8 + 4, &[(b"VP8 ", 11, 12)], false),
            // Bytes behind the end.
            (4 + 8 + 10, &[(b"VP8 ", 10, 75)], true),
            (4 + 8 + 10, &[(b"VP8 ", 10, 9)], false),
            (4 + 8 + 12, &[(b"VP8 ", 12, 11)], false),
            (4 + 8 + 10, &[(b"VP8X", 10, 10)], false),
            (4, &[], false),
        ] {
            assert_eq!(webp(EncodedReader::Raw(&riff(told, chunks))), whole, "{told} {chunks:?}");
        }
    }

    #[test]
    fn a_png_ends_with_its_last_chunk_and_a_chunk_may_be_of_any_length() {
        let chunk = |kind: &[u8; 4], data: usize| [&(data as u32).to_be_bytes()[..], kind, &vec![0; data + 4]].concat();
        let file = |chunks: &[Vec<u8>]| [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat();
        let whole = file(&[chunk(b"IHDR", 13), chunk(b"IDAT", 700), chunk(b"IDAT", 0), chunk(b"IEND", 0)]);
        assert!(png(EncodedReader::Raw(&whole)));
        for cut in 0..whole.len() {
            assert!(!png(EncodedReader::Raw(&whole[..cut])), "{cut}");
        }
        for behind in [1, 40, 65, 4096] {
            assert!(png(EncodedReader::Raw(&[whole.clone(), vec![0; behind]].concat())), "{behind}");
        }
        assert!(!png(EncodedReader::Raw(&file(&[chunk(b"IHDR", 13), chunk(b"IEND", 0)]))), "nothing is drawn");
        // The word by itself is no chunk.
        let text =
            file(&[chunk(b"IHDR", 13), [&2_000_u32.to_be_bytes()[..], b"IDAT", b"IEND\xae\x42\x60\x82"].concat()]);
        assert!(!png(EncodedReader::Raw(&text)));
        assert!(!png(EncodedReader::Raw(&file(&[[&u32::MAX.to_be_bytes()[..], b"IDAT"].concat()]))));
    }
}
