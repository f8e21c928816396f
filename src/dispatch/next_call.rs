//! The order in which candidates are asked, and what stands against each.

use crate::dispatch::choice_reason::ChoiceReason;
use crate::dispatch::interface::{Action, DispatchFacts, EventTime};
use crate::dispatch::obstacles::Obstacle;
use crate::dispatch::state_machine::{CandidateHistory, Dispatch};
use crate::routing::Candidate;

impl Dispatch {
    /// The next call to start, or the queues to wait in where no candidate has a free slot.
    pub(super) fn next_call(&mut self, facts: &impl DispatchFacts, time: EventTime) -> Option<Action> {
        if self.places.open() == 0 || !self.may_start(time) {
            self.leave_queue();
            return None;
        }
        match self.choose(facts, time) {
            Some(candidate) => Some(self.start(candidate, false)),
            None => self.queue_up(facts, time),
        }
    }

    fn start(&self, candidate: usize, granted: bool) -> Action {
        let (places, reason) =
            (self.places.next(self.candidates[candidate].max_n), self.choice_reason(candidate, granted));
        Action::Start { candidate, places, granted, reason }
    }

    /// A slot came for a candidate that waited: the call to start with it, if that is still wanted.
    pub(super) fn use_granted_slot(&mut self, candidate: usize, facts: &impl DispatchFacts, time: EventTime) -> Action {
        if self.places.open() == 0 || !self.may_start(time) || self.is_barred(candidate, facts, time) {
            return Action::ReturnSlot;
        }
        self.start(candidate, true)
    }

    /// Several calls of one offer that fail at once say no more than one of them, so each offer's count is bounded.
    pub(super) fn may_start(&self, time: EventTime) -> bool {
        let most = self.rules.max_failures_per_offer;
        let failures: u32 = self.history.iter().map(|history| history.failures.min(most)).sum();
        self.stop.is_none() && time.now < time.deadline && failures < self.rules.max_failures
    }

    /// The first candidate that nothing stands against; why the others cannot be asked is noted.
    fn choose(&mut self, facts: &impl DispatchFacts, time: EventTime) -> Option<usize> {
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        order.sort_by_key(|candidate| self.history[*candidate].failures);
        for candidate in order {
            if self.history[candidate].passed_over {
                continue;
            }
            match self.obstacle(candidate, self.places.open(), facts, time) {
                Some(obstacle) => self.not_started(candidate, obstacle),
                // It comes back by itself, so that is no reason to tell.
                None if self.backs_off_until(candidate, time.now).is_some() => {}
                None => return Some(candidate),
            }
        }
        None
    }

    /// Whether something other than a missing slot stands against asking a candidate now. It is remembered for the answer.
    pub(super) fn is_barred(&mut self, candidate: usize, facts: &impl DispatchFacts, time: EventTime) -> bool {
        let obstacle = self.obstacle(candidate, self.places.open(), facts, time);
        if let Some(obstacle) = &obstacle {
            self.obstacles.note(obstacle);
        }
        obstacle.is_some() || self.backs_off_until(candidate, time.now).is_some()
    }

    /// What stands against asking a candidate for so many pictures now, free slots aside.
    pub(super) fn obstacle(
        &self,
        candidate: usize,
        pictures: u8,
        facts: &impl DispatchFacts,
        time: EventTime,
    ) -> Option<Obstacle> {
        let obstacle = self.obstacle_but_pauses(candidate, pictures, facts, time);
        // Who is not to be asked in any case is not told to be paused.
        if matches!(obstacle, Some(Obstacle::Failed | Obstacle::ConditionNotMet)) {
            return obstacle;
        }
        let Candidate { offer, max_n, .. } = &self.candidates[candidate];
        let paused_until = facts.paused_until(*offer, pictures.min(*max_n), time.now);
        paused_until.map(Obstacle::PausedUntil).or(obstacle)
    }

    /// The same of an offer whose pause has ended.
    pub(super) fn obstacle_but_pauses(
        &self,
        candidate: usize,
        pictures: u8,
        facts: &impl DispatchFacts,
        time: EventTime,
    ) -> Option<Obstacle> {
        if self.is_excluded(candidate) {
            return Some(Obstacle::Failed);
        }
        if !self.has_reason(candidate, pictures, facts, time) {
            return Some(Obstacle::ConditionNotMet);
        }
        if self.is_over_retry_budget(candidate, facts, time) {
            return Some(Obstacle::RetryBudget);
        }
        self.money_obstacle(candidate, pictures, facts)
    }

    /// What stands against paying a candidate for so many pictures now.
    pub(super) fn money_obstacle(
        &self,
        candidate: usize,
        pictures: u8,
        facts: &impl DispatchFacts,
    ) -> Option<Obstacle> {
        let Candidate { offer, usd, max_n, .. } = self.candidates[candidate];
        if !facts.may_pay() {
            return Some(Obstacle::LedgerUnwritable);
        }
        if let Err(exceeded) = self.rules.caps.affordable(usd, pictures, self.promised) {
            return Some(Obstacle::OverPrice(exceeded.into()));
        }
        // A budget does not come back by waiting, so it is asked before a slot is waited for.
        let wanted = usd.checked_mul(u32::from(pictures.min(max_n)))?;
        facts.short(offer, wanted).map(Obstacle::BudgetExceeded)
    }

    fn is_excluded(&self, candidate: usize) -> bool {
        let history = self.history[candidate];
        history.excluded || history.failures >= self.rules.max_failures_per_offer
    }

    pub(super) fn note_obstacle(&mut self, candidate: usize, obstacle: Obstacle) {
        self.obstacles.note(&obstacle);
        self.note_skip(self.candidates[candidate].offer, obstacle.skip());
    }

    /// Why the call that starts now goes to this candidate.
    fn choice_reason(&self, candidate: usize, granted: bool) -> ChoiceReason {
        let failed = |history: &CandidateHistory| history.failures > 0;
        if granted {
            return ChoiceReason::Queued;
        }
        if failed(&self.history[candidate]) {
            return ChoiceReason::Repeat;
        }
        if self.late {
            return ChoiceReason::Late;
        }
        if self.history.iter().any(failed) {
            return ChoiceReason::Fallback;
        }
        // One that waits for a reason comes after all those that do not, wherever it stands.
        let waits = !self.candidates[candidate].when.is_empty();
        let before = self.candidates.iter().zip(&self.history).take(if waits { usize::MAX } else { candidate });
        let mut before =
            before.filter(|(candidate, _)| candidate.when.is_empty()).map(|(_, history)| history).peekable();
        if before.peek().is_none() {
            return if self.rules.explores && !waits { ChoiceReason::Explore } else { ChoiceReason::First };
        }
        if before.all(|history| history.full) { ChoiceReason::Spill } else { ChoiceReason::NextAble }
    }
}
