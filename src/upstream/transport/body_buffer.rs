//! Buffers a reply's body in a few pieces as it comes in.
//!
//! One buffer that grows is held twice whenever it is moved, and leaves holes of every size behind. Pieces of one size
//! are used by the next reply as soon as this one is dropped. They are put together once, when all is there.

use std::io::{self, Write};

use bytes::Bytes;

/// One piece. Bodies that are smaller have one buffer that grows.
const PIECE: usize = 256 * 1024;

/// A body of a known length up to this has one buffer of that length: most pictures, which are not moved then.
const EXACT: usize = 8 * 1024 * 1024;

/// A buffer that takes so much in all and no more.
pub struct Buffer {
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
    left: usize,
}

impl Buffer {
    /// An empty one for at most `limit` bytes; `declared` are expected.
    pub fn new(limit: usize, declared: usize) -> Buffer {
        let last = Vec::with_capacity(declared.min(limit).min(EXACT));
        Buffer { full: Vec::new(), last, left: limit }
    }

    /// Bytes that it takes besides.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The first bytes of what is in it.
    pub fn start(&self) -> &[u8] {
        self.full.first().unwrap_or(&self.last)
    }

    /// What is in it, which leaves nothing.
    pub fn take(&mut self) -> BufferedBody {
        let mut pieces = std::mem::take(&mut self.full);
        pieces.push(std::mem::take(&mut self.last));
        BufferedBody(pieces)
    }
}

impl Write for Buffer {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let written = bytes.len();
        self.left = self.left.checked_sub(written).ok_or(io::ErrorKind::FileTooLarge)?;
        loop {
            let room = self.last.capacity().max(PIECE) - self.last.len();
            let (here, rest) = bytes.split_at(bytes.len().min(room));
            if !self.full.is_empty() && self.last.capacity() == 0 {
                self.last.reserve_exact(PIECE);
            }
            self.last.extend_from_slice(here);
            if rest.is_empty() {
                return Ok(written);
            }
            self.full.push(std::mem::take(&mut self.last));
            bytes = rest;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was in a buffer.
pub struct BufferedBody(Vec<Vec<u8>>);

impl BufferedBody {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// All of it in a buffer that is hardly larger: a picture in it may be kept long, and what is not used with it.
    pub fn whole(mut self) -> Bytes {
        if let [one] = &mut self.0[..]
            && one.capacity() - one.len() <= one.len() / 4
        {
            return std::mem::take(one).into();
        }
        let mut whole = Vec::with_capacity(self.len());
        // Each piece is free again as soon as it is copied.
        self.0.into_iter().for_each(|piece| whole.extend_from_slice(&piece));
        whole.into()
    }
}

impl From<String> for BufferedBody {
    fn from(text: String) -> BufferedBody {
        BufferedBody(vec![text.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(limit: usize, declared: usize, length: usize, step: usize) -> Buffer {
        let mut buffer = Buffer::new(limit, declared);
        let body: Vec<u8> = (0..length).map(|at| ((at * 31) >> 4) as u8).collect();
        body.chunks(step).for_each(|part| buffer.write_all(part).unwrap());
        assert_eq!((buffer.left(), &body[..100]), (limit - length, &buffer.start()[..100]));
        let lengths: Vec<usize> = buffer.full.iter().map(Vec::capacity).collect();
        assert!(lengths.iter().skip(1).all(|length| *length == PIECE), "{lengths:?}");
        let (taken, again) = (buffer.take().whole(), buffer.take().whole());
        assert!(taken == body && again.is_empty());
        buffer
    }

    #[test]
    fn what_goes_in_in_any_steps_comes_out_whole_in_pieces_that_are_not_moved() {
        for length in [100, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 5 * PIECE + 7] {
            for step in [1000, 64 << 10, PIECE, 2 * PIECE + 3] {
                for declared in [0, length / 2, length, 2 * length] {
                    filled(8 * PIECE, declared, length, step);
                }
            }
        }
    }

    #[test]
    fn a_body_of_a_known_length_is_where_it_came_and_another_has_no_room_to_spare() {
        let mut buffer = Buffer::new(8 * PIECE, 4 * PIECE);
        let place = buffer.last.as_ptr();
        buffer.write_all(&vec![7; 4 * PIECE]).unwrap();
        assert_eq!(buffer.take().whole().as_ptr(), place);
        let mut buffer = Buffer::new(8 * PIECE, 4 * PIECE);
        buffer.write_all(&vec![7; PIECE]).unwrap();
        let whole: Vec<u8> = buffer.take().whole().into();
        assert_eq!(whole.capacity(), PIECE);
    }

    #[test]
    fn it_takes_so_much_and_no_more() {
        let mut buffer = Buffer::new(10, 5);
        buffer.write_all(b"0123456789").unwrap();
        assert_eq!(buffer.write_all(b"x").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
