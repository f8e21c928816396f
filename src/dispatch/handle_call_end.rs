//! What a call that has ended means for its request: where its pictures go, which places are drawn again, what it cost,
//! and whether its offer may be asked again.

use std::time::Instant;

use crate::dispatch::call_end::CallEnd;
use crate::dispatch::in_flight::PendingCall;
use crate::dispatch::no_picture_error;
use crate::dispatch::picture_disposition::{Disposition, PictureDispositions};
use crate::dispatch::state_machine::Dispatch;
use crate::error::Error;
use crate::failure::{Class, Failure};
use crate::money::Usd;

impl Dispatch {
    /// Takes in how a call ended. `None` for a call that is not under way.
    pub fn ended(&mut self, call: u32, end: CallEnd, now: Instant) -> Option<PictureDispositions> {
        let ended = self.in_flight.end(call)?;
        let candidate = ended.candidate;
        self.reconsider_all();
        self.history[candidate].took = ended.took(now);
        if let Some(paused_until) = end.paused_until {
            self.obstacles.note_pause(paused_until);
        }
        self.rejected |= end.rejected;
        self.settle(&ended, &end);
        let dispositions = self.place(&ended, &end.at);
        if let Some(error) = ended.last_word.clone()
            && !self.places.empty_among(&ended.places).is_empty()
        {
            self.stop.get_or_insert(error);
        }
        if end.refused || end.failure.as_ref().is_some_and(|failure| failure.class == Class::Policy) {
            self.refused(&ended, end.failure.as_ref());
        } else if let Some(failure) = end.failure {
            // Where the reply lists no picture none was drawn. Its price stays set aside, and a budget allows another call
            // or not.
            // What was rejected was drawn, and whatever it costs says nothing of the next call.
            let rejected = failure.class == Class::Rejected;
            let open = !failure.drew_none && !rejected && (end.open || end.uncertain > Usd::ZERO);
            self.failed(&ended, failure, open);
            if rejected {
                self.history[candidate].rejections += u32::from(!ended.given_up);
            } else {
                self.back_off(candidate, now);
            }
        }
        Some(PictureDispositions { candidate, places: ended.places, dispositions })
    }

    /// Puts what a call cost, or may have cost, in place of what was promised for it.
    fn settle(&mut self, ended: &PendingCall, end: &CallEnd) {
        let estimate = self.estimate(ended.candidate, ended.n);
        let paid = end.promised.saturating_add(end.uncertain);
        let settled = self.promised.checked_sub(estimate).and_then(|rest| rest.checked_add(paid));
        self.promised = settled.unwrap_or(self.promised);
    }

    /// Finds a place for each picture and gives back the places that stayed empty.
    ///
    /// With a seed a picture is the one of its own place, even if another call was asked for it; one that is not known to
    /// be wanted is neither delivered nor kept. Without a seed a call that was given up fills what no call draws yet, and
    /// what is not needed is kept for the next request.
    fn place(&mut self, ended: &PendingCall, at: &[u8]) -> Vec<Disposition> {
        let seeded = self.rules.seeded;
        let mut dispositions = Vec::with_capacity(at.len());
        for at in at {
            let own = ended.places.get(usize::from(*at)).copied().filter(|_| seeded || !ended.given_up);
            dispositions.push(match self.places.fill(own) {
                Some(place) => Disposition::Deliver(place),
                None if seeded => Disposition::Discard,
                None => Disposition::Keep,
            });
        }
        if !ended.given_up {
            self.give_back(&ended.places);
        }
        dispositions
    }

    fn refused(&mut self, ended: &PendingCall, failure: Option<&Failure>) {
        let history = &mut self.history[ended.candidate];
        history.failures += u32::from(!ended.given_up);
        history.excluded = true;
        if self.rules.refusals_go_on {
            self.obstacles.refused = true;
            return;
        }
        self.stop_with(ended, no_picture_error::refused(failure));
    }

    /// No candidate is asked again that may be drawing it already or may have been paid for it (`open`), or whose answer
    /// would be the same. One that limits its requests may be asked once its pause is over. A call that was given up has
    /// been counted then.
    fn failed(&mut self, ended: &PendingCall, failure: Failure, open: bool) {
        if failure.is_the_callers() {
            self.stop_with(ended, no_picture_error::caller_invalid(&failure));
            return;
        }
        let history = &mut self.history[ended.candidate];
        history.failures += u32::from(!ended.given_up);
        let same_again = matches!(
            failure.class,
            Class::Auth
                | Class::Quota
                | Class::ModelGone
                | Class::CallerInvalid
                | Class::AdapterBug
                | Class::Unlike
                | Class::TimeoutAmbiguous
                | Class::Unrecorded
        );
        history.excluded |= open || same_again;
        self.obstacles.note_failure(failure);
    }

    /// Nobody else is asked. Where another call for the same places is under way (a hedge or what it is for, or the one that
    /// took over from a slow call), that one has the last word: a request that one of two vendors draws is answered with
    /// the picture.
    /// Where it draws only some of them, the others would have to be asked of somebody else, and the request ends.
    fn stop_with(&mut self, ended: &PendingCall, error: Error) {
        let all_drawn = self.places.empty_among(&ended.places).into_iter().all(|place| self.in_flight.draws(place));
        match self.in_flight.twin(&ended.places).filter(|_| all_drawn) {
            Some(twin) => drop(twin.last_word.get_or_insert(error)),
            None => drop(self.stop.get_or_insert(error)),
        }
    }
}
