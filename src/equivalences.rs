//! Pairs of words that a judge was asked about: whether they mean the same in a picture, for how long that holds, and what a
//! person decided otherwise.
//!
//! Each tenant has its own: its prompts can teach the cache of no other tenant anything, whatever they make a judge say.
//! Plain records that are handed the time; who asks the judge, and what is on disk, is the gateway's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::calendar::Moment;
use crate::prompt_match::{LearnedPairs, WordPair};

/// Pairs that are known of all tenants. At some 200 bytes each they take 2 MB.
pub const MOST_PAIRS: usize = 10_000;

/// Pairs that are known of one tenant, so that ten can fill the book and one cannot.
pub const MOST_OF_TENANT: usize = 1_000;

/// How a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PairState {
    /// A judge said that the two mean the same.
    Approved,
    /// A judge said that they do not.
    Refused,
    /// A person said that they do not. It never expires and no judge is asked again.
    Struck,
}

impl PairState {
    /// Every state.
    pub const ALL: [PairState; 3] = [PairState::Approved, PairState::Refused, PairState::Struck];

    /// The word for record, metric and operators.
    pub fn as_str(self) -> &'static str {
        match self {
            PairState::Approved => "approved",
            PairState::Refused => "refused",
            PairState::Struck => "struck",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<PairState> {
        PairState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A pair of one tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivalence {
    /// Whose.
    pub tenant: Arc<str>,
    /// The words.
    pub pair: WordPair,
    /// How it stands.
    pub state: PairState,
    /// Who decided: a judge's `provider/model`, or `operator`.
    pub by: Arc<str>,
    /// When.
    pub since: Moment,
    /// Until when that holds; `None` for good.
    pub until: Option<Moment>,
}

/// Why no judge is asked about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// It is known how it stands.
    Known(PairState),
    /// One is being asked.
    UnderWay,
    /// The tenant, or all tenants together, have as many pairs as are kept.
    Full,
}

impl NotAsked {
    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            NotAsked::Known(_) => "known",
            NotAsked::UnderWay => "under_way",
            NotAsked::Full => "full",
        }
    }
}

/// All pairs.
#[derive(Debug, Default)]
pub struct EquivalenceBook {
    book: RwLock<Book>,
}

#[derive(Debug, Default)]
struct Book {
    tenants: HashMap<Arc<str>, TenantPairs>,
    asked: HashSet<(Arc<str>, WordPair)>,
    pairs: usize,
}

#[derive(Debug, Default)]
struct TenantPairs {
    pairs: BTreeMap<WordPair, Equivalence>,
    /// The approved ones, ready to be looked for.
    approved: Arc<LearnedPairs>,
    /// When the first of these expires.
    next_expiry: Option<Moment>,
    /// Whether what is approved has to be worked out anew.
    stale: bool,
}

impl EquivalenceBook {
    /// Takes in what an earlier process has written down.
    pub fn restore(&self, known: Vec<Equivalence>, now: Moment) {
        let mut book = self.write();
        for equivalence in known.into_iter().filter(|known| !is_over(known, now)) {
            if book.room_for(&equivalence.tenant, &equivalence.pair).is_ok() {
                book.put(equivalence);
            }
        }
    }

    /// The pairs that mean the same to a tenant.
    pub fn approved(&self, tenant: &str, now: Moment) -> Arc<LearnedPairs> {
        let book = self.read();
        let Some(pairs) = book.tenants.get(tenant) else { return Arc::default() };
        if !pairs.stale && pairs.next_expiry.is_none_or(|expiry| now < expiry) {
            return pairs.approved.clone();
        }
        drop(book);
        let mut book = self.write();
        let Some(pairs) = book.tenants.get_mut(tenant) else { return Arc::default() };
        pairs.refresh(now);
        pairs.approved.clone()
    }

