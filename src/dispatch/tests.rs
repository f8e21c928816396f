//! Whole requests, driven through the machine by a pretend world: no runtime, no socket, no clock.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::breaker::{Cooling, Pause};
use crate::calendar::{Moment, Per};
use crate::capabilities::{Fitted, OutputSize, Strict};
use crate::error::ErrorKind;
use crate::failure::{Class, Failure};
use crate::ledger::Short;
use crate::ledger::counter::Scope;
use crate::money::Usd;
use crate::routing::{Candidate, Cap, CapOwner, Caps, Skip};

/// What a picture costs everywhere.
const CENT: Usd = Usd::from_nanos(10_000_000);

fn candidate(offer: usize, max_n: u8) -> Candidate {
    let fitted = Fitted {
        output_size: OutputSize::Default,
        tier: None,
        quality: None,
        format: None,
        partials: 0,
        adjusted: Vec::new(),
    };
    Candidate { offer, fitted, max_n, usd: CENT, listed: CENT, strict: Strict::default() }
}

/// A call that the world carries out.
#[derive(Clone, Debug)]
struct Carried {
    call: u32,
    candidate: usize,
    places: Vec<u8>,
    given_up: bool,
}

/// Providers, budgets and a clock that a test moves.
struct World {
    began: Instant,
    now: Instant,
    deadline: Instant,
    /// Slots free at each offer.
    slots: Vec<usize>,
    /// Room in each offer's queue.
    queue: Vec<usize>,
    paused: Vec<Option<Cooling>>,
    /// What a budget that all offers share has left.
    left: Usd,
    may_pay: bool,
    carried: Vec<Carried>,
    queued: Vec<usize>,
    granted: Option<usize>,
    filled: BTreeSet<u8>,
    /// What happened, in words.
    told: Vec<String>,
    over: bool,
}

impl Facts for World {
    fn cooling(&self, offer: usize, now: Instant) -> Option<Cooling> {
        self.paused[offer].filter(|cooling| cooling.until > now)
    }

    fn may_pay(&self) -> bool {
        self.may_pay
    }

    fn short(&self, _offer: usize, usd: Usd) -> Option<Short> {
        (usd > self.left).then(|| self.shortage(usd))
    }

    fn has_room(&self, offer: usize) -> bool {
        self.slots[offer] > 0 || self.queue[offer] > 0
    }
}

impl World {
    fn new(slots: &[usize], deadline: Duration) -> World {
        let began = Instant::now();
        World {
            began,
            now: began,
            deadline: began + deadline,
            slots: slots.to_vec(),
            queue: vec![0; slots.len()],
            paused: vec![None; slots.len()],
            left: Usd::from_nanos(i64::MAX),
            may_pay: true,
            carried: Vec::new(),
            queued: Vec::new(),
            granted: None,
            filled: BTreeSet::new(),
            told: Vec::new(),
            over: false,
        }
    }

    fn shortage(&self, wanted: Usd) -> Short {
        let scope = Scope::Route("all".into());
        Short { scope, per: Per::Month, limit: self.left, left: self.left, wanted, resets: None }
    }

    fn time(&self) -> EventTime {
        EventTime { now: self.now, deadline: self.deadline }
    }

    /// Performs what the machine says until it waits, and returns until when; `None` too when it has finished.
    fn run(&mut self, dispatch: &mut Dispatch) -> Option<Duration> {
        for _ in 0..200 {
            match dispatch.next(self, self.time()) {
                Action::Start { candidate, places, granted } => self.start(dispatch, candidate, places, granted),
                Action::ReturnSlot => {
                    let candidate = self.granted.take().expect("a slot was granted");
                    self.slots[candidate] += 1;
                }
                Action::Queue(candidates) => {
                    self.queued = candidates.into_iter().filter(|candidate| self.queue[*candidate] > 0).collect();
                    self.told.push(format!("queue {:?}", self.queued));
                    dispatch.queued(self.queued.len(), Duration::from_secs(2), self.now);
                }
                Action::LeaveQueue => self.queued.clear(),
                Action::Skipped { offer, skip } => self.told.push(format!("{offer} {}", skip.word())),
                Action::GivenUp { candidate } => {
                    self.told.push(format!("{candidate} slow"));
                    for carried in self.carried.iter_mut().filter(|carried| carried.candidate == candidate) {
                        carried.given_up = true;
                    }
                }
                Action::Wait { until } => return until.map(|until| until - self.began),
                Action::Finish => {
                    self.over = true;
                    return None;
                }
            }
        }
        panic!("it never waits: {:?}", self.told);
    }

