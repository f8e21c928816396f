//! What is charged without a picture to show for it.
//!
//! The vendor's answer tells, or its documents say, what is charged; the config can say otherwise. What nobody knows is
//! kept apart from what is charged.

use crate::money::Usd;

/// What is charged when there is no picture to deliver; `None` is as the vendor's answers tell and its documents say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charges {
    /// Pictures withheld for their content.
    pub refused: Option<Charged>,
    /// Pictures that came and cannot be delivered.
    pub rejected: Option<Charged>,
    /// Calls that failed at the vendor, by its own word.
    pub failed: Option<Charged>,
    /// Calls that were given up or answered by something that says nothing, and jobs that were lost.
    pub abandoned: Option<Charged>,
}

/// Whether something is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charged {
    /// It is not.
    No,
    /// It is, as if it had been delivered.
    Yes,
    /// Nobody knows: it is recorded apart.
    Maybe,
}

/// Pictures that were charged and cannot be delivered, and money that may have been charged besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Pictures.
    pub lost: usize,
    /// Dollars.
    pub uncertain: Usd,
}

impl Undelivered {
    /// So many pictures, charged for certain.
    pub fn lost(pictures: usize) -> Undelivered {
        Undelivered { lost: pictures, uncertain: Usd::ZERO }
    }

    /// Money that may have been charged.
    pub fn uncertain(usd: Usd) -> Undelivered {
        Undelivered { lost: 0, uncertain: usd }
    }

    /// `pictures` as the config says they are charged; where it says nothing, `told` of them are. `each` is what one of
    /// them is estimated at.
    pub fn by_rule(rule: Option<Charged>, pictures: usize, told: usize, each: Usd) -> Undelivered {
        let estimate = || u32::try_from(pictures).ok().and_then(|pictures| each.checked_mul(pictures));
        match rule {
            None => Undelivered::lost(told),
            Some(Charged::No) => Undelivered::default(),
            Some(Charged::Yes) => Undelivered::lost(pictures),
            Some(Charged::Maybe) => Undelivered::uncertain(estimate().unwrap_or(Usd::ZERO)),
        }
    }

    /// Both together.
    pub fn and(self, other: Undelivered) -> Undelivered {
        Undelivered { lost: self.lost + other.lost, uncertain: self.uncertain.saturating_add(other.uncertain) }
    }
}

impl Charges {
    /// What a call for `pictures` is charged that was given up, or a job that was lost. `told` is how many pictures the
    /// vendor said that it charges; where it said nothing, `may_cost` may be charged.
    pub fn of_abandoned(self, pictures: usize, told: Option<usize>, may_cost: impl FnOnce() -> Usd) -> Undelivered {
        match (self.abandoned, told) {
            (Some(Charged::No), _) => Undelivered::default(),
            (Some(Charged::Yes), _) => Undelivered::lost(pictures),
            // What the vendor told is charged, and nothing besides.
            (Some(Charged::Maybe) | None, Some(told)) => Undelivered::lost(told),
            (Some(Charged::Maybe) | None, None) => Undelivered::uncertain(may_cost()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_goes_over_what_the_vendor_told_and_what_may_be_charged_is_no_picture() {
        let each = Usd::from_nanos(5);
        let by = |rule| Undelivered::by_rule(rule, 3, 1, each);
        assert_eq!(by(None), Undelivered::lost(1));
        assert_eq!(by(Some(Charged::No)), Undelivered::default());
        assert_eq!(by(Some(Charged::Yes)), Undelivered::lost(3));
        assert_eq!(by(Some(Charged::Maybe)), Undelivered::uncertain(Usd::from_nanos(15)));
        assert_eq!(by(None).and(by(Some(Charged::Maybe))), Undelivered { lost: 1, uncertain: Usd::from_nanos(15) });
    }

    #[test]
    fn an_abandoned_call_may_be_charged_unless_the_vendor_or_the_config_says() {
        let may_cost = Usd::from_nanos(7);
        let of = |abandoned, told| Charges { abandoned, ..Charges::default() }.of_abandoned(2, told, || may_cost);
        for rule in [None, Some(Charged::Maybe)] {
            assert_eq!(of(rule, None), Undelivered::uncertain(may_cost));
            assert_eq!(of(rule, Some(1)), Undelivered::lost(1));
        }
        assert_eq!(of(Some(Charged::Yes), Some(1)), Undelivered::lost(2));
        assert_eq!(of(Some(Charged::No), Some(1)), Undelivered::default());
    }
}
