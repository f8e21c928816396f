//! Looks into the cache that may have to read what is on disk alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::sleep;

use crate::cache::{Asked, AskedEmbedding, CacheLookup, GeneratedPicture, Linked, Looked, Miss};
use crate::disk_cache::ContentHash;
use crate::gateway::shared::Shared;

/// How often a look may find that what it has chosen is on disk. More than once only where it was evicted meanwhile.
const COLD_LOOKS: usize = 3;

/// How long the picture of a link that the process before hands out is on its way here, where much is.
const GIVEN_WITHIN: Duration = Duration::from_secs(2);

impl Shared {
    /// Pictures that are right for a request, those included that are found `by` an embedding. Waits only for those that are on disk alone.
    pub async fn look_up(&self, asked: &Asked<'_>, by: Option<&AskedEmbedding<'_>>) -> CacheLookup {
        for _ in 0..COLD_LOOKS {
            let looked = match by {
                Some(by) => self.cache.look_by_embedding(asked, by),
                None => self.cache.look(asked),
            };
            let cold = match looked {
                Looked::Found(lookup) => return lookup,
                Looked::Cold(cold) => cold,
            };
            for picture in cold {
                let bytes = self.read_from_disk(&picture.name).await;
                self.cache.warm(&picture, bytes);
            }
        }
        CacheLookup::Miss(Miss::Absent)
    }

    /// What a look would find. Nothing is read or served: pictures that are on disk alone have no bytes.
    pub fn peek(&self, asked: &Asked<'_>) -> CacheLookup {
        match self.cache.look(&Asked { serves: false, ..*asked }) {
            Looked::Found(lookup) => lookup,
            Looked::Cold(_) => CacheLookup::Miss(Miss::Absent),
        }
    }

    /// The picture behind a link, if it is still held. Waits only where it is on disk alone, or where the process before
    /// may just have handed the link out.
    pub async fn linked_picture(&self, id: &str, now: Instant) -> Option<Arc<GeneratedPicture>> {
        let mut linked = self.cache.linked_picture(id, now);
        let late = now + GIVEN_WITHIN;
        while linked.is_none() && self.durable_ledger.predecessor_last().is_some() && Instant::now() < late {
            sleep(GIVEN_WITHIN / 100).await;
            linked = self.cache.linked_picture(id, now);
        }
        match linked? {
            Linked::Warm(picture) => Some(picture),
            Linked::Cold(picture, name) => Some(Arc::new(picture.with_bytes(self.read_from_disk(&name).await?))),
        }
    }

    /// The bytes of a picture; `None` where they cannot be had, which the disk counts by why.
    async fn read_from_disk(&self, name: &[u8; 32]) -> Option<Bytes> {
        self.disk.as_ref()?.disk().read(&ContentHash(*name)).await.ok()
    }
}
