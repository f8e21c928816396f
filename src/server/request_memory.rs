//! Bounds the memory that request bodies take at once, over all clients.
//!
//! A body counts piece by piece as it arrives, not by the length it announces, so that a client that announces much and
//! sends nothing takes nothing from others. It counts for as long as anything holds a part of it, which may be longer
//! than its client waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use prometheus::IntGauge;

use crate::error::Error;

/// The memory of all bodies together.
#[derive(Debug)]
pub struct RequestMemory {
    held: AtomicUsize,
    /// The same number, for Prometheus.
    gauge: IntGauge,
}

impl RequestMemory {
    /// None yet; `gauge` tells how many bytes there are.
    pub fn new(gauge: IntGauge) -> Arc<RequestMemory> {
        Arc::new(RequestMemory { held: AtomicUsize::new(0), gauge })
    }

    /// Room for a body that is to come.
    pub fn room(self: &Arc<RequestMemory>) -> BodyReservation {
        BodyReservation { bodies: self.clone(), bytes: 0 }
    }
}

/// The memory that one body takes; given back when dropped.
#[derive(Debug)]
pub struct BodyReservation {
    bodies: Arc<RequestMemory>,
    bytes: usize,
}

impl BodyReservation {
    /// Counts `more` bytes, of which there may be `most` in all bodies together.
    ///
    /// # Errors
    /// When there would be more; nothing is counted then.
    pub fn grow(&mut self, more: usize, most: usize) -> Result<(), Error> {
        let before = self.bodies.held.fetch_add(more, Ordering::AcqRel);
        if before.saturating_add(more) > most {
            self.bodies.held.fetch_sub(more, Ordering::AcqRel);
            return Err(Error::busy("This server holds as many bytes of requests as it may.").with_code("bodies_full"));
        }
        self.bodies.gauge.add(more as i64);
        self.bytes += more;
        Ok(())
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        self.bodies.held.fetch_sub(self.bytes, Ordering::AcqRel);
        self.bodies.gauge.sub(self.bytes as i64);
    }
}

/// A body that has arrived.
#[derive(Clone, Debug)]
pub struct RequestBody {
    /// All of it.
    pub bytes: Bytes,
    room: Arc<BodyReservation>,
}

impl RequestBody {
    /// `bytes`, which are counted by `room`.
    pub fn new(bytes: Bytes, room: BodyReservation) -> RequestBody {
        RequestBody { bytes, room: Arc::new(room) }
    }

    /// The same bytes as `part`, which keep the body counted for as long as anybody has them.
    pub fn keep(&self, part: Bytes) -> Bytes {
        Bytes::from_owner(SharedBytes { part, _room: self.room.clone() })
    }
}

/// Bytes of a body, or made of it.
struct SharedBytes {
    part: Bytes,
    _room: Arc<BodyReservation>,
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_take_from_one_bound_and_give_back_when_their_last_part_is_gone() {
        let gauge = IntGauge::new("bodies", "x").unwrap();
        let bodies = RequestMemory::new(gauge.clone());
        let (mut first, mut second) = (bodies.room(), bodies.room());
        first.grow(60, 100).unwrap();
        assert_eq!(second.grow(41, 100).unwrap_err().code(), "bodies_full");
        second.grow(40, 100).unwrap();
        assert_eq!(gauge.get(), 100);
        drop(second);
        let body = RequestBody::new(Bytes::from_static(b"abcdef"), first);
        let part = body.keep(body.bytes.slice(2..4)).slice(1..);
        drop(body);
        assert_eq!((&part[..], gauge.get()), (&b"d"[..], 60));
        drop(part);
        assert_eq!(gauge.get(), 0);
        bodies.room().grow(100, 100).unwrap();
    }
}
