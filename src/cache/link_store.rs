//! Pictures held because a link to them was handed out.
//!
//! A link stays good until it expires, whatever the exact tier evicts meanwhile. A picture has one entry however often
//! it is handed out, and one place in the order in which links expire. The bound on bytes is hard: when it is reached
//! the links that expire next are given up early and counted, because running out of memory would break every link at
//! once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::generated_picture::GeneratedPicture;

/// What an entry weighs besides its picture: its places in the table and in the order.
const OVERHEAD: usize = 192;

/// A table with room for so many more entries than it has gives it back.
const SLACK: usize = 1024;

/// Pictures by id, bounded in bytes and time.
pub struct LinkStore {
    state: Mutex<LinkStoreState>,
}

struct LinkStoreState {
    limit: u64,
    bytes: u64,
    given_up: u64,
    held: HashMap<Arc<str>, LinkedPicture>,
    /// When each of them expires.
    order: BTreeSet<(Instant, Arc<str>)>,
}

struct LinkedPicture {
    generated: Arc<GeneratedPicture>,
    expires: Instant,
}

impl LinkStore {
    /// No links yet, at most `limit` bytes of pictures.
    pub fn new(limit: u64) -> LinkStore {
        let state = LinkStoreState { limit, bytes: 0, given_up: 0, held: HashMap::new(), order: BTreeSet::new() };
        LinkStore { state: Mutex::new(state) }
    }

    /// Holds a picture for `ttl` from `now`; a picture already held is held longer.
    pub fn hold(&self, generated: &Arc<GeneratedPicture>, ttl: Duration, now: Instant) {
        let mut state = self.lock();
        let expires = now + ttl;
        match state.held.get_mut(&generated.id) {
            Some(held) if held.expires >= expires => {}
            Some(held) => {
                let place = (std::mem::replace(&mut held.expires, expires), generated.id.clone());
                state.order.remove(&place);
                state.order.insert((expires, place.1));
            }
            None => {
                state.bytes += weight(generated);
                state.held.insert(generated.id.clone(), LinkedPicture { generated: generated.clone(), expires });
                state.order.insert((expires, generated.id.clone()));
            }
        }
        state.shrink(now);
    }

    /// The picture behind a link, if it is still held.
    pub fn get(&self, id: &str, now: Instant) -> Option<Arc<GeneratedPicture>> {
        let state = self.lock();
        state.held.get(id).filter(|held| held.expires > now).map(|held| held.generated.clone())
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

    fn lock(&self) -> MutexGuard<'_, LinkStoreState> {
        // No code panics while it holds the lock, and the state is whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LinkStoreState {
    /// Drops what expired, then what expires next until the bound holds.
    fn shrink(&mut self, now: Instant) {
        while let Some((expires, _)) = self.order.first() {
            if *expires > now && self.bytes <= self.limit {
                break;
            }
            let Some((expires, id)) = self.order.pop_first() else { break };
            let Some(held) = self.held.remove(&id) else { continue };
            self.given_up += u64::from(expires > now);
            self.bytes -= weight(&held.generated);
        }
        if self.held.capacity() > 4 * self.held.len() + SLACK {
            self.held.shrink_to(2 * self.held.len());
        }
    }
}

fn weight(generated: &GeneratedPicture) -> u64 {
    (generated.weight() + OVERHEAD) as u64
}

#[cfg(test)]
mod tests {
    use ::bytes::Bytes;

    use super::*;
    use crate::image::{Encoded, Format, Picture, Size};
    use crate::money::Usd;

    const MINUTE: Duration = Duration::from_secs(60);

    fn picture(tag: u8) -> Arc<GeneratedPicture> {
        let picture = Picture {
            encoded: Encoded::Raw(Bytes::from(vec![tag; 100])),
            format: Format::Png,
            size: Size::new(1, 1),
            revised_prompt: None,
        };
        Arc::new(GeneratedPicture::new(picture, "p/m".into(), Usd::ZERO, 5))
    }

