//! Where a JPEG ends: at its end marker, or where one without that marker has all its blocks.
//!
//! Some encoders leave out the last two bytes, and every decoder reads such a file. Whether it was cut off then can only
//! be told by counting: each block of the picture is a run of Huffman codes. Codes are read, pixels are not. That is
//! done for files without an end alone, here for the sequential kind and in `jpeg/progressive.rs` for the other.

use crate::image::truncation::jpeg::decoder_state::DecoderState;
use crate::image::truncation::jpeg::frame::Frame;
use crate::image::truncation::jpeg::marker::{END, SCAN, end_of_scan, is_alone, next_marker, segment};
use crate::image::truncation::jpeg::sequential_scan::SequentialScan;

mod decoder_state;
mod frame;
mod huffman_bits;
pub(in crate::image) mod marker;
mod progressive;
mod sequential_scan;

/// Whether `file` has its end marker behind a scan, or all its blocks.
pub fn is_whole(file: &[u8]) -> bool {
    let (mut state, mut at) = (DecoderState::default(), 2_usize);
    while let Some(marker) = next_marker(file, &mut at) {
        if marker == END {
            return state.scans > 0;
        }
        if is_alone(marker) {
            continue;
        }
        let Some(segment) = segment(file, &mut at) else { return false };
        match marker {
            0xc0 | 0xc1 => state.frame = Frame::read(segment),
            progressive::FRAME => state.progressive = true,
            SCAN => {
                state.scans += 1;
                let codes = file.get(at..).unwrap_or_default();
                let end = end_of_scan(codes);
                // What a marker follows is the next reader's; a last scan has to show that it is whole.
                match end {
                    Some(end) => {
                        state.covered |= SequentialScan::read(segment, &state).map_or(0, |scan| scan.members());
                        at += end;
                    }
                    None if state.progressive => return progressive::is_whole(file),
                    None => return state.ends_with(segment, codes),
                }
            }
            _ => state.tables_or_restart(marker, segment),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::codecs::jpeg::JpegEncoder;
    use image::{DynamicImage, GrayImage, RgbImage};

    use super::*;

    /// Noise, so that every block has many codes.
    fn noise(seed: u32) -> u8 {
        (seed.wrapping_mul(2_654_435_761) >> 13) as u8
    }

    fn encoded(picture: DynamicImage) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, 80)).unwrap();
        file.into_inner()
    }

    fn files() -> [Vec<u8>; 3] {
        let colour = RgbImage::from_fn(50, 33, |x, y| image::Rgb([noise(x + 99 * y), x as u8, y as u8]));
        let grey = GrayImage::from_fn(17, 40, |x, y| image::Luma([noise(x * y)]));
        let flat = GrayImage::from_pixel(8, 8, image::Luma([200]));
        [colour.into(), grey.into(), flat.into()].map(encoded)
    }

    #[test]
    fn a_file_without_its_end_is_whole_when_no_block_is_missing() {
        for file in files() {
            assert!(file.ends_with(&[0xff, END]));
            for cut in 0..=2 {
                assert!(is_whole(&file[..file.len() - cut]), "{cut} bytes off {}", file.len());
            }
            for cut in 0..file.len() - 2 {
                assert!(!is_whole(&file[..cut]), "the first {cut} of {}", file.len());
            }
        }
    }

    #[test]
    fn bytes_behind_the_end_are_nobodys_and_in_place_of_the_codes_they_are_none() {
        for file in files() {
            for behind in [vec![0; 1], vec![0; 65], vec![0xff; 9], b"\xff\xd8\xff trailer".to_vec(), vec![7; 4096]] {
                assert!(is_whole(&[&file[..], &behind].concat()), "{}", behind.len());
            }
            let half = file.len() * 9 / 10;
            assert!(!is_whole(&[&file[..half], &vec![0; 4096]].concat()), "cut off and padded");
        }
    }

    #[test]
    fn what_is_read_of_a_file_never_panics() {
        let [file, ..] = files();
        for place in 2..file.len() {
            for byte in [0, 0xff, file[place] ^ 0x10] {
                let mut spoiled = file.clone();
                spoiled[place] = byte;
                is_whole(&spoiled);
                is_whole(&spoiled[..file.len() - 2]);
            }
        }
    }
}
