//! What is kept of a verdict for as long as its picture is.

use easel_pixels::Fingerprint;

use crate::config::plan::QualityCheck;

/// What is kept of a picture's verdict while it is delivered and cached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureQuality {
    /// What is told of it though it is accepted.
    pub flagged: Vec<QualityCheck>,
    /// Why it was rejected, if it is delivered because nothing better came.
    pub rejected: Vec<QualityCheck>,
    /// What the other pictures of its request are compared with.
    pub fingerprint: Option<Fingerprint>,
}

impl PictureQuality {
    /// The same without what pictures are compared by.
    pub fn without_fingerprint(&self) -> PictureQuality {
        PictureQuality { flagged: self.flagged.clone(), rejected: self.rejected.clone(), fingerprint: None }
    }

    /// Bytes of memory held.
    pub fn weight(&self) -> usize {
        let checks = self.flagged.capacity() + self.rejected.capacity();
        let fingerprint = self.fingerprint.as_ref().map_or(0, Fingerprint::heap_bytes);
        size_of::<PictureQuality>() + checks * size_of::<QualityCheck>() + fingerprint
    }
}