    #[test]
    fn a_link_is_good_until_it_expires_and_a_new_one_prolongs_it() {
        let (links, now, each) = (LinkStore::new(10_000), Instant::now(), weight(&picture(1)));
        let one = picture(1);
        links.hold(&one, MINUTE, now);
        assert_eq!(links.get(&one.id, now), Some(one.clone()));
        assert_eq!(links.get(&one.id, now + MINUTE), None);
        links.hold(&one, MINUTE, now + MINUTE / 2);
        assert_eq!(links.get(&one.id, now + MINUTE), Some(one.clone()));
        links.hold(&picture(2), MINUTE, now + MINUTE);
        assert_eq!((links.bytes(), links.given_up()), (2 * each, 0));
        links.hold(&picture(3), MINUTE, now + 2 * MINUTE);
        assert_eq!(links.get(&one.id, now + 2 * MINUTE), None);
        assert_eq!((links.bytes(), links.given_up()), (each, 0));
    }

    #[test]
    fn a_picture_that_is_handed_out_again_and_again_has_one_entry_and_the_last_expiry() {
        let (links, now, each) = (LinkStore::new(10_000), Instant::now(), weight(&picture(1)));
        let pictures = [picture(1), picture(2)];
        for second in 0..1000 {
            links.hold(&pictures[second % 2], MINUTE, now + Duration::from_millis(second as u64));
        }
        // A hand-out that ends sooner takes nothing from the one before.
        links.hold(&pictures[0], MINUTE / 2, now);
        assert_eq!(links.bytes(), 2 * each);
        let state = links.lock();
        assert_eq!((state.held.len(), state.order.len()), (2, 2));
        drop(state);
        assert!(links.get(&pictures[0].id, now + MINUTE).is_some());
        links.resize(each, now);
        assert!(links.get(&pictures[0].id, now).is_none() && links.get(&pictures[1].id, now).is_some());
    }

    #[test]
    fn whatever_happens_the_bytes_told_are_the_bytes_held() {
        let links = LinkStore::new(40_000);
        let (mut random, mut now) = (fastrand::Rng::with_seed(6), Instant::now());
        let made = |number: u8, told: Option<&str>| {
            let mut generated = (*picture(number)).clone();
            generated.picture.encoded = Encoded::Raw(Bytes::from(vec![number; usize::from(number) * 40]));
            generated.picture.revised_prompt = told.map(str::to_owned);
            Arc::new(GeneratedPicture { id: format!("{number}").into(), ..generated })
        };
        let pictures: Vec<_> = (0..60).map(|number| made(number, (number % 3 == 0).then_some("a red fox"))).collect();
        for round in 0..5_000 {
            now += Duration::from_millis(random.u64(..2_000));
            match random.u8(..20) {
                0 => links.resize(random.u64(5_000..60_000), now),
                1..5 => drop(links.get(&pictures[random.usize(..pictures.len())].id, now)),
                _ => links.hold(&pictures[random.usize(..pictures.len())], MINUTE * random.u32(1..4), now),
            }
            let state = links.lock();
            let held: u64 = state.held.values().map(|held| weight(&held.generated)).sum();
            assert_eq!((state.bytes, state.order.len()), (held, state.held.len()), "{round}");
            assert!(held <= state.limit, "{round}");
        }
        links.resize(0, now);
        assert!(links.bytes() == 0 && links.lock().order.is_empty());
    }

    #[test]
    fn a_table_that_was_full_once_does_not_stay_so() {
        let (links, now) = (LinkStore::new(u64::MAX), Instant::now());
        for number in 0..20_000_u32 {
            links.hold(
                &Arc::new(GeneratedPicture { id: number.to_string().into(), ..(*picture(1)).clone() }),
                MINUTE,
                now,
            );
        }
        links.hold(&picture(2), MINUTE, now + MINUTE);
        assert!(links.bytes() == weight(&picture(2)) && links.lock().held.capacity() < 2 * SLACK);
    }

    #[test]
    fn the_bound_is_hard_and_the_oldest_go_first_and_are_counted() {
        let each = weight(&picture(1));
        let (links, now) = (LinkStore::new(each * 5 / 2), Instant::now());
        for tag in 1..=3 {
            links.hold(&picture(tag), MINUTE, now + Duration::from_millis(tag.into()));
        }
        assert_eq!((links.bytes(), links.given_up()), (2 * each, 1));
        assert_eq!(links.get(&picture(1).id, now), None);
        assert!(links.get(&picture(3).id, now).is_some());
        links.resize(each, now);
        assert_eq!((links.bytes(), links.given_up()), (each, 2));
    }
}
