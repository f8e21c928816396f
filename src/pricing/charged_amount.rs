//! What was charged for a call, where that is known from, and how it is divided among the call's pictures.

use crate::money::Usd;

/// Where a settled amount comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CostSource {
    /// Counted by the vendor (tokens, seconds) and priced here.
    Usage,
    /// Told by the vendor in money, credits or units.
    Reported,
    /// The price table, by what was billed.
    Table,
    /// What was reckoned before the call; nothing better is known.
    Estimate,
    /// Nothing was charged.
    Nothing,
}

impl CostSource {
    /// Every source.
    pub const ALL: [CostSource; 5] =
        [CostSource::Usage, CostSource::Reported, CostSource::Table, CostSource::Estimate, CostSource::Nothing];

    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            CostSource::Usage => "usage",
            CostSource::Reported => "reported",
            CostSource::Table => "table",
            CostSource::Estimate => "estimate",
            CostSource::Nothing => "nothing",
        }
    }
}

/// What was charged, before volume tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargedAmount {
    /// For the whole call, and how many pictures that was.
    Total {
        /// Dollars.
        usd: Usd,
        /// Pictures charged, delivered or not.
        billed: u32,
    },
    /// By the picture.
    Pictures {
        /// Those that can be delivered, in their order.
        delivered: Vec<Usd>,
        /// The others.
        lost: Vec<Usd>,
    },
}

/// A charge divided among its pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Of each picture that can be delivered, in their order.
    pub delivered: Vec<Usd>,
    /// Of the others.
    pub lost: Vec<Usd>,
    /// Pictures charged.
    pub billed: u32,
}

impl Shares {
    /// A total is shared out evenly; what the division leaves over is on the first, so that nothing gets lost. `images` of
    /// the pictures can be delivered.
    pub fn of(amount: ChargedAmount, images: usize) -> Shares {
        let (usd, billed) = match amount {
            ChargedAmount::Pictures { delivered, lost } => {
                let billed = count(delivered.len() + lost.len());
                return Shares { delivered, lost, billed };
            }
            ChargedAmount::Total { usd, billed } => (usd, billed.max(count(images))),
        };
        if billed == 0 {
            return Shares { delivered: Vec::new(), lost: vec![usd], billed };
        }
        let (each, over) = (usd.nanos() / i64::from(billed), usd.nanos() % i64::from(billed));
        let mut shares = vec![Usd::from_nanos(each); usize::try_from(billed).unwrap_or(images)];
        if let Some(first) = shares.first_mut() {
            *first = Usd::from_nanos(each + over);
        }
        let lost = shares.split_off(images);
        Shares { delivered: shares, lost, billed }
    }
}

fn count(pictures: usize) -> u32 {
    u32::try_from(pictures).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_shared_out_to_the_nano_dollar_and_what_came_to_nothing_has_its_share() {
        let usd = Usd::from_nanos;
        let shares = Shares::of(ChargedAmount::Total { usd: usd(10), billed: 3 }, 2);
        assert_eq!(shares, Shares { delivered: vec![usd(4), usd(3)], lost: vec![usd(3)], billed: 3 });
        let nothing = Shares::of(ChargedAmount::Total { usd: usd(10), billed: 0 }, 0);
        assert_eq!(nothing, Shares { delivered: Vec::new(), lost: vec![usd(10)], billed: 0 });
        let few = Shares::of(ChargedAmount::Total { usd: usd(4), billed: 1 }, 2);
        assert_eq!(few, Shares { delivered: vec![usd(2), usd(2)], lost: Vec::new(), billed: 2 });
    }
}
