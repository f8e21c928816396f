//! What a try costs: the provider's own word before the price table, the table before the estimate.
//!
//! Everything that was charged is booked here, delivered or not, and what may have been charged apart from it. Nothing
//! here asks anybody anything.

use std::sync::Arc;

use crate::abilities::{Adjustment, Tier};
use crate::cache::Kept;
use crate::failure::Class;
use crate::gateway::attempt::{Attempt, Loss, Report};
use crate::image::Picture;
use crate::ledger::{Account, Kind};
use crate::money::Usd;
use crate::provider::{Reported, Usage};

impl Attempt {
    /// Prices what was billed and adds it to the ledger. Returns the deliverable pictures, each with its cost.
    pub(super) fn settle(&self, pictures: Vec<Picture>, lost: usize, usage: &Usage) -> (Vec<Arc<Kept>>, Usd) {
        let reported = usage.reported.as_ref().and_then(|reported| self.reported(reported));
        let billed = pictures.len() + lost;
        let share = reported.map(|total| Usd::from_nanos(total.nanos() / i64::try_from(billed.max(1)).unwrap_or(1)));
        let name: Arc<str> = self.offer.name.as_str().into();
        let mut kept = Vec::with_capacity(pictures.len());
        for picture in pictures {
            let usd = share.unwrap_or_else(|| self.price(Some(&picture), usage));
            let adjusted = self.adjusted(&picture);
            let new = Kept::new(picture, name.clone(), usd, self.shared.hash_seed);
            kept.push(Arc::new(Kept { adjusted, ..new }));
        }
        let delivered = kept.iter().fold(Usd::ZERO, |total, kept| total.saturating_add(kept.usd));
        let lost_usd = match reported {
            // What the division above left over belongs somewhere, or the sum would not be what was reported.
            Some(total) => Usd::from_nanos(total.nanos() - delivered.nanos()),
            None => (0..lost).fold(Usd::ZERO, |total, _| total.saturating_add(self.price(None, usage))),
        };
        self.book(Kind::Delivered, kept.len(), delivered);
        self.book(Kind::Lost, lost, lost_usd);
        (kept, delivered.saturating_add(lost_usd))
    }

    /// What the provider says the call costs, in dollars, with what a reseller adds; nonsense is nothing.
    fn reported(&self, reported: &Reported) -> Option<Usd> {
        let price = &self.offer.model.price;
        let usd = match reported {
            Reported::Dollars(text) => Usd::rounded(text).ok()?,
            Reported::Cents(text) => Usd::rounded_cents(text).ok()?,
            Reported::Units(text) => price.per_unit?.times(text)?,
        };
        usd.with_markup(price.markup_ppm).filter(|usd| *usd >= Usd::ZERO)
    }

    /// What was changed of the request's wishes, a file format that came out otherwise included.
    fn adjusted(&self, picture: &Picture) -> Arc<[String]> {
        let wished = self.request.output_format.filter(|wished| *wished != picture.format);
        let format = wished.map(|wished| {
            Adjustment::Changed("output_format", wished.word().to_owned(), picture.format.word().to_owned())
        });
        self.candidate.fitted.adjusted.iter().chain(&format).map(ToString::to_string).collect()
    }

    /// The price of one picture as billed: by the size and quality the provider echoes, else by the tier that was
    /// asked for, else as measured, else as estimated before the call.
    fn price(&self, picture: Option<&Picture>, usage: &Usage) -> Usd {
        let price = &self.offer.model.price;
        let quality = usage.quality.or(self.candidate.fitted.quality);
        let fitted = &self.candidate.fitted;
        let tier = fitted.tier.map(Tier::square);
        let sizes = [usage.size, tier, picture.map(|picture| picture.size), fitted.frame.nominal()];
        sizes
            .into_iter()
            .flatten()
            .find_map(|size| price.per_picture(&self.request, Some(size), quality))
            .unwrap_or(self.candidate.usd)
    }

    /// A failed try: nothing to deliver, but perhaps something to pay.
    pub(super) fn lost(&self, Loss { failure, open, noted }: Loss) -> Report {
        let billed = usize::from(failure.billed);
        let (_, cost) = self.settle(Vec::new(), billed, &Usage::default());
        if failure.class == Class::Policy {
            self.count("refused", usize::from(self.n));
        }
        let uncertain = if open { self.uncertain(noted) } else { Usd::ZERO };
        Report { pictures: Vec::new(), cost, uncertain, refused: 0, failure: Some(failure) }
    }

    /// A call that was sent and never answered, and a job that was lost, may have been drawn and billed: they are
    /// recorded apart, at what the vendor noted or else at their estimate.
    fn uncertain(&self, noted: Option<Reported>) -> Usd {
        let estimate = || self.candidate.usd.checked_mul(u32::from(self.n)).unwrap_or(Usd::ZERO);
        let usd = noted.and_then(|noted| self.reported(&noted)).unwrap_or_else(estimate);
        self.book(Kind::Uncertain, usize::from(self.n), usd);
        usd
    }

    fn book(&self, kind: Kind, pictures: usize, usd: Usd) {
        if pictures == 0 && usd == Usd::ZERO {
            return;
        }
        let (provider, model) = (self.offer.provider.name.clone(), self.offer.model.name.clone());
        self.shared.ledger.paid(Account { provider, model, kind }, pictures as u64, usd);
    }
}
