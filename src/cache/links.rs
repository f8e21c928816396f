//! Pictures held because a link to them was handed out.
//!
//! A link stays good until it expires, whatever the exact tier evicts meanwhile; all links live equally long, so the
//! queue's front is always the next to expire. The bound on bytes is hard: when it is reached the oldest links are
//! given up early and counted, because running out of memory would break every link at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::Kept;

/// Pictures by id, bounded in bytes and time.
pub struct Links {
    state: Mutex<State>,
}

struct State {
    limit: u64,
    bytes: u64,
    given_up: u64,
    held: HashMap<Arc<str>, Held>,
    order: VecDeque<(Instant, Arc<str>)>,
}

struct Held {
    kept: Arc<Kept>,
    expires: Instant,
}

impl Links {
    /// No links yet, at most `limit` bytes of pictures.
    pub fn new(limit: u64) -> Links {
        let state = State { limit, bytes: 0, given_up: 0, held: HashMap::new(), order: VecDeque::new() };
        Links { state: Mutex::new(state) }
    }

    /// Holds a picture for `ttl` from `now`; a picture already held is held longer.
    pub fn hold(&self, kept: &Arc<Kept>, ttl: Duration, now: Instant) {
        let mut state = self.lock();
        let expires = now + ttl;
        match state.held.get_mut(&kept.id) {
            Some(held) => held.expires = held.expires.max(expires),
            None => {
                state.bytes += kept.picture.weight() as u64;
                state.held.insert(kept.id.clone(), Held { kept: kept.clone(), expires });
            }
        }
        state.order.push_back((expires, kept.id.clone()));
        state.shrink(now);
    }

    /// The picture behind a link, if it is still held.
    pub fn get(&self, id: &str, now: Instant) -> Option<Arc<Kept>> {
        let state = self.lock();
        state.held.get(id).filter(|held| held.expires > now).map(|held| held.kept.clone())
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Links that were given up before their time because the bound was reached.
    pub fn given_up(&self) -> u64 {
        self.lock().given_up
    }

    /// Changes the bound.
    pub fn resize(&self, limit: u64, now: Instant) {
        let mut state = self.lock();
        state.limit = limit;
        state.shrink(now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops what expired, then the oldest until the bound holds.
    fn shrink(&mut self, now: Instant) {
        while let Some((expires, _)) = self.order.front() {
            let over = self.bytes > self.limit;
            if *expires > now && !over {
                return;
            }
            let Some((expires, id)) = self.order.pop_front() else { return };
            // A later hand-out of the same picture has its own place further back.
            let Some(held) = self.held.get(&id).filter(|held| held.expires <= expires) else { continue };
            self.given_up += u64::from(expires > now);
            self.bytes -= held.kept.picture.weight() as u64;
            self.held.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use ::bytes::Bytes;

    use super::*;
    use crate::image::{Encoded, Format, Picture, Size};
    use crate::money::Usd;

    const MINUTE: Duration = Duration::from_secs(60);

    fn picture(tag: u8) -> Arc<Kept> {
        let picture = Picture {
            encoded: Encoded::Raw(Bytes::from(vec![tag; 100])),
            format: Format::Png,
            size: Size::new(1, 1),
            revised_prompt: None,
        };
        Arc::new(Kept::new(picture, "p/m".into(), Usd::ZERO, 5))
    }

    #[test]
    fn a_link_is_good_until_it_expires_and_a_new_one_prolongs_it() {
        let (links, now) = (Links::new(10_000), Instant::now());
        let one = picture(1);
        links.hold(&one, MINUTE, now);
        assert_eq!(links.get(&one.id, now), Some(one.clone()));
        assert_eq!(links.get(&one.id, now + MINUTE), None);
        links.hold(&one, MINUTE, now + MINUTE / 2);
        assert_eq!(links.get(&one.id, now + MINUTE), Some(one.clone()));
        links.hold(&picture(2), MINUTE, now + MINUTE);
        assert_eq!((links.bytes(), links.given_up()), (200, 0));
        links.hold(&picture(3), MINUTE, now + 2 * MINUTE);
        assert_eq!(links.get(&one.id, now + 2 * MINUTE), None);
        assert_eq!((links.bytes(), links.given_up()), (100, 0));
    }

    #[test]
    fn the_bound_is_hard_and_the_oldest_go_first_and_are_counted() {
        let (links, now) = (Links::new(250), Instant::now());
        for tag in 1..=3 {
            links.hold(&picture(tag), MINUTE, now);
        }
        assert_eq!((links.bytes(), links.given_up()), (200, 1));
        assert_eq!(links.get(&picture(1).id, now), None);
        assert!(links.get(&picture(3).id, now).is_some());
        links.resize(100, now);
        assert_eq!((links.bytes(), links.given_up()), (100, 2));
    }
}
