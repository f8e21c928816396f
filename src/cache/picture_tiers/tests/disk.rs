//! Pictures that are on disk as well, or alone, with a disk that is a map.

use std::collections::BTreeMap;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::cache::Linked;
use crate::config::plan;

type MapRecord = (DiskKey, ContentHash, Arc<GeneratedPicture>, AboutPicture);

#[derive(Default)]
struct MapDisk {
    files: Mutex<BTreeMap<ContentHash, Buffer>>,
    records: Mutex<Vec<MapRecord>>,
    /// Handed over and not yet written, while it is slow.
    waiting: Mutex<Vec<ToDisk>>,
    slow: Mutex<bool>,
}

impl MapDisk {
    fn write(&self, picture: ToDisk) {
        let bytes = picture.generated.picture.encoded.bytes().clone();
        let name: ContentHash = Sha256::digest(&bytes).into();
        if picture.name.set(name).is_err() && picture.name.get() == Some(&NOT_WANTED) {
            return;
        }
        self.files.lock().unwrap().insert(name, bytes);
        let mut records = self.records.lock().unwrap();
        records.retain(|(key, other, ..)| (key, other) != (&picture.key, &name));
        records.push((picture.key, name, Arc::new(picture.generated.without_bytes()), picture.about));
    }

    fn catch_up(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(|picture| self.write(picture));
    }

    fn left(&self) -> Vec<FromDisk> {
        let record = |(key, name, generated, about): &MapRecord| FromDisk {
            key: key.clone(),
            name: *name,
            generated: (**generated).clone(),
            about: about.clone(),
            age: Duration::from_secs(60),
            left: HOUR,
        };
        self.records.lock().unwrap().iter().map(record).collect()
    }
}

impl DiskTier for MapDisk {
    fn keep(&self, picture: ToDisk) {
        if *self.slow.lock().unwrap() { self.waiting.lock().unwrap().push(picture) } else { self.write(picture) }
    }

    fn touch(&self, _name: &ContentHash) {}

    fn remove(&self, key: &DiskKey, name: &ContentHash) {
        self.records.lock().unwrap().retain(|(other, of, ..)| (other, of) != (key, name));
    }

    fn remove_where(&self, unwanted: Box<dyn Fn(&FromDisk) -> bool + Send>) {
        let left = self.left();
        let gone: Vec<(DiskKey, ContentHash)> =
            left.into_iter().filter(|picture| unwanted(picture)).map(|picture| (picture.key, picture.name)).collect();
        gone.iter().for_each(|(key, name)| self.remove(key, name));
    }
}

fn tiers(memory: u64, disk: &Arc<MapDisk>) -> CacheTiers {
    let bounds = plan::Cache { memory, links: 1 << 20, prompts: 0, words: plan::CacheWords::default() };
    CacheTiers::new(&bounds, Some(disk.clone() as Arc<dyn DiskTier>), 5)
}

fn keep_in(tiers: &CacheTiers, canonical: &Canonical, picture: &Arc<GeneratedPicture>, now: Instant) {
    let pictures = [at(0, picture)];
    let kept = Kept { canonical, pictures: &pictures, offer_digest: OFFER_DIGEST, ttl: HOUR, now };
    tiers.keep(&kept, Some(&WordLists::builtin()), None).unwrap();
}

fn look_in(tiers: &CacheTiers, disk: &MapDisk, canonical: &Canonical, now: Instant) -> Got {
    let lists = WordLists::builtin();
    let asked = Asked {
        canonical,
        n: 1,
        variants: 1,
        near: Some(&lists),
        learned: None,
        serves: true,
        caller: 0,
        freshness: freshness(now),
    };
    loop {
        match tiers.look(&asked) {
            Looked::Found(CacheLookup::Hit(found)) => return Got::Hit(found.pictures),
            Looked::Found(CacheLookup::Part(found)) => return Got::Part(found.pictures),
            Looked::Found(CacheLookup::Miss(miss)) => return Got::Miss(miss),
            Looked::Cold(cold) => {
                let files = disk.files.lock().unwrap();
                cold.iter().for_each(|picture| tiers.warm(picture, files.get(&picture.name).cloned()));
            }
        }
    }
}

