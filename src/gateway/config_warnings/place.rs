//! Ways from a config's root to what a warning is about.

use crate::config::Step;

/// A way in the file, by keys.
pub(super) fn keys(keys: &[&str]) -> Vec<Step> {
    keys.iter().map(|key| Step::Key((*key).to_owned())).collect()
}

/// The way to a key of a route.
pub(super) fn of_route(index: usize, below: &[&str]) -> Vec<Step> {
    let mut place = keys(&["routes"]);
    place.push(Step::Item(index));
    place.extend(keys(below));
    place
}
