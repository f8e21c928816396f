//! Decodes replies that come compressed (`content-encoding`) although Easel did not ask for it.
//!
//! Easel asks for `accept-encoding: identity`; a vendor, or a cache in front of it, may compress all the same, and what
//! it sends then is paid for. gzip and deflate are read, and nothing else. A body is bounded as it is unpacked: a small
//! one may hold a thousand times its size.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::upstream::transport::body_buffer::{Buffer, BufferedBody};

/// Bytes that tell how a body called `deflate` was made.
const ZLIB_HEADER: usize = 2;
/// Characters told of a coding's name; a vendor's word may be anything.
const NAME: usize = 40;

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is larger than allowed, as it came or unpacked.
    TooLarge,
    /// Its coding is not known, or it is not what its coding says.
    Coding(String),
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// zlib (RFC 1950), or bare deflate (RFC 1951) where a server took the name at its word.
    Deflate,
}

impl Coding {
    /// The coding that a reply's headers name.
    ///
    /// # Errors
    /// When it is one that is not read here, or several one over the other.
    pub fn of(headers: &HeaderMap) -> Result<Coding, Unreadable> {
        let mut coding = Coding::Identity;
        let named = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
        for name in named.flat_map(|names| names.split(',')).map(str::trim) {
            let next = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                _ => {
                    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME).collect();
                    let what = format!("the reply is packed as '{name}', though it was asked for as it is");
                    return Err(Unreadable::Coding(what));
                }
            };
            if coding != Coding::Identity {
                return Err(Unreadable::Coding("the reply is packed twice".to_owned()));
            }
            coding = next;
        }
        Ok(coding)
    }
}

/// A body on its way in, unpacked as it comes.
pub struct BodyDecoder {
    unpacker: Unpacker,
    /// Bytes that it may have, packed or not.
    limit: usize,
    /// Bytes that may still come over the wire.
    left: usize,
    is_empty: bool,
}

enum Unpacker {
    Identity(Buffer),
    Gzip(MultiGzDecoder<Buffer>),
    /// Too little is there to tell which of the two kinds of deflate it is.
    Undecided(Vec<u8>, Buffer),
    Zlib(ZlibDecoder<Buffer>),
    Deflate(DeflateDecoder<Buffer>),
}

impl BodyDecoder {
    /// A body of at most `limit` bytes, packed or not; `declared` is what its header says that it has.
    pub fn new(coding: Coding, limit: usize, declared: Option<usize>) -> BodyDecoder {
        let buffer = Buffer::new(limit, declared.unwrap_or(0));
        let unpacker = match coding {
            Coding::Identity => Unpacker::Identity(buffer),
            Coding::Gzip => Unpacker::Gzip(MultiGzDecoder::new(buffer)),
            Coding::Deflate => Unpacker::Undecided(Vec::new(), buffer),
        };
        BodyDecoder { unpacker, limit, left: limit, is_empty: true }
    }