    /// A question about a pair that is to be put to a judge, unless there is no need to.
    ///
    /// # Errors
    /// Why it is not to be asked.
    pub fn ask(&self, tenant: &Arc<str>, pair: &WordPair, now: Moment) -> Result<PairQuestion<'_>, NotAsked> {
        let mut book = self.write();
        let known = book.tenants.get(tenant).and_then(|pairs| pairs.pairs.get(pair));
        if let Some(known) = known.filter(|known| !is_over(known, now)) {
            return Err(NotAsked::Known(known.state));
        }
        book.room_for(tenant, pair)?;
        match book.asked.insert((tenant.clone(), pair.clone())) {
            true => Ok(PairQuestion { book: self, tenant: tenant.clone(), pair: pair.clone() }),
            false => Err(NotAsked::UnderWay),
        }
    }

    /// Two words do not mean the same to a tenant, says a person; for good. What is to be written down is returned, `None` where
    /// the book is full.
    pub fn strike(&self, tenant: &Arc<str>, pair: &WordPair, now: Moment) -> Option<Equivalence> {
        let mut book = self.write();
        book.room_for(tenant, pair).ok()?;
        let (tenant, pair, by) = (tenant.clone(), pair.clone(), "operator".into());
        let equivalence = Equivalence { tenant, pair, state: PairState::Struck, by, since: now, until: None };
        book.put(equivalence.clone());
        Some(equivalence)
    }

    /// Nothing is known of a pair any more: a judge may be asked about it. Whether anything was.
    pub fn forget(&self, tenant: &str, pair: &WordPair) -> bool {
        self.write().remove(tenant, pair)
    }

    /// Gives up what is over, and returns it.
    pub fn expire(&self, now: Moment) -> Vec<Equivalence> {
        let mut book = self.write();
        let all = book.tenants.values().flat_map(|tenant| tenant.pairs.values());
        let over: Vec<Equivalence> = all.filter(|known| is_over(known, now)).cloned().collect();
        for Equivalence { tenant, pair, .. } in &over {
            book.remove(tenant, pair);
        }
        over
    }

    /// All pairs, by tenant and words.
    pub fn all(&self) -> Vec<Equivalence> {
        let book = self.read();
        let mut all: Vec<Equivalence> =
            book.tenants.values().flat_map(|tenant| tenant.pairs.values()).cloned().collect();
        all.sort_by(|a, b| (&a.tenant, &a.pair).cmp(&(&b.tenant, &b.pair)));
        all
    }

    /// How many pairs stand like this.
    pub fn count(&self, state: PairState) -> usize {
        let book = self.read();
        book.tenants.values().flat_map(|tenant| tenant.pairs.values()).filter(|known| known.state == state).count()
    }

    // No code panics while it holds the lock but for want of memory, and then the process ends.
    fn read(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is being put to a judge. Dropped without an answer, it may be put again.
#[derive(Debug)]
pub struct PairQuestion<'b> {
    book: &'b EquivalenceBook,
    tenant: Arc<str>,
    pair: WordPair,
}

impl PairQuestion<'_> {
    /// The judge `by` has said whether the two mean the `same`; that holds for `ttl`. What is to be written down is returned.
    /// A person's word in the meantime stands.
    pub fn answered(self, same: bool, by: &Arc<str>, ttl: Duration, now: Moment) -> Option<Equivalence> {
        let mut book = self.book.write();
        let known = book.tenants.get(&self.tenant).and_then(|pairs| pairs.pairs.get(&self.pair));
        let struck = known.is_some_and(|known| known.state == PairState::Struck);
        if struck || book.room_for(&self.tenant, &self.pair).is_err() {
            return None;
        }
        let state = if same { PairState::Approved } else { PairState::Refused };
        let (tenant, pair, by) = (self.tenant.clone(), self.pair.clone(), by.clone());
        let equivalence = Equivalence { tenant, pair, state, by, since: now, until: Some(now.after(ttl)) };
        book.put(equivalence.clone());
        Some(equivalence)
    }
}

impl Drop for PairQuestion<'_> {
    fn drop(&mut self) {
        self.book.write().asked.remove(&(self.tenant.clone(), self.pair.clone()));
    }
}

impl Book {
    /// Whether a pair that is known, or a new one, finds room.
    fn room_for(&self, tenant: &str, pair: &WordPair) -> Result<(), NotAsked> {
        let of_tenant = self.tenants.get(tenant);
        if of_tenant.is_some_and(|pairs| pairs.pairs.contains_key(pair)) {
            return Ok(());
        }
        let held = of_tenant.map_or(0, |pairs| pairs.pairs.len());
        let room = held < MOST_OF_TENANT && self.pairs < MOST_PAIRS && self.asked.len() < MOST_PAIRS;
        room.then_some(()).ok_or(NotAsked::Full)
    }

    fn put(&mut self, equivalence: Equivalence) {
        let pairs = self.tenants.entry(equivalence.tenant.clone()).or_default();
        self.pairs += usize::from(pairs.pairs.insert(equivalence.pair.clone(), equivalence).is_none());
        pairs.stale = true;
    }

    fn remove(&mut self, tenant: &str, pair: &WordPair) -> bool {
        let Some(pairs) = self.tenants.get_mut(tenant) else { return false };
        let known = pairs.pairs.remove(pair).is_some();
        pairs.stale = true;
        if pairs.pairs.is_empty() {
            self.tenants.remove(tenant);
        }
        self.pairs -= usize::from(known);
        known
    }
}

impl TenantPairs {
    /// Works out what is approved at present.
    fn refresh(&mut self, now: Moment) {
        let approved = || {
            let holds = |known: &&Equivalence| known.state == PairState::Approved && !is_over(known, now);
            self.pairs.values().filter(holds)
        };
        let (learned, next) =
            (LearnedPairs::of(approved().map(|known| &known.pair)), approved().filter_map(|known| known.until).min());
        (self.approved, self.next_expiry, self.stale) = (Arc::new(learned), next, false);
    }
}

