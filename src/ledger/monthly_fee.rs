//! Monthly fees for capacity that is held ready, spread over the month by the hour.
//!
//! Each hour carries its share, so that an hour's pictures are seen to cost what they do, and a month's shares are the
//! fee to the nano-dollar. A month that was begun is completed, whenever the process that began it ended; months in
//! which nothing ran are not known of. Nothing here reads a clock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::calendar::{Moment, Per, Period, Zone};
use crate::config::plan::Provider;
use crate::ledger::Ledger;
use crate::ledger::entry::{CostSource, Entry, Owner, Purpose, Settlement};
use crate::money::Usd;

const HOUR: i64 = 3_600_000;

/// Months of which it is known how far they are booked.
const MONTHS: usize = 24;

/// How far fees are booked.
#[derive(Debug, Default)]
pub(super) struct Fees {
    /// The end of the last hour that was booked in each month, by provider and by when the month began. A clock that
    /// was ahead may have booked hours of a month far off.
    until: HashMap<Arc<str>, BTreeMap<Moment, Moment>>,
    /// Hours that ended by then are not this ledger's.
    since: Option<Moment>,
}

/// The share of one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    end: Moment,
    usd: Usd,
}

impl Ledger {
    /// Takes up how far an earlier process booked a provider's fee.
    pub fn booked_until(&self, provider: &Provider, until: Moment) {
        self.lock().fees.book(provider, until);
    }

    /// Whether it is known how far a provider's fee is booked.
    pub fn knows_fees_of(&self, provider: &str) -> bool {
        self.lock().fees.until.contains_key(provider)
    }

    /// Books no hour that ended by `moment`: a ledger that begins anew with its process knows no pictures of them.
    pub fn no_fees_before(&self, moment: Moment) {
        self.lock().fees.since = Some(moment);
    }

    /// Books what is due by `now` of a provider's fee. `note` is called with every entry and what it came to, before
    /// anything else can happen to the ledger.
    pub fn accrue(&self, provider: &Provider, now: Moment, mut note: impl FnMut(Entry, &Settlement)) {
        let Some(fee) = provider.billing.reserved else { return };
        let mut state = self.lock();
        let (until, since) = (state.fees.until(provider, now), state.fees.since);
        let due = due(fee, &provider.billing.zone, until, now);
        for share in due.into_iter().filter(|share| since.is_none_or(|since| share.end > since)) {
            state.last_id += 1;
            // The hour's last moment, so that it is of the hour's day and month.
            let at = share.end.before(Duration::from_millis(1));
            let owner = Owner { provider: provider.name.as_str().into(), ..Owner::nobody() };
            let (request, purpose, pictures, estimate) = ("".into(), Purpose::Reserve, 0, Usd::ZERO);
            let entry = Entry { id: state.last_id, at, request, owner, purpose, pictures, estimate };
            let settlement = Settlement { usd: share.usd, source: CostSource::Table, ..Settlement::nothing(at) };
            state.take(&entry, &settlement);
            state.fees.book(provider, share.end);
            note(entry, &settlement);
        }
    }
}

impl Fees {
    /// Notes that all hours of a month are booked up to `until`, which is past its beginning.
    fn book(&mut self, provider: &Provider, until: Moment) {
        let months = self.until.entry(provider.name.as_str().into()).or_default();
        // The end of a month's last hour is the next one's beginning.
        let month = Per::Month.period(&provider.billing.zone, until.before(Duration::from_millis(1)));
        months.insert(month.start, until);
        while months.len() > MONTHS {
            months.pop_first();
        }
    }

    /// The end of the last hour that was booked, of months that have begun by `now`.
    fn until(&self, provider: &Provider, now: Moment) -> Option<Moment> {
        let month = Per::Month.period(&provider.billing.zone, now);
        self.until.get(provider.name.as_str())?.range(..=month.start).next_back().map(|(_, until)| *until)
    }
}

/// The shares of all hours that have ended by `now` and after `until`: what is left of the month that `until` is in,
/// and the present month.
fn due(fee: Usd, zone: &Zone, until: Option<Moment>, now: Moment) -> Vec<Share> {
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
fn shares_of(fee: Usd, month: Period) -> impl Iterator<Item = Share> {
    let (start, end) = (month.start.millis(), month.end.map_or(month.start.millis(), Moment::millis));
    let hours = end.saturating_sub(start).saturating_add(HOUR - 1) / HOUR;
    let upto = move |hour: i64| {
        let nanos = i128::from(fee.nanos()) * i128::from(hour) / i128::from(hours.max(1));
        // No more than the fee, which fits.
        i64::try_from(nanos).unwrap_or(i64::MAX)
    };
    (0..hours).map(move |hour| Share {
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

    fn total(shares: &[Share]) -> Usd {
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
