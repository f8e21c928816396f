//! Single flight: identical requests in flight are drawn once.
//!
//! The first request with a key leads the [`Flight`] and draws. Identical requests that come meanwhile follow it, and
//! all read its [`Progress`]. When a client disconnects, drawing goes on (`gateway/detached_task.rs`). When the leader ends in
//! any way, a panic included, the flight ends, so no follower waits for ever.
//!
//! A follower has its own, later deadline, and calls may start until the latest deadline of all. No request joins after
//! the leader's deadline: the calls under way are overdue by then, and a follower would run out of time with them. Such
//! a request leads a new flight.
//!
//! A live request that follows a batch job raises the flight to live: what is asked for from then on waits as live, and
//! what waits already is queued anew (`dispatch_loop`). So nobody at a screen waits behind a night's jobs because one
//! of them wanted the same picture first. A rewriting of the prompt that is under way stays in the class it began in, as
//! it waits for no more than half of the time anyway. A flight is never lowered, for the live request may still wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cache::PlacedPicture;
use crate::config::plan::Priority;
use crate::error::{Error, ErrorKind};
use crate::gateway::best_effort::BestEfforts;
use crate::gateway::outcome::{CallRecord, CallUnderWay};
use crate::gateway::timeline::Step;
use crate::money::Usd;
use crate::provider::Partial;
use crate::quality::Fingerprint;

/// What is the same for two requests that may share a flight: the whole canonical form, and how many pictures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlightKey {
    /// The config in force: a request is served by one version alone.
    pub version: u64,
    /// The canonical form, compared whole.
    pub canonical: Box<[u8]>,
    /// Pictures wanted.
    pub n: u8,
    /// What the leader is willing to pay.
    pub max_usd: Option<Usd>,
}

