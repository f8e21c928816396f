//! Whether a JPEG's data are all there.
//!
//! Decoders draw what they can of a file that was cut and closed again, or has a hole, and say nothing: what is missing becomes
//! grey, and what follows a hole slides. Here the codes of a baseline file are walked through without being turned into pixels:
//! each scan must hold exactly as many blocks as the picture has. After a hole the codes fall into step again, but hardly ever
//! with the right number of blocks. Of a progressive file it is known only whether each coefficient was refined to its last bit.

/// A table of codes: the first nine bits lead to most symbols, the rest are found by length.
#[derive(Clone)]
struct Codes {
    /// Length and symbol by the first bits; length 0 is a longer code.
    fast: Vec<(u8, u8)>,
    /// The first code after those of each length, counted in 16 bits, and where its symbols end.
    ends: [u32; 17],
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

const FAST: usize = 9;

impl Codes {
    fn new(counts: &[u8], symbols: &[u8]) -> Option<Codes> {
        let mut codes =
            Codes { fast: vec![(0, 0); 1 << FAST], ends: [0; 17], offsets: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut at) = (0_u32, 0_usize);
        for length in 1..=16 {
            let count = usize::from(*counts.get(length - 1)?);
            codes.offsets[length] = i32::try_from(at).ok()? - i32::try_from(code).ok()?;
            for symbol in symbols.get(at..at + count)? {
                if length <= FAST {
                    let first = (code as usize) << (FAST - length);
                    codes.fast.get_mut(first..first + (1 << (FAST - length)))?.fill((length as u8, *symbol));
                }
                code += 1;
            }
            at += count;
            // More codes than there are bits for.
            if code > 1 << length {
                return None;
            }
            codes.ends[length] = code << (16 - length);
            code <<= 1;
        }
        Some(codes)
    }
}

/// Bits of a scan, up to the marker that ends it.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
    /// Bits that were asked for and were not there.
    missing: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match self.data.get(self.at) {
                Some(0xff) if self.data.get(self.at + 1) == Some(&0) => {
                    self.at += 2;
                    0xff
                }
                Some(0xff) | None => {
                    self.missing += 8;
                    0
                }
                Some(byte) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    fn peek(&self, bits: u32) -> usize {
        (self.held >> (self.count - bits)) as usize & ((1 << bits) - 1)
    }

    fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        if self.count < 32 {
            self.fill();
        }
        let (length, symbol) = codes.fast[self.peek(FAST as u32)];
        if length > 0 {
            self.count -= u32::from(length);
            return Some(symbol);
        }
        let next = self.peek(16) as u32;
        let length = (FAST + 1..=16).find(|length| next < codes.ends[*length])?;
        self.count -= length as u32;
        let index = (next >> (16 - length)) as i32 + codes.offsets[length];
        codes.symbols.get(usize::try_from(index).ok()?).copied()
    }

    /// Goes to the byte after the last bit that was used, and whether all of them were there, but for a few at the end.
    fn finish(&mut self) -> bool {
        let unused = self.count / 8;
        let invented = self.missing / 8;
        let whole = self.missing.saturating_sub(self.count) <= LEFT_OUT;
        // Bytes that were read ahead, each of which may have been two in the file.
        for _ in 0..unused.saturating_sub(invented) {
            let stuffed = self.at >= 2 && self.data.get(self.at - 2..self.at) == Some(&[0xff, 0]);
            self.at -= if stuffed { 2 } else { 1 };
        }
        (self.held, self.count, self.missing) = (0, 0, 0);
        whole
    }
}

/// A component of the picture.
#[derive(Clone, Copy)]
struct Component {
    id: u8,
    across: usize,
    down: usize,
    /// Which coefficients have been refined to their last bit.
    done: u64,
}

struct Walk<'a> {
    file: &'a [u8],
    at: usize,
    width: usize,
    height: usize,
    components: Vec<Component>,
    progressive: bool,
    /// Direct and alternating, four each.
    codes: [[Option<Codes>; 4]; 2],
    restart: usize,
}

/// Bits of the last block that a file may lack: every decoder takes them for zeros, and nobody sees it. Small files are made by
/// leaving them out.
const LEFT_OUT: u32 = 8;
/// Bytes between the last block and the next marker that an encoder may leave.
const LEFT_OVER: usize = 2;

