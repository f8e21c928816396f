//! The cache's disk: pictures and links as the records of `disk_cache`, and back after a restart.
//!
//! A record's key is the canonical form of a request, or the id of the picture behind a link; what is said about it is JSON. The
//! name of a picture is the SHA-256 of its bytes, which takes milliseconds for a large one and is worked out on a thread
//! that may be blocked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cache::disk_tier::{AboutPicture, DiskKey, DiskTier, FromDisk, NOT_WANTED, ToDisk};
use crate::calendar::Moment;
use crate::clock::Clock;
use crate::config::plan;
use crate::disk_cache::{ContentHash, DiskCache, OpenError, QUEUE_BYTES, Record, RecordKind, SkipReason};
use crate::gateway::picture_head::PictureHead;

/// How long the end of the process waits for pictures that are not on disk yet. They are paid for, and only reuse is lost.
const CLOSING: Duration = Duration::from_secs(5);

/// Bytes of pictures that wait to be hashed, each of which holds a task of the pool: as many as wait to be written afterwards.
const HASHING_BYTES: u64 = QUEUE_BYTES;

/// The disk that the cache has.
#[derive(Clone)]
pub struct PictureDisk {
    disk: DiskCache,
    clock: Clock,
    hashing: Arc<HashingRoom>,
}

/// Room for pictures that wait to be hashed.
#[derive(Default)]
struct HashingRoom(AtomicU64);

/// The room of one of them, given back when it is dropped.
struct Hashing {
    room: Arc<HashingRoom>,
    bytes: u64,
}

impl HashingRoom {
    fn take(self: &Arc<HashingRoom>, bytes: u64) -> Option<Hashing> {
        let more = |held: u64| held.checked_add(bytes).filter(|held| *held <= HASHING_BYTES);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Hashing { room: self.clone(), bytes })
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Who is told the names of pictures that are gone, once there is somebody.
pub type OnGone = Arc<OnceLock<Box<dyn Fn(&[u8; 32]) + Send + Sync>>>;

/// What is said about a picture.
#[derive(Serialize, Deserialize)]
struct About {
    #[serde(flatten)]
    head: PictureHead,
    /// When it was kept, in milliseconds since 1970.
    kept_at: i64,
    hard: u32,
    place: u8,
    offer_digest: String,
}

impl PictureDisk {
    /// Opens the directory, with all that an earlier process has left there. Blocks.
    ///
    /// # Errors
    /// When it cannot be used, or is another process's.
    pub fn open(
        config: &plan::DiskCache,
        clock: Clock,
        on_gone: OnGone,
    ) -> Result<(PictureDisk, Vec<FromDisk>), OpenError> {
        let gone = move |name: &ContentHash, _reason| {
            if let Some(tell) = on_gone.get() {
                tell(&name.0);
            }
        };
        let (disk, records) = DiskCache::open(&config.dir, config.size, clock.clone(), Arc::new(gone))?;
        let now = clock.now();
        let left = records.iter().filter_map(|record| from_disk(record, now)).collect();
        Ok((PictureDisk { disk, clock, hashing: Arc::default() }, left))
    }

    /// How it does.
    pub fn disk(&self) -> &DiskCache {
        &self.disk
    }

    /// Writes what waits, for a while.
    pub async fn close(&self) {
        if !self.disk.close(CLOSING).await {
            log::warn!("not all pictures were written to the cache's disk within {CLOSING:?}");
        }
    }
}

impl DiskTier for PictureDisk {
    fn keep(&self, picture: ToDisk) {
        let (disk, kept_at) = (self.disk.clone(), self.clock.now());
        let Some(hashing) = self.hashing.take(picture.generated.picture.encoded.bytes().len() as u64) else {
            disk.skipped(SkipReason::QueueFull);
            return;
        };
        tokio::task::spawn_blocking(move || {
            let _hashing = hashing;
            let ToDisk { key, generated, about: AboutPicture { hard, place, offer_digest }, ttl, name } = picture;
            let bytes = generated.picture.encoded.bytes().clone();
            let hash = ContentHash::of(&bytes);
            let (kind, key) = record_key(&key);
            let head = PictureHead::of(&generated);
            let offer_digest = hex(&offer_digest);
            let about = About { head, kept_at: kept_at.millis(), hard, place, offer_digest };
            // Texts and numbers always become JSON.
            let about = serde_json::to_vec(&about).unwrap_or_default();
            let record = Record { kind, key: key.clone(), picture: hash, expires: kept_at.after(ttl), about };
            if disk.put(record, bytes).is_ok() && name.set(hash.0).is_err() && name.get() == Some(&NOT_WANTED) {
                disk.remove(kind, &key, &hash);
            }
        });
    }

    fn touch(&self, name: &[u8; 32]) {
        self.disk.touch(&ContentHash(*name));
    }

    fn remove(&self, key: &DiskKey, name: &[u8; 32]) {
        let (kind, key) = record_key(key);
        self.disk.remove(kind, &key, &ContentHash(*name));
    }

    fn remove_where(&self, unwanted: Box<dyn Fn(&FromDisk) -> bool + Send>) {
        let now = self.clock.now();
        self.disk.remove_where(move |record| from_disk(record, now).is_some_and(|picture| unwanted(&picture)));
    }
}

fn record_key(key: &DiskKey) -> (RecordKind, Vec<u8>) {
    match key {
        DiskKey::Request(canonical) => (RecordKind::Pool, canonical.to_vec()),
        DiskKey::Link(id) => (RecordKind::Link, id.as_bytes().to_vec()),
    }
}

/// A record as the cache takes it; `None` where another has written it.
fn from_disk(record: &Record, now: Moment) -> Option<FromDisk> {
    let About { head, kept_at, hard, place, offer_digest } = serde_json::from_slice(&record.about).ok()?;
    let key = match record.kind {
        RecordKind::Pool => DiskKey::Request(record.key.as_slice().into()),
        RecordKind::Link => DiskKey::Link(std::str::from_utf8(&record.key).ok()?.into()),
    };
    Some(FromDisk {
        key,
        name: record.picture.0,
        generated: head.with(Bytes::new())?,
        about: AboutPicture { hard, place, offer_digest: unhex(&offer_digest)? },
        age: now.since(Moment::from_millis(kept_at)),
        left: record.expires.since(now),
    })
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_bytes_wait_to_be_hashed_than_may_and_what_is_hashed_makes_room() {
        let room = Arc::<HashingRoom>::default();
        let half = room.take(HASHING_BYTES / 2);
        let rest = room.take(HASHING_BYTES / 2);
        assert!(half.is_some() && rest.is_some());
        assert!(room.take(1).is_none() && room.take(u64::MAX).is_none());
        drop(half);
        assert!(room.take(HASHING_BYTES / 2 + 1).is_none());
        assert!(room.take(HASHING_BYTES / 2).is_some());
    }
}