#[test]
fn what_leaves_the_memory_is_served_from_disk_in_other_words_too() {
    let (disk, now) = (Arc::new(MapDisk::default()), Instant::now());
    let tiers = tiers(800_000, &disk);
    let asked: Vec<Canonical> =
        (0..50).map(|number| canonical(&format!("A red fox number {number} in the snow"))).collect();
    for (tag, canonical) in (0..).zip(&asked) {
        keep_in(&tiers, canonical, &picture(tag, 40_000), now);
        assert!(tiers.size().pictures <= 800_000);
    }
    for (tag, canonical) in (0..).zip(&asked) {
        assert_eq!(look_in(&tiers, &disk, canonical, now), Got::Hit(vec![at(0, &picture(tag, 40_000))]), "{tag}");
        assert!(tiers.size().pictures <= 800_000);
    }
    let other = canonical("a red fox number 3 in the snow.");
    assert_eq!(look_in(&tiers, &disk, &other, now), Got::Hit(vec![at(0, &picture(3, 40_000))]));
    assert_eq!(look_in(&tiers, &disk, &asked[7], now + HOUR), Got::Miss(Miss::Expired));
}

#[test]
fn what_the_disk_does_not_give_back_is_a_miss_and_then_unknown() {
    let (disk, now) = (Arc::new(MapDisk::default()), Instant::now());
    let tiers = tiers(30_000, &disk);
    let asked: Vec<Canonical> = (0..9).map(|number| canonical(&format!("fox {number}"))).collect();
    for (tag, canonical) in (0..).zip(&asked) {
        keep_in(&tiers, canonical, &picture(tag, 10_000), now);
    }
    disk.files.lock().unwrap().clear();
    let found =
        asked.iter().filter(|canonical| look_in(&tiers, &disk, canonical, now) != Got::Miss(Miss::Absent)).count();
    assert!(found <= 2, "{found} are in memory");
    assert_eq!(tiers.size().on_disk_alone, 0);
    assert_eq!(tiers.contents().indexed, found);
}

#[test]
fn what_the_disk_gives_up_is_not_noted_any_more() {
    let (disk, now) = (Arc::new(MapDisk::default()), Instant::now());
    let tiers = tiers(30_000, &disk);
    let asked: Vec<Canonical> = (0..9).map(|number| canonical(&format!("fox {number}"))).collect();
    for (tag, canonical) in (0..).zip(&asked) {
        keep_in(&tiers, canonical, &picture(tag, 10_000), now);
    }
    let names: Vec<ContentHash> = disk.files.lock().unwrap().keys().copied().collect();
    names.iter().for_each(|name| tiers.gone_from_disk(name));
    assert_eq!(tiers.size().on_disk_alone, 0);
    assert!(tiers.contents().indexed <= 2);
}

#[test]
fn a_restart_finds_pictures_and_links_again() {
    let (disk, now) = (Arc::new(MapDisk::default()), Instant::now());
    let first = tiers(1 << 20, &disk);
    let (fox, drawn) = (canonical("A red fox in the snow"), picture(1, 10_000));
    keep_in(&first, &fox, &drawn, now);
    let seven = seeded(7);
    let pictures = [at(2, &picture(2, 9))];
    first
        .keep(&Kept { canonical: &seven, pictures: &pictures, offer_digest: [2; 32], ttl: HOUR, now }, None, None)
        .unwrap();
    first.hold_link(&drawn, HOUR, now);
    drop(first);
    let second = tiers(1 << 20, &disk);
    second.restore(disk.left(), |route| (route == "r").then(WordLists::builtin), now);
    assert_eq!(look_in(&second, &disk, &canonical("a red fox in the snow."), now), Got::Hit(vec![at(0, &drawn)]));
    assert_eq!(look_in(&second, &disk, &fox, now), Got::Hit(vec![at(0, &drawn)]));
    assert_eq!(look_in(&second, &disk, &seven, now), Got::Miss(Miss::Stale), "it would be drawn another way now");
    let linked =
        Some(Linked::Cold(Arc::new(drawn.without_bytes()), Sha256::digest(drawn.picture.encoded.bytes()).into()));
    assert_eq!(second.linked_picture(&drawn.id, now), linked);
    assert_eq!(second.linked_picture("another", now), None);
    // They are as old as they were.
    assert_eq!(look_in(&second, &disk, &fox, now + HOUR - Duration::from_secs(60)), Got::Miss(Miss::Expired));
}

