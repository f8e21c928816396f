//! Prices that depend on how many pictures there were this month.
//!
//! A tier counts by position: the price of a picture is that of the tier in which it stands among the month's charged
//! pictures, so a call that crosses an edge pays both prices. A price of a tier's own takes the place of the table's,
//! and what is charged on top of that stays on top. What was counted is not known here.

use crate::money::Usd;
use crate::pricing::Price;
use crate::request::ImageRequest;

/// A price from some number of pictures on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeTier {
    /// Pictures charged before in the same month.
    pub from: u64,
    /// What the next one costs.
    pub price: VolumePrice,
}

/// How a volume tier changes a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumePrice {
    /// A picture costs this, whatever the table says.
    Flat(Usd),
    /// So many parts per million less.
    Discount(u32),
}

/// A model's tiers for pictures of `request`, whose price without them is `price`: a tier's own price has add-ons,
/// multiplier and markup in it as the table's would, and not the call's fee. `None` where one does not fit.
pub fn tiers_for(tiers: &[VolumeTier], price: &Price, request: &ImageRequest) -> Option<Vec<VolumeTier>> {
    let dressed = |tier: &VolumeTier| {
        let price = match tier.price {
            VolumePrice::Flat(usd) => VolumePrice::Flat(price.instead(request, usd)?),
            VolumePrice::Discount(ppm) => VolumePrice::Discount(ppm),
        };
        Some(VolumeTier { price, ..*tier })
    };
    tiers.iter().map(dressed).collect()
}

/// Tiers, and how many pictures that they count were charged this month.
#[derive(Clone, Copy, Debug)]
pub struct MonthlyTiers<'a> {
    /// The tiers, sorted by `from`.
    pub tiers: &'a [VolumeTier],
    /// Pictures charged before.
    pub count: u64,
}

/// Prices the pictures of one call by where each stands among the month's: by the model's tiers, and what comes of that
/// by the provider's. The first picture has the call's `fee` in its price. `None` where a price does not fit.
pub fn apply<'a>(
    model: MonthlyTiers<'_>,
    provider: MonthlyTiers<'_>,
    fee: Usd,
    amounts: impl Iterator<Item = &'a mut Usd>,
) -> Option<()> {
    for (place, usd) in (0..).zip(amounts) {
        let fee = if place == 0 { fee } else { Usd::ZERO };
        let base = price(model.tiers, model.count.saturating_add(place), *usd, fee)?;
        *usd = price(provider.tiers, provider.count.saturating_add(place), base, fee)?;
    }
    Some(())
}

/// The price of the picture before which `count` were charged this month; `base` is its price without tiers, of which
/// `fee` is in any price. `None` where it does not fit.
fn price(tiers: &[VolumeTier], count: u64, base: Usd, fee: Usd) -> Option<Usd> {
    tiers.iter().rev().find(|tier| tier.from <= count).map_or(Some(base), |tier| tier.price.of(base, fee))
}

/// The dearest of the next pictures: those that may stand anywhere after `count` and before `end`.
pub fn dearest(tiers: &[VolumeTier], count: u64, end: u64, base: Usd, fee: Usd) -> Option<Usd> {
    let later = tiers.iter().filter(|tier| tier.from > count && tier.from < end);
    later
        .map(|tier| tier.price.of(base, fee))
        .try_fold(price(tiers, count, base, fee)?, |most, usd| Some(most.max(usd?)))
}

impl VolumePrice {
    pub(super) fn of(self, base: Usd, fee: Usd) -> Option<Usd> {
        match self {
            VolumePrice::Flat(usd) => usd.checked_add(fee),
            VolumePrice::Discount(ppm) => {
                // Rounded half up, like every price that is not whole.
                let kept = i128::from(base.nanos()) * i128::from(1_000_000u32.saturating_sub(ppm));
                let nanos = (kept + 500_000).div_euclid(1_000_000);
                i64::try_from(nanos).ok().map(Usd::from_nanos)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(from: u64, usd: &str) -> VolumeTier {
        VolumeTier { from, price: VolumePrice::Flat(usd.parse().unwrap()) }
    }

    #[test]
    fn the_picture_after_the_edge_is_the_first_at_the_new_price() {
        let (tiers, base) = ([flat(100_000, "0.005")], "0.009".parse().unwrap());
        let at = |count| price(&tiers, count, base, Usd::ZERO).unwrap().to_string();
        assert_eq!([at(0), at(99_999), at(100_000), at(100_001)], ["0.009", "0.009", "0.005", "0.005"]);
    }

    #[test]
    fn a_price_of_a_tiers_own_keeps_the_calls_fee_on_top() {
        let (tiers, fee) = ([flat(10, "0.005")], "0.001".parse().unwrap());
        let at = |count| price(&tiers, count, "0.01".parse().unwrap(), fee).unwrap().to_string();
        assert_eq!([at(9), at(10)], ["0.01", "0.006"]);
        assert_eq!(dearest(&tiers, 10, 12, Usd::ZERO, fee).unwrap().to_string(), "0.006");
    }

    #[test]
    fn a_discount_is_rounded_half_up_to_the_nano_dollar() {
        let tiers = [VolumeTier { from: 10, price: VolumePrice::Discount(333_333) }];
        let at = |count, nanos| price(&tiers, count, Usd::from_nanos(nanos), Usd::ZERO).unwrap().nanos();
        assert_eq!([at(9, 3), at(10, 3), at(10, 1_000_000), at(10, 1)], [3, 2, 666_667, 1]);
    }

    #[test]
    fn what_may_stand_on_both_sides_of_an_edge_is_reckoned_at_the_dearer_one() {
        let tiers = [flat(0, "0"), flat(1000, "0.01"), flat(5000, "0.002")];
        let most = |count, end| dearest(&tiers, count, end, Usd::ZERO, Usd::ZERO).unwrap().to_string();
        assert_eq!([most(0, 4), most(998, 1000), most(998, 1001), most(4999, 5003)], ["0", "0", "0.01", "0.01"]);
        assert_eq!(most(5000, 5003), "0.002");
    }
}
