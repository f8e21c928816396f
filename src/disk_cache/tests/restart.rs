//! What a restart finds: all that was written, and whatever a crash or somebody's hands made of it.

use rusqlite::Connection;

use super::*;

#[tokio::test]
async fn pictures_records_their_order_and_the_secret_survive_a_restart() {
    let folder = Folder::new();
    let (cache, records) = folder.open(64 * MIB);
    assert!(records.is_empty());
    let secret = *cache.secret();
    let pictures: Vec<_> = (0..5).map(|tag| put(&cache, RecordKind::Pool, tag, 3000 + tag as usize)).collect();
    let link = record(RecordKind::Link, 9, &bytes(3, 3003), NOW.after(HOUR * 2));
    cache.put(link.clone(), bytes(3, 3003)).unwrap();
    cache.flush().await;
    assert_eq!(cache.read(&pictures[0]).await.unwrap(), bytes(0, 3000));
    cache.flush().await;
    // A use is on disk with the next look, before the end.
    assert_eq!(folder.as_a_crash_leaves_it().open(64 * MIB).1.last().unwrap().picture, pictures[0]);
    cache.touch(&pictures[1]);
    let stats = cache.stats();
    assert_eq!((stats.files, stats.records, stats.written, stats.queued_bytes), (5, 6, 5, 0));
    assert!(cache.close(HOUR).await && folder.gone().is_empty());
    drop(cache);

    let (cache, records) = folder.open(64 * MIB);
    let found: Vec<_> = records.iter().map(|record| record.picture).collect();
    let used_last = [2, 3, 3, 4, 0, 1].map(|tag: usize| pictures[tag]);
    assert_eq!((found.as_slice(), *cache.secret()), (&used_last[..], secret));
    assert!(
        records.contains(&link) && records.contains(&record(RecordKind::Pool, 3, &bytes(3, 3003), NOW.after(HOUR)))
    );
    for (tag, picture) in (0..5).zip(&pictures) {
        assert_eq!(cache.read(picture).await.unwrap(), bytes(tag, 3000 + tag as usize));
    }
    let again = cache.stats();
    assert_eq!((again.files, again.records, count(&again.reads, ReadResult::Hit)), (5, 6, 5));
}

#[tokio::test]
async fn what_is_over_is_gone_and_a_link_keeps_a_picture_that_is_reused_no_more() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let [over, linked] = [1, 2].map(|tag| put(&cache, RecordKind::Pool, tag, 3000));
    let link = record(RecordKind::Link, 2, &bytes(2, 3000), NOW.after(HOUR * 2));
    cache.put(link.clone(), bytes(2, 3000)).unwrap();
    cache.flush().await;
    folder.clock.set(NOW.after(HOUR));
    assert_eq!(cache.put(record(RecordKind::Pool, 5, b"x", NOW), Bytes::from_static(b"x")), Err(SkipReason::Expired));
    cache.flush().await;
    assert_eq!(folder.gone(), [(over, GoneReason::Expired)]);
    assert!(!folder.file(&over).exists() && cache.read(&over).await == Err(ReadMiss(ReadResult::Absent)));
    assert_eq!(cache.read(&linked).await.unwrap(), bytes(2, 3000));
    drop(cache);
    let (cache, records) = folder.open(64 * MIB);
    assert_eq!(records, [link]);
    drop(cache);
    folder.clock.set(NOW.after(HOUR * 2));
    let (cache, records) = folder.open(64 * MIB);
    let stats = cache.stats();
    assert_eq!((records.len(), stats.files, stats.records, folder.file(&linked).exists()), (0, 0, 0, false));
}

