//! Paths in a dialect: below the base URL, and into an answer.

use url::Url;

use crate::config::check::checker::Checker;
use crate::config::node_path::NodePath;

/// A place in an answer: keys with dots between.
pub(super) fn place_in(checker: &mut Checker<'_>, at: NodePath<'_>, written: Option<&str>) -> Option<String> {
    checker.text(at, written).map(|text| text.trim_matches('.').to_owned())
}

/// A path below `base_url`, without a slash in front. The key must not travel to another host through it.
pub(super) fn path(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    written: &str,
    base_url: Option<&Url>,
) -> Option<String> {
    let path = checker.text(at, Some(written))?.trim_start_matches('/').to_owned();
    let below = |base: &Url| base.join(&path).is_ok_and(|url| url.as_str().starts_with(base.as_str()));
    if path.is_empty() || base_url.is_some_and(|base| !below(base)) {
        let help = "write it like images/generations".to_owned();
        checker.report(at, format!("{} is not a path below `base_url`", at.shown()), help);
        return None;
    }
    Some(path)
}
