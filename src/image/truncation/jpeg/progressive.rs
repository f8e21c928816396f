//! Whether a progressive JPEG without its end marker is whole.
//!
//! Such a file brings each block in many scans, first roughly and then bit by bit. It is whole when every scan can be
//! read to its end and together they leave no bit of any coefficient open. What a refining scan holds depends on which
//! coefficients are zero so far, so that much of each block is remembered.

use crate::image::truncation::jpeg::decoder_state::DecoderState;
use crate::image::truncation::jpeg::frame::{Component, Frame};
use crate::image::truncation::jpeg::huffman_bits::{Bits, Huffman};
use crate::image::truncation::jpeg::marker::{SCAN, end_of_scan, is_alone, next_marker, segment};

/// The marker that begins a progressive frame.
pub const FRAME: u8 = 0xc2;
/// The most blocks of a component that are remembered, at eight bytes each: those of 64 megapixels.
const MOST_BLOCKS: usize = 1 << 20;
/// The most scans that are read; encoders write about ten.
const MOST_SCANS: u32 = 32;
/// A coefficient of which nothing came yet.
const OPEN: u8 = u8::MAX;

/// Whether nothing is missing of `file`, whose last scan runs to its end.
pub fn is_whole(file: &[u8]) -> bool {
    read(file).unwrap_or(false)
}

fn read(file: &[u8]) -> Option<bool> {
    let (mut state, mut at, mut planes) = (DecoderState::default(), 2_usize, Vec::new());
    while let Some(marker) = next_marker(file, &mut at) {
        if is_alone(marker) {
            continue;
        }
        let segment = segment(file, &mut at)?;
        match marker {
            FRAME => {
                let frame = Frame::read(segment)?;
                planes = (0..frame.components.len()).map(|place| Plane::of(&frame, place)).collect::<Option<_>>()?;
                state.frame = Some(frame);
            }
            SCAN => {
                state.scans += 1;
                let codes = file.get(at..).filter(|_| state.scans <= MOST_SCANS)?;
                let left = ProgressiveScan::read(segment, &state)?.fill(&mut planes, codes)?;
                match end_of_scan(codes) {
                    Some(end) => at += end,
                    None => return Some(left <= 1 && planes.iter().all(Plane::is_exact)),
                }
            }
            _ => state.tables_or_restart(marker, segment),
        }
    }
    None
}

/// What is known of a component's blocks.
struct Plane {
    /// Blocks in a row and in a column, those included that only fill up a unit.
    across: usize,
    /// Blocks that are part of the picture; a component by itself brings only these.
    seen: (usize, usize),
    /// A bit for each coefficient that is not zero.
    blocks: Vec<u64>,
    /// For each coefficient the lowest bits that are still to come.
    open: [u8; 64],
}

impl Plane {
    fn of(frame: &Frame, place: usize) -> Option<Plane> {
        let (own, (most_across, most_down)) = (frame.components[place], frame.most());
        let units = |side: usize, most: usize| side.div_ceil(8 * most);
        let (across, down) = (units(frame.width, most_across) * own.across, units(frame.height, most_down) * own.down);
        let blocks = across.checked_mul(down).filter(|blocks| *blocks <= MOST_BLOCKS)?;
        Some(Plane { across, seen: frame.blocks(own), blocks: vec![0; blocks], open: [OPEN; 64] })
    }

    fn is_exact(&self) -> bool {
        self.open.iter().all(|bits| *bits == 0)
    }
}

/// The header of a scan.
struct ProgressiveScan<'w> {
    frame: &'w Frame,
    /// Places of its components, each with its table of direct current and of alternating.
    members: Vec<(usize, Option<&'w Huffman>, Option<&'w Huffman>)>,
    first: usize,
    last: usize,
    /// Whether it adds a bit to what came before.
    refines: bool,
    /// Bits that it leaves open.
    open: u8,
    restart: usize,
}