    /// Takes in a piece as it came.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        self.left = self.left.checked_sub(piece.len()).ok_or(Unreadable::TooLarge)?;
        self.is_empty &= piece.is_empty();
        let done = match &mut self.unpacker {
            Unpacker::Identity(buffer) => buffer.write_all(piece),
            Unpacker::Gzip(gzip) => gzip.write_all(piece),
            Unpacker::Zlib(zlib) => zlib.write_all(piece),
            Unpacker::Deflate(deflate) => deflate.write_all(piece),
            Unpacker::Undecided(seen, _) => {
                seen.extend_from_slice(piece);
                return if seen.len() < ZLIB_HEADER { Ok(()) } else { self.decide() };
            }
        };
        done.map_err(unreadable)
    }

    /// Which kind of deflate it is: zlib's two bytes of header are a multiple of 31 and name method 8.
    fn decide(&mut self) -> Result<(), Unreadable> {
        let nothing = Unpacker::Identity(Buffer::new(0, 0));
        let Unpacker::Undecided(seen, buffer) = std::mem::replace(&mut self.unpacker, nothing) else { return Ok(()) };
        let zlib = matches!(seen[..], [cmf, flg, ..]
            if cmf & 0x0f == 8 && (u16::from(cmf) * 256 + u16::from(flg)) % 31 == 0);
        let (unpacker, done) = if zlib {
            let mut zlib = ZlibDecoder::new(buffer);
            let done = zlib.write_all(&seen);
            (Unpacker::Zlib(zlib), done)
        } else {
            let mut deflate = DeflateDecoder::new(buffer);
            let done = deflate.write_all(&seen);
            (Unpacker::Deflate(deflate), done)
        };
        self.unpacker = unpacker;
        done.map_err(unreadable)
    }

    /// Bytes that were unpacked so far, in all.
    pub fn unpacked(&self) -> usize {
        let buffer = match &self.unpacker {
            Unpacker::Identity(buffer) | Unpacker::Undecided(_, buffer) => buffer,
            Unpacker::Gzip(gzip) => gzip.get_ref(),
            Unpacker::Zlib(zlib) => zlib.get_ref(),
            Unpacker::Deflate(deflate) => deflate.get_ref(),
        };
        self.limit - buffer.left()
    }

    /// The first bytes of what was unpacked and not taken yet.
    pub fn start(&mut self) -> Result<&[u8], Unreadable> {
        self.buffer().map(|buffer| buffer.start())
    }

    /// What was unpacked since this was last asked.
    pub fn take(&mut self) -> Result<BufferedBody, Unreadable> {
        self.buffer().map(Buffer::take)
    }

    /// Where it is unpacked to, with all in it that can be.
    fn buffer(&mut self) -> Result<&mut Buffer, Unreadable> {
        // An unpacker holds back what it has no reason to write yet.
        let flushed = match &mut self.unpacker {
            Unpacker::Gzip(gzip) => gzip.flush(),
            Unpacker::Zlib(zlib) => zlib.flush(),
            Unpacker::Deflate(deflate) => deflate.flush(),
            Unpacker::Identity(_) | Unpacker::Undecided(..) => Ok(()),
        };
        flushed.map_err(unreadable)?;
        Ok(match &mut self.unpacker {
            Unpacker::Identity(buffer) | Unpacker::Undecided(_, buffer) => buffer,
            Unpacker::Gzip(gzip) => gzip.get_mut(),
            Unpacker::Zlib(zlib) => zlib.get_mut(),
            Unpacker::Deflate(deflate) => deflate.get_mut(),
        })
    }

    /// The rest of it, once nothing more comes.
    pub fn finish(self) -> Result<BufferedBody, Unreadable> {
        let buffer = match self.unpacker {
            Unpacker::Identity(buffer) => Ok(buffer),
            // Nothing came: servers name a coding for empty bodies too.
            _ if self.is_empty => return Ok(Buffer::new(0, 0).take()),
            Unpacker::Undecided(..) => Err(io::ErrorKind::UnexpectedEof.into()),
            Unpacker::Gzip(gzip) => gzip.finish(),
            Unpacker::Zlib(zlib) => zlib.finish(),
            Unpacker::Deflate(deflate) => deflate.finish(),
        };
        buffer.map(|mut buffer| buffer.take()).map_err(unreadable)
    }
}

