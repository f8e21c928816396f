//! What a vendor says of a call, and what it counts while it draws, and what a second of its machine costs.
//!
//! Counting is the vendor's; what a call may cost before it is made is the table's business.

use crate::image::{Format, Size};
use crate::money::Usd;
use crate::pricing::fraction::ExactFraction;
use crate::pricing::picture_token_price::{PictureTokenPrice, PictureTokens};
use crate::request::Quality;

/// What a vendor counted of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Tokens.
    pub tokens: Option<PictureTokens>,
    /// Seconds of computing, a decimal number as the vendor wrote it.
    pub seconds: Option<String>,
}

/// What the vendor says about the work, used to settle the price.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Usage {
    /// The size really drawn, where echoed.
    pub size: Option<Size>,
    /// The quality really drawn, where echoed.
    pub quality: Option<Quality>,
    /// The file format, where echoed.
    pub format: Option<Format>,
    /// What the vendor says the call costs.
    pub reported: Option<Reported>,
    /// What it counted.
    pub counted: Counted,
}

/// What a vendor says a call costs, as it wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// In dollars.
    Dollars(String),
    /// In cents; Stability and Black Forest Labs call them credits.
    Cents(String),
    /// In units of the model's own, whose price the config knows.
    Units(String),
}

/// What the vendor counts, where a call is not settled by the table, which is then only the estimate before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meter {
    /// Tokens.
    Tokens(PictureTokenPrice),
    /// Seconds of a machine, at this price each.
    Seconds(Usd),
    /// The vendor tells the amount itself.
    Reported,
}

/// The price of so many seconds, a decimal number as the vendor writes it. `None` when it is none, or less than
/// nothing.
pub(super) fn seconds(rate: Usd, told: &str) -> Option<ExactFraction> {
    // A billionth of a second of the dearest machine is far below a nano-dollar.
    let billionths = u64::try_from(Usd::rounded(told).ok()?.nanos()).ok()?;
    ExactFraction::share(rate, billionths, 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(exact: Option<ExactFraction>) -> Option<i64> {
        exact.and_then(ExactFraction::rounded).map(Usd::nanos)
    }

    #[test]
    fn seconds_are_counted_as_they_are_told_and_nonsense_has_no_price() {
        let at = |told| nanos(seconds(Usd::from_nanos(975_000), told));
        assert_eq!([at("0.68"), at("2"), at("1e1"), at("0")], [663_000, 1_950_000, 9_750_000, 0].map(Some));
        let odd = |told| nanos(seconds(Usd::from_nanos(1), told));
        assert_eq!([odd("0.499999999"), odd("0.5"), odd("1.5")], [0, 1, 2].map(Some));
        assert_eq!([at("soon"), at("-1"), at("NaN")], [None; 3]);
    }
}
