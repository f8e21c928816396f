//! Other processes: one that is killed while it writes, and one whose directory it is.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

/// Says to [`a_child_writes_until_it_is_killed`] where to write, and from which number on.
const CHILD: &str = "EASEL_DISK_CACHE_CHILD";

/// What the child wrote is good until a year that these tests do not see.
const EXPIRES: Moment = Moment::from_millis(i64::MAX);

fn nobody() -> OnGone {
    Arc::new(|_, _| {})
}

/// The picture of this number: of any length up to 300 kB.
fn numbered(number: u64) -> Bytes {
    bytes(number, fastrand::Rng::with_seed(number).usize(1..300_000))
}

/// This process again, which only writes.
struct Writing {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Writing {
    fn start(dir: &Path, from: u64) -> Writing {
        let name = "disk_cache::tests::processes::a_child_writes_until_it_is_killed";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, format!("{from} {}", dir.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Writing { child, lines }
    }

    /// The next word of the child: a number that is on disk, or with a minus one that is removed.
    fn next(&mut self) -> i64 {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the child ended");
            if let Some((_, number)) = line.trim().split_once("on disk: ") {
                return number.parse().unwrap();
            }
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test by itself: what the tests below start.
#[tokio::test]
async fn a_child_writes_until_it_is_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (from, dir) = told.split_once(' ').unwrap();
    let (cache, _) = DiskCache::open(Path::new(dir), 1024 * MIB, Clock::System, nobody()).unwrap();
    for number in from.parse::<u64>().unwrap().. {
        let picture = numbered(number);
        cache.put(record(RecordKind::Pool, number, &picture, EXPIRES), picture.clone()).unwrap();
        if number % 3 == 0 {
            cache.flush().await;
            println!("\non disk: {number}");
        }
        if number % 12 == 0 {
            cache.remove_picture(&ContentHash::of(&picture));
            cache.flush().await;
            println!("\non disk: -{number}");
        }
    }
}

#[tokio::test]
async fn whatever_a_kill_leaves_is_right_and_what_was_on_disk_is_there() {
    let folder = Folder::new();
    let mut from = 1;
    for lines in [1, 4, 7, 2, 11, 5] {
        let mut writing = Writing::start(&folder.path(), from);
        let words: Vec<i64> = (0..lines).map(|_| writing.next()).collect();
        drop(writing);
        let (cache, records) = DiskCache::open(&folder.path(), 1024 * MIB, Clock::System, nobody()).unwrap();
        let mut found = BTreeSet::new();
        for record in &records {
            let number = u64::from_le_bytes(record.key.clone().try_into().unwrap());
            assert_eq!(cache.read(&record.picture).await.unwrap(), numbered(number), "{number}");
            found.insert(number);
        }
        let last = words.iter().map(|number| number.unsigned_abs()).max().unwrap();
        let removed: BTreeSet<u64> =
            words.iter().filter(|number| **number < 0).map(|number| number.unsigned_abs()).collect();
        // The last one may have been removed before that could be told.
        for number in (from..=last).filter(|number| number % 12 != 0 || *number != last) {
            assert_eq!(found.contains(&number), !removed.contains(&number), "{number} of {words:?}");
        }
        assert_eq!(cache.stats().files, records.len() as u64);
        let pictures = folder.names().into_iter().filter(|name| name.ends_with(".picture")).count();
        assert_eq!(pictures, records.len(), "no file without a record");
        from = found.last().max(Some(&last)).unwrap() + 1;
    }
}

/// Says to [`a_child_has_a_disk_that_takes_nothing`] where its pictures are.
#[cfg(unix)]
const FULL: &str = "EASEL_DISK_CACHE_FULL";

/// Not a test by itself: what the test below starts.
#[cfg(unix)]
#[tokio::test]
async fn a_child_has_a_disk_that_takes_nothing() {
    let Ok(dir) = std::env::var(FULL) else { return };
    let (cache, records) = DiskCache::open(Path::new(&dir), 1024 * MIB, Clock::System, nobody()).unwrap();
    assert!(std::fs::write(Path::new(&dir).join("more"), "more").is_err(), "the test's own means");
    assert_eq!(records.len(), 4);
    for record in records {
        let number = u64::from_le_bytes(record.key.try_into().unwrap());
        assert_eq!(cache.read(&record.picture).await.unwrap(), numbered(number));
    }
    let more = numbered(9);
    let _ = cache.put(record(RecordKind::Pool, 9, &more, EXPIRES), more.clone());
    cache.flush().await;
    let stats = cache.stats();
    assert_eq!((stats.files, count(&stats.skipped, SkipReason::WriteFailed)), (4, 1));
    println!("\non disk: 4");
}

#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_takes_nothing_is_opened_after_a_crash_and_read_all_the_same() {
    let folder = Folder::new();
    let (cache, _) = folder.open(1024 * MIB);
    for number in 0..6 {
        let picture = numbered(number);
        cache.put(record(RecordKind::Pool, number, &picture, EXPIRES), picture.clone()).unwrap();
    }
    cache.flush().await;
    let crashed = folder.as_a_crash_leaves_it();
    std::fs::write(crashed.file(&ContentHash::of(&numbered(0))), "cut").unwrap();
    std::fs::remove_file(crashed.file(&ContentHash::of(&numbered(1)))).unwrap();
    std::fs::write(crashed.file(&ContentHash::of(b"orphan")), "orphan").unwrap();
    // A shell's limit on files lets every write fail that is not to a pipe.
    let name = "disk_cache::tests::processes::a_child_has_a_disk_that_takes_nothing";
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(FULL, crashed.path())
        .output()
        .unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("on disk: 4"), "{told}{errors}");
    // With room again, what is not used is removed for good.
    let (cache, records) = crashed.open(1024 * MIB);
    assert_eq!((records.len(), cache.stats().records, cache.stats().files), (4, 4, 4));
}

#[test]
fn a_directory_is_one_process_s_until_that_ends_however() {
    let folder = Folder::new();
    let mut writing = Writing::start(&folder.path(), 1);
    writing.next();
    let refused = DiskCache::open(&folder.path(), MIB, Clock::System, nobody()).err().unwrap();
    assert!(matches!(&refused, OpenError::Taken { dir } if *dir == folder.path()), "{refused}");
    assert!(refused.to_string().contains("another Easel"));
    drop(writing);
    let (cache, records) = DiskCache::open(&folder.path(), 1024 * MIB, Clock::System, nobody()).unwrap();
    assert!(!records.is_empty());
    let second = DiskCache::open(&folder.path(), MIB, Clock::System, nobody());
    assert!(matches!(second, Err(OpenError::Taken { .. })), "and once in a process");
    drop(cache);
    assert!(DiskCache::open(&folder.path(), 1024 * MIB, Clock::System, nobody()).is_ok());
}