#[tokio::test]
async fn what_was_removed_does_not_come_back_and_a_picture_stays_for_its_other_records() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let pictures: Vec<_> = (0..5).map(|tag| put(&cache, RecordKind::Pool, tag, 3000)).collect();
    for tag in [0, 1] {
        cache.put(record(RecordKind::Link, tag, &bytes(tag, 3000), NOW.after(HOUR)), bytes(tag, 3000)).unwrap();
    }
    cache.remove(RecordKind::Pool, &0u64.to_le_bytes(), &pictures[0]);
    cache.remove_picture(&pictures[1]);
    cache.remove(RecordKind::Pool, &2u64.to_le_bytes(), &pictures[2]);
    cache.remove_where(|record| record.about == b"about 3");
    // Only what was handed in before is removed.
    put(&cache, RecordKind::Pool, 2, 3000);
    cache.flush().await;
    let removed = [1, 3].map(|tag: usize| (pictures[tag], GoneReason::Removed));
    assert_eq!(BTreeSet::from_iter(folder.gone().into_iter().map(|gone| gone.0)), removed.map(|gone| gone.0).into());
    drop(cache);
    let (cache, records) = folder.open(64 * MIB);
    let kept: BTreeSet<_> = records.iter().map(|record| (record.kind, record.picture)).collect();
    let wanted = [(RecordKind::Link, 0), (RecordKind::Pool, 2), (RecordKind::Pool, 4)];
    assert_eq!(kept, wanted.map(|(kind, tag): (_, usize)| (kind, pictures[tag])).into());
    let stats = cache.stats();
    assert_eq!((stats.files, stats.records), (3, 3));
    assert!(!folder.file(&pictures[1]).exists() && !folder.file(&pictures[3]).exists());
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_used_is_a_miss_and_goes_with_its_records() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let [cut, longer, garbled, missing, whole] = [1, 2, 3, 4, 5].map(|tag| put(&cache, RecordKind::Pool, tag, 3000));
    cache.flush().await;
    std::fs::write(folder.file(&cut), &bytes(1, 3000)[..2999]).unwrap();
    std::fs::write(folder.file(&longer), [&bytes(2, 3000)[..], b"x"].concat()).unwrap();
    let mut wrong = bytes(3, 3000).to_vec();
    wrong[1500] ^= 1;
    std::fs::write(folder.file(&garbled), wrong).unwrap();
    std::fs::remove_file(folder.file(&missing)).unwrap();
    let damaged = [(cut, "corrupted"), (longer, "corrupted"), (garbled, "corrupted"), (missing, "missing")];
    for (picture, word) in damaged {
        assert_eq!(cache.read(&picture).await.unwrap_err().to_string(), word);
        assert_eq!(cache.read(&picture).await, Err(ReadMiss(ReadResult::Absent)));
    }
    let gone: Vec<_> = folder.gone().into_iter().map(|(picture, why)| (picture, why.as_str())).collect();
    assert_eq!(gone, damaged);
    cache.flush().await;
    assert!(damaged.iter().all(|(picture, _)| !is_file(&folder.file(picture))));
    assert!(folder.gone().is_empty(), "told once");
    let stats = cache.stats();
    let counts = [ReadResult::Corrupted, ReadResult::Missing, ReadResult::Absent].map(|word| count(&stats.reads, word));
    assert_eq!((stats.files, stats.records, counts), (1, 1, [3, 1, 4]));
    // It may be put there again.
    assert_eq!(put(&cache, RecordKind::Pool, 3, 3000), garbled);
    cache.flush().await;
    assert_eq!(cache.read(&garbled).await.unwrap(), bytes(3, 3000));
    assert_eq!(cache.read(&whole).await.unwrap(), bytes(5, 3000));
}

