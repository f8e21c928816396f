//! Pictures held because a link to them was handed out.
//!
//! A link stays good until it expires, whatever the tiers evict meanwhile. A picture has one entry however often it is handed
//! out, and one place in the order in which links expire. The bound on bytes is hard: when it is reached, the pictures whose
//! links expire next leave the memory. What is on disk is read from there; what is not is given up early and counted,
//! because running out of memory would break every link at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::disk_tier::{ContentHash, NOT_WANTED};
use crate::cache::generated_picture::GeneratedPicture;

/// What an entry weighs besides its picture: its places in the table and in the orders.
const OVERHEAD: usize = 256;

/// A table with room for so many more entries than it has gives it back.
const SLACK: usize = 1024;

/// A disk is told to hold a picture for this part of its time longer than is promised, so that it need not be told of every
/// hand-out.
const LONGER: u32 = 8;

/// Pictures by id, bounded in bytes and time.
pub struct LinkStore {
    state: Mutex<LinkStoreState>,
}

#[derive(Default)]
struct LinkStoreState {
    limit: u64,
    bytes: u64,
    given_up: u64,
    held: HashMap<Arc<str>, LinkedPicture>,
    /// When each of them expires.
    order: BTreeSet<(Instant, Arc<str>)>,
    /// The same of those whose bytes are in memory.
    warm: BTreeSet<(Instant, Arc<str>)>,
}

struct LinkedPicture {
    generated: Arc<GeneratedPicture>,
    expires: Instant,
    /// Its bytes are on disk alone; `generated` has none.
    cold: bool,
    /// Its name on disk, once it was handed over to be written there.
    name: Arc<OnceLock<ContentHash>>,
    /// Until when it is held there.
    on_disk_until: Option<Instant>,
}

/// A disk is to hold a picture for a link.
pub(super) struct HoldOnDisk {
    /// For how long.
    pub(super) ttl: Duration,
    /// Where its name is put.
    pub(super) name: Arc<OnceLock<ContentHash>>,
}

/// The picture behind a link.
#[derive(Clone, Debug, PartialEq)]
pub enum Linked {
    /// It is in memory.
    Warm(Arc<GeneratedPicture>),
    /// Its bytes are to be read from disk.
    Cold(Arc<GeneratedPicture>, ContentHash),
}

impl LinkStore {
    /// No links yet, at most `limit` bytes of pictures.
    pub fn new(limit: u64) -> LinkStore {
        LinkStore { state: Mutex::new(LinkStoreState { limit, ..LinkStoreState::default() }) }
    }

    /// Holds a picture for `ttl` from `now`; a picture already held is held longer. Says what a disk is to do for it.
    pub(super) fn hold(&self, generated: &Arc<GeneratedPicture>, ttl: Duration, now: Instant) -> Option<HoldOnDisk> {
        let mut state = self.lock();
        let mut expires = now + ttl;
        let (mut name, mut on_disk_until) = (Arc::default(), None);
        if let Some(before) = state.take(&generated.id) {
            expires = expires.max(before.expires);
            (name, on_disk_until) = (before.name, before.on_disk_until);
        }
        let longer = ttl + ttl / LONGER;
        let tell = on_disk_until.is_none_or(|until| until < expires);
        let hold = tell.then(|| HoldOnDisk { ttl: longer, name: Arc::clone(&name) });
        let on_disk_until = if tell { Some(now + longer) } else { on_disk_until };
        let generated = generated.clone();
        state.put(LinkedPicture { generated, expires, cold: false, name, on_disk_until });
        state.shrink(now);
        hold
    }

    /// Holds a picture that an earlier process has left on disk.
    pub(super) fn restore(&self, generated: GeneratedPicture, name: ContentHash, left: Duration, now: Instant) {
        let mut state = self.lock();
        let (generated, expires) = (Arc::new(generated), now + left);
        let name = Arc::new(OnceLock::from(name));
        state.put(LinkedPicture { generated, expires, cold: true, name, on_disk_until: Some(expires) });
        state.shrink(now);
    }

    /// The picture behind a link, if it is still held.
    pub(super) fn get(&self, id: &str, now: Instant) -> Option<Linked> {
        let state = self.lock();
        let held = state.held.get(id).filter(|held| held.expires > now)?;
        match (held.cold, held.name.get()) {
            (false, _) => Some(Linked::Warm(held.generated.clone())),
            (true, Some(name)) => Some(Linked::Cold(held.generated.clone(), *name)),
            (true, None) => None,
        }
    }

    /// Pictures whose bytes are in memory and on no disk, with when their links expire.
    pub(super) fn in_memory(&self, now: Instant) -> Vec<(Arc<GeneratedPicture>, Instant)> {
        let state = self.lock();
        let held = state.warm.iter().filter(|(expires, _)| *expires > now).filter_map(|(_, id)| state.held.get(id));
        let held = held.filter(|held| held.name.get().is_none());
        held.map(|held| (held.generated.clone(), held.expires)).collect()
    }

