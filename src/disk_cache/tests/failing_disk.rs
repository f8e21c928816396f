//! A disk that is full, dead, slow, or taken away: nobody waits for it, nothing wrong comes of it, and it is used again.

use futures_util::FutureExt;

use super::*;

/// Lets the disk be full for a picture: its file cannot be written, and the system says why.
#[cfg(target_os = "linux")]
fn be_full_for(folder: &Folder, bytes: &[u8]) {
    let unfinished = folder.path().join(format!("{}.new", ContentHash::of(bytes)));
    std::os::unix::fs::symlink("/dev/full", unfinished).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_skipped_and_after_three_failures_left_alone_for_half_a_minute() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let before = put(&cache, RecordKind::Pool, 0, 3000);
    cache.flush().await;
    for tag in 1..=3 {
        be_full_for(&folder, &bytes(tag, 3000));
        assert!(cache.stats().writable);
        put(&cache, RecordKind::Pool, tag, 3000);
        cache.flush().await;
    }
    let late = bytes(4, 3000);
    let keep_late = || cache.put(record(RecordKind::Pool, 4, &late, NOW.after(HOUR)), late.clone());
    assert_eq!(keep_late(), Err(SkipReason::Paused));
    let lost: Vec<_> = (1..=3).map(|tag| (ContentHash::of(&bytes(tag, 3000)), GoneReason::NotWritten)).collect();
    assert_eq!(folder.gone(), lost);
    let stats = cache.stats();
    let skipped = [SkipReason::WriteFailed, SkipReason::Paused].map(|word| count(&stats.skipped, word));
    assert_eq!((skipped, stats.files, stats.records, stats.writable), ([3, 1], 1, 1, false));
    assert_eq!(cache.read(&before).await.unwrap(), bytes(0, 3000), "what is there is read");
    assert!(folder.names().iter().all(|name| !name.ends_with(".new")), "nothing is left of them");
    // Still full: one try, and another pause.
    folder.clock.set(NOW.after(PAUSE));
    be_full_for(&folder, &late);
    keep_late().unwrap();
    cache.flush().await;
    assert_eq!(keep_late(), Err(SkipReason::Paused));
    folder.clock.set(NOW.after(PAUSE * 2));
    keep_late().unwrap();
    cache.flush().await;
    assert!(cache.stats().writable);
    drop(cache);
    assert_eq!(folder.open(64 * MIB).1.len(), 2);
}

#[tokio::test]
async fn a_database_that_takes_nothing_leaves_no_picture_without_a_record() {
    let folder = Folder::new();
    let opened = open_directory::open(&folder.path(), NOW).unwrap();
    let clock = Clock::Manual(folder.clock.clone());
    let (cache, _, Writing(mut writer, _end)) = DiskCache::of(opened, 64 * MIB, clock, folder.on_gone()).unwrap();
    let [old, new] = [1, 2].map(|tag| bytes(tag, 3000));
    let shared = cache.0.shared.clone();
    cache.put(record(RecordKind::Pool, 1, &old, NOW.after(HOUR)), old.clone()).unwrap();
    assert!(writer.turn(shared.queue.next(false).unwrap()));
    let pages: i64 = writer.database().connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |pages: i64| {
        let text = format!("PRAGMA max_page_count = {pages}");
        writer.database().connection().query_row(&text, [], |_| Ok(())).unwrap();
    };
    limit(pages);
    let wordy = Record { about: vec![7; 100_000], ..record(RecordKind::Pool, 2, &new, NOW.after(HOUR)) };
    cache.put(wordy.clone(), new.clone()).unwrap();
    cache.remove_picture(&ContentHash::of(&old));
    assert!(writer.turn(shared.queue.next(false).unwrap()));
    assert_eq!(folder.gone(), [(ContentHash::of(&new), GoneReason::NotWritten)]);
    let stats = cache.stats();
    assert_eq!((stats.files, stats.records, stats.queued_bytes), (1, 1, 0));
    assert_eq!(count(&stats.skipped, SkipReason::WriteFailed), 1);
    assert!(!folder.file(&ContentHash::of(&new)).exists());
    // The removal waits, and is made when that is possible.
    assert!(writer.turn(shared.queue.next(false).unwrap()));
    assert_eq!(folder.gone(), [(ContentHash::of(&old), GoneReason::Removed)]);
    assert_eq!((cache.stats().files, cache.stats().records), (0, 0));
}

