//! `concurrency:` of a provider: its limit, its queue, and how live and batch calls share them.

use std::time::Duration;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{Billing, Concurrency, Shares};

const CONCURRENCY: Concurrency =
    Concurrency { limit: 32, queue: 256, max_wait: Duration::from_secs(10), shares: SHARES };

/// Live 90%, batch 10%, as Netflix's concurrency-limits partitions its limit between the two. It is enough for a nightly
/// job to go on through a busy hour, and takes one call in ten from people at most; when they are few, the job has
/// what they leave.
const SHARES: Shares = Shares { batch_ppm: 100_000 };

/// 100% in millionths.
const WHOLE_PPM: u32 = 1_000_000;

/// A share is at least this, in millionths: with nothing of its own a class would not get on while the other is busy.
const LEAST_PPM: u32 = 10_000;

/// `provider` is where the provider stands. Capacity that is bought lifts the limit.
pub(super) fn concurrency(
    checker: &mut Checker<'_>,
    written: &file::Concurrency,
    provider: NodePath<'_>,
    billing: &Billing,
) -> Concurrency {
    let (at, file::Concurrency { limit, reserved_limit, queue, max_wait, shares }) =
        (provider.key("concurrency"), written);
    let limit = checker.count(at.key("limit"), *limit, 1, CONCURRENCY.limit);
    let reserved = checker.count(at.key("reserved_limit"), *reserved_limit, 1, limit);
    if reserved_limit.is_some() && !provider.key("billing").key("reserved_usd_per_month").is_given() {
        let help = "say what the capacity costs: `billing: {reserved_usd_per_month: 200}`".to_owned();
        checker.report(at.key("reserved_limit"), "no capacity is reserved here", help);
    }
    Concurrency {
        limit: if billing.reserved.is_some() { reserved } else { limit },
        queue: checker.count(at.key("queue"), *queue, 0, CONCURRENCY.queue),
        max_wait: checker.time(at.key("max_wait"), max_wait.as_ref(), CONCURRENCY.max_wait),
        shares: self::shares(checker, shares, at.key("shares")),
    }
}

/// Of the two shares one may be left out; it is the rest.
fn shares(checker: &mut Checker<'_>, written: &file::Shares, at: NodePath<'_>) -> Shares {
    let (place, file::Shares { live, batch }) = (|key| at.key(key), written);
    let mut read = |key, share| {
        let ppm = checker.read(place(key), share)?;
        if (LEAST_PPM..=WHOLE_PPM - LEAST_PPM).contains(&ppm) {
            return Some(ppm);
        }
        checker.report(place(key), "is not from 1% to 99%", "each class gets on with a share of its own".to_owned());
        None
    };
    let (live, batch) = (read("live", live.as_ref()), read("batch", batch.as_ref()));
    match (live, batch) {
        (Some(live), Some(batch)) if live + batch != WHOLE_PPM => {
            let help = "write one of them; the other is the rest".to_owned();
            checker.report(at, "the shares of live and batch are not 100% together", help);
            SHARES
        }
        (_, Some(batch_ppm)) => Shares { batch_ppm },
        (Some(live), None) => Shares { batch_ppm: WHOLE_PPM - live },
        (None, None) => SHARES,
    }
}
