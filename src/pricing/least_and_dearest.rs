//! Between which amounts the price of a picture lies, whatever is asked for: for checks of a config, not for bills.

use crate::money::Usd;
use crate::pricing::fraction::ExactFraction;
use crate::pricing::volume_tiers::{VolumePrice, VolumeTier};
use crate::pricing::{Price, Table};

impl Table {
    /// Every amount that the table names for a picture; empty where it is reckoned by megapixels or steps.
    fn amounts(&self) -> Vec<Usd> {
        match self {
            Table::Flat(usd) => vec![*usd],
            Table::Rows(rows) => rows.iter().map(|row| row.usd).collect(),
            Table::UpTo(tiers) => tiers.iter().map(|(_, usd)| *usd).collect(),
            Table::Megapixels(_) | Table::FirstMegapixel(_) | Table::Steps(_) => Vec::new(),
        }
    }
}

impl Price {
    /// The least that a picture may cost, the call's fee included and with the best of the model's and the provider's
    /// volume tiers. `None` where only the size says.
    pub fn least(&self, model: &[VolumeTier], provider: &[VolumeTier]) -> Option<Usd> {
        let listed = self.charged(self.table.amounts().into_iter().min()?)?;
        let tier = |base: Usd, tier: &VolumeTier| match tier.price {
            VolumePrice::Flat(usd) => self.charged(usd),
            VolumePrice::Discount(_) => tier.price.of(base, self.fee),
        };
        let least = |base: Usd, tiers: &[VolumeTier]| {
            tiers.iter().filter_map(|one| tier(base, one)).chain([base]).min().unwrap_or(base)
        };
        Some(least(least(listed, model), provider))
    }

    /// The dearest amount that the table names. `None` where it names none.
    pub fn dearest_listed(&self) -> Option<Usd> {
        self.table.amounts().into_iter().max()
    }

    /// What is charged for an amount of the table, in a call of its own.
    fn charged(&self, usd: Usd) -> Option<Usd> {
        let drawn = ExactFraction::times(usd, 1)?.ppm(self.multiplier_ppm)?.with_markup(self.markup_ppm)?.rounded()?;
        drawn.checked_add(self.fee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::Row;

    #[test]
    fn the_least_that_a_picture_may_cost_is_that_of_the_cheapest_row_and_the_best_tier() {
        let usd = Usd::from_nanos;
        let row = |nanos| Row { size: None, quality: None, usd: usd(nanos) };
        let mut price = Price::of(Table::Rows(vec![row(50), row(20), row(90)]));
        assert_eq!((price.least(&[], &[]), price.dearest_listed()), (Some(usd(20)), Some(usd(90))));
        price.markup_ppm = 500_000;
        price.fee = usd(1);
        assert_eq!(price.least(&[], &[]), Some(usd(31)));
        let tier = |price| VolumeTier { from: 100, price };
        assert_eq!(price.least(&[tier(VolumePrice::Flat(usd(4)))], &[]), Some(usd(7)));
        assert_eq!(price.least(&[tier(VolumePrice::Flat(usd(400)))], &[]), Some(usd(31)), "a dearer tier is none");
        assert_eq!(price.least(&[], &[tier(VolumePrice::Discount(500_000))]), Some(usd(16)));
    }
}
