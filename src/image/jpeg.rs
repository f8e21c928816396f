//! Where a JPEG ends: at its end marker, or where one without that marker has all its blocks.
//!
//! Some encoders leave out the last two bytes, and every decoder reads such a file. Whether it was cut off then can only
//! be told by counting: each block of the picture is a run of Huffman codes. Codes are read, pixels are not. That is
//! done for files without an end alone, here for the sequential kind and in `jpeg/progressive.rs` for the other.

use memchr::memchr;

mod progressive;

/// The marker that ends a file.
pub const END: u8 = 0xd9;
/// The marker that begins a scan.
pub const SCAN: u8 = 0xda;

/// Whether a marker has no length and no data: restarts, and one that means nothing.
pub fn is_alone(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xd0..=0xd8)
}

/// Whether `file` has its end marker behind a scan, or all its blocks.
pub fn is_whole(file: &[u8]) -> bool {
    let (mut walk, mut at) = (Walk::default(), 2_usize);
    while let Some(marker) = next_marker(file, &mut at) {
        if marker == END {
            return walk.scans > 0;
        }
        if is_alone(marker) {
            continue;
        }
        let Some(segment) = segment(file, &mut at) else { return false };
        match marker {
            0xc0 | 0xc1 => walk.frame = Frame::read(segment),
            progressive::FRAME => walk.progressive = true,
            SCAN => {
                walk.scans += 1;
                let codes = file.get(at..).unwrap_or_default();
                let end = end_of_scan(codes);
                // What a marker follows is the next reader's; a last scan has to show that it is whole.
                match end {
                    Some(end) => {
                        walk.covered |= Scan::read(segment, &walk).map_or(0, |scan| scan.members());
                        at += end;
                    }
                    None if walk.progressive => return progressive::is_whole(file),
                    None => return walk.ends_with(segment, codes),
                }
            }
            _ => walk.tables_or_restart(marker, segment),
        }
    }
    false
}

/// The next marker, fill bytes and what does not belong there left out; `at` is behind it then.
fn next_marker(file: &[u8], at: &mut usize) -> Option<u8> {
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
fn segment<'a>(file: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_be_bytes(*file.get(*at..)?.first_chunk()?));
    let data = file.get(*at..)?.get(2..length)?;
    *at += length;
    Some(data)
}

/// Where a marker stands that is no restart; `None` where the codes run to the end of the file.
fn end_of_scan(codes: &[u8]) -> Option<usize> {
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

/// What the segments said on the way.
#[derive(Default)]
struct Walk {
    frame: Option<Frame>,
    /// Blocks of direct current, then of alternating; four of each.
    tables: [[Option<Huffman>; 4]; 2],
    /// Units between two restarts; 0 for none.
    restart: u16,
    scans: u32,
    /// Components whose scan was there, a bit each.
    covered: u8,
    progressive: bool,
}

/// A frame.
struct Frame {
    width: usize,
    height: usize,
    components: Vec<Component>,
}

#[derive(Clone, Copy)]
struct Component {
    id: u8,
    across: usize,
    down: usize,
}

impl Frame {
    fn read(segment: &[u8]) -> Option<Frame> {
        let [_, a, b, c, d, count, rest @ ..] = segment else { return None };
        let components: Vec<Component> = rest
            .chunks_exact(3)
            .take(usize::from(*count))
            .map(|part| Component {
                id: part[0],
                across: usize::from(part[1] >> 4).clamp(1, 4),
                down: usize::from(part[1] & 15).clamp(1, 4),
            })
            .collect();
        let [height, width] = [[*a, *b], [*c, *d]].map(|side| usize::from(u16::from_be_bytes(side)));
        let sound = (1..=4).contains(&components.len()) && width > 0 && height > 0;
        sound.then_some(Frame { width, height, components })
    }

    /// Blocks of a component that comes by itself: block by block, without those that only fill up a unit.
    fn blocks(&self, own: Component) -> (usize, usize) {
        let (across, down) = self.most();
        let blocks = |side: usize, own: usize, most: usize| (side * own).div_ceil(most).div_ceil(8);
        (blocks(self.width, own.across, across), blocks(self.height, own.down, down))
    }

    /// The most blocks a component has in a unit, across and down.
    fn most(&self) -> (usize, usize) {
        let sides = |side: fn(&Component) -> usize| self.components.iter().map(side).max().unwrap_or(1);
        (sides(|component| component.across), sides(|component| component.down))
    }
}

/// A scan: the components it holds, each with its tables.
struct Scan<'w> {
    members: Vec<(usize, &'w Huffman, &'w Huffman)>,
}

impl<'w> Scan<'w> {
    fn read(segment: &[u8], walk: &'w Walk) -> Option<Scan<'w>> {
        let (frame, (count, rest)) = (walk.frame.as_ref()?, segment.split_first()?);
        let table = |class: usize, index: u8| walk.tables[class].get(usize::from(index))?.as_ref();
        let members = rest.chunks_exact(2).take(usize::from(*count)).map(|part| {
            let place = frame.components.iter().position(|component| component.id == part[0])?;
            Some((place, table(0, part[1] >> 4)?, table(1, part[1] & 15)?))
        });
        let members = members.collect::<Option<Vec<_>>>()?;
        (members.len() == usize::from(*count) && !members.is_empty()).then_some(Scan { members })
    }

    fn members(&self) -> u8 {
        self.members.iter().fold(0, |all, (place, ..)| all | (1 << place))
    }
}

impl Walk {
    /// Reads what a segment says for the scans behind it.
    fn tables_or_restart(&mut self, marker: u8, segment: &[u8]) {
        match marker {
            0xc4 => self.tables(segment),
            0xdd => self.restart = segment.first_chunk().copied().map_or(0, u16::from_be_bytes),
            _ => {}
        }
    }

