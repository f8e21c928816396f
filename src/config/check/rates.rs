//! `rate:` of clients, providers and models: how much of what in a minute.

use std::num::NonZeroU32;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::Rate;

/// What a client may ask for.
pub(super) fn of_client(checker: &mut Checker<'_>, written: &file::Rate, at: NodePath<'_>) -> Rate {
    let file::Rate { images_per_minute, requests_per_minute } = written;
    rate(checker, (*images_per_minute, *requests_per_minute), at)
}

/// What a provider or a model may be asked for.
pub(super) fn of_calls(checker: &mut Checker<'_>, written: &file::CallRate, at: NodePath<'_>) -> Rate {
    let file::CallRate { images_per_minute, requests_per_minute } = written;
    rate(checker, (*images_per_minute, *requests_per_minute), at)
}

/// Notes a number of pictures where none are drawn. `at` is the rate.
pub(super) fn without_pictures(checker: &mut Checker<'_>, at: NodePath<'_>) {
    let key = at.key("images_per_minute");
    if key.is_given() {
        let what = "`images_per_minute` means nothing where nothing is drawn";
        checker.report(key, what, "write `requests_per_minute`".to_owned());
    }
}

fn rate(checker: &mut Checker<'_>, (images, requests): (Option<u64>, Option<u64>), at: NodePath<'_>) -> Rate {
    let mut read = |key: &str, count: Option<u64>| {
        let count: u32 = checker.count(at.key(key), Some(count?), 1, 1);
        NonZeroU32::new(count)
    };
    Rate {
        images_per_minute: read("images_per_minute", images),
        requests_per_minute: read("requests_per_minute", requests),
    }
}