#[test]
fn after_a_restart_the_freshest_comes_first_and_a_place_has_one_picture() {
    let (disk, now) = (Arc::new(MapDisk::default()), Instant::now());
    let second = tiers(1 << 20, &disk);
    let from = |canonical: &Canonical, tag: u8, minutes: u64| FromDisk {
        key: DiskKey::Request(canonical.bytes().into()),
        name: [tag; 32],
        generated: picture(tag, 10).without_bytes(),
        about: AboutPicture {
            hard: u32::try_from(canonical.hard_key().len()).unwrap(),
            place: 0,
            offer_digest: OFFER_DIGEST,
        },
        age: Duration::from_secs(60 * minutes),
        left: HOUR,
    };
    let (fox, seven) = (canonical("a fox"), seeded(7));
    for tag in 1..=4 {
        disk.files.lock().unwrap().insert([tag; 32], picture(tag, 10).picture.encoded.bytes().clone());
    }
    let left = vec![from(&fox, 1, 20), from(&fox, 2, 10), from(&seven, 3, 20), from(&seven, 4, 10)];
    second.restore(left, |_| None, now);
    assert_eq!(look_in(&second, &disk, &fox, now), Got::Hit(vec![at(0, &picture(2, 10))]));
    assert_eq!(look_in(&second, &disk, &seven, now), Got::Hit(vec![at(0, &picture(4, 10))]));
}

#[test]
fn what_comes_back_from_disk_counts_in_its_share() {
    let (disk, now) = (Arc::new(MapDisk::default()), Instant::now());
    let tiers = tiers(1 << 20, &disk);
    let tenant = crate::cache::Shareholder::Tenant("t".into());
    let bounds = plan::Cache { memory: 1 << 20, links: 0, prompts: 0, words: plan::CacheWords::default() };
    tiers.resize(&bounds, Shares::from([(tenant.clone(), 50_000)]), now);
    let asked: Vec<Canonical> = (0..20).map(|number| canonical(&format!("fox {number}"))).collect();
    for (tag, canonical) in (0..).zip(&asked) {
        keep_in(&tiers, canonical, &picture(tag, 10_000), now);
    }
    for round in 0..3 {
        for (tag, canonical) in (0..).zip(&asked) {
            assert_eq!(look_in(&tiers, &disk, canonical, now), Got::Hit(vec![at(0, &picture(tag, 10_000))]), "{round}");
            assert!(tiers.pictures.pools.shares.of(&tenant).bytes() <= 50_000, "{round} {tag}");
        }
    }
}

#[test]
fn what_is_purged_is_on_disk_no_more_whether_it_was_written_or_not() {
    let (disk, now) = (Arc::new(MapDisk::default()), Instant::now());
    let tiers = tiers(1 << 20, &disk);
    keep_in(&tiers, &canonical("a fox"), &picture(1, 100), now);
    *disk.slow.lock().unwrap() = true;
    keep_in(&tiers, &canonical("a hen"), &picture(2, 100), now);
    tiers.hold_link(&picture(1, 100), HOUR, now);
    for tag in [1, 2] {
        let image = Some(picture(tag, 100).id.to_string());
        tiers.purge(&PurgeSelector { image, ..PurgeSelector::default() }, now);
    }
    disk.catch_up();
    assert!(disk.left().is_empty());
}

