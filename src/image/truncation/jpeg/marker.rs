//! Markers, which divide a JPEG file into segments.

use memchr::memchr;

/// The marker that ends a file.
pub const END: u8 = 0xd9;

/// The marker that begins a scan.
pub const SCAN: u8 = 0xda;

/// Whether a marker has no length and no data: restarts, and one that means nothing.
pub fn is_alone(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xd0..=0xd8)
}

/// The next marker, fill bytes and what does not belong there left out; `at` is behind it then.
pub(super) fn next_marker(file: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += memchr(0xff, file.get(*at..)?)? + 1;
        match file.get(*at)? {
            0xff => {}
            0 => *at += 1,
            marker => {
                *at += 1;
                return Some(*marker);
            }
        }
    }
}

/// The data behind a marker; `at` is behind it then.
pub(super) fn segment<'a>(file: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_be_bytes(*file.get(*at..)?.first_chunk()?));
    let data = file.get(*at..)?.get(2..length)?;
    *at += length;
    Some(data)
}

/// Where a marker stands that is no restart; `None` where the codes run to the end of the file.
pub(super) fn end_of_scan(codes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(0xff, codes.get(at..)?)?;
        match codes.get(at + 1)? {
            0 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}
