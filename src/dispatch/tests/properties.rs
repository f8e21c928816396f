//! Whatever happens in whatever order: no picture is lost, and no limit is passed.

use super::*;

/// Something that happens to a request.
#[derive(Clone, Debug)]
enum Happening {
    /// Time passes.
    Passes(u64),
    /// The nth call ends, with so many pictures and in this way.
    Ends(usize, u8, Option<Class>, bool),
    /// As many requests wait for their offers as may.
    WaitRefused,
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
        Just(Happening::WaitRefused),
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
        Happening::WaitRefused => dispatch.wait_refused(),
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
            world.paused[offer] = Some(PausedUntil { pause: Pause::Failing, until, opens: until });
        }
        _ => {}
    }
    Vec::new()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// `World` holds that no place is bought or delivered twice but by a hedge, which is one for a late call and within the
    /// route's share and dollars.
    #[test]
    fn whatever_happens_no_picture_is_lost_and_no_limit_is_passed(
        happenings in happenings(),
        wanted in 1..6u8,
        slots in prop::collection::vec(0..3usize, 3),
        queue in prop::collection::vec(0..2usize, 3),
        (seeded, cents, budget) in (any::<bool>(), 0..8i64, 0..10i64),
        (chance, retries) in (0..=1000u32, 0..6u64),
        hedge_after in prop::collection::vec(prop::option::of(1..9000u64), 3),
        (hedges, hedge_cents, refusals_go_on) in (0..4u64, 0..5i64, any::<bool>()),
    ) {
        let mut world = World::new(&slots, Duration::from_secs(20));
        world.queue = queue;
        world.left = Usd::from_nanos(budget * CENT.nanos());
        let usd = Usd::from_nanos(cents * CENT.nanos());
        let caps = Caps { per_request: Some(Cap { usd, whose: CapOwner::Caller }), ..Caps::default() };
        let most = |max_n: u8| if seeded { 1 } else { max_n };
        let candidates = vec![candidate(0, most(2)), candidate(1, most(1)), candidate(2, most(4))];
        world.retries = retries;
        world.hedge_after = hedge_after.into_iter().map(|millis| millis.map(Duration::from_millis)).collect();
        (world.hedges, world.hedge_usd) = (hedges, Usd::from_nanos(hedge_cents * CENT.nanos()));
        let rules = DispatchRules { caps, seeded, chance, refusals_go_on, ..rules(&world, wanted) };
        let mut dispatch = Dispatch::new(rules, candidates, Vec::new(), 3);
        let mut became = Vec::new();
        world.run(&mut dispatch);
        // After the script, all calls end well and time goes on.
        let rest = [Happening::Ends(0, 9, None, false), Happening::Passes(1000)].into_iter().cycle().take(80);
        for happening in happenings.into_iter().chain(rest) {
            became.extend(happen(&mut world, &mut dispatch, happening));
            if !world.over {
                // Who waits for nothing but the end of a pause has time left when it ends.
                let until = world.run(&mut dispatch).map(|until| world.began + until);
                if dispatch.idle_for().is_some() && !world.over {
                    let half = world.now + world.deadline.saturating_duration_since(world.now) / 2;
                    let spread = Duration::from_millis(1000);
                    prop_assert!(until.is_some_and(|until| until >= world.now && until <= half + spread));
                    prop_assert!(world.carried.is_empty() && world.queued.is_empty());
                }
            }
            prop_assert!(dispatch.promised() <= usd, "{} of {usd}", dispatch.promised());
            prop_assert!(world.left >= Usd::ZERO);
        }
        prop_assert!(world.carried.is_empty() && world.over, "{:?}", world.told);
        let delivered = became.iter().filter(|became| matches!(became, Disposition::Deliver(_))).count();
        prop_assert_eq!(world.filled.len(), delivered);
        prop_assert!(seeded || !became.contains(&Disposition::Discard), "{:?}", became);
        let error = dispatch.error("all", world.time(), Moment::from_millis(0));
        prop_assert_eq!(error.is_none(), delivered == usize::from(wanted), "{:?}", error);
    }
}
