//! What the segments of a JPEG said so far: its frame, its Huffman tables, its restart interval.

use crate::image::truncation::jpeg::frame::Frame;
use crate::image::truncation::jpeg::huffman_bits::Huffman;

/// What the segments said on the way.
#[derive(Default)]
pub(super) struct DecoderState {
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

impl DecoderState {
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
}