    fn start(&mut self, dispatch: &mut Dispatch, candidate: usize, places: Vec<u8>, granted: bool) {
        assert!(!places.is_empty() && self.now < self.deadline, "{candidate} {places:?}");
        for place in &places {
            let twice = self.carried.iter().any(|carried| !carried.given_up && carried.places.contains(place));
            assert!(!twice && !self.filled.contains(place), "place {place} is bought twice");
        }
        match granted {
            true => assert_eq!(self.granted.take(), Some(candidate)),
            false if self.slots[candidate] == 0 => return dispatch.not_started(candidate, Obstacle::AtCapacity),
            false => self.slots[candidate] -= 1,
        }
        let usd = CENT.checked_mul(u32::try_from(places.len()).unwrap()).unwrap();
        match self.left.checked_sub(usd).filter(|left| *left >= Usd::ZERO) {
            Some(left) => self.left = left,
            None => {
                self.slots[candidate] += 1;
                return dispatch.not_started(candidate, Obstacle::Short(self.shortage(usd)));
            }
        }
        self.told.push(format!("{candidate} draws {places:?}"));
        let call = dispatch.started(candidate, places.clone(), self.time());
        self.carried.push(Carried { call, candidate, places, given_up: false });
    }

    /// Ends the first call to `candidate` at `seconds`, with pictures for the first `drawn` of its places.
    fn end(
        &mut self,
        dispatch: &mut Dispatch,
        candidate: usize,
        seconds: u64,
        drawn: u8,
        end: CallEnd,
    ) -> Vec<Disposition> {
        self.now = self.began + Duration::from_secs(seconds);
        let index = self.carried.iter().position(|carried| carried.candidate == candidate).expect("it is under way");
        self.end_call(dispatch, index, drawn, end)
    }

    fn end_call(&mut self, dispatch: &mut Dispatch, index: usize, drawn: u8, end: CallEnd) -> Vec<Disposition> {
        let Carried { call, candidate, places, .. } = self.carried.swap_remove(index);
        let drawn = drawn.min(u8::try_from(places.len()).unwrap());
        let promised = CENT.checked_mul(u32::from(drawn)).unwrap();
        let reserved = CENT.checked_mul(u32::try_from(places.len()).unwrap()).unwrap();
        self.left = self.left.saturating_add(reserved).checked_sub(promised).unwrap();
        self.slots[candidate] += 1;
        let end = CallEnd { at: (0..drawn).collect(), promised, ..end };
        let ended = dispatch.ended(call, end, self.now).expect("it is under way");
        assert_eq!((ended.candidate, ended.dispositions.len()), (candidate, usize::from(drawn)));
        for disposition in &ended.dispositions {
            if let Disposition::Deliver(place) = disposition {
                assert!(self.filled.insert(*place), "place {place} is delivered twice");
            }
        }
        ended.dispositions
    }
}

fn rules(world: &World, wanted: u8) -> Rules {
    Rules {
        wanted,
        open: (0..wanted).collect(),
        seeded: false,
        spent: Usd::ZERO,
        caps: Caps::default(),
        deadline: world.deadline,
        max_failures: 6,
        max_failures_per_offer: 2,
        refusals_go_on: true,
    }
}

fn failed(class: Class) -> CallEnd {
    CallEnd { failure: Some(Failure::new(class, "it did not work")), ..CallEnd::default() }
}

#[test]
fn four_pictures_come_from_three_offers_through_a_refusal_a_slow_call_and_a_hurry() {
    let mut world = World::new(&[1, 1, 1], Duration::from_secs(10));
    let candidates = vec![candidate(0, 2), candidate(1, 2), candidate(2, 4)];
    let mut dispatch = Dispatch::new(rules(&world, 4), candidates, Vec::new(), 3);
    assert_eq!(world.run(&mut dispatch), Some(Duration::from_secs(5)), "half of the time is theirs");
    assert_eq!(world.told, ["0 draws [0, 1]", "0 at_capacity", "1 draws [2, 3]"]);

    // One of two is refused: what came is delivered, and the next offer draws the other.
    let refused = CallEnd { refused: true, ..CallEnd::default() };
    assert_eq!(world.end(&mut dispatch, 1, 1, 1, refused), [Disposition::Deliver(2)]);
    world.run(&mut dispatch);
    assert_eq!(world.told[3..], ["2 draws [3]"]);

    // The first is overdue, but the offer that could draw in its place is being waited for.
    world.now = world.began + Duration::from_secs(5);
    dispatch.timer(world.time());
    assert_eq!(world.run(&mut dispatch), Some(Duration::from_millis(5500)));
    assert_eq!(world.end(&mut dispatch, 2, 5, 1, CallEnd::default()), [Disposition::Deliver(3)]);
    world.run(&mut dispatch);
    assert_eq!(world.told[4..], ["0 slow", "2 draws [0, 1]"]);

    // The slow one comes first after all. What the other brings is kept for the next request.
    let dispositions = world.end(&mut dispatch, 0, 9, 2, CallEnd::default());
    assert_eq!(dispositions, [Disposition::Deliver(0), Disposition::Deliver(1)]);
    world.run(&mut dispatch);
    assert!(world.over && dispatch.error("all", world.time(), Moment::from_millis(0)).is_none());
    assert_eq!(world.end(&mut dispatch, 2, 12, 2, CallEnd::default()), [Disposition::Keep, Disposition::Keep]);
    assert_eq!(dispatch.promised(), CENT.checked_mul(6).unwrap());
}

