//! What pictures on disk cost: `cargo bench --bench disk_cache [-- DIR]`. DIR is made and removed; without it the system's
//! temporary directory is measured.
//!
//! `put` keeps 500 pictures of 2 MB, synced; `read` reads them, in random order, one after the other and eight at a time,
//! out of the system's page cache, so that it tells what hashing and copying take and not what the disk does; `open` opens
//! a directory of 100,000 small pictures with a record each, as after a restart.
//!
//! Measured on 2 cores and a disk that others used too (ext4), the worse and the better of two runs:
//!
//! | what | result |
//! |---|---|
//! | SHA-256, one core | 1,790 MB/s |
//! | put, synced | 133 to 367 pictures a second, 266 to 735 MB/s |
//! | a call of `put()` | half within 0.6 us, 99% within 0.1 to 3 ms (a thread that holds a lock may lose its core) |
//! | read, one at a time | 734 to 774 pictures a second; half within 1.3 ms, 99% within 1.5 to 3.3 ms |
//! | read, eight at a time | 1,055 to 1,099 pictures a second; half within 5 to 6 ms, 99% within 24 to 44 ms |
//! | 100,000 small pictures, put | 35 to 46 s; the database and the list of names take 840 to 1,000 bytes a picture |
//! | 100,000 records, opened | 0.7 to 0.9 s; 730 bytes of memory each while it opens, of which the index keeps 320 |

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use easel::internals::calendar::Moment;
use easel::internals::disk_cache::{ContentHash, DiskCache, Record, RecordKind};
use easel::parts::Clock;
use futures_util::{StreamExt, stream};

/// What `easel` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failed = Box<dyn std::error::Error + Send + Sync>;

const PICTURES: u64 = 500;
const PICTURE_BYTES: usize = 2_000_000;
const RECORDS: u64 = 100_000;
const SIZE: u64 = 10 << 30;

fn main() -> Result<(), Failed> {
    let named = std::env::args().skip(1).find(|word| word != "--bench").map(PathBuf::from);
    let dir = named.unwrap_or_else(|| std::env::temp_dir().join(format!("easel-disk-cache-{}", std::process::id())));
    std::fs::create_dir(&dir)?;
    let measured = tokio::runtime::Runtime::new()?.block_on(measure(&dir));
    std::fs::remove_dir_all(&dir)?;
    measured
}

async fn measure(dir: &Path) -> Result<(), Failed> {
    let large = vec![7; 100 * PICTURE_BYTES];
    let begun = Instant::now();
    let hash = ContentHash::of(&large);
    println!("SHA-256: {:.0} MB/s (of {hash})", large.len() as f64 / 1e6 / begun.elapsed().as_secs_f64());
    drop(large);
    let (cache, _) = open(&dir.join("large"))?;
    let pictures = put_large(&cache).await?;
    for at_once in [1, 8] {
        read(&cache, &pictures, at_once).await?;
    }
    drop(cache);
    open_many(&dir.join("small")).await
}

fn open(dir: &Path) -> Result<(DiskCache, Vec<Record>), Failed> {
    Ok(DiskCache::open(dir, SIZE, Clock::System, Arc::new(|_, _| {}))?)
}

/// A picture of this number, and a record of it as long as a usual prompt with what a cache has to say.
fn picture(number: u64, length: usize) -> (Record, Bytes) {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(number).fill(&mut bytes);
    let (key, about) = (number.to_le_bytes().repeat(2), vec![7; 400]);
    let expires = Moment::from_millis(i64::MAX);
    (Record { kind: RecordKind::Pool, key, picture: ContentHash::of(&bytes), expires, about }, bytes.into())
}

async fn put_large(cache: &DiskCache) -> Result<Vec<ContentHash>, Failed> {
    let made: Vec<_> = (0..PICTURES).map(|number| picture(number, PICTURE_BYTES)).collect();
    let pictures = made.iter().map(|(record, _)| record.picture).collect();
    let begun = Instant::now();
    let mut calls = Vec::new();
    for (number, (record, bytes)) in made.into_iter().enumerate() {
        let before = Instant::now();
        cache.put(record, bytes).map_err(|why| why.as_str())?;
        calls.push(before.elapsed());
        if number % 16 == 15 {
            cache.flush().await;
        }
    }
    cache.flush().await;
    tell("put", begun.elapsed());
    tell_times("  calls of put()", calls);
    Ok(pictures)
}

async fn read(cache: &DiskCache, pictures: &[ContentHash], at_once: usize) -> Result<(), Failed> {
    let mut order = pictures.to_vec();
    fastrand::Rng::with_seed(1).shuffle(&mut order);
    let begun = Instant::now();
    let times: Vec<_> = stream::iter(&order)
        .map(|picture| async move {
            let begun = Instant::now();
            cache.read(picture).await.map(|_| begun.elapsed())
        })
        .buffer_unordered(at_once)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    tell(&format!("read, {at_once} at once"), begun.elapsed());
    tell_times("  reads", times);
    Ok(())
}

fn tell_times(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("{what}: half within {:?}, 99% within {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
}

fn tell(what: &str, took: Duration) {
    let (seconds, pictures) = (took.as_secs_f64(), PICTURES as f64);
    let rate = pictures * PICTURE_BYTES as f64 / 1e6 / seconds;
    println!("{what}: {:.0} pictures of 2 MB a second, {rate:.0} MB/s", pictures / seconds);
}

async fn open_many(dir: &Path) -> Result<(), Failed> {
    let (cache, _) = open(dir)?;
    let begun = Instant::now();
    for number in 0..RECORDS {
        let (record, bytes) = picture(number, 1000);
        cache.put(record, bytes).map_err(|why| why.as_str())?;
        if number % 1000 == 999 {
            cache.flush().await;
        }
    }
    cache.flush().await;
    let stats = cache.stats();
    let database = stats.bytes - stats.files * 4096;
    println!("put: {RECORDS} small pictures in {:?}; {database} bytes besides them", begun.elapsed());
    cache.close(Duration::from_secs(60)).await;
    drop(cache);
    let (before, begun) = (resident()?, Instant::now());
    let (cache, records) = open(dir)?;
    println!("open: {} records in {:?}", records.len(), begun.elapsed());
    let with_records = resident()?;
    drop(records);
    let kept = resident()?;
    let each = |bytes: u64| bytes.saturating_sub(before) / RECORDS;
    println!("  {} bytes of memory a record, {} when they were handed on", each(with_records), each(kept));
    drop(cache);
    Ok(())
}

/// What the kernel says that this process has in memory.
fn resident() -> Result<u64, Failed> {
    let status = std::fs::read_to_string("/proc/self/statm")?;
    let pages = status.split(' ').nth(1).ok_or("the kernel tells no memory")?;
    Ok(pages.parse::<u64>()? * 4096)
}
