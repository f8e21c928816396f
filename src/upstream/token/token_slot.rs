//! When a source's token is fetched and who waits for it.
//!
//! However many calls wait for a token, one fetch brings it. When the fetch fails, those who waited fail with it
//! instead of asking one after another, and nobody asks again for a moment. A token that is still good serves everybody
//! while its successor is fetched in a task of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::failure::{Class, Failure};
use crate::secret::Secret;

/// How long an endpoint is left alone after its first failure. Each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// And never longer than this by ourselves.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Nor longer than this on its own word: an account's calls hang on it.
const LONGEST_TOLD: Duration = Duration::from_secs(5 * 60);

/// One source's token.
#[derive(Default)]
pub struct TokenSlot {
    state: Mutex<TokenState>,
    /// Fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct TokenState {
    token: Option<Token>,
    is_fetching: bool,
    /// Fetches that failed since the last that did not.
    failures: u32,
    /// How the last fetch failed.
    failed: Option<Failure>,
    /// No fetch begins before this.
    not_before: Option<Instant>,
}

/// A token and its life.
#[derive(Clone)]
pub struct Token {
    /// What is sent to the vendor.
    pub secret: Arc<Secret>,
    /// From when a successor is fetched.
    pub replace_at: Instant,
    /// From when it is of no use.
    pub ends_at: Instant,
}

/// The state of a source's token.
enum TokenStatus {
    /// It is good.
    Good(Arc<Secret>),
    /// It is good, and near its end.
    Ageing(Arc<Secret>),
    /// There is none, and the endpoint is left alone for a moment.
    Paused(Failure),
    /// There is none.
    None,
}

impl TokenSlot {
    /// Forgets the token if it is this one.
    pub fn forget(&self, refused: &Secret) {
        let mut state = self.state();
        if state.token.as_ref().is_some_and(|token| *token.secret == *refused) {
            state.token = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token, waited for until then only where there is none.
    pub async fn get<F>(
        self: &Arc<TokenSlot>,
        until: Instant,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<Secret>, Failure>
    where
        F: Future<Output = Result<Token, Failure>> + Send + 'static,
    {
        let mut ended = self.ended.subscribe();
        match self.standing(Instant::now()) {
            TokenStatus::Good(secret) => return Ok(secret),
            TokenStatus::Paused(failure) => return Err(failure),
            TokenStatus::Ageing(secret) => {
                self.begin(fetch);
                return Ok(secret);
            }
            TokenStatus::None => self.begin(fetch),
        }
        let slow = |_| Failure::new(Class::Unreachable, "no access token in time");
        // The sender lives as long as the slot, so this ends with a fetch or with the time.
        let _ = timeout_at(until, ended.changed()).await.map_err(slow)?;
        self.outcome(Instant::now())
    }

    fn standing(&self, now: Instant) -> TokenStatus {
        let state = self.state();
        match &state.token {
            Some(token) if token.replace_at > now => return TokenStatus::Good(token.secret.clone()),
            Some(token) if token.ends_at > now => return TokenStatus::Ageing(token.secret.clone()),
            _ => {}
        }
        match (&state.failed, state.not_before) {
            (Some(failure), Some(not_before)) if not_before > now && !state.is_fetching => {
                let failure = failure.clone();
                let told = failure.retry_after.map(|_| not_before - now);
                TokenStatus::Paused(failure.with_retry_after(told))
            }
            _ => TokenStatus::None,
        }
    }

    /// Fetches a token in a task of its own, unless one is being fetched or the endpoint is left alone: whoever began
    /// it may leave, and others wait for it.
    fn begin<F>(self: &Arc<TokenSlot>, fetch: impl FnOnce() -> F)
    where
        F: Future<Output = Result<Token, Failure>> + Send + 'static,
    {
        let mut state = self.state();
        if state.is_fetching || state.not_before.is_some_and(|not_before| not_before > Instant::now()) {
            return;
        }
        state.is_fetching = true;
        drop(state);
        let (guard, fetch) = (FetchGuard(self.clone()), fetch());
        tokio::spawn(async move {
            let fetched = fetch.await;
            guard.0.keep(fetched, Instant::now());
        });
    }

    fn keep(&self, fetched: Result<Token, Failure>, now: Instant) {
        let mut state = self.state();
        match fetched {
            Ok(token) => {
                (state.token, state.failed) = (Some(token), None);
                (state.failures, state.not_before) = (0, None);
            }
            Err(failure) => {
                state.failures = state.failures.saturating_add(1);
                state.not_before = Some(now + pause(state.failures, failure.retry_after));
                state.failed = Some(failure);
            }
        }
    }

    /// What the fetch that was waited for brought. When it brought nothing, a token that is old but not over still
    /// serves.
    fn outcome(&self, now: Instant) -> Result<Arc<Secret>, Failure> {
        let state = self.state();
        let token = state.token.as_ref().filter(|token| state.failed.is_none() || token.ends_at > now);
        match (token, &state.failed) {
            (Some(token), _) => Ok(token.secret.clone()),
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) => Err(Failure::new(Class::Unreachable, "the access token was refused as soon as it came")),
        }
    }
}

/// The right to fetch; dropping it gives the right back and wakes those who wait, however the fetch ended.
struct FetchGuard(Arc<TokenSlot>);

impl Drop for FetchGuard {
    fn drop(&mut self) {
        self.0.state().is_fetching = false;
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

/// How long an endpoint is left alone after so many failures in a row: a little longer each time, or as long as it
/// says.
fn pause(failures: u32, told: Option<Duration>) -> Duration {
    let own = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    own.max(told.unwrap_or(Duration::ZERO).min(LONGEST_TOLD))
}

#[cfg(test)]
pub mod tests;
