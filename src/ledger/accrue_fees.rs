//! Monthly fees for capacity that is held ready, booked by the hour.
//!
//! Each hour carries its share, so that an hour's pictures are seen to cost what they do.

use std::time::Duration;

use crate::calendar::Moment;
use crate::config::plan::Provider;
use crate::ledger::entry::{CostSource, Entry, Owner, Purpose, Settlement};
use crate::ledger::fee_hours::due;
use crate::ledger::state::Ledger;
use crate::money::Usd;

impl Ledger {
    /// Takes up how far an earlier process booked a provider's fee.
    pub fn booked_until(&self, provider: &Provider, until: Moment) {
        self.lock().fees.book(provider, until);
    }

    /// Whether it is known how far a provider's fee is booked.
    pub fn knows_fees_of(&self, provider: &str) -> bool {
        self.lock().fees.knows(provider)
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
            let entry = Entry { id: state.last_id, at, request, owner, purpose, pictures, estimate, chosen: "" };
            let settlement = Settlement { usd: share.usd, source: CostSource::Table, ..Settlement::nothing(at) };
            state.take(&entry, &settlement);
            state.fees.book(provider, share.end);
            note(entry, &settlement);
        }
    }
}