    /// Holds a picture no more. Its links lead nowhere. Says what it is called on disk, where it is there.
    pub(super) fn give_up(&self, id: &str) -> Option<ContentHash> {
        let held = self.lock().take(id)?;
        // If it is not there yet, it will not stay there.
        held.name.set(NOT_WANTED).err().and(held.name.get().copied())
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
    fn put(&mut self, held: LinkedPicture) {
        let place = (held.expires, held.generated.id.clone());
        self.bytes += weight(&held.generated);
        if !held.cold {
            self.warm.insert(place.clone());
        }
        self.order.insert(place);
        self.held.insert(held.generated.id.clone(), held);
    }

    fn take(&mut self, id: &str) -> Option<LinkedPicture> {
        let (id, held) = self.held.remove_entry(id)?;
        self.bytes -= weight(&held.generated);
        let place = (held.expires, id);
        self.order.remove(&place);
        self.warm.remove(&place);
        Some(held)
    }

    /// Drops what expired; then what expires next leaves the memory until the bound holds.
    fn shrink(&mut self, now: Instant) {
        while let Some((expires, id)) = self.order.first().cloned() {
            if expires > now {
                break;
            }
            self.take(&id);
        }
        while self.bytes > self.limit {
            let Some((_, id)) = self.warm.first().or(self.order.first()).cloned() else { break };
            let Some(held) = self.take(&id) else { continue };
            let is_on_disk = held.name.get().is_some_and(|name| *name != NOT_WANTED);
            if is_on_disk && !held.cold {
                let generated = Arc::new(held.generated.without_bytes());
                self.put(LinkedPicture { generated, cold: true, ..held });
            } else {
                self.given_up += 1;
            }
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
        sized(tag, 100)
    }

    fn sized(tag: u8, bytes: usize) -> Arc<GeneratedPicture> {
        let picture = Picture {
            encoded: Encoded::Raw(Bytes::from(vec![tag; bytes])),
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
        assert_eq!(links.get(&one.id, now), Some(Linked::Warm(one.clone())));
        assert_eq!(links.get(&one.id, now + MINUTE), None);
        links.hold(&one, MINUTE, now + MINUTE / 2);
        assert_eq!(links.get(&one.id, now + MINUTE), Some(Linked::Warm(one.clone())));
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
                6 => {
                    let id = &pictures[random.usize(..pictures.len())].id;
                    links.give_up(id);
                    assert!(links.get(id, now).is_none());
                }
                1..=5 => drop(links.get(&pictures[random.usize(..pictures.len())].id, now)),
                _ => drop(links.hold(&pictures[random.usize(..pictures.len())], MINUTE * random.u32(1..4), now)),
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
    fn what_is_on_disk_leaves_the_memory_and_its_link_stays_good() {
        let large = |tag| sized(tag, 100_000);
        let (each, now) = (weight(&large(1)), Instant::now());
        let links = LinkStore::new(each * 5 / 2);
        let hash = |tag: u8| [tag; 32];
        let cold = |tag| Some(Linked::Cold(Arc::new(large(tag).without_bytes()), hash(tag)));
        for tag in 1..=3 {
            let hold = links.hold(&large(tag), MINUTE, now + Duration::from_millis(tag.into())).unwrap();
            assert_eq!(hold.ttl, MINUTE + MINUTE / 8);
            hold.name.set(hash(tag)).unwrap();
        }
        assert_eq!((links.get(&large(1).id, now), links.given_up()), (cold(1), 0));
        assert_eq!(links.get(&large(2).id, now), Some(Linked::Warm(large(2))));
        assert!(links.bytes() <= each * 5 / 2);
        // It is handed out again; the disk holds it long enough already, and then not any more.
        assert!(links.hold(&large(1), MINUTE, now + MINUTE / 10).is_none());
        assert_eq!(links.get(&large(1).id, now), Some(Linked::Warm(large(1))));
        assert!(links.hold(&large(1), MINUTE, now + MINUTE / 2).is_some());
        assert_eq!((links.give_up(&large(1).id), links.give_up(&large(9).id)), (Some(hash(1)), None));
        assert_eq!(links.get(&large(1).id, now), None);
        // One that an earlier process left is there until it expires.
        links.restore(large(4).without_bytes(), hash(4), MINUTE, now);
        assert_eq!((links.get(&large(4).id, now), links.get(&large(4).id, now + MINUTE)), (cold(4), None));
        links.resize(0, now);
        let state = links.lock();
        assert_eq!((state.bytes, state.order.len(), state.warm.len()), (0, 0, 0));
    }

    #[test]
    fn what_is_given_up_before_the_disk_has_it_is_not_wanted_there() {
        let (links, now) = (LinkStore::new(10_000), Instant::now());
        let hold = links.hold(&picture(1), MINUTE, now).unwrap();
        assert_eq!(links.give_up(&picture(1).id), None);
        assert_eq!(hold.name.set([1; 32]), Err([1; 32]));
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
