//! Money: whole nano-dollars, parsed and printed exactly.
//!
//! Everything Easel says about cost goes through [`Usd`]. It refuses floating point on principle: a price of
//! `0.009` is nine million nano-dollars, not the nearest binary fraction, and a sum that does not fit is an error,
//! never zero.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Nano-dollars in one US dollar.
const NANOS_PER_USD: i64 = 1_000_000_000;

/// Digits after the decimal point that a nano-dollar can hold.
const FRACTION_DIGITS: i32 = 9;

/// An amount of US dollars in whole nano-dollars (1e-9 USD). The range is about ±9.2 billion dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadAmount {
    /// Not a decimal number.
    #[error("not a decimal number of dollars, write it like 0.009")]
    NotANumber,
    /// More precise than a nano-dollar; rounding it silently would make the ledger drift.
    #[error("finer than a nano-dollar (nine digits after the point)")]
    TooFine,
    /// Does not fit in 64 bits of nano-dollars.
    #[error("too large an amount")]
    TooLarge,
}

impl Usd {
    /// No money at all.
    pub const ZERO: Usd = Usd(0);

    /// An amount given in nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Usd {
        Usd(nanos)
    }

    /// This amount in nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Reads an amount that a vendor reports with more digits than it bills, such as LiteLLM's cost header, which is a
    /// printed float: rounded half up to the nano-dollar. What is configured is never rounded; use [`str::parse`].
    ///
    /// # Errors
    /// As for parsing, except that no amount is too fine.
    pub fn rounded(text: &str) -> Result<Usd, BadAmount> {
        Decimal::read(text)?.nanos(true).map(Usd)
    }

    /// Reads an amount of cents, such as a vendor's credits of a cent each; rounded as by [`Usd::rounded`].
    ///
    /// # Errors
    /// As for [`Usd::rounded`].
    pub fn rounded_cents(text: &str) -> Result<Usd, BadAmount> {
        let mut decimal = Decimal::read(text)?;
        decimal.scale = decimal.scale.checked_sub(2).ok_or(BadAmount::TooLarge)?;
        decimal.nanos(true).map(Usd)
    }

    /// This amount times a decimal number of units as a vendor writes it (`1.5`), rounded half up to the nano-dollar.
    /// `None` when `units` is no such number or the product does not fit.
    pub fn times(self, units: &str) -> Option<Usd> {
        // Billionths of a unit: what is finer moves no nano-dollar of a price below a dollar.
        let billionths = i128::from(Usd::rounded(units).ok()?.0);
        let nanos =
            (i128::from(self.0) * billionths + i128::from(NANOS_PER_USD / 2)).div_euclid(i128::from(NANOS_PER_USD));
        i64::try_from(nanos).ok().map(Usd)
    }

    /// Sum, or `None` when it does not fit.
    pub fn checked_add(self, other: Usd) -> Option<Usd> {
        self.0.checked_add(other.0).map(Usd)
    }

    /// Difference, or `None` when it does not fit.
    pub fn checked_sub(self, other: Usd) -> Option<Usd> {
        self.0.checked_sub(other.0).map(Usd)
    }

    /// This amount `count` times, or `None` when it does not fit.
    pub fn checked_mul(self, count: u32) -> Option<Usd> {
        self.0.checked_mul(i64::from(count)).map(Usd)
    }

    /// Sum that stops at the largest amount. Only for figures shown to people, never for settlement.
    pub fn saturating_add(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }

    /// This amount plus a markup of `ppm` parts per million, rounded half up to the nano-dollar.
    /// `None` when it does not fit.
    pub fn with_markup(self, ppm: u32) -> Option<Usd> {
        let extra = (i128::from(self.0) * i128::from(ppm) + 500_000).div_euclid(1_000_000);
        let extra = i64::try_from(extra).ok()?;
        self.0.checked_add(extra).map(Usd)
    }
}

/// Sums amounts; `None` when the sum does not fit.
pub fn sum(amounts: impl IntoIterator<Item = Usd>) -> Option<Usd> {
    amounts.into_iter().try_fold(Usd::ZERO, |total, amount| total.checked_add(amount))
}

impl FromStr for Usd {
    type Err = BadAmount;

    /// Reads a decimal number, scientific notation included (`3.45e-05`, as LiteLLM's cost header writes it).
    fn from_str(text: &str) -> Result<Usd, BadAmount> {
        Decimal::read(text)?.nanos(false).map(Usd)
    }
}

/// A decimal number as written: sign, digits without leading or trailing zeros, and the power of ten that makes them
/// nano-dollars.
struct Decimal {
    negative: bool,
    digits: String,
    scale: i32,
}

