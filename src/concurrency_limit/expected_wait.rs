//! How long a call is expected to wait for its slot: how many slots have to come back before its turn, at the pace at
//! which those in use come back.

use std::time::Duration;

use crate::concurrency_limit::claim::Claim;
use crate::concurrency_limit::class_shares::{other, owned};
use crate::concurrency_limit::lane_state::LaneState;
use crate::config::plan::{Priority, Shares};

/// What two classes that both wait have in slots, as one of them sees it.
struct Contention {
    shares: Shares,
    class: Priority,
    /// Slots that each class lacks of its own: this one's and the other's.
    lacks: (usize, usize),
    /// Calls of the other class that wait.
    others: usize,
}

impl Contention {
    /// How many slots come back, to whomever they go, until the class has got `slots` of them.
    ///
    /// While both wait a class that lacks slots of its own gets each that comes back, live before batch; after that a class gets
    /// back what its own calls leave, which is its share of all. It waits for no more than all of the other's calls.
    fn releases(&self, slots: usize) -> usize {
        let Contention { shares, class, lacks: (lacks, other_lacks), others } = *self;
        let first = if class == Priority::Live { 0 } else { other_lacks.min(others) };
        let at_share = u64::try_from(slots.saturating_sub(lacks)).unwrap_or(u64::MAX);
        let all = at_share.saturating_mul(1_000_000).div_ceil(u64::from(shares.ppm(class)).max(1));
        let all = first + slots.min(lacks) + usize::try_from(all).unwrap_or(usize::MAX);
        all.min(slots.saturating_add(others))
    }
}

impl<W> LaneState<W> {
    /// How long until the last of so many calls that come now has its slot, where a call of each model holds one as long
    /// as `held` says. `None` where nobody knows that.
    pub(super) fn expected_wait(
        &self,
        claim: &Claim,
        calls: usize,
        held: impl Fn(&str) -> Option<Duration>,
    ) -> Option<Duration> {
        let (limit, of_model) = (self.limit(), self.limit_of(&claim.model));
        let running = self.models.get(&claim.model).map_or(0, |state| state.in_flight.sum());
        let free = limit.saturating_sub(self.in_flight.sum()).min(of_model.saturating_sub(running));
        if calls <= free {
            return Some(Duration::ZERO);
        }
        // Where the model's own cap is what stands in the way, only its own calls make room.
        let capped = running >= of_model && of_model < limit;
        let counts = |model: &str| !capped || *model == *claim.model;
        let slots = self.queues.get(claim.priority).before(&claim.tenant, counts) + calls - free;
        // After a limit was lowered, the first slots that come back are handed to nobody.
        let excess = if capped { running - of_model } else { self.in_flight.sum().saturating_sub(limit) };
        let releases = self.contention(claim, capped, of_model).map_or(slots, |contention| contention.releases(slots));
        let releases = releases.saturating_add(excess);
        let pace = self.slots_a_second(counts, held)?;
        Duration::try_from_secs_f64(f64::from(u32::try_from(releases).unwrap_or(u32::MAX)) / pace).ok()
    }

    /// How the classes stand, if calls of the other wait.
    fn contention(&self, claim: &Claim, capped: bool, of_model: usize) -> Option<Contention> {
        let (class, other) = (claim.priority, other(claim.priority));
        let others = self.waiting(other);
        let of_one = self.models.get(&claim.model).filter(|_| capped);
        let (limit, in_flight) = of_one.map_or((self.limit(), self.in_flight), |state| (of_model, state.in_flight));
        let shares = self.bounds.shares;
        let lacks = |class| owned(shares, limit, class).saturating_sub(*in_flight.get(class));
        (others > 0).then(|| Contention { shares, class, lacks: (lacks(class), lacks(other)), others })
    }