impl<'w> ProgressiveScan<'w> {
    fn read(segment: &[u8], state: &'w DecoderState) -> Option<ProgressiveScan<'w>> {
        let (frame, (count, rest)) = (state.frame.as_ref()?, segment.split_first()?);
        let (members, band) = rest.split_at_checked(2 * usize::from(*count))?;
        let table = |class: usize, index: u8| state.tables[class].get(usize::from(index)).and_then(Option::as_ref);
        let members = members.chunks_exact(2).map(|part| {
            let place = frame.components.iter().position(|component| component.id == part[0])?;
            Some((place, table(0, part[1] >> 4), table(1, part[1] & 15)))
        });
        let members: Vec<_> = members.collect::<Option<_>>()?;
        let [first, last, bits] = *band.first_chunk()?;
        let (first, last) = (usize::from(first), usize::from(last));
        // Alternating current comes for one component at a time, and never with direct current.
        let sound = if first == 0 { last == 0 && !members.is_empty() } else { first <= last && members.len() == 1 };
        let scan = ProgressiveScan {
            frame,
            members,
            first,
            last,
            refines: bits >> 4 > 0,
            open: bits & 15,
            restart: usize::from(state.restart),
        };
        (sound && last < 64).then_some(scan)
    }

    /// Reads all its blocks; the bytes that are left behind them.
    fn fill(&self, planes: &mut [Plane], codes: &[u8]) -> Option<usize> {
        let mut bits = Bits::new(codes);
        let mut run = 0;
        for unit in 0..self.units(planes)? {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                bits.restart()?;
                run = 0;
            }
            for (place, direct, alternating) in &self.members {
                for _ in 0..self.blocks_of_a_unit(*place) {
                    match (self.first, self.refines) {
                        (0, false) => {
                            let length = direct.as_ref()?.symbol(&mut bits)?;
                            bits.skip(u32::from(length & 15))?;
                        }
                        (0, true) => bits.skip(1)?,
                        (_, refines) => {
                            let plane = planes.get_mut(*place)?;
                            let block =
                                plane.blocks.get_mut(unit / plane.seen.0 * plane.across + unit % plane.seen.0)?;
                            let table = alternating.as_ref()?;
                            match refines {
                                false => self.bring(block, &mut run, &mut bits, table)?,
                                true => self.refine(block, &mut run, &mut bits, table)?,
                            }
                        }
                    }
                }
            }
        }
        for (place, ..) in &self.members {
            planes.get_mut(*place)?.open[self.first..=self.last].fill(self.open);
        }
        Some(codes.len() - bits.at)
    }

    fn units(&self, planes: &[Plane]) -> Option<usize> {
        let (across, down) = match &self.members[..] {
            [(place, ..)] => planes.get(*place)?.seen,
            _ => {
                let (across, down) = self.frame.most();
                (self.frame.width.div_ceil(8 * across), self.frame.height.div_ceil(8 * down))
            }
        };
        Some(across * down)
    }

    fn blocks_of_a_unit(&self, place: usize) -> usize {
        let Component { across, down, .. } = self.frame.components[place];
        if self.members.len() == 1 { 1 } else { across * down }
    }

    /// The first bits of a block's coefficients. `run` is how many blocks have none any more.
    fn bring(&self, block: &mut u64, run: &mut u32, bits: &mut Bits<'_>, table: &Huffman) -> Option<()> {
        if *run > 0 {
            *run -= 1;
            return Some(());
        }
        let mut at = self.first;
        while at <= self.last {
            let symbol = table.symbol(bits)?;
            match (usize::from(symbol >> 4), symbol & 15) {
                (15, 0) => at += 16,
                (zeros, 0) => {
                    *run = end_of_band(zeros, bits)? - 1;
                    break;
                }
                (zeros, length) => {
                    at += zeros;
                    bits.skip(u32::from(length))?;
                    *block |= 1_u64.checked_shl(u32::try_from(at).ok()?)?;
                    at += 1;
                }
            }
        }
        Some(())
    }

