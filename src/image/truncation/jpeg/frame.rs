//! The frame of a JPEG: its size and its components.

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
