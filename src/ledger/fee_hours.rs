//! The hours of monthly fees: what each carries, and up to which hour they are booked.
//!
//! A month's shares are the fee to the nano-dollar. A month that was begun is completed; months in which nothing ran are
//! not known of. Nothing here reads a clock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::calendar::{Moment, Per, Period, Zone};
use crate::config::plan::Provider;
use crate::money::Usd;

const HOUR: i64 = 3_600_000;

/// Months of which it is known how far they are booked.
const MONTHS: usize = 24;

/// How far fees are booked.
#[derive(Debug, Default)]
pub(super) struct FeeHours {
    /// The end of the last hour that was booked in each month, by provider and by when the month began. A clock that
    /// was ahead may have booked hours of a month far off.
    until: HashMap<Arc<str>, BTreeMap<Moment, Moment>>,
    /// Hours that ended by then are not this ledger's.
    pub(super) since: Option<Moment>,
}

/// One hour's share of a monthly fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HourShare {
    pub(super) end: Moment,
    pub(super) usd: Usd,
}

impl FeeHours {
    /// Notes that all hours of a month are booked up to `until`, which is past its beginning.
    pub(super) fn book(&mut self, provider: &Provider, until: Moment) {
        let months = self.until.entry(provider.name.as_str().into()).or_default();
        // The end of a month's last hour is the next one's beginning.
        let month = Per::Month.period(&provider.billing.zone, until.before(Duration::from_millis(1)));
        months.insert(month.start, until);
        while months.len() > MONTHS {
            months.pop_first();
        }
    }

    /// Whether it is known how far a provider's fee is booked.
    pub(super) fn knows(&self, provider: &str) -> bool {
        self.until.contains_key(provider)
    }

    /// The end of the last hour that was booked, of months that have begun by `now`.
    pub(super) fn until(&self, provider: &Provider, now: Moment) -> Option<Moment> {
        let month = Per::Month.period(&provider.billing.zone, now);
        self.until.get(provider.name.as_str())?.range(..=month.start).next_back().map(|(_, until)| *until)
    }
}

/// The shares of all hours that have ended by `now` and after `until`: what is left of the month that `until` is in,
/// and the present month.
pub(super) fn due(fee: Usd, zone: &Zone, until: Option<Moment>, now: Moment) -> Vec<HourShare> {
    let month = Per::Month.period(zone, now);
    let mut shares = Vec::new();
    if let Some(until) = until.filter(|until| *until < month.start) {
        // The end of a month's last hour is the next one's beginning.
        let before = Per::Month.period(zone, until.before(Duration::from_millis(1)));
        shares.extend(shares_of(fee, before).filter(|share| share.end > until));
    }
    let begun = shares_of(fee, month).take_while(|share| share.end <= now);
    shares.extend(begun.filter(|share| until.is_none_or(|until| share.end > until)));
    shares
}

/// The month's hours in their order; a last one that is none in full carries a full one's share.
fn shares_of(fee: Usd, month: Period) -> impl Iterator<Item = HourShare> {
    let (start, end) = (month.start.millis(), month.end.map_or(month.start.millis(), Moment::millis));
    let hours = end.saturating_sub(start).saturating_add(HOUR - 1) / HOUR;
    let upto = move |hour: i64| {
        let nanos = i128::from(fee.nanos()) * i128::from(hour) / i128::from(hours.max(1));
        // No more than the fee, which fits.
        i64::try_from(nanos).unwrap_or(i64::MAX)
    };
    (0..hours).map(move |hour| HourShare {
        end: Moment::from_millis(end.min(start + (hour + 1) * HOUR)),
        usd: Usd::from_nanos(upto(hour + 1) - upto(hour)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn total(shares: &[HourShare]) -> Usd {
        money::sum(shares.iter().map(|share| share.usd)).unwrap()
    }

    #[test]
    fn the_hours_of_a_month_are_the_fee_to_the_nano_dollar() {
        let (utc, end) = (Zone::default(), at("2026-11-30T23:59:59Z"));
        let november = due(usd("200"), &utc, None, end);
        assert_eq!(november.len(), 719, "the last hour has not ended");
        let rest = due(usd("200"), &utc, Some(november[718].end), at("2026-12-01T00:00:00Z"));
        assert_eq!(rest.len(), 1);
        assert_eq!(total(&november).checked_add(total(&rest)), Some(usd("200")));
        // 744 hours do not divide it evenly.
        let december = due(usd("200.000000001"), &utc, Some(rest[0].end), at("2026-12-31T23:59:59.999Z"));
        assert_eq!(december.len(), 743);
        assert!(december.iter().all(|share| (268_817_204..=268_817_205).contains(&share.usd.nanos())));
    }

    #[test]
    fn what_is_due_is_due_once_and_a_month_begun_is_completed_after_a_long_night() {
        let zone: Zone = "America/New_York".parse().unwrap();
        let booked = due(usd("100"), &zone, None, at("2026-11-10T00:30:00Z"));
        let until = booked.last().unwrap().end;
        assert_eq!(until, at("2026-11-10T00:00:00Z"));
        assert_eq!(due(usd("100"), &zone, Some(until), at("2026-11-10T00:59:59Z")), []);
        // The clocks were set back on the first: the month has an hour more.
        let later = due(usd("100"), &zone, Some(until), at("2027-02-01T06:00:00Z"));
        let november: Vec<_> = later.iter().copied().filter(|share| share.end <= at("2026-12-01T05:00:00Z")).collect();
        assert_eq!(booked.len() + november.len(), 721);
        assert_eq!(total(&booked).checked_add(total(&november)), Some(usd("100")));
        assert_eq!(later.len() - november.len(), 1, "nobody knows of December and January; February has begun");
    }
}