#[test]
fn what_is_forgotten_for_want_of_room_is_purged_on_disk_as_well() {
    let (disk, now) = (Arc::new(MapDisk::default()), Instant::now());
    // What is noted of pictures on disk has an eighth of this.
    let tiers = tiers(40_000, &disk);
    for number in 0..60u8 {
        keep_in(&tiers, &canonical(&format!("fox {number}")), &picture(number, 10_000), now);
    }
    assert!(tiers.size().on_disk_alone <= 5_000 && disk.left().len() == 60);
    tiers.forget("t", &picture(0, 10_000).id, now);
    tiers.forget("u", &picture(1, 10_000).id, now);
    assert_eq!(disk.left().len(), 59);
    tiers.purge(&PurgeSelector { route: Some("r".to_owned()), ..PurgeSelector::default() }, now);
    assert!(disk.left().is_empty());
}

#[test]
fn whatever_happens_a_picture_is_its_requests_own_and_the_bounds_hold() {
    let (disk, mut now) = (Arc::new(MapDisk::default()), Instant::now());
    let tiers = tiers(200_000, &disk);
    let mut random = fastrand::Rng::with_seed(8);
    let asked: Vec<Canonical> =
        (0..60).map(|number| canonical(&format!("A red fox number {number} in the snow"))).collect();
    let bounds = |memory| plan::Cache { memory, links: 1 << 20, prompts: 0, words: plan::CacheWords::default() };
    for round in 0..4_000 {
        now += Duration::from_secs(random.u64(..60));
        let number = random.usize(..asked.len());
        let own = |size: usize| picture(u8::try_from(number).unwrap(), 5_000 + 1_000 * size);
        match random.u8(..24) {
            0 => tiers.resize(&bounds(random.u64(60_000..300_000)), Shares::new(), now),
            1 => tiers.forget("t", &own(random.usize(..9)).id, now),
            2 => disk.files.lock().unwrap().retain(|_, _| random.u8(..9) > 0),
            3 => disk
                .files
                .lock()
                .unwrap()
                .keys()
                .filter(|_| random.u8(..9) == 0)
                .for_each(|name| tiers.gone_from_disk(name)),
            4 => *disk.slow.lock().unwrap() ^= true,
            5 => disk.catch_up(),
            6..14 => match look_in(&tiers, &disk, &asked[number], now) {
                Got::Hit(pictures) => {
                    let encoded = pictures[0].generated.picture.encoded.bytes();
                    assert!(!encoded.is_empty() && encoded.iter().all(|byte| usize::from(*byte) == number), "{round}");
                }
                Got::Part(_) => panic!("one was asked for"),
                Got::Miss(_) => {}
            },
            _ => keep_in(&tiers, &asked[number], &own(random.usize(..9)), now),
        }
        let contents = tiers.contents();
        assert_eq!(contents.indexed, contents.requests, "{round}");
    }
    tiers.resize(&bounds(0), Shares::new(), now);
    assert_eq!((tiers.size().pictures, tiers.size().on_disk_alone, tiers.contents().indexed), (0, 0, 0));
}

#[test]
fn what_newer_pictures_took_the_place_of_leaves_the_disk_and_comes_back_with_no_restart() {
    let (disk, now) = (Arc::<MapDisk>::default(), Instant::now());
    let (tiers, fox, seeded) = (tiers(1 << 20, &disk), canonical("a fox"), seeded(7));
    let of = |canonical: &Canonical| {
        let key = DiskKey::Request(canonical.bytes().into());
        disk.records.lock().unwrap().iter().filter(|(other, ..)| *other == key).count()
    };
    (0..12).for_each(|tag| keep_in(&tiers, &fox, &picture(tag, 10), now));
    assert_eq!(of(&fox), POOL, "two had to go");
    keep_in(&tiers, &fox, &picture(11, 10), now);
    assert_eq!(of(&fox), POOL, "the same bytes again take nothing's place");
    keep_in(&tiers, &seeded, &picture(20, 10), now);
    keep_in(&tiers, &seeded, &picture(21, 10), now);
    assert_eq!(of(&seeded), 1, "a place has one picture");
    keep_in(&tiers, &seeded, &picture(21, 10), now);
    assert_eq!(of(&seeded), 1);
    *disk.slow.lock().unwrap() = true;
    keep_in(&tiers, &seeded, &picture(22, 10), now);
    keep_in(&tiers, &seeded, &picture(23, 10), now);
    disk.catch_up();
    assert_eq!(of(&seeded), 1, "what was not written yet is not written any more");
}
