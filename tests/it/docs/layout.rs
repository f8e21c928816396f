//! docs/about/layout.md, held to the tree: one line for each room, under its floor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{read, root};

/// Rooms by path below src/, and the floor whose heading they stand under. A room is a file at the top of src/, or a
/// folder; `x.rs` and the folder `x` are one. A folder that holds only tests is none.
pub fn listed() -> Vec<(String, u8)> {
    let mut floor = 0;
    let mut rooms = Vec::new();
    for line in read(Path::new("docs/about/layout.md")).lines() {
        if let Some(heading) = line.strip_prefix("## Floor ") {
            floor = heading.split(':').next().unwrap().parse().expect("a heading has its floor's number");
        }
        if let Some((room, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |")) {
            rooms.push((room.to_owned(), floor));
        }
    }
    rooms
}

fn rooms() -> BTreeSet<String> {
    let src = root().join("src");
    let mut rooms = BTreeSet::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let room = path.strip_prefix(&src).unwrap().with_extension("").display().to_string();
            if path.is_dir() && holds_only_tests(&path) {
                continue;
            } else if path.is_dir() {
                rooms.insert(room);
                folders.push(path);
            } else if folder == src {
                rooms.insert(room);
            }
        }
    }
    rooms
}

/// Whether a folder is there for the tests of the file beside it, or of the folder it is in, alone.
fn holds_only_tests(folder: &Path) -> bool {
    if folder.ends_with("tests") {
        return true;
    }
    let mut names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.all(|name| name == "tests.rs" || name == "tests")
}

#[test]
fn the_page_of_rooms_has_each_room_of_the_tree_once_and_none_that_is_gone() {
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for (room, _) in listed() {
        *named.entry(room).or_default() += 1;
    }
    let rooms = rooms();
    let missing: Vec<_> = rooms.iter().filter(|room| !named.contains_key(*room)).collect();
    let gone: Vec<_> = named.keys().filter(|room| !rooms.contains(*room)).collect();
    let twice: Vec<_> = named.iter().filter(|(_, times)| **times > 1).collect();
    assert!(
        missing.is_empty() && gone.is_empty() && twice.is_empty(),
        "docs/about/layout.md: without a line {missing:?}, gone from src/ {gone:?}, named twice {twice:?}"
    );
}

#[test]
fn a_room_within_another_stands_on_the_same_floor() {
    let floors: BTreeMap<String, u8> = listed().into_iter().collect();
    for (room, floor) in &floors {
        let top = room.split('/').next().unwrap();
        assert_eq!(floors.get(top), Some(floor), "{room}");
    }
}
