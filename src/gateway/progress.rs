//! Watching a request being drawn: each picture as soon as it is there, unfinished ones before it.
//!
//! A [`ProgressSender`] goes with the request and is told which flight it follows; a [`ProgressReceiver`] stays with
//! the code that answers the client, which reads from it what is new there. The receiver delays nothing: when it reads
//! late it gets all that is there by then. How the request ends is in its outcome, not here.

use std::sync::Arc;

use tokio::sync::watch;

use crate::cache::{GeneratedPicture, PlacedPicture};
use crate::gateway::single_flight::Flight;
use crate::provider::Partial;
use crate::request::ImageRequest;

/// Where a request tells which flight it follows.
pub struct ProgressSender {
    flight: watch::Sender<Option<Arc<Flight>>>,
}

/// The receiving end: what is new on the flight that the request follows.
pub struct ProgressReceiver {
    flight: watch::Receiver<Option<Arc<Flight>>>,
    following: Option<(Arc<Flight>, watch::Receiver<()>)>,
    wanted: usize,
    /// Whether pictures are shown in the order of their places instead of as they come.
    in_order: bool,
    partials: usize,
    /// Ids of the pictures that were shown, in order.
    shown: Vec<Arc<str>>,
}

/// Something new.
#[derive(Clone, Debug)]
pub enum ProgressEvent {
    /// An unfinished picture.
    Partial(Partial),
    /// A picture as it will be delivered.
    Picture(Arc<GeneratedPicture>),
}

/// Both ends of the channel on which the progress of `request` is watched.
pub fn channel(request: &ImageRequest) -> (ProgressSender, ProgressReceiver) {
    let (sender, receiver) = watch::channel(None);
    let (wanted, in_order) = (usize::from(request.n), request.seed.is_some());
    let progress =
        ProgressReceiver { flight: receiver, following: None, wanted, in_order, partials: 0, shown: Vec::new() };
    (ProgressSender { flight: sender }, progress)
}

impl ProgressSender {
    /// The request is on this flight now.
    pub fn announce(&self, flight: &Arc<Flight>) {
        self.flight.send_replace(Some(flight.clone()));
    }

    /// Tells which flight the request is on, now and at every change.
    pub fn flights(&self) -> watch::Receiver<Option<Arc<Flight>>> {
        self.flight.subscribe()
    }
}

impl ProgressReceiver {
    /// Waits for something new. Waits for ever when nothing more comes; the outcome tells that. May be dropped and
    /// called again without missing anything.
    pub async fn next(&mut self) -> ProgressEvent {
        loop {
            if let Some(event) = self.next_event() {
                return event;
            }
            let changes = self.following.as_mut().map(|(_, changes)| changes);
            let changed = async {
                match changes {
                    // The flight owns the sender and is held here, so the channel cannot close.
                    Some(changes) => drop(changes.changed().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                switched = self.flight.changed() => match switched {
                    Ok(()) => self.follow(),
                    // The request has ended; whatever it brought is in its outcome.
                    Err(_) => std::future::pending().await,
                },
            }
        }
    }

    /// What of `delivered` was not shown.
    pub fn not_shown(&self, delivered: &[Arc<GeneratedPicture>]) -> Vec<Arc<GeneratedPicture>> {
        let mut shown = self.shown.clone();
        let new = delivered.iter().filter(|kept| {
            let seen = shown.iter().position(|id| *id == kept.id);
            seen.map(|at| shown.swap_remove(at)).is_none()
        });
        new.cloned().collect()
    }

    fn follow(&mut self) {
        let flight = self.flight.borrow_and_update().clone();
        self.following = flight.map(|flight| {
            let changes = flight.changes();
            (flight, changes)
        });
        self.partials = 0;
    }

    /// What may be shown of what there is. With a seed each waits for those before it, so that their order tells which is
    /// which; what nothing comes before any more is delivered in the end.
    fn ready(&self, pictures: &[PlacedPicture]) -> Vec<Arc<GeneratedPicture>> {
        if !self.in_order {
            return pictures.iter().take(self.wanted).map(|placed| placed.generated.clone()).collect();
        }
        let at = |place: usize| pictures.iter().find(|placed| usize::from(placed.place) == place);
        (0..self.wanted).map_while(at).map(|placed| placed.generated.clone()).collect()
    }

    fn next_event(&mut self) -> Option<ProgressEvent> {
        let (flight, _) = self.following.as_ref()?;
        let partial = flight.inspect(|progress| progress.partials.get(self.partials).cloned());
        if let Some(partial) = partial {
            self.partials += 1;
            return Some(ProgressEvent::Partial(partial));
        }
        // A second flight, joined when the first ran out of time, begins with the pictures that the first one brought.
        let pictures = flight.inspect(|progress| self.ready(&progress.pictures));
        let next = self.not_shown(&pictures).into_iter().next()?;
        self.shown.push(next.id.clone());
        Some(ProgressEvent::Picture(next))
    }
}
