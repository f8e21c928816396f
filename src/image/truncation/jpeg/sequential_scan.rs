//! A sequential scan: which components it holds, and the walk through their blocks.

use crate::image::truncation::jpeg::decoder_state::DecoderState;
use crate::image::truncation::jpeg::frame::Frame;
use crate::image::truncation::jpeg::huffman_bits::{Bits, Huffman};

/// A scan: the components it holds, each with its tables.
pub(super) struct SequentialScan<'w> {
    pub(super) members: Vec<(usize, &'w Huffman, &'w Huffman)>,
}

impl<'w> SequentialScan<'w> {
    pub(super) fn read(segment: &[u8], state: &'w DecoderState) -> Option<SequentialScan<'w>> {
        let (frame, (count, rest)) = (state.frame.as_ref()?, segment.split_first()?);
        let table = |class: usize, index: u8| state.tables[class].get(usize::from(index))?.as_ref();
        let members = rest.chunks_exact(2).take(usize::from(*count)).map(|part| {
            let place = frame.components.iter().position(|component| component.id == part[0])?;
            Some((place, table(0, part[1] >> 4)?, table(1, part[1] & 15)?))
        });
        let members = members.collect::<Option<Vec<_>>>()?;
        (members.len() == usize::from(*count) && !members.is_empty()).then_some(SequentialScan { members })
    }

    pub(super) fn members(&self) -> u8 {
        self.members.iter().fold(0, |all, (place, ..)| all | (1 << place))
    }
}

impl DecoderState {
    /// Whether the scan of this header, whose codes run to the end of the file, is the last and has all its blocks.
    pub(super) fn ends_with(&self, header: &[u8], codes: &[u8]) -> bool {
        let (Some(frame), Some(scan)) = (&self.frame, SequentialScan::read(header, self)) else { return false };
        let every = (1_u8 << frame.components.len()) - 1;
        (self.covered | scan.members()) == every && self.count(frame, &scan, codes).is_some_and(|left| left <= 1)
    }

    /// Reads all blocks of a scan; the bytes that are left behind them. Half an end marker is one.
    pub(super) fn count(&self, frame: &Frame, scan: &SequentialScan<'_>, codes: &[u8]) -> Option<usize> {
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
