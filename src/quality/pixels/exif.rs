//! Which way up a picture is shown, from its EXIF data.

/// How the stored rows become what is shown: the eight values of EXIF's orientation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orientation {
    /// Rows become columns.
    transposed: bool,
    /// Then left and right change places.
    mirrored: bool,
    /// Then above and below.
    flipped: bool,
}

/// The tag of the orientation.
const ORIENTATION: u16 = 0x0112;
/// Entries of the first directory that are looked through. Cameras write about thirty.
const ENTRIES: usize = 256;

impl Orientation {
    /// The one that EXIF data name; as stored where they name none or cannot be read.
    pub(super) fn from_exif(exif: &[u8]) -> Orientation {
        // Some files have JPEG's own mark before the TIFF header.
        let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        Orientation::of(orientation_of(tiff).unwrap_or(1))
    }

    fn of(value: u16) -> Orientation {
        let (transposed, mirrored, flipped) = match value {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Orientation { transposed, mirrored, flipped }
    }

    /// The sides as they are shown.
    pub(super) fn turn(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.transposed { (height, width) } else { (width, height) }
    }

    /// Where a place of a square as shown is stored.
    pub(super) fn stored(self, x: usize, y: usize, side: usize) -> (usize, usize) {
        let x = if self.mirrored { side - 1 - x } else { x };
        let y = if self.flipped { side - 1 - y } else { y };
        if self.transposed { (y, x) } else { (x, y) }
    }
}

fn orientation_of(tiff: &[u8]) -> Option<u16> {
    let big = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let two = |at: usize| {
        let bytes = [*tiff.get(at)?, *tiff.get(at + 1)?];
        Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let four = |at: usize| {
        let (high, low) = if big { (two(at)?, two(at + 2)?) } else { (two(at + 2)?, two(at)?) };
        Some(usize::from(high) << 16 | usize::from(low))
    };
    let directory = four(4)?;
    let entries = usize::from(two(directory)?).min(ENTRIES);
    let entry = (0..entries).map(|entry| directory + 2 + 12 * entry).find(|at| two(*at) == Some(ORIENTATION))?;
    two(entry + 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(value: u8) -> Vec<u8> {
        let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        tiff.extend([value, 0, 0, 0, 0, 0, 0]);
        tiff
    }

    #[test]
    fn a_quarter_turn_swaps_the_sides_and_a_half_turn_does_not() {
        assert_eq!(Orientation::from_exif(&exif(6)).turn((30, 20)), (20, 30));
        assert_eq!(Orientation::from_exif(&exif(3)).turn((30, 20)), (30, 20));
    }

    #[test]
    fn each_orientation_finds_the_stored_pixel_of_the_corner_shown_at_the_upper_left() {
        let corner = |value| Orientation::from_exif(&exif(value)).stored(0, 0, 4);
        let corners = [1, 2, 3, 4, 5, 6, 7, 8].map(corner);
        assert_eq!(corners, [(0, 0), (3, 0), (3, 3), (0, 3), (0, 0), (0, 3), (3, 3), (3, 0)]);
    }

    #[test]
    fn data_that_cannot_be_read_leave_the_picture_as_it_is_stored() {
        for broken in [&b""[..], b"MM\0*", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff", &exif(9)] {
            assert_eq!(Orientation::from_exif(broken), Orientation::default(), "{broken:?}");
        }
    }
}