fn unreadable(error: io::Error) -> Unreadable {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Unreadable::TooLarge,
        _ => Unreadable::Coding(format!("the reply cannot be unpacked: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn of(name: &str) -> Result<Coding, Unreadable> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, name.parse().unwrap());
        Coding::of(&headers)
    }

    fn packed(coding: &str, plain: &[u8]) -> Vec<u8> {
        let level = Compression::default();
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "zlib" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            _ => plain.to_vec(),
        }
    }

    fn unpack(coding: Coding, limit: usize, body: &[u8], piece: usize) -> Result<Vec<u8>, Unreadable> {
        let mut unpacking = BodyDecoder::new(coding, limit, None);
        body.chunks(piece).try_for_each(|piece| unpacking.push(piece))?;
        unpacking.finish().map(|body| body.whole().to_vec())
    }

    const KINDS: [(&str, Coding); 4] = [
        ("gzip", Coding::Gzip),
        ("zlib", Coding::Deflate),
        ("deflate", Coding::Deflate),
        ("identity", Coding::Identity),
    ];

    #[test]
    fn what_was_packed_is_unpacked_however_it_is_cut_into_pieces() {
        let plain = b"a red fox on a hill, and a red fox in the snow".repeat(40);
        for (kind, coding) in KINDS {
            for piece in [1, 2, 7, 4096] {
                let unpacked = unpack(coding, plain.len(), &packed(kind, &plain), piece).unwrap();
                assert!(unpacked == plain, "{kind} in pieces of {piece}");
            }
        }
        let two = [packed("gzip", b"a red "), packed("gzip", b"fox")].concat();
        assert_eq!(unpack(Coding::Gzip, 100, &two, 3).unwrap(), b"a red fox");
    }

    #[test]
    fn a_body_of_nothing_is_nothing_in_every_coding() {
        for (_, coding) in KINDS {
            assert_eq!(unpack(coding, 10, b"", 1), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_small_body_that_unpacks_to_more_than_the_limit_is_stopped_at_the_limit() {
        let plain = vec![0; 4 << 20];
        for (kind, coding) in KINDS {
            let body = packed(kind, &plain);
            let mut unpacking = BodyDecoder::new(coding, 1 << 20, None);
            assert_eq!(body.chunks(4096).try_for_each(|piece| unpacking.push(piece)), Err(Unreadable::TooLarge));
            let held = unpacking.take().map_or(0, |bytes| bytes.len());
            assert!(held <= 1 << 20, "{kind}: {held}");
            assert!(unpacking.unpacked() <= 1 << 20, "{kind}");
        }
    }

    #[test]
    fn what_is_cut_off_or_is_not_what_it_says_is_told_apart_from_a_whole_body() {
        let plain = b"a red fox".repeat(100);
        for (kind, coding) in &KINDS[..3] {
            let body = packed(kind, &plain);
            for length in [1, 2, body.len() / 2, body.len() - 1] {
                let cut = unpack(*coding, 1 << 20, &body[..length], 16);
                assert!(matches!(cut, Err(Unreadable::Coding(_))), "{kind} cut at {length}");
            }
        }
        assert!(matches!(unpack(Coding::Gzip, 100, b"{\"data\":[]}", 5), Err(Unreadable::Coding(_))));
        assert!(matches!(unpack(Coding::Deflate, 100, b"{\"data\":[]}", 5), Err(Unreadable::Coding(_))));
    }

    #[test]
    fn the_events_of_a_packed_stream_are_there_as_soon_as_they_are_sent() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut unpacking = BodyDecoder::new(Coding::Gzip, 1000, None);
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            unpacking.push(&std::mem::take(encoder.get_mut())).unwrap();
            assert_eq!(unpacking.take().unwrap().whole(), event);
        }
        unpacking.push(&encoder.finish().unwrap()).unwrap();
        assert_eq!(unpacking.finish().unwrap().whole(), "");
    }

    #[test]
    fn a_coding_that_is_not_read_is_named() {
        assert_eq!((of("GZIP"), of("x-gzip")), (Ok(Coding::Gzip), Ok(Coding::Gzip)));
        assert_eq!((of("deflate"), of("identity, gzip")), (Ok(Coding::Deflate), Ok(Coding::Gzip)));
        assert_eq!(of(""), Ok(Coding::Identity));
        for (name, told) in [("br", "'br'"), ("zstd", "'zstd'"), ("gzip, br", "'br'"), ("gzip, gzip", "twice")] {
            assert!(matches!(of(name), Err(Unreadable::Coding(why)) if why.contains(told)), "{name}");
        }
    }
}
