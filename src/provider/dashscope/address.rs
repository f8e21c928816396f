//! Addresses at DashScope.

use crate::config::plan::Account;
use crate::failure::Failure;
use crate::provider::common::addresses;

/// What comes before every path. Alibaba's own clients count it to the address they are given, so a `base_url` may
/// end in it.
pub(super) const ROOT: [&str; 2] = ["api", "v1"];

/// An address below the account's own, whether or not that already ends in [`ROOT`].
pub(super) fn address<'a>(account: &Account, path: impl IntoIterator<Item = &'a str>) -> Result<url::Url, Failure> {
    let base = &account.base_url;
    let rooted = base.path().trim_end_matches('/').ends_with("/api/v1");
    let root = ROOT.into_iter().filter(|_| !rooted);
    addresses::address(base, root.chain(path))
}
