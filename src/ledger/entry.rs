//! One attempt as it is recorded: what it was meant to do, and what became of it.
//!
//! An entry is opened before anything is sent and settled when the answer is in, so that what was under way when a
//! process died is known of afterwards. Nothing here adds anything up or touches a disk.

use std::sync::Arc;
use std::time::Duration;

use crate::calendar::Moment;
use crate::ledger::rejections::Rejections;
use crate::money::Usd;
pub use crate::pricing::charged_amount::CostSource;
pub use crate::request::Verdict;

/// What a call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Pictures.
    Draw,
    /// A prompt in other words.
    Enrich,
    /// A judge's word on whether two prompts mean the same picture.
    Compare,
    /// Prompts as vectors, so that alike ones are near each other.
    Embed,
    /// Nothing: it is the fee for capacity that is held ready.
    Reserve,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 5] = [Purpose::Draw, Purpose::Enrich, Purpose::Compare, Purpose::Embed, Purpose::Reserve];

    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Draw => "draw",
            Purpose::Enrich => "enrich",
            Purpose::Compare => "compare",
            Purpose::Embed => "embed",
            Purpose::Reserve => "reserve",
        }
    }
}

/// Whose an attempt is: every sum of money is taken over some of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The tenant: the client's name, or `default`.
    pub tenant: Arc<str>,
    /// The route.
    pub route: Arc<str>,
    /// The provider.
    pub provider: Arc<str>,
    /// Its model.
    pub model: Arc<str>,
}

impl Owner {
    /// What belongs to everybody, such as a fee that is due by time, has no name where others have one.
    pub fn nobody() -> Owner {
        Owner { tenant: "".into(), route: "".into(), provider: "".into(), model: "".into() }
    }
}

/// An attempt before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts up with every attempt, over restarts too.
    pub id: i64,
    /// When it was opened.
    pub at: Moment,
    /// The request's own id.
    pub request: Arc<str>,
    /// Whose it is.
    pub owner: Owner,
    /// What it is for.
    pub purpose: Purpose,
    /// Pictures asked for.
    pub pictures: u32,
    /// What it may cost at most, as far as that can be known before.
    pub estimate: Usd,
    /// Why its offer was asked; empty for what is no choice.
    pub chosen: &'static str,
}

/// A picture that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its id, as `x-easel-image-ids` tells it.
    pub image: Arc<str>,
    /// What it cost.
    pub usd: Usd,
}

/// An attempt after its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// When it was settled; its money belongs to this moment's day and month.
    pub at: Moment,
    /// What it adds to the invoice.
    pub usd: Usd,
    /// What was taken from a commitment that is paid for anyhow.
    pub prepaid: Usd,
    /// The part of `usd` and `prepaid` that was charged for nothing that can be delivered.
    pub lost: Usd,
    /// What may have been charged besides; nobody knows.
    pub uncertain: Usd,
    /// Where the amounts come from.
    pub source: CostSource,
    /// Pictures charged.
    pub billed: u32,
    /// Pictures withheld for their content, charged or not.
    pub refused: u32,
    /// Pictures that came and were not delivered, charged or not, and why.
    pub rejections: Rejections,
    /// `ok`, or the failure's word.
    pub outcome: &'static str,
    /// From the first byte sent to the last picture fetched.
    pub took: Duration,
    /// The pictures, each accepted until somebody says otherwise.
    pub pictures: Vec<Delivered>,
}

impl Settlement {
    /// Nothing was charged.
    pub fn nothing(at: Moment) -> Settlement {
        Settlement {
            at,
            usd: Usd::ZERO,
            prepaid: Usd::ZERO,
            lost: Usd::ZERO,
            uncertain: Usd::ZERO,
            source: CostSource::Nothing,
            billed: 0,
            refused: 0,
            rejections: Rejections::default(),
            outcome: "ok",
            took: Duration::ZERO,
            pictures: Vec::new(),
        }
    }

    /// Pictures that came and were not delivered.
    pub fn rejected(&self) -> u32 {
        self.rejections.count()
    }
}
