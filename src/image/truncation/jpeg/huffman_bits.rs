//! Bits of a scan, and the codes that stand in them.

/// A Huffman table in its canonical form: for each length of a code, the first code beyond it and where its symbols are.
pub(super) struct Huffman {
    pub(super) symbols: Vec<u8>,
    /// By length less one: the first code that is too large, and what to add to a code to find its symbol.
    lengths: [(u32, i64); 16],
}

impl Huffman {
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Huffman {
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

    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
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
pub(super) struct Bits<'a> {
    pub(super) codes: &'a [u8],
    pub(super) at: usize,
    pub(super) held: u8,
    pub(super) left: u32,
}

impl Bits<'_> {
    pub(super) fn new(codes: &[u8]) -> Bits<'_> {
        Bits { codes, at: 0, held: 0, left: 0 }
    }

    pub(super) fn next(&mut self) -> Option<u32> {
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

    pub(super) fn skip(&mut self, bits: u32) -> Option<()> {
        (0..bits).try_for_each(|_| self.next().map(drop))
    }

    /// Goes on behind a restart marker.
    pub(super) fn restart(&mut self) -> Option<()> {
        self.left = 0;
        while self.codes.get(self.at..self.at + 2)? == [0xff, 0xff] {
            self.at += 1;
        }
        matches!(self.codes.get(self.at..self.at + 2)?, [0xff, 0xd0..=0xd7]).then(|| self.at += 2)
    }
}
