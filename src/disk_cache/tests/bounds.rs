//! The bounds: of the directory, of what waits for it, and of one picture.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a directory may take beyond its bound here: the pages that a few small records add.
const SLACK: u64 = 128 << 10;

/// What the system says that the directory takes.
#[cfg(unix)]
fn taken(folder: &Folder) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let names = folder.names().into_iter().map(|name| folder.path().join(name)).chain([folder.path()]);
    names.map(|path| std::fs::metadata(path).unwrap().blocks() * 512).sum()
}

#[tokio::test]
async fn the_least_recently_used_make_room_and_those_with_a_live_link_last() {
    let folder = Folder::new();
    let (cache, _) = folder.open(4 * MIB);
    let linked = put(&cache, RecordKind::Link, 0, 400_000);
    let pictures: Vec<_> = (1..8).map(|tag| put(&cache, RecordKind::Pool, tag, 400_000)).collect();
    cache.flush().await;
    assert!(folder.gone().is_empty());
    cache.touch(&pictures[0]);
    for tag in 8..12 {
        put(&cache, RecordKind::Pool, tag, 400_000);
    }
    cache.flush().await;
    let gone = folder.gone();
    assert_eq!(gone, [1, 2, 3].map(|tag: usize| (pictures[tag], GoneReason::Evicted))[..gone.len()]);
    assert!(gone.len() >= 2 && !folder.file(&pictures[1]).exists());
    assert_eq!(cache.read(&linked).await.unwrap(), bytes(0, 400_000));
    assert_eq!(cache.read(&pictures[0]).await.unwrap(), bytes(1, 400_000));
    cache.resize(MIB);
    cache.flush().await;
    let stats = cache.stats();
    assert!(stats.bytes <= MIB && stats.files >= 1, "{stats:?}");
    assert_eq!(cache.read(&linked).await.unwrap(), bytes(0, 400_000));
    assert!(folder.gone().iter().all(|(picture, why)| *picture != linked && *why == GoneReason::Evicted));
}

#[tokio::test]
async fn a_start_with_less_room_returns_only_what_stays() {
    let folder = Folder::new();
    let (cache, _) = folder.open(4 * MIB);
    for tag in 0..8 {
        put(&cache, RecordKind::Pool, tag, 400_000);
    }
    assert!(cache.close(HOUR).await);
    drop(cache);
    let (cache, records) = folder.open(MIB);
    let stats = cache.stats();
    assert!(stats.bytes <= MIB && (1..3).contains(&records.len()), "{stats:?}");
    assert_eq!(stats.files, records.len() as u64);
    assert_eq!(records.last().unwrap().picture, ContentHash::of(&bytes(7, 400_000)), "the last one that was used");
}

#[tokio::test]
async fn no_picture_takes_more_than_its_part_and_no_record_more_than_it_may() {
    let folder = Folder::new();
    let (cache, _) = folder.open(4 * MIB);
    let large = bytes(1, (MIB + 1) as usize);
    let refused = cache.put(record(RecordKind::Pool, 1, &large, NOW.after(HOUR)), large);
    let wordy = Record { about: vec![0; RECORD_BYTES], ..record(RecordKind::Pool, 1, b"x", NOW.after(HOUR)) };
    assert_eq!([refused, cache.put(wordy, Bytes::from_static(b"x"))], [Err(SkipReason::TooLarge); 2]);
    put(&cache, RecordKind::Pool, 1, MIB as usize);
    cache.flush().await;
    assert_eq!((cache.stats().files, count(&cache.stats().skipped, SkipReason::TooLarge)), (1, 2));
    // It fits no more when it is written.
    let fits = bytes(2, 500_000);
    let (tell, told) = std::sync::mpsc::channel::<()>();
    cache.remove_where(move |_| told.recv().is_err());
    cache.put(record(RecordKind::Pool, 2, &fits, NOW.after(HOUR)), fits.clone()).unwrap();
    cache.resize(MIB);
    drop(tell);
    cache.flush().await;
    assert!(folder.gone().contains(&(ContentHash::of(&fits), GoneReason::NotWritten)));
    assert_eq!(count(&cache.stats().skipped, SkipReason::TooLarge), 3);
}

#[tokio::test]
async fn what_waits_is_bounded_in_bytes_and_can_be_read_meanwhile() {
    let folder = Folder::new();
    let (cache, _) = folder.open(1024 * MIB);
    let (tell, told) = std::sync::mpsc::channel::<()>();
    // The writer is held at the first record that it looks at.
    put(&cache, RecordKind::Pool, 0, 10);
    cache.remove_where(move |_| told.recv().is_ok());
    let waiting: Vec<_> = (1..8).map(|tag| bytes(tag, 8 * MIB as usize)).collect();
    for picture in &waiting {
        cache.put(record(RecordKind::Pool, 1, picture, NOW.after(HOUR)), picture.clone()).unwrap();
    }
    let more = bytes(9, 8 * MIB as usize);
    let refused = cache.put(record(RecordKind::Pool, 1, &more, NOW.after(HOUR)), more.clone());
    assert_eq!(refused, Err(SkipReason::QueueFull));
    assert!(cache.stats().queued_bytes <= QUEUE_BYTES);
    assert_eq!(cache.read(&ContentHash::of(&waiting[6])).await.unwrap(), waiting[6], "not on disk yet");
    // A link to what waits takes no second copy.
    cache.put(record(RecordKind::Link, 1, &waiting[6], NOW.after(HOUR)), waiting[6].clone()).unwrap();
    drop(tell);
    cache.flush().await;
    let stats = cache.stats();
    assert_eq!((stats.files, stats.records, stats.queued_bytes), (8, 9, 0));
    assert_eq!((count(&stats.skipped, SkipReason::QueueFull), stats.written), (1, 8));
}

