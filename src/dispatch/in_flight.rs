//! The calls of one request that are under way, and how long each is waited for.
//!
//! A call that takes more than half of the time that was left when it began is overdue: the request may stop waiting
//! for it and ask another candidate, which then has the other half. Nothing here cuts a call off or decides which to ask;
//! the time comes in as an argument.

use std::time::{Duration, Instant};

use crate::error::Error;

/// How soon it is checked again whether another candidate can take over from an overdue call.
const RECHECK: Duration = Duration::from_millis(500);

/// One call under way.
#[derive(Debug)]
pub struct PendingCall {
    /// Its number.
    pub id: u32,
    /// The place of the candidate that was asked, among all.
    pub candidate: usize,
    /// Pictures asked for.
    pub n: u8,
    /// Which of the wanted pictures it draws. Once it is given up another call may draw them too, and so does its hedge.
    pub places: Vec<u8>,
    /// When it began.
    pub began: Instant,
    overdue_at: Instant,
    /// Whether it is not waited for any more, and has been counted as a failure.
    pub given_up: bool,
    /// Whether its pictures are there, and somebody looks at them: nobody else would be faster.
    pub arrived: bool,
    /// How it stands to hedging.
    pub hedge: HedgeState,
    /// What the end of the other call for its places would have told the caller, if this one brings no pictures either.
    pub last_word: Option<Error>,
}

/// How a call stands to hedging.
#[derive(Clone, Copy, Debug, Default)]
pub struct HedgeState {
    /// It is a hedge itself.
    pub is_hedge: bool,
    /// It has been hedged.
    pub hedged: bool,
    /// It was looked at since the last event and cannot be hedged now.
    pub passed_over: bool,
    /// It was told why it is not hedged.
    pub told: bool,
}

