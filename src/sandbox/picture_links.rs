//! Pictures behind links: what to draw, not the drawn bytes, so that thousands of links weigh almost nothing.
//!
//! A link is good until [`CAPACITY`] newer ones were handed out; then it is 404, as a vendor's link is after its hour.
//! Any client with the link may fetch it without a key.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::image::Format;
use crate::sandbox::draw::Sketch;
use crate::sandbox::lock::lock;
use crate::sandbox::settings::Name;

/// Links that are good at once.
const CAPACITY: usize = 10_000;

/// The pictures that links lead to.
#[derive(Debug, Default)]
pub(super) struct PictureLinks(Mutex<PictureLinksState>);

#[derive(Debug, Default)]
struct PictureLinksState {
    next: u64,
    sketches: BTreeMap<u64, Sketch>,
}

impl PictureLinks {
    /// Keeps `sketch` and gives its path at `vendor`. Replicate writes `jpg`, so the others' `jpeg` is not universal.
    pub(super) fn put(&self, vendor: Name, sketch: Sketch) -> String {
        let ending = match (sketch.format, vendor) {
            (Format::Jpeg, Name::Replicate) => "jpg",
            (format, _) => format.as_str(),
        };
        let index = sketch.index;
        let mut links = lock(&self.0);
        links.next += 1;
        let id = links.next;
        links.sketches.insert(id, sketch);
        while links.sketches.len() > CAPACITY {
            links.sketches.pop_first();
        }
        format!("/{vendor}/files/{id:08x}/out-{index}.{ending}")
    }

    pub(super) fn get(&self, id: &str) -> Option<Sketch> {
        let id = u64::from_str_radix(id, 16).ok()?;
        lock(&self.0).sketches.get(&id).cloned()
    }
}