#[tokio::test]
async fn a_start_removes_what_a_crash_left_and_nobody_elses_files() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let [cut, missing, garbled, whole] = [1, 2, 3, 4].map(|tag| put(&cache, RecordKind::Pool, tag, 3000));
    cache.flush().await;
    drop(cache);
    std::fs::write(folder.file(&cut), &bytes(1, 3000)[..100]).unwrap();
    std::fs::remove_file(folder.file(&missing)).unwrap();
    std::fs::write(folder.file(&garbled), bytes(77, 3000)).unwrap();
    let orphan = ContentHash::of(b"orphan");
    std::fs::write(folder.file(&orphan), b"orphan").unwrap();
    let unfinished = folder.path().join(format!("{orphan}.new"));
    std::fs::write(&unfinished, b"orp").unwrap();
    std::fs::write(folder.path().join("notes.txt"), b"mine").unwrap();
    let (cache, records) = folder.open(64 * MIB);
    let found: BTreeSet<_> = records.iter().map(|record| record.picture).collect();
    assert_eq!(found, [garbled, whole].into(), "nothing is read, only measured");
    let files = [folder.file(&cut), folder.file(&orphan), unfinished];
    assert!(files.iter().all(|file| !file.exists()) && folder.path().join("notes.txt").exists());
    assert_eq!(cache.read(&garbled).await, Err(ReadMiss(ReadResult::Corrupted)));
    assert_eq!(cache.read(&whole).await.unwrap(), bytes(4, 3000));
    assert_eq!(cache.read(&cut).await, Err(ReadMiss(ReadResult::Absent)));
    drop(cache);
    assert_eq!(folder.open(64 * MIB).1.len(), 1);
}

#[tokio::test]
async fn a_database_that_makes_no_sense_is_begun_anew_and_the_secret_stays() {
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 5] = [
        ("garbage", |file| std::fs::write(file, vec![7; 50_000]).unwrap()),
        ("cut", |file| std::fs::File::options().write(true).open(file).unwrap().set_len(5000).unwrap()),
        ("empty", |file| std::fs::write(file, []).unwrap()),
        ("newer", |file| Connection::open(file).unwrap().pragma_update(None, "user_version", 99).unwrap()),
        ("another's", |file| {
            std::fs::remove_file(file).unwrap();
            Connection::open(file).unwrap().execute_batch("CREATE TABLE records (x); PRAGMA user_version = 1").unwrap();
        }),
    ];
    for (name, damage) in damage {
        let folder = Folder::new();
        let (cache, _) = folder.open(64 * MIB);
        let secret = *cache.secret();
        let pictures: Vec<_> = (0..40).map(|tag| put(&cache, RecordKind::Pool, tag, 100)).collect();
        assert!(cache.close(HOUR).await, "{name}");
        drop(cache);
        damage(&folder.path().join("pictures.db"));
        let (cache, records) = folder.open(64 * MIB);
        assert_eq!((records.len(), cache.stats().files, *cache.secret()), (0, 0, secret), "{name}");
        assert!(pictures.iter().all(|picture| !folder.file(picture).exists()), "{name}");
        let picture = put(&cache, RecordKind::Pool, 1, 100);
        cache.flush().await;
        drop(cache);
        let (cache, records) = folder.open(64 * MIB);
        assert_eq!((records.len(), cache.read(&picture).await.unwrap()), (1, bytes(1, 100)), "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn all_that_is_kept_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    put(&cache, RecordKind::Pool, 1, 3000);
    cache.flush().await;
    let names = folder.names();
    assert!(names.len() >= 5 && names.contains("pictures.db-wal"), "{names:?}");
    for name in names {
        let mode = std::fs::metadata(folder.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[tokio::test]
async fn a_record_that_is_damaged_goes_with_its_picture() {
    let folder = Folder::new();
    let (cache, _) = folder.open(64 * MIB);
    let [damaged, whole] = [1, 2].map(|tag| put(&cache, RecordKind::Pool, tag, 3000));
    assert!(cache.close(HOUR).await);
    drop(cache);
    for change in ["about = x'00'", "expires = expires + 1", "key = x'00'", "kind = 1", "kind = 7"] {
        let database = Connection::open(folder.path().join("pictures.db")).unwrap();
        let text = format!("UPDATE records SET {change} WHERE picture = ?1");
        assert_eq!(database.execute(&text, [damaged.0]).unwrap(), 1);
        drop(database);
        let (cache, records) = folder.open(64 * MIB);
        assert_eq!(records.iter().map(|record| record.picture).collect::<Vec<_>>(), [whole], "{change}");
        let stats = cache.stats();
        assert_eq!((stats.files, stats.records, folder.file(&damaged).exists()), (1, 1, false), "{change}");
        put(&cache, RecordKind::Pool, 1, 3000);
        assert!(cache.close(HOUR).await);
    }
}