#[test]
fn after_the_deadline_nobody_is_asked_and_the_deadline_is_the_reason() {
    let mut world = World::new(&[1, 1], Duration::from_secs(10));
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1)], vec![(1, Skip::Unpriced)], 2);
    world.run(&mut dispatch);
    assert_eq!(world.told, ["1 unpriced", "0 draws [0]"]);
    world.end(&mut dispatch, 0, 10, 0, failed(Class::TimeoutAmbiguous));
    assert_eq!((world.run(&mut dispatch), world.over), (None, true));
    let error = dispatch.error("all", world.time(), Moment::from_millis(0)).unwrap();
    assert_eq!(error.kind, ErrorKind::DeadlineExceeded);
}

#[test]
fn a_request_queues_where_every_offer_is_full_and_takes_the_first_slot_or_gives_up() {
    let mut world = World::new(&[0, 0], Duration::from_secs(10));
    world.queue = vec![1, 1];
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
    assert_eq!(world.run(&mut dispatch), Some(Duration::from_secs(2)));
    assert_eq!(world.told, ["0 at_capacity", "1 at_capacity", "queue [0, 1]"]);
    world.granted = Some(1);
    dispatch.slot_granted(1);
    world.run(&mut dispatch);
    assert_eq!((world.told.last().unwrap().as_str(), world.queued.len()), ("1 draws [0]", 0));

    let mut world = World::new(&[0], Duration::from_secs(10));
    world.queue = vec![1];
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1)], Vec::new(), 1);
    world.run(&mut dispatch);
    world.now = world.began + Duration::from_secs(2);
    dispatch.timer(world.time());
    world.run(&mut dispatch);
    let error = dispatch.error("all", world.time(), Moment::from_millis(0)).unwrap();
    assert_eq!((world.over, world.queued.len(), error.kind), (true, 0, ErrorKind::Busy));
}

#[test]
fn an_offer_that_is_paused_or_over_its_budget_is_passed_over_with_its_reason() {
    let mut world = World::new(&[1, 1], Duration::from_secs(10));
    world.paused[0] = Some(Cooling { pause: Pause::Quota, until: world.began + Duration::from_secs(60) });
    world.left = Usd::ZERO;
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
    world.run(&mut dispatch);
    assert_eq!(world.told, [format!("0 {}", Pause::Quota.word()), "1 over_budget".to_owned()]);
    assert!(world.over);
    world.may_pay = false;
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(1, 1)], Vec::new(), 2);
    world.told.clear();
    world.run(&mut dispatch);
    assert_eq!(world.told, ["1 ledger_unwritable"]);
}

#[test]
fn no_offer_is_asked_more_often_than_the_route_allows() {
    let mut world = World::new(&[9, 9], Duration::from_secs(60));
    let rules = Rules { max_failures: 3, ..rules(&world, 1) };
    let mut dispatch = Dispatch::new(rules, vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
    for second in 1.. {
        world.run(&mut dispatch);
        let Some(asked) = world.carried.first().map(|carried| carried.candidate) else { break };
        world.end(&mut dispatch, asked, second, 0, failed(Class::Server));
    }
    assert_eq!(world.told, ["0 draws [0]", "1 draws [0]", "0 draws [0]"]);
    let error = dispatch.error("all", world.time(), Moment::from_millis(0)).unwrap();
    assert_eq!(error.kind, ErrorKind::UpstreamFailed);
}

#[test]
fn an_offer_that_took_as_long_as_is_left_does_not_take_over_from_a_slow_call() {
    let told = |seconds, overdue| {
        let mut world = World::new(&[1, 1], Duration::from_secs(seconds));
        let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
        world.run(&mut dispatch);
        world.end(&mut dispatch, 0, 3, 0, failed(Class::Server));
        assert_eq!(world.run(&mut dispatch), Some(Duration::from_millis(overdue)));
        world.now = world.began + Duration::from_millis(overdue);
        dispatch.timer(world.time());
        world.run(&mut dispatch);
        world.told
    };
    assert_eq!(told(9, 6_000), ["0 draws [0]", "1 draws [0]"], "its three seconds are all that is left");
    assert_eq!(told(12, 7_500), ["0 draws [0]", "1 draws [0]", "1 slow", "0 draws [0]"]);
}

#[test]
fn a_slot_that_was_waited_for_is_used_in_time_and_given_back_after_the_deadline() {
    let action = |seconds| {
        let mut world = World::new(&[0], Duration::from_secs(10));
        world.queue = vec![1];
        let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1)], Vec::new(), 1);
        world.run(&mut dispatch);
        world.now = world.began + Duration::from_secs(seconds);
        dispatch.slot_granted(0);
        dispatch.next(&world, world.time())
    };
    assert!(matches!(action(1), Action::Start { candidate: 0, granted: true, .. }));
    assert!(matches!(action(10), Action::ReturnSlot));
}