    /// How many slots come back in a second. Calls of a model of which nothing is known count like the others.
    fn slots_a_second(&self, counts: impl Fn(&str) -> bool, held: impl Fn(&str) -> Option<Duration>) -> Option<f64> {
        let (mut known, mut all, mut pace) = (0_u32, 0_u32, 0.0);
        for (model, state) in self.models.iter().filter(|(model, _)| counts(model)) {
            let running = u32::try_from(state.in_flight.sum()).unwrap_or(u32::MAX);
            all = all.saturating_add(running);
            if let Some(held) = held(model).filter(|held| !held.is_zero()) {
                known = known.saturating_add(running);
                pace += f64::from(running) / held.as_secs_f64();
            }
        }
        (pace > 0.0).then(|| pace * f64::from(all) / f64::from(known))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::config::plan::Concurrency;
    use crate::failure::FailureScope;

    const SECOND: Duration = Duration::from_secs(1);

    fn lane(limit: usize) -> LaneState<()> {
        let shares = Shares { batch_ppm: 100_000 };
        LaneState::new(Concurrency { limit, queue: 1000, max_wait: 10 * SECOND, shares })
    }

    fn claim(priority: Priority, tenant: &str, model: &str) -> Claim {
        Claim { priority, tenant: tenant.into(), model: model.into() }
    }

    fn run(lane: &mut LaneState<()>, claim: &Claim, calls: usize) {
        for _ in 0..calls {
            assert!(lane.take(claim.priority, &claim.model).is_some());
        }
    }

    fn queue(lane: &mut LaneState<()>, claim: &Claim, calls: usize) {
        for _ in 0..calls {
            assert!(lane.enqueue(claim, ()).is_some());
        }
    }

    fn wait(lane: &LaneState<()>, claim: &Claim, calls: usize) -> u64 {
        let held = |model: &str| Some(if model == "slow" { 60 * SECOND } else { 10 * SECOND });
        lane.expected_wait(claim, calls, held).unwrap().as_secs()
    }

    #[test]
    fn a_newcomer_waits_for_those_before_it_at_the_pace_of_the_slots() {
        let (mut lane, web) = (lane(10), claim(Priority::Live, "web", "m"));
        run(&mut lane, &web, 9);
        assert_eq!((wait(&lane, &web, 1), wait(&lane, &web, 4)), (0, 3), "three of four wait, nine run 10 s each");
        run(&mut lane, &web, 1);
        queue(&mut lane, &web, 19);
        assert_eq!((wait(&lane, &web, 1), wait(&lane, &web, 4)), (20, 23));
        assert_eq!(wait(&lane, &claim(Priority::Live, "other", "m"), 1), 2, "tenants take turns");
    }

    #[test]
    fn the_pace_is_that_of_the_models_that_run() {
        let (mut lane, web) = (lane(12), claim(Priority::Live, "web", "m"));
        run(&mut lane, &claim(Priority::Live, "web", "slow"), 12);
        assert_eq!(wait(&lane, &web, 1), 5);
        assert_eq!(lane.expected_wait(&web, 1, |_| None), None);
        let only_ours = |model: &str| (model == "m").then_some(SECOND);
        assert_eq!(lane.expected_wait(&web, 1, only_ours), None, "of the calls that run nothing is known");
    }

    #[test]
    fn live_calls_do_not_wait_for_the_jobs_before_them_and_jobs_wait_for_their_share() {
        let (mut lane, web, job) = (lane(10), claim(Priority::Live, "web", "m"), claim(Priority::Batch, "job", "m"));
        run(&mut lane, &job, 10);
        queue(&mut lane, &job, 500);
        assert_eq!(wait(&lane, &web, 9), 9, "the first nine slots that come back are live's own");
        assert_eq!(wait(&lane, &web, 18), 19, "and then nine of ten");
        run_out(&mut lane, &job, &web);
        queue(&mut lane, &web, 90);
        assert_eq!(wait(&lane, &claim(Priority::Batch, "new", "m"), 1), 20, "it takes turns with the other job");
        assert_eq!(wait(&lane, &web, 1), 102, "ninety-one slots of its share");
    }

    /// Live has its nine slots of the ten.
    fn run_out(lane: &mut LaneState<()>, job: &Claim, web: &Claim) {
        for _ in 0..9 {
            lane.give_back(job.priority, &job.model);
            run(lane, web, 1);
        }
    }

    #[test]
    fn after_a_limit_was_lowered_the_calls_above_it_have_to_end_first() {
        let (mut lane, web) = (lane(20), claim(Priority::Live, "web", "m"));
        run(&mut lane, &web, 20);
        lane.resize(Concurrency { limit: 5, ..lane.bounds });
        assert_eq!(wait(&lane, &web, 1), 8, "sixteen slots come back at two a second");
        let (mut lane, now) = (self::lane(20), Instant::now());
        run(&mut lane, &web, 10);
        run(&mut lane, &claim(Priority::Live, "web", "slow"), 2);
        let sent = lane.take(Priority::Live, &web.model).unwrap();
        lane.refused(&sent, FailureScope::Model, now, now);
        lane.give_back(Priority::Live, &web.model);
        assert_eq!(lane.limit_of("m"), 5);
        assert_eq!(wait(&lane, &web, 1), 6, "of ten calls six must end, and of the other model none");
    }

    #[test]
    fn who_waits_alone_with_few_others_waits_for_no_more_than_all_of_them() {
        let contention =
            Contention { shares: Shares { batch_ppm: 100_000 }, class: Priority::Batch, lacks: (0, 9), others: 3 };
        assert_eq!((contention.releases(1), contention.releases(10)), (4, 13));
        let contention = Contention { others: 100, ..contention };
        assert_eq!(contention.releases(1), 19, "nine that live lacks, and then each tenth");
    }
}
