//! Single flight: identical requests in flight are drawn once.
//!
//! Whoever comes first leads and draws; everybody else waits on the same [`Flight`], and all read its [`Progress`]. A
//! client who leaves takes nothing with it, because the drawing outlives it (`gateway/outlive.rs`). A leader that ends
//! in any way, a panic included, ends the flight: nobody waits for ever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;

use crate::cache::Kept;
use crate::error::{Error, Kind};
use crate::money::Usd;
use crate::provider::Partial;

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
    /// Pictures there are.
    pub pictures: Vec<Arc<Kept>>,
    /// Unfinished pictures, for those who watch; drawn only if the leader asked for them.
    pub partials: Vec<Partial>,
    /// Money settled.
    pub cost: Usd,
    /// Calls made.
    pub attempts: u32,
    /// Offers not asked, and why.
    pub skipped: Vec<(String, &'static str)>,
    /// Who was to rewrite the prompt, and what became of it.
    pub enriched: Option<(String, &'static str)>,
    /// The leader's deadline ended it, not the providers.
    pub out_of_time: bool,
    /// Why there are not more pictures.
    pub error: Option<Error>,
}

/// One drawing that several requests may wait for.
pub struct Flight {
    progress: Mutex<Progress>,
    done: watch::Sender<bool>,
    /// Tells of every change. Apart from `done`, so that who only waits for the end is not woken by it.
    news: watch::Sender<()>,
}

impl Flight {
    fn new() -> Arc<Flight> {
        Arc::new(Flight {
            progress: Mutex::new(Progress::default()),
            done: watch::Sender::new(false),
            news: watch::Sender::new(()),
        })
    }

    /// Waits until nothing more will come.
    pub async fn finished(&self) {
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }

    /// What there is now.
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Looks at what there is.
    pub fn glance<T>(&self, look: impl FnOnce(&Progress) -> T) -> T {
        look(&self.lock())
    }

    /// Adds to what there is.
    pub fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock());
        self.news.send_replace(());
    }

    /// Tells of every later change.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // A panic inside `update` leaves the progress as far as it came, which is still true.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All flights in the air.
#[derive(Default)]
pub struct Flights {
    table: DashMap<FlightKey, Arc<Flight>>,
}

/// Leading or following.
pub enum Seat {
    /// Draw, and tell the others.
    Lead(Lead),
    /// Somebody draws already.
    Follow(Arc<Flight>),
}

impl Flights {
    /// Joins the flight of this key, or starts it.
    pub fn join(self: &Arc<Flights>, key: FlightKey) -> Seat {
        match self.table.entry(key.clone()) {
            Entry::Occupied(flying) => Seat::Follow(flying.get().clone()),
            Entry::Vacant(vacant) => {
                let flight = Flight::new();
                vacant.insert(flight.clone());
                Seat::Lead(Lead { flight, registered: Some((self.clone(), key)) })
            }
        }
    }

    /// A flight nobody can join, for requests that must not share.
    pub fn alone() -> Lead {
        Lead { flight: Flight::new(), registered: None }
    }

    /// Flights in the air.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// The duty to draw. Dropping it lands the flight.
pub struct Lead {
    flight: Arc<Flight>,
    registered: Option<(Arc<Flights>, FlightKey)>,
}

impl Lead {
    /// The flight to report to.
    pub fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some((flights, key)) = self.registered.take() {
            flights.table.remove(&key);
        }
        if std::thread::panicking() {
            self.flight.update(|progress| {
                progress.error = Some(Error::new(Kind::Internal, "Easel failed while drawing. Try again."));
            });
        }
        self.flight.done.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> FlightKey {
        FlightKey { version: 1, canonical: b"fox".as_slice().into(), n, max_usd: None }
    }

    #[tokio::test]
    async fn a_flight_has_one_leader_and_lands_for_all() {
        let flights = Arc::new(Flights::default());
        let Seat::Lead(lead) = flights.join(key(1)) else { panic!("the first must lead") };
        let Seat::Follow(follower) = flights.join(key(1)) else { panic!("the second must follow") };
        assert!(matches!(flights.join(key(2)), Seat::Lead(_)));
        lead.flight().update(|progress| progress.attempts = 3);
        drop(lead);
        follower.finished().await;
        assert_eq!(follower.progress().attempts, 3);
        assert!(flights.is_empty());
        assert!(matches!(flights.join(key(1)), Seat::Lead(_)));
    }

    #[tokio::test]
    async fn a_leader_that_panics_frees_its_followers_with_an_error() {
        let flights = Arc::new(Flights::default());
        let Seat::Lead(lead) = flights.join(key(1)) else { panic!("the first must lead") };
        let Seat::Follow(follower) = flights.join(key(1)) else { panic!("the second must follow") };
        let task = tokio::spawn(async move {
            let _lead = lead;
            panic!("on purpose");
        });
        assert!(task.await.is_err());
        follower.finished().await;
        assert_eq!(follower.progress().error.map(|error| error.kind), Some(Kind::Internal));
    }

    #[tokio::test]
    async fn a_crowd_of_joiners_has_exactly_one_leader() {
        let flights = Arc::new(Flights::default());
        let joins = (0..64).map(|_| {
            let flights = flights.clone();
            tokio::spawn(async move { flights.join(key(1)) })
        });
        let mut seats = Vec::new();
        for join in joins {
            seats.push(join.await.unwrap());
        }
        assert_eq!(seats.iter().filter(|seat| matches!(seat, Seat::Lead(_))).count(), 1);
    }
}
