//! A table of keys as its requests see it, and a property test of its bounds and sums.

use std::sync::Arc;
use std::time::Duration;

use super::key::LONGEST;
use super::*;
use crate::calendar::Moment;

const HOUR: Duration = Duration::from_secs(3600);
const BOUNDS: Bounds = Bounds { window: HOUR, keys: 4, bytes: 100 };

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text.as_bytes()).unwrap()
}

fn at(minutes: i64) -> Moment {
    Moment::from_millis(minutes * 60_000)
}

/// What becomes of a request, in one word.
fn begin(table: &mut KeyTable<()>, tenant: &str, text: &str, digest: u8, now: Moment) -> &'static str {
    match table.begin(KeyName::of(tenant, &key(text)), &Arc::from(tenant), [digest; 32], now, || ()) {
        Begin::First(()) => "first",
        Begin::Join(()) => "join",
        Begin::Replay(_) => "replay",
        Begin::Refused(why) => why.as_str(),
    }
}

fn end(table: &mut KeyTable<()>, tenant: &str, text: &str, how: KeyEnd) {
    table.end(KeyName::of(tenant, &key(text)), how);
}

#[test]
fn a_key_is_some_printable_ascii() {
    for good in ["a", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "two words", &"x".repeat(LONGEST)] {
        assert_eq!(key(good).as_str(), good);
    }
    assert_eq!(key("  spaced ").as_str(), "spaced");
    for (bad, why) in [
        ("".as_bytes(), BadKey::Empty),
        (b"   ", BadKey::Empty),
        ("x".repeat(LONGEST + 1).as_bytes(), BadKey::TooLong),
        ("caf\u{e9}".as_bytes(), BadKey::Characters),
        (b"a\tb", BadKey::Characters),
        (b"\xff", BadKey::Characters),
    ] {
        assert_eq!(IdempotencyKey::parse(bad), Err(why), "{bad:?}");
    }
}

#[test]
fn a_key_is_drawn_once_joined_meanwhile_and_answered_again_until_its_window_is_over() {
    let mut table = KeyTable::new(BOUNDS);
    assert_eq!(begin(&mut table, "web", "k", 1, at(0)), "first");
    assert_eq!(begin(&mut table, "web", "k", 1, at(1)), "join");
    assert_eq!(begin(&mut table, "web", "k", 2, at(1)), "reused", "another request under way");
    end(&mut table, "web", "k", KeyEnd::Answered(10));
    assert_eq!(begin(&mut table, "web", "k", 1, at(59)), "replay");
    assert_eq!(begin(&mut table, "web", "k", 2, at(59)), "reused");
    assert_eq!(begin(&mut table, "web", "k", 2, at(60)), "first", "the window counts from the first request");
    assert_eq!(table.take_removed().len(), 1);
    assert_eq!(table.dropped(), Default::default(), "what is over is not dropped");
}

#[test]
fn two_tenants_with_one_key_do_not_meet() {
    let mut table = KeyTable::new(BOUNDS);
    assert_eq!(begin(&mut table, "web", "k", 1, at(0)), "first");
    assert_eq!(begin(&mut table, "batch", "k", 2, at(0)), "first");
    // Nor do names that are one text when they are put together.
    assert_ne!(KeyName::of("ab", &key("c")), KeyName::of("a", &key("bc")));
}

#[test]
fn what_failed_is_free_if_it_cost_nothing_and_refused_if_it_may_have_cost_something() {
    let mut table = KeyTable::new(BOUNDS);
    for (how, then) in [
        (KeyEnd::Forgotten, "first"),
        (KeyEnd::Failed, "failed"),
        (KeyEnd::Interrupted, "interrupted"),
        (KeyEnd::Gone, "gone"),
    ] {
        let text = format!("{how:?}");
        assert_eq!(begin(&mut table, "web", &text, 1, at(0)), "first");
        end(&mut table, "web", &text, how);
        assert_eq!(begin(&mut table, "web", &text, 1, at(1)), then, "{text}");
        if then != "first" {
            assert_eq!(begin(&mut table, "web", &text, 2, at(1)), "reused", "{text}");
        }
    }
}

#[test]
fn too_many_bytes_cost_the_oldest_answer_of_the_largest_tenant_its_pictures_and_not_its_key() {
    let mut table = KeyTable::new(BOUNDS);
    for (tenant, text, bytes, minute) in [("small", "s", 30, 0), ("large", "a", 40, 1), ("large", "b", 30, 2)] {
        begin(&mut table, tenant, text, 1, at(minute));
        end(&mut table, tenant, text, KeyEnd::Answered(bytes));
    }
    begin(&mut table, "small", "t", 1, at(3));
    end(&mut table, "small", "t", KeyEnd::Answered(20));
    assert_eq!((table.bytes(), table.len(), table.dropped().pictures), (80, 4, 1));
    assert_eq!(begin(&mut table, "large", "a", 1, at(3)), "gone");
    assert_eq!(begin(&mut table, "small", "s", 1, at(3)), "replay");
    let removed = table.take_removed();
    assert_eq!((removed.len(), removed[0].part), (1, RemovedPart::Pictures));
    table.resize(Bounds { bytes: 0, ..BOUNDS }, at(3));
    assert_eq!((table.bytes(), begin(&mut table, "small", "s", 1, at(3))), (0, "gone"));
}

