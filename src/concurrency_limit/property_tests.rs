//! What holds of a lane whatever happens to it: calls come, end well or are refused, leave the queue, and the bounds
//! change, in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;

use super::class_shares::{other, owned, owned_places};
use super::*;
use crate::config::plan::Shares;

/// What happens to a lane. The numbers pick one of what there is.
#[derive(Clone, Debug)]
enum Event {
    Ask {
        class: Priority,
        tenant: usize,
        model: usize,
    },
    End(usize),
    /// A call ends, and the vendor lets no more so many run.
    Refused {
        which: usize,
        scope: FailureScope,
    },
    Leave(usize),
    Resize {
        limit: usize,
        queue: usize,
    },
}

const TENANTS: [&str; 4] = ["a", "b", "c", "d"];
const MODELS: [&str; 2] = ["m", "n"];

fn class() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Live), Just(Priority::Batch)]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (class(), 0..TENANTS.len(), 0..MODELS.len())
            .prop_map(|(class, tenant, model)| Event::Ask { class, tenant, model }),
        4 => any::<usize>().prop_map(Event::End),
        1 => (any::<usize>(), prop_oneof![Just(FailureScope::Model), Just(FailureScope::Account)])
            .prop_map(|(which, scope)| Event::Refused { which, scope }),
        2 => any::<usize>().prop_map(Event::Leave),
        1 => (1usize..12, 0usize..12).prop_map(|(limit, queue)| Event::Resize { limit, queue }),
    ]
}

/// A lane and what its callers hold.
struct World {
    lane: Arc<Lane>,
    bounds: Concurrency,
    now: Instant,
    /// Each with the moment at which it began.
    running: Vec<(Slot, Instant)>,
    waiting: Vec<(Claim, Ticket)>,
}

impl World {
    fn new(limit: usize, queue: usize, batch_percent: u32) -> World {
        let shares = Shares { batch_ppm: batch_percent * 10_000 };
        let bounds = Concurrency { limit, queue, max_wait: Duration::ZERO, shares };
        World { lane: Lane::new(bounds), bounds, now: Instant::now(), running: Vec::new(), waiting: Vec::new() }
    }

    fn ask(&mut self, class: Priority, tenant: &str) {
        self.ask_model(class, tenant, MODELS[0]);
    }

    fn ask_model(&mut self, class: Priority, tenant: &str, model: &str) {
        let claim = Claim { priority: class, tenant: tenant.into(), model: model.into() };
        match self.lane.admit(&claim) {
            Admission::Slot(slot) => self.running.push((slot, self.now)),
            Admission::Wait(ticket) => self.waiting.push((claim, ticket)),
            Admission::Full => {}
        }
    }

    /// Takes up the slots that came, and who they came to.
    fn take_up(&mut self) -> Vec<Claim> {
        let mut came = Vec::new();
        let (running, now) = (&mut self.running, self.now);
        self.waiting.retain_mut(|(claim, ticket)| match ticket.now_or_never() {
            Some(Some(slot)) => {
                running.push((slot, now));
                came.push(claim.clone());
                false
            }
            Some(None) => false,
            None => true,
        });
        came
    }

    fn happen(&mut self, event: &Event) {
        self.now += Duration::from_secs(1);
        match event {
            Event::Ask { class, tenant, model } => self.ask_model(*class, TENANTS[*tenant], MODELS[*model]),
            Event::End(which) if !self.running.is_empty() => {
                let which = which % self.running.len();
                let (slot, began) = self.running.swap_remove(which);
                self.lane.went_well(slot.sent(), began, self.now);
            }
            Event::Refused { which, scope } if !self.running.is_empty() => {
                let which = which % self.running.len();
                let (slot, began) = self.running.swap_remove(which);
                self.lane.refused(slot.sent(), *scope, began, self.now);
            }
            Event::Leave(which) if !self.waiting.is_empty() => {
                let which = which % self.waiting.len();
                drop(self.waiting.remove(which));
            }
            Event::Resize { limit, queue } => {
                self.bounds = Concurrency { limit: *limit, queue: *queue, ..self.bounds };
                self.lane.resize(self.bounds, |_| true);
            }
            Event::End(_) | Event::Refused { .. } | Event::Leave(_) => {}
        }
    }

    fn in_flight(&self) -> [usize; 2] {
        [self.lane.in_flight(Priority::Live), self.lane.in_flight(Priority::Batch)]
    }

    /// Calls of a model in flight, those among them whose slot waits in its ticket.
    fn in_flight_of(&self, model: &str) -> usize {
        self.lane.lock().models.get(model).map_or(0, |state| state.in_flight.sum())
    }

    /// Whether a slot is free for a call that waits.
    fn is_idle(&self) -> bool {
        let mut state = self.lane.lock();
        let came = state.next();
        let idle = came.is_some();
        if let Some((class, sent, _)) = came {
            state.give_back(class, &sent.model);
        }
        idle
    }

