//! How many files the system lets this process have open, which bounds how many connections there can be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for what is no client's: the ledger, logs, and calls to providers, 32 of each by default.
const OTHERS: u64 = 256;

/// Whatever the system says, so many are tried.
const LEAST: usize = 16;

/// How many connections of clients there can be, once the process has taken as many files as it may. What is passed
/// through needs two for each.
pub fn connections() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        log::debug!("the limit on open files stays as it is: {error}");
    }
    fitting(getrlimit(Resource::Nofile).current)
}

/// How many fit where so many files may be open; none is no limit.
fn fitting(files: Option<u64>) -> usize {
    let Some(files) = files else { return usize::MAX };
    usize::try_from(files.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_for_clients_and_some_are_kept_for_others() {
        assert_eq!([1024, 1_048_576, 100].map(|files| fitting(Some(files))), [384, 524_160, 16]);
        assert_eq!(fitting(None), usize::MAX);
    }
}