impl PendingCall {
    /// How long it has been under way.
    pub fn took(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

/// All calls of one request that are under way.
#[derive(Debug, Default)]
pub struct InFlight {
    calls: Vec<PendingCall>,
    last: u32,
}

impl InFlight {
    /// Notes a call to `candidate` for `places` that begins now, and gives it a number.
    pub fn begin(&mut self, candidate: usize, places: Vec<u8>, now: Instant, deadline: Instant) -> u32 {
        self.last += 1;
        let overdue_at = now + deadline.saturating_duration_since(now) / 2;
        let n = u8::try_from(places.len()).unwrap_or(u8::MAX);
        self.calls.push(PendingCall {
            id: self.last,
            candidate,
            n,
            places,
            began: now,
            overdue_at,
            given_up: false,
            arrived: false,
            hedge: HedgeState::default(),
            last_word: None,
        });
        self.last
    }

    /// The pictures of a call are there and are being looked at.
    pub fn arrived(&mut self, id: u32) {
        self.calls.iter_mut().filter(|call| call.id == id).for_each(|call| call.arrived = true);
    }

    /// Takes out a call that has ended.
    pub fn end(&mut self, id: u32) -> Option<PendingCall> {
        let index = self.calls.iter().position(|call| call.id == id)?;
        Some(self.calls.swap_remove(index))
    }

    /// Whether no call is under way.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// A call that is under way.
    pub fn call(&self, id: u32) -> Option<&PendingCall> {
        self.calls.iter().find(|call| call.id == id)
    }

    /// The candidate of a call.
    pub fn candidate_of(&self, id: u32) -> Option<usize> {
        self.call(id).map(|call| call.candidate)
    }

    /// Whether a call to `candidate` is under way.
    pub fn has_call_to(&self, candidate: usize) -> bool {
        self.calls.iter().any(|call| call.candidate == candidate)
    }

    /// Whether a call draws this place that is waited for.
    pub fn draws(&self, place: u8) -> bool {
        self.calls.iter().any(|call| !call.given_up && call.places.contains(&place))
    }

    /// The other call that is waited for and draws some of these places: a hedge, what it is for, or the one that took over
    /// from a slow call.
    pub fn twin(&mut self, places: &[u8]) -> Option<&mut PendingCall> {
        self.calls.iter_mut().find(|call| !call.given_up && call.places.iter().any(|place| places.contains(place)))
    }

    /// Calls that may be hedged once they are late.
    pub fn may_be_hedged(&self) -> impl Iterator<Item = &PendingCall> {
        let hedged = |call: &PendingCall| {
            let mut hedges = self.calls.iter().filter(|other| other.hedge.is_hedge);
            hedges.any(|hedge| hedge.places.iter().any(|place| call.places.contains(place)))
        };
        let fresh = self
            .calls
            .iter()
            .filter(|call| !call.given_up && !call.arrived && !call.hedge.hedged && !call.hedge.is_hedge);
        fresh.filter(move |call| !hedged(call))
    }

    /// Hedges, and what they are for, that are under way.
    pub fn hedges_and_hedged(&self) -> impl Iterator<Item = &PendingCall> {
        self.calls.iter().filter(|call| call.hedge.is_hedge || call.hedge.hedged)
    }

    /// The call `hedge` is a hedge of the call `hedged`.
    pub fn mark_hedge(&mut self, hedged: u32, hedge: u32) {
        for call in &mut self.calls {
            call.hedge.hedged |= call.id == hedged;
            call.hedge.is_hedge |= call.id == hedge;
        }
    }

    /// A call cannot be hedged now.
    pub fn pass_over_hedge(&mut self, id: u32) {
        self.calls.iter_mut().filter(|call| call.id == id).for_each(|call| call.hedge.passed_over = true);
    }

    /// Something has changed: it may be possible now.
    pub fn reconsider_hedges(&mut self) {
        self.calls.iter_mut().for_each(|call| call.hedge.passed_over = false);
    }

    /// The candidate of a call that is not hedged, once.
    pub fn tell_not_hedged(&mut self, id: u32) -> Option<usize> {
        let call = self.calls.iter_mut().find(|call| call.id == id && !call.hedge.told)?;
        call.hedge.told = true;
        Some(call.candidate)
    }

    /// Calls that are overdue and still waited for, with whom they ask and for how many pictures. One whose hedge is in time
    /// is not among them: another candidate has been asked in its place already. Nor is one that has the last word, for
    /// nobody is asked again.
    pub fn overdue(&self, now: Instant) -> Vec<(u32, usize, u8)> {
        let waited_for = || self.calls.iter().filter(|call| !call.given_up);
        let in_time = |call: &&PendingCall| call.overdue_at > now || call.arrived || call.last_word.is_some();
        let overdue = waited_for().filter(|call| {
            let mut same = waited_for().filter(|other| other.places.iter().any(|place| call.places.contains(place)));
            !same.any(|other| in_time(&other))
        });
        overdue.map(|call| (call.id, call.candidate, call.n)).collect()
    }

    /// When to check again: when the next call will be overdue, or a little later where one is overdue that no candidate
    /// could take over; one may be free by then.
    pub fn next_check(&self, now: Instant) -> Option<Instant> {
        let waited_for = self.calls.iter().filter(|call| !call.given_up && !call.arrived);
        waited_for.map(|call| if call.overdue_at > now { call.overdue_at } else { now + RECHECK }).min()
    }

    /// Stops waiting for a call and gives back its places, which the call remembers.
    pub fn give_up(&mut self, id: u32) -> Vec<u8> {
        let Some(call) = self.calls.iter_mut().find(|call| call.id == id) else { return Vec::new() };
        call.given_up = true;
        call.places.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_call_is_overdue_after_half_the_time_left_and_given_up_once() {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        let first = in_flight.begin(3, vec![0, 1], now, now + 10 * SECOND);
        let second = in_flight.begin(4, vec![2], now + 4 * SECOND, now + 10 * SECOND);
        assert_eq!(in_flight.overdue(now + 4 * SECOND), []);
        assert_eq!(in_flight.next_check(now), Some(now + 5 * SECOND));
        assert_eq!(in_flight.overdue(now + 5 * SECOND), [(first, 3, 2)]);
        assert_eq!(in_flight.next_check(now + 5 * SECOND), Some(now + 5 * SECOND + RECHECK));
        assert_eq!(in_flight.give_up(first), [0, 1]);
        assert_eq!(in_flight.next_check(now + 5 * SECOND), Some(now + 7 * SECOND));
        assert_eq!(in_flight.overdue(now + 7 * SECOND), [(second, 4, 1)]);
        in_flight.give_up(second);
        assert_eq!(in_flight.next_check(now + 7 * SECOND), None);
        assert!(in_flight.has_call_to(3) && in_flight.has_call_to(4));
        let call = in_flight.end(first).unwrap();
        assert_eq!((call.candidate, call.n, call.places.as_slice(), call.given_up), (3, 2, [0, 1].as_slice(), true));
        assert_eq!(call.took(now + 9 * SECOND), 9 * SECOND);
        assert!(!in_flight.has_call_to(3) && in_flight.end(first).is_none());
    }
}