/// Whether all of the blocks are there, as far as can be told without pixels.
pub(super) fn is_whole(file: &[u8]) -> bool {
    let codes = std::array::from_fn(|_| [const { None }; 4]);
    let mut walk =
        Walk { file, at: 2, width: 0, height: 0, components: Vec::new(), progressive: false, codes, restart: 0 };
    walk.run().unwrap_or(false)
}

impl Walk<'_> {
    /// `None` is a file that ends too early.
    fn run(&mut self) -> Option<bool> {
        loop {
            let marker = self.marker()?;
            match marker {
                0xd9 => break,
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let length = usize::from(u16::from_be_bytes(*self.file.get(self.at..)?.first_chunk::<2>()?));
            let segment = self.file.get(self.at + 2..self.at + length)?;
            self.at += length;
            match marker {
                0xc0..=0xc2 => self.frame(segment, marker == 0xc2)?,
                0xc4 => self.tables(segment)?,
                0xdd => self.restart = usize::from(u16::from_be_bytes(*segment.first_chunk::<2>()?)),
                0xda if !self.scan(segment)? => return Some(false),
                _ => {}
            }
        }
        Some(!self.components.is_empty() && self.components.iter().all(|component| component.done == u64::MAX))
    }

    /// The next marker's second byte.
    fn marker(&mut self) -> Option<u8> {
        loop {
            let rest = self.file.get(self.at..)?;
            let first = rest.iter().position(|byte| *byte == 0xff)?;
            self.at += first + 1;
            let byte = *self.file.get(self.at)?;
            if byte != 0 && byte != 0xff {
                self.at += 1;
                return Some(byte);
            }
        }
    }

    fn frame(&mut self, segment: &[u8], progressive: bool) -> Option<()> {
        self.progressive = progressive;
        self.height = usize::from(u16::from_be_bytes(*segment.get(1..)?.first_chunk::<2>()?));
        self.width = usize::from(u16::from_be_bytes(*segment.get(3..)?.first_chunk::<2>()?));
        let count = usize::from(*segment.get(5)?);
        let parts = segment.get(6..6 + 3 * count)?.as_chunks::<3>().0;
        let component = |[id, sampling, _]: &[u8; 3]| Component {
            id: *id,
            across: usize::from(sampling >> 4).clamp(1, 4),
            down: usize::from(sampling & 15).clamp(1, 4),
            done: 0,
        };
        self.components = parts.iter().map(component).collect();
        // One component alone is not sampled down, whatever is said of it.
        if let [only] = self.components.as_mut_slice() {
            (only.across, only.down) = (1, 1);
        }
        Some(())
    }

    fn tables(&mut self, segment: &[u8]) -> Option<()> {
        let mut rest = segment;
        while let Some((kind, after)) = rest.split_first() {
            let counts = after.get(..16)?;
            let symbols: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let codes = Codes::new(counts, after.get(16..16 + symbols)?);
            *self.codes.get_mut(usize::from(kind >> 4))?.get_mut(usize::from(kind & 15))? = Some(codes?);
            rest = after.get(16 + symbols..)?;
        }
        Some(())
    }

    /// Whether a scan has its blocks.
    fn scan(&mut self, header: &[u8]) -> Option<bool> {
        let count = usize::from(*header.first()?);
        let parts = header.get(1..1 + 2 * count)?.as_chunks::<2>().0;
        let [first, last, bits] = *header.get(1 + 2 * count..)?.first_chunk::<3>()?;
        let mut members = Vec::new();
        for [id, tables] in parts {
            let nth = self.components.iter().position(|component| component.id == *id)?;
            members.push((nth, usize::from(tables >> 4 & 3), usize::from(tables & 3)));
        }
        if self.progressive {
            if bits & 15 == 0 && first <= last && last < 64 {
                let refined = (u64::MAX >> (63 - (last - first))) << first;
                members.iter().for_each(|(nth, ..)| self.components[*nth].done |= refined);
            }
            // The next marker is found behind the data, which are not looked at.
            while matches!(self.file.get(self.at..)?.first_chunk::<2>(), Some([0xff, 0xd0..=0xd7]) | Some([0xff, 0])) {
                self.at += 2;
            }
            return self.skip_data();
        }
        members.iter().for_each(|(nth, ..)| self.components[*nth].done = u64::MAX);
        self.blocks(&members)
    }

    fn skip_data(&mut self) -> Option<bool> {
        loop {
            self.at += self.file.get(self.at..)?.iter().position(|byte| *byte == 0xff)?;
            match self.file.get(self.at + 1)? {
                0 | 0xd0..=0xd7 => self.at += 2,
                0xff => self.at += 1,
                _ => return Some(true),
            }
        }
    }

    fn blocks(&mut self, members: &[(usize, usize, usize)]) -> Option<bool> {
        let most = |of: fn(&Component) -> usize| self.components.iter().map(of).max();
        let (across, down) = (most(|component| component.across)?, most(|component| component.down)?);
        let units = match members {
            [(nth, ..)] => {
                let Component { across: own_across, down: own_down, .. } = self.components[*nth];
                (self.width * own_across).div_ceil(8 * across) * (self.height * own_down).div_ceil(8 * down)
            }
            _ => self.width.div_ceil(8 * across) * self.height.div_ceil(8 * down),
        };
        // What each unit is made of: the tables of each of its blocks.
        let mut unit = Vec::new();
        for (nth, direct, alternating) in members {
            let component = self.components[*nth];
            let blocks = if members.len() == 1 { 1 } else { component.across * component.down };
            let tables = (self.codes[0][*direct].as_ref()?, self.codes[1][*alternating].as_ref()?);
            unit.extend(std::iter::repeat_n(tables, blocks));
        }
        // Of bits that are all missing the shortest picture could be made.
        if self.file.get(self.at) == Some(&0xff) && self.file.get(self.at + 1) != Some(&0) {
            return Some(false);
        }
        let mut bits = Bits { data: self.file, at: self.at, held: 0, count: 0, missing: 0 };
        for nth in 0..units {
            if self.restart > 0 && nth > 0 && nth % self.restart == 0 {
                if !bits.finish() || !matches!(self.file.get(bits.at..bits.at + 2), Some([0xff, 0xd0..=0xd7])) {
                    return Some(false);
                }
                bits.at += 2;
            }
            for (direct, alternating) in &unit {
                if block(&mut bits, direct, alternating).is_none() {
                    return Some(false);
                }
            }
            // Much more is missing than is read ahead.
            if bits.missing > 128 {
                return Some(false);
            }
        }
        let whole = bits.finish();
        let rest = self.file.get(bits.at..)?;
        let left = rest.iter().position(|byte| *byte == 0xff).unwrap_or(rest.len());
        self.at = bits.at + left;
        let stuffed = rest.get(left + 1) == Some(&0);
        Some(whole && left <= LEFT_OVER && !stuffed)
    }
}

