//! Rewritten prompts: the same prompt for the same model, told the same, finds what was written for it.
//!
//! The whole key is compared, so that nobody is ever given the words of another. Time-to-live is checked on every look-up.
//! Of several requests that want the same words at once one has the turn to get them ([`RewriteTurn`]); the waiting itself
//! is the gateway's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cache::byte_bounded::{ByteBounded, FillGuard, Weigh};
use crate::cache::parts_key::PartsKey;
use futures_util::FutureExt;

/// What an entry weighs besides its words: the table slot, the boxes, and what an allocator adds.
const OVERHEAD: usize = 192;

#[derive(Clone)]
struct CachedRewrite {
    words: Arc<str>,
    expires: Instant,
}

impl Weigh<PartsKey> for CachedRewrite {
    fn weight(&self, key: &PartsKey) -> u64 {
        (key.len() + self.words.len() + OVERHEAD) as u64
    }
}

/// The turn to get the words that several may want. Dropped without any, it passes to the next who waits.
pub struct RewriteTurn<'w>(FillGuard<'w, PartsKey, CachedRewrite>);

impl RewriteTurn<'_> {
    /// Keeps `words`, for those who wait as well.
    pub fn fill(self, words: Arc<str>, ttl: Duration, now: Instant) {
        // Refused only when the entry was removed meanwhile; then nobody wants it kept.
        drop(self.0.insert(CachedRewrite { words, expires: now + ttl }));
    }
}

/// Rewritten prompts, bounded in bytes.
pub struct PromptCache {
    rewrites: ByteBounded<PartsKey, CachedRewrite>,
}

impl PromptCache {
    /// An empty cache of at most `memory` bytes.
    pub fn new(memory: u64) -> PromptCache {
        PromptCache { rewrites: ByteBounded::new(memory) }
    }

    /// What was written for `key`, or the turn to have it written. Somebody else's turn is waited for.
    pub fn get_or_turn<'w>(
        &'w self,
        key: &'w PartsKey,
        now: Instant,
    ) -> impl Future<Output = Result<Arc<str>, RewriteTurn<'w>>> + use<'w> {
        // In one step, or somebody else's turn could be taken away in between.
        self.rewrites.entries.remove_if(key, |entry| entry.expires <= now);
        let found = self.rewrites.entries.get_value_or_guard_async(key);
        found.map(|found| found.map(|entry| entry.words).map_err(RewriteTurn))
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.rewrites.bytes()
    }

    /// Changes the bound; evicts at once when it shrinks.
    pub fn resize(&self, memory: u64) {
        self.rewrites.resize(memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// What is there without waiting; the turn is taken and given back.
    fn look(words: &PromptCache, key: &PartsKey, now: Instant) -> Option<Arc<str>> {
        words.get_or_turn(key, now).now_or_never().unwrap().ok()
    }

    fn keep(words: &PromptCache, key: &PartsKey, text: &str, now: Instant) {
        words.get_or_turn(key, now).now_or_never().unwrap().err().unwrap().fill(text.into(), HOUR, now);
    }

    #[test]
    fn what_was_written_is_found_for_the_same_parts_until_its_time_is_over() {
        let (words, now) = (PromptCache::new(1 << 20), Instant::now());
        let key = PartsKey::of(["t", "claude/haiku", "s", "400", "a fox"]);
        assert_eq!(look(&words, &key, now), None);
        keep(&words, &key, "a red fox", now);
        assert_eq!(look(&words, &key, now).as_deref(), Some("a red fox"));
        for other in [["t2", "claude/haiku", "s", "400", "a fox"], ["t", "claude/haiku", "s4", "00", "a fox"]] {
            assert_eq!(look(&words, &PartsKey::of(other), now), None, "{other:?}");
        }
        assert_eq!(look(&words, &key, now + HOUR), None);
        assert_eq!(look(&words, &key, now), None);
    }

    #[test]
    fn one_has_the_turn_and_the_others_wait_for_what_it_brings() {
        let (words, now) = (PromptCache::new(1 << 20), Instant::now());
        let key = PartsKey::of(["a fox"]);
        let first = words.get_or_turn(&key, now).now_or_never().unwrap().err().unwrap();
        let mut waiting = [Box::pin(words.get_or_turn(&key, now)), Box::pin(words.get_or_turn(&key, now))];
        assert!(waiting.each_mut().map(|waiter| waiter.now_or_never().is_none()).iter().all(|waits| *waits));
        drop(first);
        let mut turns: Vec<_> = waiting.each_mut().into_iter().map(|waiter| waiter.now_or_never()).collect();
        let (mine, other) = if turns[0].is_some() { (0, 1) } else { (1, 0) };
        let turn = turns.swap_remove(mine).unwrap().err().unwrap();
        assert!(turns[0].is_none(), "one alone has the turn");
        turn.fill("a red fox".into(), HOUR, now);
        let found = waiting.each_mut().into_iter().nth(other).unwrap().now_or_never().unwrap();
        assert_eq!(found.ok().as_deref(), Some("a red fox"));
    }

    #[test]
    fn memory_never_passes_its_bound_and_follows_it_down() {
        let (words, now) = (PromptCache::new(100_000), Instant::now());
        for number in 0..500 {
            keep(&words, &PartsKey::of([format!("fox {number}").as_str()]), &"x".repeat(1000), now);
            assert!(words.bytes() <= 100_000);
        }
        assert!(words.bytes() > 50_000, "the space is used: {}", words.bytes());
        words.resize(10_000);
        assert!(words.bytes() <= 10_000);
    }
}