fn is_over(equivalence: &Equivalence, now: Moment) -> bool {
    equivalence.until.is_some_and(|until| until <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(days: u32) -> Moment {
        Moment::from_millis(1_800_000_000_000).after(DAY * days)
    }

    fn pair() -> WordPair {
        WordPair::of("bunny", "rabbit")
    }

    fn not_asked(book: &EquivalenceBook, tenant: &Arc<str>, days: u32) -> Option<NotAsked> {
        book.ask(tenant, &pair(), at(days)).err()
    }

    fn approve(book: &EquivalenceBook, tenant: &Arc<str>, pair: &WordPair, days: u32) -> Option<Equivalence> {
        book.ask(tenant, pair, at(days)).unwrap().answered(true, &"judge/m".into(), DAY * 30, at(days))
    }

    #[test]
    fn a_pair_is_asked_about_once_and_again_when_it_has_expired() {
        let (book, tenant) = (EquivalenceBook::default(), Arc::from("a"));
        let question = book.ask(&tenant, &pair(), at(0)).unwrap();
        assert_eq!(not_asked(&book, &tenant, 0), Some(NotAsked::UnderWay));
        // It said nothing of use.
        drop(question);
        let approved = approve(&book, &tenant, &pair(), 0).unwrap();
        assert_eq!((approved.state, approved.until), (PairState::Approved, Some(at(30))));
        assert_eq!(not_asked(&book, &tenant, 29), Some(NotAsked::Known(PairState::Approved)));
        assert!(!book.approved("a", at(29)).is_empty());
        assert!(book.approved("a", at(30)).is_empty(), "its time is over before anybody swept");
        assert_eq!(not_asked(&book, &tenant, 30), None);
        assert_eq!(book.expire(at(30)), [approved]);
        assert!(book.all().is_empty());
    }

    #[test]
    fn what_one_tenant_taught_is_nothing_to_another() {
        let (book, tenant) = (EquivalenceBook::default(), Arc::from("a"));
        approve(&book, &tenant, &pair(), 0);
        assert!(!book.approved("a", at(0)).is_empty());
        assert!(book.approved("b", at(0)).is_empty());
        assert_eq!(not_asked(&book, &"b".into(), 0), None);
    }

    #[test]
    fn what_a_person_struck_stays_struck_whatever_a_judge_says_until_a_person_forgets_it() {
        let (book, tenant) = (EquivalenceBook::default(), Arc::from("a"));
        approve(&book, &tenant, &pair(), 0);
        let question = book.ask(&tenant, &pair(), at(31)).unwrap();
        let struck = book.strike(&tenant, &pair(), at(1)).unwrap();
        assert_eq!((struck.state, struck.until, &*struck.by), (PairState::Struck, None, "operator"));
        assert!(book.approved("a", at(1)).is_empty());
        assert_eq!(not_asked(&book, &tenant, 1000), Some(NotAsked::Known(PairState::Struck)));
        assert_eq!(question.answered(true, &"judge/m".into(), DAY, at(2)), None);
        assert_eq!((book.expire(at(1000)).len(), book.count(PairState::Struck)), (0, 1));
        assert!(book.forget("a", &pair()));
        assert!(!book.forget("a", &pair()));
        assert_eq!(not_asked(&book, &tenant, 1000), None);
    }

    #[test]
    fn a_tenant_has_a_thousand_pairs_and_all_together_ten_thousand() {
        let book = EquivalenceBook::default();
        let nth = |number: usize| WordPair::of("thing", &format!("word{number}"));
        for tenant in 0..MOST_PAIRS / MOST_OF_TENANT {
            let tenant = Arc::from(format!("t{tenant}"));
            for number in 0..MOST_OF_TENANT {
                assert!(approve(&book, &tenant, &nth(number), 0).is_some());
            }
            assert_eq!(book.ask(&tenant, &nth(MOST_OF_TENANT), at(0)).err(), Some(NotAsked::Full));
            assert_eq!(book.strike(&tenant, &nth(MOST_OF_TENANT), at(0)), None);
            assert!(book.strike(&tenant, &nth(0), at(0)).is_some(), "what is known can always be struck");
        }
        assert_eq!(not_asked(&book, &"another".into(), 0), Some(NotAsked::Full));
        assert_eq!(book.all().len(), MOST_PAIRS);
    }

    #[test]
    fn a_restart_knows_what_was_written_down_but_for_what_is_over() {
        let (book, tenant) = (EquivalenceBook::default(), Arc::from("a"));
        let bunny = approve(&book, &tenant, &pair(), 0).unwrap();
        let lawn = approve(&book, &tenant, &WordPair::of("lawn", "meadow"), 5).unwrap();
        let again = EquivalenceBook::default();
        again.restore(vec![bunny, lawn.clone()], at(31));
        assert_eq!(again.all(), [lawn]);
        assert!(!again.approved("a", at(31)).is_empty());
    }
}