#[test]
fn an_answer_larger_than_all_of_the_room_takes_no_other_s_place() {
    let mut table = KeyTable::new(BOUNDS);
    for (text, bytes) in [("small", 10), ("huge", 101)] {
        begin(&mut table, "web", text, 1, at(0));
        end(&mut table, "web", text, KeyEnd::Answered(bytes));
    }
    assert_eq!(begin(&mut table, "web", "huge", 1, at(0)), "gone");
    assert_eq!((begin(&mut table, "web", "small", 1, at(0)), table.bytes()), ("replay", 10));
}

#[test]
fn too_many_keys_cost_the_oldest_of_the_largest_tenant_and_never_what_is_under_way() {
    let mut table = KeyTable::new(BOUNDS);
    begin(&mut table, "large", "under way", 1, at(0));
    begin(&mut table, "small", "mine", 1, at(0));
    end(&mut table, "small", "mine", KeyEnd::Answered(1));
    for number in 1..20 {
        begin(&mut table, "large", &number.to_string(), 1, at(number));
        end(&mut table, "large", &number.to_string(), KeyEnd::Answered(1));
        assert!(table.len() <= BOUNDS.keys);
    }
    assert_eq!((table.len(), table.dropped().keys, table.bytes()), (4, 17, 3));
    assert_eq!(begin(&mut table, "small", "mine", 1, at(20)), "replay");
    assert_eq!(begin(&mut table, "large", "under way", 1, at(20)), "join");
    assert_eq!(begin(&mut table, "large", "19", 1, at(20)), "replay");
}

#[test]
fn a_restored_key_says_what_it_said_before() {
    for (state, then) in [
        (KeyState::Answered, "replay"),
        (KeyState::Gone, "gone"),
        (KeyState::Failed, "failed"),
        (KeyState::Interrupted, "interrupted"),
        (KeyState::UnderWay, "interrupted"),
    ] {
        assert_eq!(KeyState::named(state.as_str()), Some(state));
        let mut table = KeyTable::new(BOUNDS);
        let name = KeyName::of("web", &key("k"));
        table.restore(RestoredKey { name, tenant: "web".into(), digest: [1; 32], begun: at(0), state, bytes: 9 });
        assert_eq!(begin(&mut table, "web", "k", 2, at(1)), "reused", "{state:?}");
        assert_eq!(begin(&mut table, "web", "k", 1, at(1)), then, "{state:?}");
        assert_eq!(table.bytes(), if state == KeyState::Answered { 9 } else { 0 });
        table.lost(name);
        assert_eq!(begin(&mut table, "web", "k", 1, at(1)), if then == "replay" { "gone" } else { then });
        assert_eq!(begin(&mut table, "web", "k", 1, at(60)), "first");
    }
    assert_eq!(KeyState::named("else"), None);
}

#[test]
fn whatever_happens_the_sums_are_those_of_the_entries_and_the_bounds_hold() {
    let mut random = fastrand::Rng::with_seed(14);
    let (mut table, mut now, mut under_way) = (KeyTable::new(BOUNDS), at(0), Vec::new());
    for round in 0..5_000 {
        now = now.after(Duration::from_secs(random.u64(..300)));
        let (tenant, text) = (["a", "b", "c"][random.usize(..3)], random.u8(..12).to_string());
        match random.u8(..10) {
            0 => table.resize(Bounds { bytes: random.u64(50..150), keys: random.usize(3..8), ..BOUNDS }, now),
            1 => table.expire(now),
            2 => table.lost(KeyName::of(tenant, &key(&text))),
            3..=6 if !under_way.is_empty() => {
                let (tenant, text): (&str, String) = under_way.swap_remove(random.usize(..under_way.len()));
                let ends = [KeyEnd::Forgotten, KeyEnd::Failed, KeyEnd::Answered(random.u64(1..60))];
                end(&mut table, tenant, &text, ends[random.usize(..3)]);
            }
            _ => {
                if begin(&mut table, tenant, &text, 1, now) == "first" {
                    under_way.push((tenant, text));
                }
            }
        }
        let mut sums = table.audit();
        assert_eq!(sums.under_way, under_way.len(), "{round}");
        assert!(table.bytes() <= sums.bounds.bytes && table.len() <= sums.bounds.keys.max(under_way.len()), "{round}");
        sums.tenants.retain(|(_, bytes)| *bytes > 0);
        assert_eq!(sums.tenants.iter().map(|(_, bytes)| bytes).sum::<u64>(), table.bytes(), "{round}");
        assert_eq!((sums.answered, sums.listed), (table.bytes(), table.len() - under_way.len()), "{round}");
    }
}
