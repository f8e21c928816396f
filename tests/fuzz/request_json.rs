//! The JSON of a request: a generation, an edit, what became of a picture.

use easel::ImageRequest;
use easel::internals::canonical::Canonical;
use easel::internals::request::{EditDraft, Feedback};

/// The most pixels of a mask here. It is small, so that a run sees many.
const MASK_PIXELS: u64 = 1 << 16;

/// Reads it as each of the three.
pub fn request_json(data: &[u8]) {
    let _ = Feedback::from_json(data);
    if let Ok(request) = ImageRequest::from_json(data) {
        holds(&request);
    }
    if let Ok(draft) = EditDraft::from_edit_json(data)
        && draft.check_mask(MASK_PIXELS).is_ok()
        && let Ok(request) = draft.finish()
    {
        holds(&request);
    }
}

/// What is true of every request that was taken.
pub fn holds(request: &ImageRequest) {
    assert!((1..=10).contains(&request.n), "n is {}", request.n);
    assert!(request.edit.is_some() || !request.prompt.trim().is_empty(), "nothing is to be drawn");
    let canonical = || Canonical::new("tenant", "route", None, request, 7);
    let (first, second) = (canonical(), canonical());
    assert_eq!((first.bytes(), first.key()), (second.bytes(), second.key()));
    assert_eq!(Canonical::owners(first.bytes()), Some(("tenant", "route")));
}