/// Something that happens to a request.
#[derive(Clone, Debug)]
enum Happening {
    /// Time passes.
    Passes(u64),
    /// The nth call ends, with so many pictures and in this way.
    Ends(usize, u8, Option<Class>, bool),
    /// The nth queue gives a slot.
    Granted(usize),
    /// An offer is paused for some seconds.
    Paused(usize, u64),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let class = prop::option::of(prop::sample::select(vec![
        Class::Server,
        Class::TimeoutAmbiguous,
        Class::RateLimited,
        Class::Policy,
        Class::Malformed,
    ]));
    let happening = prop_oneof![
        (1..3000u64).prop_map(Happening::Passes),
        (0..4usize, 0..5u8, class, any::<bool>())
            .prop_map(|(nth, drawn, class, open)| Happening::Ends(nth, drawn, class, open)),
        (0..3usize).prop_map(Happening::Granted),
        (0..3usize, 1..20u64).prop_map(|(offer, seconds)| Happening::Paused(offer, seconds)),
    ];
    prop::collection::vec(happening, 0..40)
}

/// Makes it happen; what became of the pictures, where a call ended by it.
fn happen(world: &mut World, dispatch: &mut Dispatch, happening: Happening) -> Vec<Disposition> {
    match happening {
        Happening::Passes(millis) => {
            world.now += Duration::from_millis(millis);
            dispatch.timer(world.time());
        }
        Happening::Ends(nth, pictures, class, open) if !world.carried.is_empty() => {
            let nth = nth % world.carried.len();
            let end = CallEnd { open, ..class.map_or_else(CallEnd::default, failed) };
            return world.end_call(dispatch, nth, pictures, end);
        }
        Happening::Granted(nth) if !world.queued.is_empty() => {
            let candidate = world.queued.swap_remove(nth % world.queued.len());
            world.granted = Some(candidate);
            dispatch.slot_granted(candidate);
        }
        Happening::Paused(offer, seconds) => {
            let until = world.now + Duration::from_secs(seconds);
            world.paused[offer] = Some(Cooling { pause: Pause::Failing, until });
        }
        _ => {}
    }
    Vec::new()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// `World` holds that no place is bought or delivered twice.
    #[test]
    fn whatever_happens_no_picture_is_lost_and_no_limit_is_passed(
        happenings in happenings(),
        wanted in 1..6u8,
        slots in prop::collection::vec(0..3usize, 3),
        queue in prop::collection::vec(0..2usize, 3),
        (seeded, cents, budget) in (any::<bool>(), 0..8i64, 0..10i64),
    ) {
        let mut world = World::new(&slots, Duration::from_secs(20));
        world.queue = queue;
        world.left = Usd::from_nanos(budget * CENT.nanos());
        let usd = Usd::from_nanos(cents * CENT.nanos());
        let caps = Caps { per_request: Some(Cap { usd, whose: CapOwner::Caller }), ..Caps::default() };
        let most = |max_n: u8| if seeded { 1 } else { max_n };
        let candidates = vec![candidate(0, most(2)), candidate(1, most(1)), candidate(2, most(4))];
        let rules = Rules { caps, seeded, ..rules(&world, wanted) };
        let mut dispatch = Dispatch::new(rules, candidates, Vec::new(), 3);
        let mut became = Vec::new();
        world.run(&mut dispatch);
        // After the script, all calls end well.
        let rest = std::iter::repeat_n(Happening::Ends(0, 9, None, false), 40);
        for happening in happenings.into_iter().chain(rest) {
            became.extend(happen(&mut world, &mut dispatch, happening));
            if !world.over {
                world.run(&mut dispatch);
            }
            prop_assert!(dispatch.promised() <= usd, "{} of {usd}", dispatch.promised());
            prop_assert!(world.left >= Usd::ZERO);
        }
        prop_assert!(world.carried.is_empty());
        let delivered = became.iter().filter(|became| matches!(became, Disposition::Deliver(_))).count();
        prop_assert_eq!(world.filled.len(), delivered);
        prop_assert!(seeded || !became.contains(&Disposition::Discard), "{:?}", became);
        let error = dispatch.error("all", world.time(), Moment::from_millis(0));
        prop_assert_eq!(error.is_none(), delivered == usize::from(wanted), "{:?}", error);
    }
}