impl Decimal {
    fn read(text: &str) -> Result<Decimal, BadAmount> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| BadAmount::NotANumber)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if !all_digits || (whole.is_empty() && fraction.is_empty()) {
            return Err(BadAmount::NotANumber);
        }
        let all = format!("{whole}{fraction}");
        let significant = all.trim_end_matches('0');
        let places = |count: usize| i32::try_from(count).map_err(|_| BadAmount::TooLarge);
        let scale = FRACTION_DIGITS
            .checked_add(exponent)
            .and_then(|scale| scale.checked_sub(places(fraction.len()).ok()?))
            .and_then(|scale| scale.checked_add(places(all.len() - significant.len()).ok()?))
            .ok_or(BadAmount::TooLarge)?;
        Ok(Decimal { negative, digits: significant.trim_start_matches('0').to_owned(), scale })
    }

    /// The amount in nano-dollars; what is finer is rounded half up or refused.
    fn nanos(&self, round: bool) -> Result<i64, BadAmount> {
        if self.digits.is_empty() {
            return Ok(0);
        }
        let nanos = match u32::try_from(self.scale) {
            Ok(scale) => {
                let value: i64 = self.digits.parse().map_err(|_| BadAmount::TooLarge)?;
                10i64.checked_pow(scale).and_then(|power| value.checked_mul(power)).ok_or(BadAmount::TooLarge)?
            }
            Err(_) if round => self.cut()?,
            Err(_) => return Err(BadAmount::TooFine),
        };
        Ok(if self.negative { -nanos } else { nanos })
    }

    /// The digits before nano-dollars, rounded by the first one after.
    fn cut(&self) -> Result<i64, BadAmount> {
        let finer = usize::try_from(self.scale.unsigned_abs()).map_err(|_| BadAmount::TooLarge)?;
        let Some(kept) = self.digits.len().checked_sub(finer) else { return Ok(0) };
        let (kept, rest) = self.digits.split_at(kept);
        let value: i64 = if kept.is_empty() { 0 } else { kept.parse().map_err(|_| BadAmount::TooLarge)? };
        let up = rest.as_bytes().first().is_some_and(|digit| *digit >= b'5');
        value.checked_add(i64::from(up)).ok_or(BadAmount::TooLarge)
    }
}

impl fmt::Display for Usd {
    /// Prints every digit and no more: `0.009`, `12`, `-0.000000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let (whole, rest) = (nanos / NANOS_PER_USD.unsigned_abs(), nanos % NANOS_PER_USD.unsigned_abs());
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{rest:09}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BadAmount, Usd, sum};

    #[test]
    fn a_price_is_read_to_the_last_nano_dollar() {
        assert_eq!("0.009".parse(), Ok(Usd::from_nanos(9_000_000)));
        assert_eq!("12".parse(), Ok(Usd::from_nanos(12_000_000_000)));
        assert_eq!(".5".parse(), Ok(Usd::from_nanos(500_000_000)));
        assert_eq!("3.45e-05".parse(), Ok(Usd::from_nanos(34_500)));
        assert_eq!("1E3".parse(), Ok(Usd::from_nanos(1_000_000_000_000)));
        assert_eq!("-0.000000001".parse(), Ok(Usd::from_nanos(-1)));
        assert_eq!("0.00000000100".parse(), Ok(Usd::from_nanos(1)));
    }

    #[test]
    fn what_is_not_exact_money_is_refused() {
        for text in ["", ".", "abc", "1,5", "0x10", "1e", "--1", "NaN", "1_000"] {
            assert_eq!(text.parse::<Usd>(), Err(BadAmount::NotANumber), "{text:?}");
        }
        assert_eq!("0.0000000001".parse::<Usd>(), Err(BadAmount::TooFine));
        assert_eq!("99999999999999".parse::<Usd>(), Err(BadAmount::TooLarge));
        assert_eq!("1e99".parse::<Usd>(), Err(BadAmount::TooLarge));
    }

    #[test]
    fn a_reported_amount_is_rounded_to_the_nano_dollar() {
        for (text, nanos) in [
            ("0.0000345678915", 34_568),
            ("0.0000000015", 2),
            ("0.00000000149", 1),
            ("4.9e-10", 0),
            ("5e-10", 1),
            ("1e-30", 0),
            ("3.45e-05", 34_500),
            ("-0.0000000015", -2),
        ] {
            assert_eq!(Usd::rounded(text), Ok(Usd::from_nanos(nanos)), "{text}");
        }
        assert_eq!(Usd::rounded("None"), Err(BadAmount::NotANumber));
    }

    #[test]
    fn a_sum_that_does_not_fit_is_no_sum() {
        assert_eq!(sum([Usd::from_nanos(i64::MAX), Usd::from_nanos(1)]), None);
        assert_eq!(Usd::from_nanos(i64::MAX).checked_mul(2), None);
        assert_eq!(Usd::from_nanos(i64::MAX).with_markup(1_000_000), None);
    }

    #[test]
    fn a_markup_rounds_half_up_to_the_nano_dollar() {
        assert_eq!(Usd::from_nanos(40_000_000).with_markup(55_000), Some(Usd::from_nanos(42_200_000)));
        assert_eq!(Usd::from_nanos(5).with_markup(100_000), Some(Usd::from_nanos(6)));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(nanos in any::<i64>().prop_filter("i64::MIN has no positive twin", |n| *n != i64::MIN)) {
            let amount = Usd::from_nanos(nanos);
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        }

        #[test]
        fn a_sum_does_not_depend_on_the_order(mut amounts in proptest::collection::vec(-1_000_000_000_000i64..1_000_000_000_000, 0..40)) {
            let forward = sum(amounts.iter().copied().map(Usd::from_nanos));
            amounts.reverse();
            prop_assert_eq!(forward, sum(amounts.into_iter().map(Usd::from_nanos)));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            let read = text.parse::<Usd>();
            prop_assert!(read.is_ok() || read.is_err());
        }
    }

    #[test]
    fn credits_of_a_cent_and_units_of_a_price_are_counted_exactly() {
        for (text, nanos) in [("3", 30_000_000), ("6.5", 65_000_000), ("0.00000004", 0), ("1e2", 1_000_000_000)] {
            assert_eq!(Usd::rounded_cents(text), Ok(Usd::from_nanos(nanos)), "{text}");
        }
        let price = Usd::from_nanos(3_000_000);
        let times = |units: &str| price.times(units).map(Usd::nanos);
        assert_eq!([times("1"), times("1.5"), times("0.0000001")], [Some(3_000_000), Some(4_500_000), Some(0)]);
        assert_eq!([times("many"), Usd::from_nanos(i64::MAX).times("2").map(Usd::nanos)], [None, None]);
    }
}
