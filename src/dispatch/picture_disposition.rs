//! What becomes of the pictures that a call brought.

/// What becomes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is delivered in this place, and kept.
    Deliver(u8),
    /// No request waits for it; it is kept for the next one.
    Keep,
    /// No place is known that it is right for.
    Discard,
}

/// What becomes of a call's pictures.
#[derive(Debug, PartialEq, Eq)]
pub struct PictureDispositions {
    /// The candidate that drew them.
    pub candidate: usize,
    /// The places that the call was made for.
    pub places: Vec<u8>,
    /// What becomes of each, in the order of [`CallEnd::at`](crate::dispatch::CallEnd::at).
    pub dispositions: Vec<Disposition>,
}
