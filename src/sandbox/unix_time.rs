//! Seconds since 1970, which vendors write into their answers.

/// Seconds since 1970.
pub(super) fn unix_time() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}
