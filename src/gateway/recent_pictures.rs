//! The last pictures that were drawn, for operators to look at in small, where the config allows it. Nothing here keeps a
//! picture: one that the cache has given up is not shown any more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::cache::GeneratedPicture;
use crate::gateway::outcome::Outcome;
use crate::image::Size;
use crate::quality;

/// How many are known.
const KEPT: usize = 12;

/// Pictures that are made small at once: who looks at them waits, and nobody who draws does.
static AT_ONCE: Semaphore = Semaphore::const_new(1);

/// The last ones, the oldest first.
#[derive(Default)]
pub struct RecentPictures(Mutex<VecDeque<Arc<RecentPicture>>>);

/// A picture that was drawn lately.
pub struct RecentPicture {
    /// Its id.
    pub id: Arc<str>,
    /// `provider/model` of the offer that drew it.
    pub drawn_by: Arc<str>,
    /// The request that it was drawn for, by its id.
    pub request: Box<str>,
    /// Its own size.
    pub size: Size,
    generated: Weak<GeneratedPicture>,
    /// The small one, once somebody has looked; nothing where it cannot be made.
    small: OnceLock<Option<Bytes>>,
}

impl RecentPictures {
    /// Notes what was drawn for a request, for which the oldest go. What was drawn before is known already.
    pub fn add(&self, request: &str, outcome: &Outcome) {
        if outcome.attempts == 0 {
            return;
        }
        let mut recent = self.lock();
        for generated in outcome.result.iter().flatten() {
            recent.retain(|known| known.id != generated.id);
            recent.push_back(Arc::new(RecentPicture {
                id: generated.id.clone(),
                drawn_by: generated.drawn_by.clone(),
                request: request.into(),
                size: generated.picture.size,
                generated: Arc::downgrade(generated),
                small: OnceLock::new(),
            }));
        }
        let more = recent.len().saturating_sub(KEPT);
        recent.drain(..more);
    }

    /// Forgets all of them: the config does not allow them any more.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Those that are still held somewhere, the newest first.
    pub fn newest(&self) -> Vec<Arc<RecentPicture>> {
        let held =
            |picture: &&Arc<RecentPicture>| picture.small.get().is_some() || picture.generated.strong_count() > 0;
        self.lock().iter().rev().filter(held).cloned().collect()
    }

    /// The small one of the picture with this id, as a PNG. `None` where it is not known, or not held any more.
    pub async fn small(&self, id: &str, max_pixels: u64) -> Option<Bytes> {
        let picture = self.lock().iter().find(|known| &*known.id == id).cloned()?;
        if let Some(known) = picture.small.get() {
            return known.clone();
        }
        let generated = picture.generated.upgrade()?;
        // It is never closed.
        let _turn = AT_ONCE.acquire().await.ok()?;
        let made = tokio::task::spawn_blocking(move || {
            let picture = &generated.picture;
            quality::thumbnail(&picture.raw(), picture.format, max_pixels)
        });
        let made = made.await.ok()?.map(Bytes::from);
        picture.small.get_or_init(|| made).clone()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<RecentPicture>>> {
        // Whole between statements, whatever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
