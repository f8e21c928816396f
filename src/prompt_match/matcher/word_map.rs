//! Tables by words.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The lists are fixed before a prompt is seen, so a stranger's words cannot be made to collide with each other in them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fast(u64);

impl Hasher for Fast {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// What ends a text among others: these keys are one text each.
    fn write_u8(&mut self, _: u8) {}
}

pub(crate) type Map<V> = HashMap<Box<str>, V, BuildHasherDefault<Fast>>;
pub(crate) type Set = HashSet<Box<str>, BuildHasherDefault<Fast>>;
