//! What the sliding windows are told: an attempt was settled, or a picture was judged.

use std::time::Duration;

use crate::calendar::Moment;
use crate::failure::Class;
use crate::ledger::entry::{Owner, Purpose};
use crate::ledger::sliding_window::{VerdictChange, WindowFact, Windows};
use crate::money::Usd;

/// The outcome of a call that went well.
const OK: &str = "ok";
/// Outcomes of calls that did not fail: a prompt refused for its content, a request that is wrong, and whole pictures that a
/// route does not take. The last ones count as rejected pictures.
const NOT_FAILED: [Class; 4] = [Class::Policy, Class::CallerInvalid, Class::Unlike, Class::Rejected];

/// One thing that windows count.
#[derive(Debug)]
pub(in crate::ledger) enum WindowEvent {
    /// An attempt ended.
    Settled { at: Moment, owner: Owner, purpose: Purpose, outcome: &'static str, fact: WindowFact },
    /// Somebody said what a picture is worth.
    Judged { at: Moment, owner: Owner, change: VerdictChange },
}

impl WindowEvent {
    /// Counts it.
    pub(in crate::ledger) fn add_to(&self, windows: &mut Windows) {
        match self {
            WindowEvent::Settled { at, owner, purpose, outcome, fact } => {
                add_to_windows(windows, *at, owner, *purpose, outcome, *fact);
            }
            WindowEvent::Judged { at, owner, change } => windows.judge(*at, owner, *change),
        }
    }
}

/// Adds one settled attempt to `windows`: `fact` has its money and pictures, its `outcome` says whether it failed. A fee
/// belongs to the whole hour before.
pub fn add_to_windows(
    windows: &mut Windows,
    at: Moment,
    owner: &Owner,
    purpose: Purpose,
    outcome: &str,
    fact: WindowFact,
) {
    if purpose == Purpose::Reserve {
        return spread(windows, at, owner, fact.usd);
    }
    let failed = outcome != OK && !NOT_FAILED.iter().any(|class| class.as_str() == outcome);
    windows.add(at, owner, WindowFact { attempts: 1, failures: u32::from(failed), ..fact });
}

/// The last minute of an hour carries what the division leaves over.
fn spread(windows: &mut Windows, end: Moment, owner: &Owner, fee: Usd) {
    const MINUTES: i64 = 60;
    let (each, over) = (fee.nanos() / MINUTES, fee.nanos() % MINUTES);
    for back in (0..60u64).rev() {
        let usd = Usd::from_nanos(if back == 0 { each + over } else { each });
        windows.add(end.before(Duration::from_secs(60 * back)), owner, WindowFact { usd, ..WindowFact::default() });
    }
}
