//! A frame: its size and its components, and the walk through their blocks.

use crate::image::truncation::jpeg::bits::{Bits, Huffman};

/// What the segments said on the way.
#[derive(Default)]
pub(super) struct SegmentWalk {
    pub(super) frame: Option<Frame>,
    /// Blocks of direct current, then of alternating; four of each.
    pub(super) tables: [[Option<Huffman>; 4]; 2],
    /// Units between two restarts; 0 for none.
    pub(super) restart: u16,
    pub(super) scans: u32,
    /// Components whose scan was there, a bit each.
    pub(super) covered: u8,
    pub(super) progressive: bool,
}

/// A frame.
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
}

#[derive(Clone, Copy)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) across: usize,
    pub(super) down: usize,
}

impl Frame {
    pub(super) fn read(segment: &[u8]) -> Option<Frame> {
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
    pub(super) fn blocks(&self, own: Component) -> (usize, usize) {
        let (across, down) = self.most();
        let blocks = |side: usize, own: usize, most: usize| (side * own).div_ceil(most).div_ceil(8);
        (blocks(self.width, own.across, across), blocks(self.height, own.down, down))
    }

    /// The most blocks a component has in a unit, across and down.
    pub(super) fn most(&self) -> (usize, usize) {
        let sides = |side: fn(&Component) -> usize| self.components.iter().map(side).max().unwrap_or(1);
        (sides(|component| component.across), sides(|component| component.down))
    }
}

impl SegmentWalk {
    /// Reads what a segment says for the scans behind it.
    pub(super) fn tables_or_restart(&mut self, marker: u8, segment: &[u8]) {
        match marker {
            0xc4 => self.tables(segment),
            0xdd => self.restart = segment.first_chunk().copied().map_or(0, u16::from_be_bytes),
            _ => {}
        }
    }

    /// Reads a segment of Huffman tables; one that makes no sense is none.
    pub(super) fn tables(&mut self, mut segment: &[u8]) {
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
    pub(super) fn ends_with(&self, header: &[u8], codes: &[u8]) -> bool {
        let (Some(frame), Some(scan)) = (&self.frame, Scan::read(header, self)) else { return false };
        let every = (1_u8 << frame.components.len()) - 1;
        (self.covered | scan.members()) == every && self.count(frame, &scan, codes).is_some_and(|left| left <= 1)
    }

    /// Reads all blocks of a scan; the bytes that are left behind them. Half an end marker is one.
    pub(super) fn count(&self, frame: &Frame, scan: &Scan<'_>, codes: &[u8]) -> Option<usize> {
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

/// A scan: the components it holds, each with its tables.
pub(super) struct Scan<'w> {
    pub(super) members: Vec<(usize, &'w Huffman, &'w Huffman)>,
}

impl<'w> Scan<'w> {
    pub(super) fn read(segment: &[u8], walk: &'w SegmentWalk) -> Option<Scan<'w>> {
        let (frame, (count, rest)) = (walk.frame.as_ref()?, segment.split_first()?);
        let table = |class: usize, index: u8| walk.tables[class].get(usize::from(index))?.as_ref();
        let members = rest.chunks_exact(2).take(usize::from(*count)).map(|part| {
            let place = frame.components.iter().position(|component| component.id == part[0])?;
            Some((place, table(0, part[1] >> 4)?, table(1, part[1] & 15)?))
        });
        let members = members.collect::<Option<Vec<_>>>()?;
        (members.len() == usize::from(*count) && !members.is_empty()).then_some(Scan { members })
    }

    pub(super) fn members(&self) -> u8 {
        self.members.iter().fold(0, |all, (place, ..)| all | (1 << place))
    }
}

/// Reads one block's codes.
pub(super) fn block(bits: &mut Bits<'_>, first: &Huffman, rest: &Huffman) -> Option<()> {
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