/// What a flight has to show so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Pictures there are, in the order in which they came; no two have the same place.
    pub pictures: Vec<PlacedPicture>,
    /// Rejected pictures, the least bad one for each place that nothing better came for.
    pub best_effort: BestEfforts,
    /// Unfinished pictures, for streams; drawn only if the leader asked for them.
    pub partials: Vec<Partial>,
    /// Money settled.
    pub cost: Usd,
    /// What calls are estimated at that are under way and are hedges, or hedged.
    pub hedging: Usd,
    /// What calls for its pictures cost, paid in advance or not, or may have cost.
    pub charged: Usd,
    /// Calls made.
    pub attempts: u32,
    /// Those of them that have ended.
    pub calls: Vec<CallRecord>,
    /// What was waited for before them, where the leader is traced.
    pub steps: Vec<Step>,
    /// The others.
    pub under_way: Vec<CallUnderWay>,
    /// Offers not asked, and why.
    pub skipped: Vec<(String, &'static str)>,
    /// The model that was to rewrite the prompt, and what became of it.
    pub enriched: Option<(String, &'static str)>,
    /// The deadline ended it, not the providers.
    pub out_of_time: bool,
    /// Why there are not more pictures.
    pub error: Option<Error>,
}

/// A request that leads a flight or joins one.
#[derive(Clone, Debug)]
pub struct FlightMember {
    /// Its own id.
    pub request_id: Arc<str>,
    /// Until when it waits.
    pub deadline: Instant,
    /// The class in which it waits for slots.
    pub priority: Priority,
}

/// One drawing that several requests may wait for.
pub struct Flight {
    /// The leader's id.
    leader: Arc<str>,
    progress: Mutex<Progress>,
    /// What the pictures of the request are compared by, those from the cache included.
    fingerprints: Mutex<Vec<Fingerprint>>,
    /// The leader's deadline. A request that comes later does not join.
    joinable_until: Instant,
    /// The latest deadline of all its requests.
    deadline: Mutex<Instant>,
    /// The highest class of all its requests.
    priority: watch::Sender<Priority>,
    done: watch::Sender<bool>,
    /// Whether calls go on that no request waits for.
    late_calls: watch::Sender<bool>,
    /// Notified at every change. It is not `done`, so that a follower that waits for the end alone is not woken.
    changes: watch::Sender<()>,
}

impl Flight {
    fn new(leader: FlightMember) -> Arc<Flight> {
        let FlightMember { request_id, deadline, priority } = leader;
        Arc::new(Flight {
            leader: request_id,
            progress: Mutex::new(Progress::default()),
            fingerprints: Mutex::default(),
            joinable_until: deadline,
            deadline: Mutex::new(deadline),
            priority: watch::Sender::new(priority),
            done: watch::Sender::new(false),
            late_calls: watch::Sender::new(false),
            changes: watch::Sender::new(()),
        })
    }

    /// The id of the request that draws.
    pub fn leader(&self) -> &Arc<str> {
        &self.leader
    }

    /// Waits until nothing more will come.
    pub async fn finished(&self) {
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }

    /// Calls go on after the end until what is given back is dropped.
    pub fn late_calls(self: &Arc<Flight>) -> LateCalls {
        self.late_calls.send_replace(true);
        LateCalls(self.clone())
    }

    /// Waits until nothing more will come, not even from calls that no request waits for.
    pub async fn settled(&self) {
        self.finished().await;
        // As above. They begin before the flight is finished.
        let _ = self.late_calls.subscribe().wait_for(|late| !*late).await;
    }

    /// No new call starts after this, as no request waits any longer.
    pub fn deadline(&self) -> Instant {
        // An instant is whole whatever panicked beside it.
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The class in which its calls wait for slots.
    pub fn priority(&self) -> Priority {
        *self.priority.borrow()
    }

    /// Waits until the flight is live.
    pub async fn raised(&self) {
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = self.priority.subscribe().wait_for(|priority| *priority == Priority::Live).await;
    }

    /// Lets a request join, unless it is too late for that.
    fn admit(&self, member: &FlightMember, now: Instant) -> bool {
        if now >= self.joinable_until {
            return false;
        }
        if member.priority == Priority::Live {
            self.priority.send_if_modified(|flight| std::mem::replace(flight, Priority::Live) != Priority::Live);
        }
        let mut latest = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = member.deadline.max(*latest);
        true
    }

    /// What there is now.
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Reads the progress where it is, under its lock.
    pub fn inspect<T>(&self, look: impl FnOnce(&Progress) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the progress, and notifies those who watch it.
    pub fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock());
        self.changes.send_replace(());
    }

    /// Notified at every later change.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Does something with what the pictures of the request are compared by, while nobody else does.
    pub fn with_fingerprints<T>(&self, act: impl FnOnce(&mut Vec<Fingerprint>) -> T) -> T {
        // Whatever panicked meanwhile left whole fingerprints.
        act(&mut self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // A panic inside `update` leaves the progress as far as it came, which is still true.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls of a flight that go on after its end, for as long as this is held.
pub struct LateCalls(Arc<Flight>);

impl Drop for LateCalls {
    fn drop(&mut self) {
        self.0.late_calls.send_replace(false);
    }
}

/// All flights under way.
#[derive(Default)]
pub struct Flights {
    /// By what they draw. Where a route wants several different pictures of a request, several may draw at once.
    table: DashMap<FlightKey, Vec<Arc<Flight>>>,
}

/// Leading or following.
pub enum FlightRole {
    /// This request draws, for itself and its followers.
    Lead(FlightLeader),
    /// Another request draws already.
    Follow(Arc<Flight>),
}

impl Flights {
    /// Joins a flight of this key, or starts one where fewer than `room` are under way, or none that `member` may join.
    pub fn join(self: &Arc<Flights>, key: FlightKey, room: usize, member: FlightMember, now: Instant) -> FlightRole {
        let mut flights = self.table.entry(key.clone()).or_default();
        // Its leader's time is over. Those who joined it stay on it; no other will.
        flights.retain(|flight| now < flight.joinable_until);
        if flights.len() >= room {
            // The one that fewest follow, so that each has its share of them.
            let mut open: Vec<&Arc<Flight>> = flights.iter().collect();
            open.sort_by_key(|flight| Arc::strong_count(flight));
            if let Some(flight) = open.into_iter().find(|flight| flight.admit(&member, now)) {
                return FlightRole::Follow(flight.clone());
            }
        }
        let (flight, others) = (Flight::new(member), flights.len());
        flights.push(flight.clone());
        drop(flights);
        FlightRole::Lead(FlightLeader { flight, others, registered: Some((self.clone(), key)) })
    }

    /// A flight that no request can join, for a request that must not share.
    pub fn alone(member: FlightMember) -> FlightLeader {
        FlightLeader { flight: Flight::new(member), others: 0, registered: None }
    }

    /// How many flights are under way.
    pub fn len(&self) -> usize {
        self.table.iter().map(|flights| flights.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// The leader's side of a flight. Dropping it ends the flight.
pub struct FlightLeader {
    flight: Arc<Flight>,
    others: usize,
    registered: Option<(Arc<Flights>, FlightKey)>,
}

impl FlightLeader {
    /// The flight to report to.
    pub fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// How many other flights were under way for the same request when this one began.
    pub fn others(&self) -> usize {
        self.others
    }
}

impl Drop for FlightLeader {
    fn drop(&mut self) {
        if let Some((flights, key)) = self.registered.take() {
            if let Some(mut under_way) = flights.table.get_mut(&key) {
                under_way.retain(|flight| !Arc::ptr_eq(flight, &self.flight));
            }
            flights.table.remove_if(&key, |_, under_way| under_way.is_empty());
        }
        if std::thread::panicking() {
            self.flight.update(|progress| {
                progress.error = Some(Error::new(ErrorKind::Internal, "Easel failed while drawing. Try again."));
            });
        }
        self.flight.done.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(n: u8) -> FlightKey {
        FlightKey { version: 1, canonical: b"fox".as_slice().into(), n, max_usd: None }
    }

    /// A request that comes now and waits for a second.
    fn join(flights: &Arc<Flights>, n: u8) -> FlightRole {
        join_at(flights, n, Instant::now())
    }

    fn join_at(flights: &Arc<Flights>, n: u8, now: Instant) -> FlightRole {
        flights.join(key(n), 1, member(now + SECOND, Priority::Live), now)
    }

    fn member(deadline: Instant, priority: Priority) -> FlightMember {
        FlightMember { request_id: "r1".into(), deadline, priority }
    }

    #[tokio::test]
    async fn a_flight_has_one_leader_and_ends_for_all() {
        let flights = Arc::new(Flights::default());
        let FlightRole::Lead(lead) = join(&flights, 1) else { panic!("the first must lead") };
        let FlightRole::Follow(follower) = join(&flights, 1) else { panic!("the second must follow") };
        assert!(matches!(join(&flights, 2), FlightRole::Lead(_)));
        lead.flight().update(|progress| progress.attempts = 3);
        drop(lead);
        follower.finished().await;
        assert_eq!(follower.progress().attempts, 3);
        assert!(flights.is_empty());
        assert!(matches!(join(&flights, 1), FlightRole::Lead(_)));
    }

    #[test]
    fn a_follower_brings_a_deadline_and_a_request_after_the_leaders_leads() {
        let (flights, start) = (Arc::new(Flights::default()), Instant::now());
        let FlightRole::Lead(lead) = join_at(&flights, 1, start) else { panic!("the first must lead") };
        assert_eq!(lead.flight().deadline(), start + SECOND);
        let FlightRole::Follow(follower) = join_at(&flights, 1, start + SECOND / 2) else { panic!("it is in time") };
        assert_eq!((lead.flight().deadline(), follower.deadline()), (start + 3 * SECOND / 2, start + 3 * SECOND / 2));
        // Not even before a follower's deadline: a flight that every request may join would never end.
        let FlightRole::Lead(second) = join_at(&flights, 1, start + SECOND) else { panic!("it is too late to join") };
        let FlightRole::Follow(other) = join_at(&flights, 1, start + SECOND) else {
            panic!("the second flight is there")
        };
        assert!(Arc::ptr_eq(&other, second.flight()) && !Arc::ptr_eq(&other, &follower));
        drop(lead);
        assert_eq!(flights.len(), 1, "the first leader takes its own flight away and no other");
        assert!(matches!(join_at(&flights, 1, start + SECOND), FlightRole::Follow(_)));
        drop(second);
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn a_live_request_raises_the_flight_of_a_batch_job_and_a_batch_job_lowers_none() {
        let (flights, now) = (Arc::new(Flights::default()), Instant::now());
        let join = |priority| flights.join(key(1), 1, member(now + SECOND, priority), now);
        let FlightRole::Lead(lead) = join(Priority::Batch) else { panic!("the first must lead") };
        let flight = lead.flight().clone();
        assert!(matches!(join(Priority::Batch), FlightRole::Follow(_)));
        assert!(flight.priority() == Priority::Batch && flight.raised().now_or_never().is_none());
        assert!(matches!(join(Priority::Live), FlightRole::Follow(_)));
        flight.raised().await;
        assert!(matches!(join(Priority::Batch), FlightRole::Follow(_)));
        assert_eq!(flight.priority(), Priority::Live);
    }

    #[tokio::test]
    async fn a_leader_that_panics_frees_its_followers_with_an_error() {
        let flights = Arc::new(Flights::default());
        let FlightRole::Lead(lead) = join(&flights, 1) else { panic!("the first must lead") };
        let FlightRole::Follow(follower) = join(&flights, 1) else { panic!("the second must follow") };
        let task = tokio::spawn(async move {
            let _lead = lead;
            panic!("on purpose");
        });
        assert!(task.await.is_err());
        follower.finished().await;
        assert_eq!(follower.progress().error.map(|error| error.kind), Some(ErrorKind::Internal));
    }

    #[tokio::test]
    async fn a_crowd_of_joiners_has_exactly_one_leader() {
        let flights = Arc::new(Flights::default());
        let joins = (0..64).map(|_| {
            let flights = flights.clone();
            tokio::spawn(async move { join(&flights, 1) })
        });
        let mut roles = Vec::new();
        for join in joins {
            roles.push(join.await.unwrap());
        }
        assert_eq!(roles.iter().filter(|role| matches!(role, FlightRole::Lead(_))).count(), 1);
    }
}