    /// Reads a segment of Huffman tables; one that makes no sense is none.
    fn tables(&mut self, mut segment: &[u8]) {
        while let Some((which, rest)) = segment.split_first() {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else { return };
            let symbols = counts.iter().map(|count| usize::from(*count)).sum();
            let Some((symbols, rest)) = rest.split_at_checked(symbols) else { return };
            if let Some(place) = self.tables[usize::from((which >> 4) & 1)].get_mut(usize::from(which & 15)) {
                *place = Some(Huffman::new(counts, symbols));
            }
            segment = rest;
        }
    }

    /// Whether the scan of this header, whose codes run to the end of the file, is the last and has all its blocks.
    fn ends_with(&self, header: &[u8], codes: &[u8]) -> bool {
        let (Some(frame), Some(scan)) = (&self.frame, Scan::read(header, self)) else { return false };
        let every = (1_u8 << frame.components.len()) - 1;
        (self.covered | scan.members()) == every && self.count(frame, &scan, codes).is_some_and(|left| left <= 1)
    }

    /// Reads all blocks of a scan; the bytes that are left behind them. Half an end marker is one.
    fn count(&self, frame: &Frame, scan: &Scan<'_>, codes: &[u8]) -> Option<usize> {
        let (across, down) = frame.most();
        let alone = scan.members.len() == 1;
        let units = match &scan.members[..] {
            [(place, ..)] => {
                let (across, down) = frame.blocks(frame.components[*place]);
                across * down
            }
            _ => frame.width.div_ceil(8 * across) * frame.height.div_ceil(8 * down),
        };
        let mut bits = Bits::new(codes);
        for unit in 0..units {
            if self.restart > 0 && unit > 0 && unit % usize::from(self.restart) == 0 {
                bits.restart()?;
            }
            for (place, first, rest) in &scan.members {
                let own = frame.components[*place];
                for _ in 0..if alone { 1 } else { own.across * own.down } {
                    block(&mut bits, first, rest)?;
                }
            }
        }
        Some(codes.len() - bits.at)
    }
}

/// Reads one block's codes.
fn block(bits: &mut Bits<'_>, first: &Huffman, rest: &Huffman) -> Option<()> {
    let length = first.symbol(bits)?;
    bits.skip(u32::from(length & 15))?;
    let mut at = 1;
    while at < 64 {
        let symbol = rest.symbol(bits)?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => at += 16,
            (_, 0) => break,
            (run, length) => {
                at += u32::from(run) + 1;
                bits.skip(u32::from(length))?;
            }
        }
    }
    Some(())
}

/// A Huffman table in its canonical form: for each length of a code, the first code beyond it and where its symbols are.
struct Huffman {
    symbols: Vec<u8>,
    /// By length less one: the first code that is too large, and what to add to a code to find its symbol.
    lengths: [(u32, i64); 16],
}

impl Huffman {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Huffman {
        let (mut code, mut known, mut lengths) = (0_u32, 0_i64, [(0, 0); 16]);
        for (count, length) in counts.iter().zip(&mut lengths) {
            let first = i64::from(code);
            code += u32::from(*count);
            *length = (code, known - first);
            known += i64::from(*count);
            code <<= 1;
        }
        Huffman { symbols: symbols.to_vec(), lengths }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let mut code = 0_u32;
        for (beyond, shift) in self.lengths {
            code = (code << 1) | bits.next()?;
            if code < beyond {
                let place = usize::try_from(i64::from(code) + shift).ok()?;
                return self.symbols.get(place).copied();
            }
        }
        None
    }
}

/// The bits of a scan, the zero behind each 0xff left out.
struct Bits<'a> {
    codes: &'a [u8],
    at: usize,
    held: u8,
    left: u32,
}

impl Bits<'_> {
    fn new(codes: &[u8]) -> Bits<'_> {
        Bits { codes, at: 0, held: 0, left: 0 }
    }

    fn next(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.held = *self.codes.get(self.at)?;
            self.at += 1;
            if self.held == 0xff {
                // Any other byte there begins a marker, and the codes are at their end.
                self.codes.get(self.at).filter(|byte| **byte == 0)?;
                self.at += 1;
            }
            self.left = 8;
        }
        self.left -= 1;
        Some(u32::from((self.held >> self.left) & 1))
    }

    fn skip(&mut self, bits: u32) -> Option<()> {
        (0..bits).try_for_each(|_| self.next().map(drop))
    }

    /// Goes on behind a restart marker.
    fn restart(&mut self) -> Option<()> {
        self.left = 0;
        while self.codes.get(self.at..self.at + 2)? == [0xff, 0xff] {
            self.at += 1;
        }
        matches!(self.codes.get(self.at..self.at + 2)?, [0xff, 0xd0..=0xd7]).then(|| self.at += 2)
    }
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
