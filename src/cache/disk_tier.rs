//! What the cache wants of a disk. The floor above has one; without it, pictures are in memory alone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cache::generated_picture::GeneratedPicture;

/// SHA-256 of a picture's bytes as they are held: its name on disk.
pub type ContentHash = [u8; 32];

/// Stands in the place of a name where a picture is not wanted on disk any more before it is known.
pub const NOT_WANTED: ContentHash = [0; 32];

/// Why a picture is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskKey {
    /// It is reused for requests of this canonical form.
    Request(Box<[u8]>),
    /// A link to the picture of this id was handed out.
    Link(Arc<str>),
}

/// A picture that is handed over to be written.
pub struct ToDisk {
    /// Why.
    pub key: DiskKey,
    /// The picture.
    pub generated: Arc<GeneratedPicture>,
    /// What is to be known of it again.
    pub about: AboutPicture,
    /// How long it is wanted.
    pub ttl: Duration,
    /// Where its name is put once it is known, and the disk has taken the picture. If there is one already
    /// ([`NOT_WANTED`]), the picture is to be removed again.
    pub name: Arc<OnceLock<ContentHash>>,
}

/// What is known of a picture on disk besides what its file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AboutPicture {
    /// Where in the canonical form the prompt begins; 0 for a link.
    pub hard: u32,
    /// Which of the request's pictures it is.
    pub place: u8,
    /// How it was drawn.
    pub offer_digest: [u8; 32],
}

/// A picture that an earlier process has left on disk.
pub struct FromDisk {
    /// Why it is there.
    pub key: DiskKey,
    /// Its name.
    pub name: ContentHash,
    /// All of it but its bytes.
    pub generated: GeneratedPicture,
    /// What was known of it.
    pub about: AboutPicture,
    /// How long ago it was kept.
    pub age: Duration,
    /// How long it is wanted from now on.
    pub left: Duration,
}

/// A disk. Nothing here waits; who can wait reads.
pub trait DiskTier: Send + Sync {
    /// Hands a picture over. It is written when the disk comes to it, or left out and counted.
    fn keep(&self, picture: ToDisk);
    /// A picture was served out of memory.
    fn touch(&self, name: &ContentHash);
    /// A picture is not wanted for this any more.
    fn remove(&self, key: &DiskKey, name: &ContentHash);
    /// No picture is wanted any more of which this is true.
    fn remove_where(&self, unwanted: Box<dyn Fn(&FromDisk) -> bool + Send>);
}