    /// One more bit for each coefficient that is not zero, and those that become so.
    fn refine(&self, block: &mut u64, run: &mut u32, bits: &mut Bits<'_>, table: &Huffman) -> Option<()> {
        let is_set = |block: u64, at: usize| (block >> at) & 1 == 1;
        let mut at = self.first;
        while *run == 0 && at <= self.last {
            let symbol = table.symbol(bits)?;
            let (mut zeros, length) = (usize::from(symbol >> 4), symbol & 15);
            match length {
                0 if zeros < 15 => {
                    *run = end_of_band(zeros, bits)?;
                    break;
                }
                0 => {}
                _ => bits.skip(1)?,
            }
            // Past those that are not zero, each with its bit, and past so many that stay zero.
            while at <= self.last {
                if is_set(*block, at) {
                    bits.skip(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if length > 0 && at <= self.last {
                *block |= 1 << at;
            }
            at += 1;
        }
        if *run > 0 {
            let set = (at..=self.last).filter(|at| is_set(*block, *at)).count();
            bits.skip(u32::try_from(set).ok()?)?;
            *run -= 1;
        }
        Some(())
    }
}

/// How many blocks end here, this one included.
fn end_of_band(length: usize, bits: &mut Bits<'_>) -> Option<u32> {
    let mut more = 0;
    for _ in 0..length {
        more = (more << 1) | bits.next()?;
    }
    Some((1 << length) + more)
}

#[cfg(test)]
mod tests {
    use base64_simd::STANDARD;

    use super::*;
    use crate::image::truncation::jpeg;

    /// Written by libjpeg in its usual ten scans: 33 by 17 in colour, with half as many samples of the hues.
    const COLOUR: &str = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQ\
        WnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/2wBDARUXFx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8\
        fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wgARCAARACEDASIAAhEBAxEB/8QA\
        GAABAQEBAQAAAAAAAAAAAAAAAAQBAwX/xAAWAQEBAQAAAAAAAAAAAAAAAAAEAwL/2gAMAwEAAhADEAAA\
        AfP6VdpYj29pPjrlgU9gst0yiQQL/8QAGxAAAwACAwAAAAAAAAAAAAAAAAECAxIREzH/2gAIAQEAAQUC\
        UigUFYzrFIoNRy+NBCEP0//EABoRAAICAwAAAAAAAAAAAAAAAAACAxMQIjL/2gAIAQMBAT8BWUt1LRR+\
        cf/EABsRAAEEAwAAAAAAAAAAAAAAAAABAgMREDFh/9oACAECAQE/AWrZbUUvhEQbx//EABYQAAMAAAAA\
        AAAAAAAAAAAAAAIQMP/aAAgBAQAGPwKor//EABwQAAIBBQEAAAAAAAAAAAAAAAEQABEgMXGh4f/aAAgB\
        AQABPyFoEI8mjQUTEi3O5f/aAAwDAQACAAMAAAAQPuND98//xAAZEQACAwEAAAAAAAAAAAAAAAAAARAR\
        sXH/2gAIAQMBAT8QN2ezqGq1R//EABsRAAIBBQAAAAAAAAAAAAAAAAAQMQERIeHw/9oACAECAQE/EA46\
        and9LAv/xAAgEAACAgICAgMAAAAAAAAAAAAAAREhMUFhgRBRkfDx/9oACAEBAAE/EMNHCcJEVVOco71v\
        5IfgrwKqhNIl+h5kxyoqElqyZl0amZ9bleP/2Q==";

    /// In six scans, a restart after every fourth block.
    const GREY: &str = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQ\
        WnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/wgALCAARACEBAREA/8QAFwABAQEBAAAAAAAAAAAA\
        AAAABAMBBf/dAAQABP/aAAgBAQAAAAHn0pv/0Oe61P/RQVNv/9J2k//EABsQAAMAAgMAAAAAAAAAAAAA\
        AAABAgMSERMx/9oACAEBAAEFAlIoFBWM/9DrFIoNT//RcvjQQj//0kP0/8QAFxABAAMAAAAAAAAAAAAA\
        AAAAIAACEP/aAAgBAQAGPwIf/9Af/9Ef/9KVz//EABwQAAIBBQEAAAAAAAAAAAAAAAABEBEgMXGh4f/a\
        AAgBAQABPyGUGNeH/9DSUVB//9HEqzf/0h3R/9oACAEBAAAAEC//0H//0c//0v8A/8QAIBAAAgICAgID\
        AAAAAAAAAAAAAAERITFBYYEQUZHw8f/aAAgBAQABPxDDRwnCRFVTnKO9b+T/0IfgrwKqhNIl+j//0XmT\
        HKioSWrJmXRqf//SzPrcrx//2Q==";

    #[test]
    fn a_progressive_file_without_its_end_is_whole_when_no_code_of_any_scan_is_missing() {
        for text in [COLOUR, GREY] {
            let file = STANDARD.decode_to_vec(text).unwrap();
            for cut in 0..=2 {
                assert!(jpeg::is_whole(&file[..file.len() - cut]), "{cut} bytes off {}", file.len());
            }
            for cut in 0..file.len() - 2 {
                assert!(!jpeg::is_whole(&file[..cut]), "the first {cut} of {}", file.len());
            }
        }
    }

    #[test]
    fn what_is_read_of_a_file_never_panics_and_never_takes_more_memory_than_it_may() {
        for text in [COLOUR, GREY] {
            let file = STANDARD.decode_to_vec(text).unwrap();
            for place in 2..file.len() {
                for byte in [0, 0xff, file[place] ^ 0x10] {
                    let mut spoiled = file[..file.len() - 2].to_vec();
                    spoiled[place.min(file.len() - 3)] = byte;
                    is_whole(&spoiled);
                }
            }
            let frame = file.windows(2).position(|marker| marker == [0xff, FRAME]).unwrap();
            let mut huge = file[..file.len() - 2].to_vec();
            huge[frame + 5..frame + 9].fill(0xff);
            assert!(!is_whole(&huge));
        }
    }
}