/// Goes over a block. `None` where its codes make no sense.
fn block(bits: &mut Bits<'_>, direct: &Codes, alternating: &Codes) -> Option<()> {
    let size = u32::from(bits.symbol(direct)?);
    if size > 16 {
        return None;
    }
    bits.count -= size.min(bits.count);
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(alternating)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run < 15 {
                return Some(());
            }
            at += 16;
        } else {
            at += run + 1;
            bits.count -= size;
        }
    }
    (at == 64).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey picture of one block whose codes take ten bits: two, seven more for the brightness, and one for the end.
    fn one_block(data: &[u8]) -> Vec<u8> {
        let segment = |marker: u8, bytes: &[u8]| {
            let length = u16::try_from(bytes.len() + 2).unwrap().to_be_bytes();
            [&[0xff, marker], &length[..], bytes].concat()
        };
        let counts = |first: u8, second: u8| [&[first, second][..], &[0; 14]].concat();
        let direct = [&[0][..], &counts(1, 1), &[0, 7]].concat();
        let alternating = [&[0x10][..], &counts(1, 0), &[0]].concat();
        [
            vec![0xff, 0xd8],
            segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]),
            segment(0xc4, &direct),
            segment(0xc4, &alternating),
            segment(0xda, &[1, 1, 0, 0, 63, 0]),
            data.to_vec(),
            vec![0xff, 0xd9],
        ]
        .concat()
    }

    #[test]
    fn a_file_may_lack_the_last_bits_of_its_last_block_and_no_more() {
        assert!(is_whole(&one_block(&[0x9f, 0x3f])), "all of it and bits that fill the byte");
        // As the smallest JPEGs that people send about are.
        assert!(is_whole(&one_block(&[0x9f])), "two bits are missing");
        assert!(!is_whole(&one_block(&[])), "all of them are");
        assert!(!is_whole(&one_block(&[0x9f, 0x3f, 1, 2, 3])), "bytes that are no block's");
    }
}
