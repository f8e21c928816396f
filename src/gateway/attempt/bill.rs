//! What an attempt was charged: the vendor's own word, what it counted, the table, the estimate, in this order.
//!
//! Each amount is said with where it comes from, so that the ledger marks what nobody told. What was charged without a
//! picture to show for it is decided elsewhere; here it is only priced.

use crate::abilities::Tier;
use crate::gateway::attempt::Attempt;
use crate::image::Picture;
use crate::ledger::Amount;
use crate::ledger::entry::Source;
use crate::money::Usd;
use crate::provider::{Reported, Usage};

impl Attempt {
    /// What is charged: by the provider's own word, by what it counted, or by the picture.
    pub(super) fn amount(&self, pictures: &[Picture], lost: usize, usage: &Usage) -> (Source, Amount) {
        let billed = u32::try_from(pictures.len() + lost).unwrap_or(u32::MAX);
        let reported = usage.reported.as_ref().and_then(|reported| self.reported(reported));
        let counted = || self.counted(!pictures.is_empty(), billed, usage);
        let total = reported.map(|usd| (Source::Reported, usd)).or_else(|| Some((Source::Usage, counted()?)));
        let charged = |usd: &Usd| *usd > Usd::ZERO || billed > 0;
        let total = total.and_then(|(source, usd)| {
            let fee = if charged(&usd) { self.offer.model.price.fee } else { Usd::ZERO };
            Some((source, usd.checked_add(fee)?))
        });
        match total {
            Some((source, usd)) => (source, Amount::Total { usd, billed }),
            None => self.by_the_picture(pictures, lost, usage),
        }
    }

    /// What the provider says the call costs, in dollars, with what a reseller adds; nonsense is nothing.
    pub(super) fn reported(&self, reported: &Reported) -> Option<Usd> {
        let price = &self.offer.model.price;
        let usd = match reported {
            Reported::Dollars(text) => Usd::rounded(text).ok()?,
            Reported::Cents(text) => Usd::rounded_cents(text).ok()?,
            Reported::Units(text) => price.per_unit?.times(text)?,
        };
        usd.with_markup(price.markup_ppm).filter(|usd| *usd >= Usd::ZERO)
    }

    /// What the provider counted, priced; `None` where it counted nothing that has a price.
    fn counted(&self, drawn: bool, billed: u32, usage: &Usage) -> Option<Usd> {
        let price = &self.offer.model.price;
        // Resellers fill the place of a count with zeros; no picture is made of no token.
        let tokens =
            usage.counted.tokens.as_ref().filter(|tokens| !drawn || tokens.image_out > 0 || tokens.text_out > 0);
        let by_tokens = tokens.and_then(|tokens| price.by_tokens(&self.request, tokens, billed));
        let by_seconds = || price.by_seconds(&self.request, usage.counted.seconds.as_deref()?, billed);
        by_tokens.or_else(by_seconds)
    }

    /// Each picture at its price; where a meter should have told it, that is an estimate.
    fn by_the_picture(&self, pictures: &[Picture], lost: usize, usage: &Usage) -> (Source, Amount) {
        let model = &self.offer.model.price;
        let mut source = if model.meter.is_some() { Source::Estimate } else { Source::Table };
        let mut price = |picture: Option<&Picture>| {
            self.price(picture, usage).unwrap_or_else(|| {
                source = Source::Estimate;
                let fitted = &self.candidate.fitted;
                let reckoned = model.per_picture(&self.request, fitted.priced(), fitted.quality);
                reckoned.unwrap_or(self.candidate.listed)
            })
        };
        let mut delivered: Vec<Usd> = pictures.iter().map(|picture| price(Some(picture))).collect();
        let mut lost: Vec<Usd> = (0..lost).map(|_| price(None)).collect();
        // The call's fee stands on its first picture; one that does not fit is no amount at all.
        if let Some(first) = delivered.iter_mut().chain(&mut lost).next() {
            *first = first.checked_add(model.fee).unwrap_or(Usd::from_nanos(i64::MAX));
        }
        (source, Amount::Pictures { delivered, lost })
    }

    /// The price of one picture as billed: by the size and quality the provider echoes, else by the tier that was
    /// asked for, else as measured, else as asked. `None` where the table has none of them.
    fn price(&self, picture: Option<&Picture>, usage: &Usage) -> Option<Usd> {
        let price = &self.offer.model.price;
        let quality = usage.quality.or(self.candidate.fitted.quality);
        let fitted = &self.candidate.fitted;
        let tier = fitted.tier.map(Tier::square);
        let sizes = [usage.size, tier, picture.map(|picture| picture.size), fitted.frame.nominal()];
        sizes.into_iter().flatten().find_map(|size| price.per_picture(&self.request, Some(size), quality))
    }
}
