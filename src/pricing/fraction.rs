//! An amount in fractions of a nano-dollar, for the arithmetic between a price list and a bill.
//!
//! A price may pass through a rate by the million, a multiplier and a markup; rounding at each of them would add up.
//! Here nothing is rounded until the end, once and half up, and what does not fit is `None`.

use crate::money::Usd;

/// A whole in parts per million.
const WHOLE_PPM: i128 = 1_000_000;

/// A fraction of nano-dollars; the denominator is positive.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExactFraction {
    num: i128,
    den: i128,
}

impl ExactFraction {
    /// Nothing.
    pub(super) const ZERO: ExactFraction = ExactFraction { num: 0, den: 1 };

    /// A price so many times.
    pub(super) fn times(usd: Usd, count: u64) -> Option<ExactFraction> {
        ExactFraction::share(usd, count, 1)
    }

    /// A price for `per` of something, of which there are `count`.
    pub(super) fn share(usd: Usd, count: u64, per: u32) -> Option<ExactFraction> {
        let num = i128::from(usd.nanos()).checked_mul(i128::from(count))?;
        Some(ExactFraction { num, den: i128::from(per.max(1)) })
    }

    /// It so many times.
    pub(super) fn many(self, count: u32) -> Option<ExactFraction> {
        Some(ExactFraction { num: self.num.checked_mul(i128::from(count))?, den: self.den })
    }

    /// The sum.
    pub(super) fn plus(self, other: ExactFraction) -> Option<ExactFraction> {
        let common = gcd(self.den, other.den);
        let (mine, theirs) = (other.den / common, self.den / common);
        let num = self.num.checked_mul(mine)?.checked_add(other.num.checked_mul(theirs)?)?;
        Some(ExactFraction { num, den: self.den.checked_mul(mine)? }.reduced())
    }

    /// So many parts per million of it.
    pub(super) fn ppm(self, ppm: u32) -> Option<ExactFraction> {
        self.times_ppm(i128::from(ppm))
    }

    /// It and so many parts per million of it on top.
    pub(super) fn with_markup(self, ppm: u32) -> Option<ExactFraction> {
        self.times_ppm(WHOLE_PPM + i128::from(ppm))
    }

    fn times_ppm(self, ppm: i128) -> Option<ExactFraction> {
        let common = gcd(ppm, WHOLE_PPM);
        let (ppm, whole) = (ppm / common, WHOLE_PPM / common);
        Some(ExactFraction { num: self.num.checked_mul(ppm)?, den: self.den.checked_mul(whole)? }.reduced())
    }

    /// The same in smaller numbers, so that more fits.
    fn reduced(self) -> ExactFraction {
        let common = gcd(self.num, self.den);
        ExactFraction { num: self.num / common, den: self.den / common }
    }

    /// Rounded half up to the nano-dollar.
    pub(super) fn rounded(self) -> Option<Usd> {
        let (whole, rest) = (self.num.div_euclid(self.den), self.num.rem_euclid(self.den));
        let up = i128::from(rest >= self.den - rest);
        i64::try_from(whole.checked_add(up)?).ok().map(Usd::from_nanos)
    }
}

/// The greatest common divisor of two numbers that are not negative; 1 where it would be nothing.
fn gcd(mut one: i128, mut other: i128) -> i128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(nanos: i64, count: u64, per: u32) -> ExactFraction {
        ExactFraction::share(Usd::from_nanos(nanos), count, per).unwrap()
    }

    fn nanos(exact: ExactFraction) -> i64 {
        exact.rounded().unwrap().nanos()
    }

    #[test]
    fn half_a_nano_dollar_is_rounded_up_and_less_is_not() {
        let at = |count| nanos(share(1, count, 1_000_000));
        assert_eq!([at(499_999), at(500_000), at(1_499_999), at(1_500_000)], [0, 1, 1, 2]);
        assert_eq!([nanos(share(1, 1, 3)), nanos(share(2, 1, 3)), nanos(ExactFraction::ZERO)], [0, 1, 0]);
    }

    #[test]
    fn a_sum_of_fractions_is_rounded_once_and_so_is_a_markup_on_it() {
        let third = share(1, 1, 3);
        assert_eq!(nanos(third.plus(third).unwrap()), 1);
        assert_eq!(nanos(third.plus(share(1, 1, 7)).unwrap()), 0);
        // Of 10.5 and 5%: 11.025. Rounded twice it would be 12.
        assert_eq!(nanos(share(21, 1, 2).with_markup(50_000).unwrap()), 11);
        assert_eq!(nanos(share(3, 1, 1).ppm(500_000).unwrap()), 2);
    }

    #[test]
    fn what_does_not_fit_is_no_amount() {
        let most = Usd::from_nanos(i64::MAX);
        assert!(ExactFraction::times(most, 2).unwrap().rounded().is_none());
        assert!(ExactFraction::times(most, u64::MAX).and_then(|much| much.ppm(3)).is_none());
    }
}