/// What happens to a cache. The numbers pick one of a few pictures and keys.
#[derive(Clone, Debug)]
enum Event {
    Put { tag: u64, key: u64, link: bool, seconds: u64 },
    Remove { tag: u64, key: u64, link: bool },
    RemovePicture(u64),
    RemoveKey(u64),
    Touch(u64),
    Read(u64),
    Later(u64),
    Resize(u64),
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    let (tag, key) = (0..24u64, 0..3u64);
    prop_oneof![
        12 => (tag.clone(), key.clone(), any::<bool>(), 1..100u64)
            .prop_map(|(tag, key, link, seconds)| Event::Put { tag, key, link, seconds }),
        2 => (tag.clone(), key.clone(), any::<bool>()).prop_map(|(tag, key, link)| Event::Remove { tag, key, link }),
        1 => tag.clone().prop_map(Event::RemovePicture),
        1 => key.prop_map(Event::RemoveKey),
        2 => tag.clone().prop_map(Event::Touch),
        2 => tag.prop_map(Event::Read),
        2 => (1..30u64).prop_map(Event::Later),
        1 => (1..4u64).prop_map(Event::Resize),
        1 => Just(Event::Reopen),
    ]
}

/// A cache, and an index of it as its owner has one.
struct World {
    folder: Folder,
    cache: Option<DiskCache>,
    size: u64,
    now: Moment,
    /// By kind, key and tag: what was put, not removed, and not told to be gone.
    index: BTreeMap<(RecordKind, u64, u64), Moment>,
}

fn picture(tag: u64) -> Bytes {
    bytes(tag, 10_000 * (1 + tag as usize))
}

impl World {
    fn cache(&self) -> &DiskCache {
        self.cache.as_ref().unwrap()
    }

    async fn act(&mut self, event: &Event) {
        let kind = |link: bool| if link { RecordKind::Link } else { RecordKind::Pool };
        match *event {
            Event::Put { tag, key, link, seconds } => {
                let (bytes, expires) = (picture(tag), self.now.after(Duration::from_secs(seconds)));
                self.cache().put(record(kind(link), key, &bytes, expires), bytes).unwrap();
                self.index.insert((kind(link), key, tag), expires);
            }
            Event::Remove { tag, key, link } => {
                self.cache().remove(kind(link), &key.to_le_bytes(), &ContentHash::of(&picture(tag)));
                self.index.remove(&(kind(link), key, tag));
            }
            Event::RemovePicture(tag) => {
                self.cache().remove_picture(&ContentHash::of(&picture(tag)));
                self.index.retain(|(_, _, of), _| *of != tag);
            }
            Event::RemoveKey(key) => {
                self.cache().remove_where(move |record| record.key == key.to_le_bytes());
                self.index.retain(|(_, of, _), _| *of != key);
            }
            Event::Touch(tag) => self.cache().touch(&ContentHash::of(&picture(tag))),
            Event::Read(tag) => {
                if let Ok(read) = self.cache().read(&ContentHash::of(&picture(tag))).await {
                    assert_eq!(read, picture(tag));
                }
            }
            Event::Later(seconds) => {
                self.now = self.now.after(Duration::from_secs(seconds));
                self.folder.clock.set(self.now);
            }
            Event::Resize(mib) => {
                self.size = mib * MIB;
                self.cache().resize(self.size);
            }
            Event::Reopen => {
                self.forget_gone().await;
                self.cache = None;
                let (cache, records) = self.folder.open(self.size);
                self.cache = Some(cache);
                self.forget_gone().await;
                let found: BTreeMap<_, _> =
                    records.into_iter().map(|record| (self.name(&record), record.expires)).collect();
                assert_eq!(found, self.index);
            }
        }
    }

    fn name(&self, record: &Record) -> (RecordKind, u64, u64) {
        let tag = (0..24).find(|tag| ContentHash::of(&picture(*tag)) == record.picture).unwrap();
        (record.kind, u64::from_le_bytes(record.key.clone().try_into().unwrap()), tag)
    }

    async fn forget_gone(&mut self) {
        self.cache().flush().await;
        let gone: Vec<_> = self.folder.gone().into_iter().map(|(picture, _)| picture).collect();
        let now = self.now;
        self.index.retain(|(_, _, tag), expires| *expires > now && !gone.contains(&ContentHash::of(&picture(*tag))));
    }

    /// The bound holds, and whatever the index has can be read.
    async fn check(&mut self) {
        self.forget_gone().await;
        #[cfg(unix)]
        assert!(taken(&self.folder) <= self.size + SLACK, "{} of {}", taken(&self.folder), self.size);
        let tags: BTreeSet<u64> = self.index.keys().map(|(_, _, tag)| *tag).collect();
        for tag in &tags {
            assert!(self.folder.file(&ContentHash::of(&picture(*tag))).exists());
        }
        let stats = self.cache().stats();
        assert_eq!(stats.files, tags.len() as u64, "and nothing else is there");
        assert_eq!((stats.queued_bytes, stats.records), (0, self.index.len() as u64));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_the_bound_holds_and_what_is_not_told_to_be_gone_is_there(
        events in proptest::collection::vec(event(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let (cache, _) = folder.open(2 * MIB);
            let mut world =
                World { folder, cache: Some(cache), size: 2 * MIB, now: NOW, index: BTreeMap::new() };
            for event in &events {
                world.act(event).await;
                world.check().await;
            }
            world.act(&Event::Reopen).await;
            world.check().await;
        });
    }
}
