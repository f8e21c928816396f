//! `dialect.poll:` how a job is asked about until its pictures are there.

use std::time::Duration;

use url::Url;

use crate::config::check::checker::Checker;
use crate::config::check::dialect_paths::{path, place_in};
use crate::config::check::hosts::hosts;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{AskAt, Poll};

const STATUS: &str = "status";
const EVERY: Duration = Duration::from_secs(1);

/// What stands for the job's id in a path.
const ID: &str = "{id}";

pub(super) fn poll(
    checker: &mut Checker<'_>,
    written: &file::Poll,
    at: NodePath<'_>,
    base_url: Option<&Url>,
) -> Option<Poll> {
    let file::Poll { id: _, path: _, url: _, hosts: _, status, done, failed, refused, error, every } = written;
    if done.is_empty() && !at.key("done").lost_items() {
        let help = "add `done: [succeeded]`, with the vendor's own words".to_owned();
        checker.report(at.key("done"), "nothing says when a job is done", help);
    }
    let lists = [("done", done), ("failed", failed), ("refused", refused)];
    for (number, (key, words)) in lists.iter().enumerate() {
        for (index, word) in words.iter().enumerate() {
            if lists[..number].iter().any(|(_, others)| others.contains(word)) {
                let place = at.key(key).item(index);
                checker.report(place, format!("{} stands in two of the lists", place.shown()), None);
            }
        }
    }
    Some(Poll {
        status: place_in(checker, at.key("status"), status.as_deref()).unwrap_or_else(|| STATUS.to_owned()),
        done: done.clone(),
        failed: failed.clone(),
        refused: refused.clone(),
        error: place_in(checker, at.key("error"), error.as_deref()),
        every: checker.some_time(at.key("every"), every.as_ref(), EVERY),
        at: ask_at(checker, written, at, base_url)?,
    })
}

/// By the job's id, or by the address that the answer gives.
fn ask_at(checker: &mut Checker<'_>, written: &file::Poll, at: NodePath<'_>, base_url: Option<&Url>) -> Option<AskAt> {
    let file::Poll { id, path: written_path, url, hosts: written_hosts, .. } = written;
    let hosts = hosts(checker, written_hosts, at.key("hosts"));
    match (id, written_path, url) {
        (None, None, Some(url)) => place_in(checker, at.key("url"), Some(url)).map(|url| AskAt::Url { url, hosts }),
        (Some(id), Some(written), None) => {
            if !hosts.is_empty() {
                let help = "delete it: what is asked below `base_url` stays there".to_owned();
                checker.report(at.key("hosts"), "`hosts` means nothing without `url`", help);
            }
            let id = place_in(checker, at.key("id"), Some(id));
            let path = path(checker, at.key("path"), written, base_url);
            if path.as_ref().is_some_and(|path| !path.contains(ID)) {
                checker.report(
                    at.key("path"),
                    format!("{} has no {ID}", at.key("path").shown()),
                    "write it like jobs/{id}".to_owned(),
                );
            }
            Some(AskAt::Path { id: id?, path: path? })
        }
        _ => {
            let help = "write `id` and `path`, or `url` alone".to_owned();
            checker.report(at, "this does not say where to ask about a job", help);
            None
        }
    }
}