#[tokio::test]
async fn a_directory_that_is_taken_away_is_written_no_more_until_it_is_back_and_removals_wait_for_it() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let [kept, removed] = [1, 2].map(|tag| put(&cache, RecordKind::Pool, tag, 3000));
    cache.flush().await;
    let away = folder.dir.path().join("away");
    std::fs::rename(folder.path(), &away).unwrap();
    // Somebody's file stands in its place.
    std::fs::write(folder.path(), "a file").unwrap();
    for tag in 3..6 {
        put(&cache, RecordKind::Pool, tag, 3000);
        cache.flush().await;
    }
    cache.remove_picture(&removed);
    cache.flush().await;
    assert_eq!(cache.read(&kept).await, Err(ReadMiss(ReadResult::Failed)));
    let stats = cache.stats();
    assert_eq!((stats.files, stats.writable, count(&stats.skipped, SkipReason::WriteFailed)), (2, false, 3));
    std::fs::remove_file(folder.path()).unwrap();
    assert_eq!(cache.read(&kept).await, Err(ReadMiss(ReadResult::Failed)), "it may come back with all that is in it");
    std::fs::rename(&away, folder.path()).unwrap();
    assert_eq!(cache.read(&kept).await.unwrap(), bytes(1, 3000));
    folder.gone();
    folder.clock.set(NOW.after(PAUSE));
    let later = bytes(9, 3000);
    cache.put(record(RecordKind::Pool, 9, &later, NOW.after(HOUR)), later.clone()).unwrap();
    cache.flush().await;
    assert_eq!(folder.gone(), [(removed, GoneReason::Removed)]);
    drop(cache);
    let found: BTreeSet<_> = folder.open(64 * MIB).1.iter().map(|record| record.picture).collect();
    assert_eq!(found, [kept, ContentHash::of(&later)].into());
}

#[tokio::test]
async fn removals_that_no_disk_ever_takes_end_with_the_cache() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let picture = put(&cache, RecordKind::Pool, 1, 3000);
    cache.flush().await;
    std::fs::rename(folder.path(), folder.dir.path().join("away")).unwrap();
    cache.remove_picture(&picture);
    assert!(!cache.close(Duration::from_millis(1)).await);
    let bytes = bytes(2, 3000);
    let refused = cache.put(record(RecordKind::Pool, 2, &bytes, NOW.after(HOUR)), bytes.clone());
    assert!(matches!(refused, Err(SkipReason::Closed | SkipReason::Paused)), "{refused:?}");
    cache.flush().await;
    drop(cache);
}

/// Lets the disk never answer when a picture is read; whoever writes into the pipe ends that.
#[cfg(target_os = "linux")]
fn never_answer_for(folder: &Folder, picture: &ContentHash) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    std::fs::remove_file(folder.file(picture)).unwrap();
    mknodat(CWD, folder.file(picture), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_disk_that_never_answers_is_waited_for_two_seconds_three_times_and_then_left_alone() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let stuck: Vec<_> = (0..READERS as u64).map(|tag| put(&cache, RecordKind::Pool, tag, 3000)).collect();
    let other = put(&cache, RecordKind::Pool, 77, 3000);
    cache.flush().await;
    stuck.iter().for_each(|picture| never_answer_for(&folder, picture));
    let mut waiting: Vec<_> = stuck.iter().map(|picture| Box::pin(cache.read(picture))).collect();
    assert!(waiting.iter_mut().all(|read| read.as_mut().now_or_never().is_none()));
    // Every thread is stuck before the others wait.
    while cache.0.shared.reads.waiting() > 0 {
        std::thread::yield_now();
    }
    let mut behind: Vec<_> = (0..WAITING_READS).map(|_| Box::pin(cache.read(&other))).collect();
    assert!(behind.iter_mut().all(|read| read.as_mut().now_or_never().is_none()));
    assert_eq!(cache.read(&other).await, Err(ReadMiss(ReadResult::Busy)));
    let begun = tokio::time::Instant::now();
    for read in waiting.into_iter().chain(behind) {
        assert_eq!(read.await, Err(ReadMiss(ReadResult::TimedOut)));
    }
    assert_eq!(begun.elapsed().as_secs(), READ_TIMEOUT.as_secs(), "all of them together");
    assert_eq!(cache.read(&other).await, Err(ReadMiss(ReadResult::Paused)));
    // It answers again.
    for picture in &stuck {
        drop(std::fs::File::options().write(true).open(folder.file(picture)).unwrap());
    }
    folder.clock.set(NOW.after(PAUSE));
    while cache.0.shared.index().len() > 1 {
        std::thread::yield_now();
    }
    tokio::time::resume();
    assert_eq!(cache.read(&other).await.unwrap(), bytes(77, 3000));
    let stats = cache.stats();
    let reads = [ReadResult::TimedOut, ReadResult::Busy, ReadResult::Paused].map(|word| count(&stats.reads, word));
    assert_eq!(reads, [(READERS + WAITING_READS) as u64, 1, 1]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = Folder::new();
    std::fs::write(folder.path(), "a file").unwrap();
    for dir in [folder.path(), folder.path().join("below")] {
        let refused = DiskCache::open(&dir, MIB, Clock::System, folder.on_gone()).err().unwrap();
        assert!(matches!(&refused, OpenError::Directory { dir: named, .. } if *named == dir), "{refused}");
    }
}
