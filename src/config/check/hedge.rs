//! `hedge:` of a route: no money is paid twice without a number that a person wrote, and somebody else is there to be asked.

use std::time::Duration;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{Hedge, HedgeAfter};
use crate::money::Usd;

/// Of a hundred calls five are later than this, as many as [`AT_MOST_PPM`] lets be asked twice.
const AFTER: HedgeAfter = HedgeAfter::Percentile(95);

/// 5%, in parts per million: a vendor's load grows by no more than that, as "The Tail at Scale" (2013) hedges.
const AT_MOST_PPM: u32 = 50_000;

/// As many hedges as other calls, in parts per million.
const ALL_PPM: u32 = 1_000_000;

/// The hedging of a route, which may have no more than one offer (`alone`); `None` where it is not written, or not whole.
pub(super) fn hedge(
    checker: &mut Checker<'_>,
    written: Option<&file::Hedge>,
    at: NodePath<'_>,
    alone: bool,
) -> Option<Hedge> {
    let file::Hedge { after, at_most, max_usd_per_hour } = written?;
    if alone {
        checker.report(
            at,
            "this route has one offer, so no other could be asked",
            "list another, or delete it".to_owned(),
        );
    }
    let usd_at = at.key("max_usd_per_hour");
    if max_usd_per_hour.is_none() && !usd_at.is_bad() {
        let help = "add `max_usd_per_hour:`, what you would pay for calls whose pictures may come too late".to_owned();
        checker.report(at, "this hedge does not say what it may cost", help);
    }
    Some(Hedge {
        after: self::after(checker, after.as_ref(), at.key("after")),
        at_most_ppm: self::at_most(checker, at_most.as_ref(), at.key("at_most")),
        max_usd_per_hour: max_usd(checker, max_usd_per_hour.as_ref(), usd_at)?,
    })
}

fn after(checker: &mut Checker<'_>, written: Option<&file::HedgeAfter>, at: NodePath<'_>) -> HedgeAfter {
    let after = checker.read(at, written).unwrap_or(AFTER);
    if after == HedgeAfter::Time(Duration::ZERO) {
        checker.report(
            at,
            "must be longer than nothing",
            "write a percentile, like p95, or a time, like 8s".to_owned(),
        );
    }
    after
}

fn at_most(checker: &mut Checker<'_>, written: Option<&file::Percent>, at: NodePath<'_>) -> u32 {
    let ppm = checker.read(at, written).unwrap_or(AT_MOST_PPM);
    if !(1..=ALL_PPM).contains(&ppm) {
        let what = format!("{} is no share of the calls that could be asked twice", at.shown());
        checker.report(at, what, "write more than 0% and at most 100%, or leave `hedge` out".to_owned());
    }
    ppm
}

fn max_usd(checker: &mut Checker<'_>, written: Option<&file::Dollars>, at: NodePath<'_>) -> Option<Usd> {
    let usd = checker.read(at, written)?;
    if usd == Usd::ZERO {
        checker.report(at, "this pays for no hedge", "write more than 0, or leave `hedge` out".to_owned());
    }
    Some(usd)
}