    fn queued(&self) -> [usize; 2] {
        [self.lane.waiting(Priority::Live), self.lane.waiting(Priority::Batch)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn no_limit_is_passed_no_slot_is_idle_and_none_is_lost(
        limit in 1usize..12,
        queue in 0usize..12,
        batch in 1u32..100,
        events in proptest::collection::vec(event(), 1..200),
    ) {
        let mut world = World::new(limit, queue, batch);
        for event in &events {
            let before = (world.in_flight().iter().sum::<usize>(), world.queued().iter().sum::<usize>());
            let before_of = MODELS.map(|model| world.in_flight_of(model));
            world.happen(event);
            let (running, queued) = (world.in_flight().iter().sum::<usize>(), world.queued().iter().sum::<usize>());
            // A bound that shrank takes effect as calls end.
            prop_assert!(running <= world.bounds.limit.max(before.0), "{running} in flight after {event:?}");
            prop_assert!(queued <= world.bounds.queue.max(before.1), "{queued} in the queue after {event:?}");
            for (model, before) in MODELS.into_iter().zip(before_of) {
                let (running, cap) = (world.in_flight_of(model), world.lane.limit_of(model));
                prop_assert!(running <= cap.max(before), "{running} of {cap} of {model} in flight after {event:?}");
                prop_assert!((1..=world.bounds.limit).contains(&cap));
            }
            prop_assert!(!world.is_idle(), "a slot is idle while a call waits");
            // Some slots stay in their tickets, where a leaving caller drops them.
            if running % 2 == 0 {
                world.take_up();
            }
        }
        world.take_up();
        prop_assert_eq!(world.running.len(), world.in_flight().iter().sum::<usize>());
        prop_assert_eq!(world.waiting.len(), world.queued().iter().sum::<usize>());
        world.waiting.clear();
        world.running.clear();
        prop_assert_eq!((world.in_flight(), world.queued()), ([0, 0], [0, 0]));
        prop_assert_eq!(MODELS.map(|model| world.in_flight_of(model)), [0, 0]);
    }

    #[test]
    fn while_both_wait_each_class_gets_its_share(
        limit in 1usize..40,
        batch in 1u32..100,
        lent in class(),
        ends in proptest::collection::vec(any::<usize>(), 300),
    ) {
        let mut world = World::new(limit, 2000, batch);
        // One class has all slots; then both have more waiting than ends come.
        for _ in 0..limit {
            world.ask(lent, "a");
        }
        for _ in 0..400 {
            world.ask(Priority::Live, "a");
            world.ask(Priority::Batch, "b");
        }
        let shares = world.bounds.shares;
        let mut reached = [false; 2];
        for end in ends {
            world.happen(&Event::End(end));
            world.take_up();
            for (at, class) in [Priority::Live, Priority::Batch].into_iter().enumerate() {
                let (has, own) = (world.lane.in_flight(class), owned(shares, limit, class));
                prop_assert!(!reached[at] || has + 1 >= own, "{class:?} has {has} of {own}");
                reached[at] |= has >= own;
                // It borrows nothing while the other, with calls waiting, has not its own.
                let others = (world.lane.in_flight(other(class)), owned(shares, limit, other(class)));
                prop_assert!(!reached[1 - at] || has <= own + 1, "{class:?} has {has} of {own}, the other {others:?}");
            }
        }
    }

    #[test]
    fn each_tenant_that_waits_is_served_once_a_round(
        calls in proptest::collection::vec(1usize..12, TENANTS.len()),
        order in proptest::collection::vec(0..TENANTS.len(), 60),
    ) {
        let mut world = World::new(1, 1000, 10);
        world.ask(Priority::Live, "first");
        // In any order, each as often as it says.
        let mut left = calls.clone();
        for tenant in order.into_iter().chain((0..TENANTS.len()).flat_map(|tenant| [tenant; 12])) {
            if left[tenant] > 0 {
                left[tenant] -= 1;
                world.ask(Priority::Live, TENANTS[tenant]);
            }
        }
        let mut served: BTreeMap<String, usize> = BTreeMap::new();
        while !world.running.is_empty() {
            world.running.clear();
            for claim in world.take_up() {
                *served.entry(claim.tenant.to_string()).or_default() += 1;
            }
            let of = |tenant: usize| served.get(TENANTS[tenant]).copied().unwrap_or(0);
            for (one, other) in (0..TENANTS.len()).flat_map(|one| (0..TENANTS.len()).map(move |other| (one, other))) {
                let waits = of(one) < calls[one];
                prop_assert!(!waits || of(other) <= of(one) + 1, "{} waits: {:?}", TENANTS[one], served);
            }
        }
        prop_assert_eq!(served.values().sum::<usize>(), calls.iter().sum::<usize>());
    }

    #[test]
    fn whoever_floods_the_queue_leaves_the_others_their_part_of_it(
        queue in 1usize..40,
        batch in 1u32..100,
        flood in class(),
        newcomers in 1usize..4,
    ) {
        let mut world = World::new(1, queue, batch);
        world.ask(flood, "d");
        for _ in 0..200 {
            world.ask(flood, "d");
        }
        // The same class: all have as many places, but for the odd ones.
        for _ in 0..200 {
            for tenant in &TENANTS[..newcomers] {
                world.ask(flood, tenant);
            }
        }
        world.take_up();
        for tenant in &TENANTS[..newcomers] {
            let has = world.waiting.iter().filter(|(claim, _)| *claim.tenant == **tenant).count();
            prop_assert!(has + 1 >= queue / (newcomers + 1), "{tenant} has {has} places of {queue}");
        }
        // The other class: its own places, whatever the flood.
        for _ in 0..200 {
            world.ask(other(flood), "a");
            world.ask(flood, "d");
        }
        let own = owned_places(world.bounds.shares, queue, other(flood));
        prop_assert_eq!(world.lane.waiting(other(flood)), own);
    }
}
