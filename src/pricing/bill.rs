//! What a call was charged: the vendor's own word, what it counted, the table, the estimate, in this order.
//!
//! Each amount is said with where it comes from, so that the ledger marks what nobody told. How many pictures were
//! charged without one to show for it is decided elsewhere (`undelivered.rs`); here they are only priced.

use crate::capabilities::{BilledSize, FittedRequest, ModelDefaults, OutputSize, Tier};
use crate::image::Size;
use crate::money::Usd;
use crate::pricing::Price;
use crate::pricing::charged_amount::{ChargedAmount, CostSource};
use crate::pricing::metered_usage::{Reported, Usage};
use crate::request::{ImageRequest, Quality};

/// What is known of a call when its bill is reckoned.
#[derive(Clone, Copy, Debug)]
pub struct BillInput<'a> {
    /// The model's price.
    pub price: &'a Price,
    /// The request.
    pub request: &'a ImageRequest,
    /// How it was fitted to the model.
    pub fitted: &'a FittedRequest,
    /// What the model draws unasked, and by which size it bills.
    pub usual: ModelDefaults,
    /// The quality that was sent.
    pub sent_quality: Option<Quality>,
    /// What a picture is listed at, where its own price cannot be found.
    pub listed: Usd,
}

impl BillInput<'_> {
    /// What is charged for pictures of these sizes and for `lost` others, whose size may be known: by the provider's own
    /// word, by what it counted, or by the picture.
    pub fn amount(&self, pictures: &[Size], lost: &[Option<Size>], usage: &Usage) -> (CostSource, ChargedAmount) {
        let billed = u32::try_from(pictures.len() + lost.len()).unwrap_or(u32::MAX);
        let drawn = !pictures.is_empty() || lost.iter().any(Option::is_some);
        let reported = usage.reported.as_ref().and_then(|reported| self.reported(reported));
        let counted = || self.counted(drawn, billed, usage);
        let total = reported.map(|usd| (CostSource::Reported, usd)).or_else(|| Some((CostSource::Usage, counted()?)));
        let charged = |usd: &Usd| *usd > Usd::ZERO || billed > 0;
        let total = total.and_then(|(source, usd)| {
            let fee = if charged(&usd) { self.price.fee } else { Usd::ZERO };
            Some((source, usd.checked_add(fee)?))
        });
        match total {
            Some((source, usd)) => (source, ChargedAmount::Total { usd, billed }),
            None => self.by_the_picture(pictures, lost, usage),
        }
    }

    /// What the provider says the call costs, in dollars, with what a reseller adds; nonsense is nothing.
    pub fn reported(&self, reported: &Reported) -> Option<Usd> {
        let price = self.price;
        let usd = match reported {
            Reported::Dollars(text) => Usd::rounded(text).ok()?,
            Reported::Cents(text) => Usd::rounded_cents(text).ok()?,
            Reported::Units(text) => price.per_unit?.times(text)?,
        };
        usd.with_markup(price.markup_ppm).filter(|usd| *usd >= Usd::ZERO)
    }

    /// What the provider counted, priced; `None` where it counted nothing that has a price.
    pub fn counted(&self, drawn: bool, billed: u32, usage: &Usage) -> Option<Usd> {
        let price = self.price;
        // Resellers fill the place of a count with zeros; no picture is made of no token.
        let tokens =
            usage.counted.tokens.as_ref().filter(|tokens| !drawn || tokens.image_out > 0 || tokens.text_out > 0);
        let by_tokens = tokens.and_then(|tokens| price.by_tokens(self.request, tokens, billed));
        let by_seconds = || price.by_seconds(self.request, usage.counted.seconds.as_deref()?, billed);
        by_tokens.or_else(by_seconds)
    }

    /// Each picture at its price; where a meter should have told it, or nobody told what decides it, that is an
    /// estimate.
    fn by_the_picture(&self, pictures: &[Size], lost: &[Option<Size>], usage: &Usage) -> (CostSource, ChargedAmount) {
        let model = self.price;
        let mut source = if model.meter.is_some() { CostSource::Estimate } else { CostSource::Table };
        let mut price = |picture: Option<Size>| {
            let (usd, is_a_guess) = self.picture(picture, usage).unwrap_or((self.listed, true));
            if is_a_guess {
                source = CostSource::Estimate;
            }
            usd
        };
        let mut delivered: Vec<Usd> = pictures.iter().map(|picture| price(Some(*picture))).collect();
        let mut lost: Vec<Usd> = lost.iter().map(|size| price(*size)).collect();
        // The call's fee stands on its first picture; one that does not fit is no amount at all.
        if let Some(first) = delivered.iter_mut().chain(&mut lost).next() {
            *first = first.checked_add(model.fee).unwrap_or(Usd::from_nanos(i64::MAX));
        }
        (source, ChargedAmount::Pictures { delivered, lost })
    }

    /// The price of one picture as billed, and whether it is a guess: by the first size that the table has. `None`
    /// where it has none of them.
    fn picture(&self, picture: Option<Size>, usage: &Usage) -> Option<(Usd, bool)> {
        let quality = usage.quality.or(self.sent_quality).or(self.usual.quality);
        let sizes = sizes(usage.size, self.fitted, self.usual, picture);
        // A table without sizes prices a picture of which none is known.
        let sizes = sizes.into_iter().flatten().map(Some).chain([None]);
        sizes.into_iter().find_map(|size| self.price.billed(self.request, size, quality))
    }
}

/// What may be the size on the bill, the likeliest first: the one that the vendor tells, the tier that was asked for,
/// then what was asked, or what is drawn unasked, and what came, in the vendor's order.
fn sizes(told: Option<Size>, fitted: &FittedRequest, usual: ModelDefaults, drawn: Option<Size>) -> [Option<Size>; 5] {
    // Of a shape the model decides the pixels.
    let asked = match fitted.output_size {
        OutputSize::Pixels(size) => Some(size),
        OutputSize::Default => usual.size,
        OutputSize::Ratio { .. } => None,
    };
    let [first, second] = match usual.billed {
        BilledSize::Asked => [asked, drawn],
        BilledSize::Drawn => [drawn, asked],
    };
    [told, fitted.tier.map(Tier::square), first, second, fitted.output_size.nominal()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(output_size: OutputSize) -> FittedRequest {
        FittedRequest { output_size, tier: None, quality: None, format: None, partials: 0, adjusted: Vec::new() }
    }

    #[test]
    fn the_bill_is_by_what_is_told_then_by_what_the_vendor_bills() {
        let [asked, drawn, told, usual] = [1024, 512, 2048, 256].map(|side| Size::new(side, side));
        let pixels = fitted(OutputSize::Pixels(asked));
        let first =
            |told, fitted: &FittedRequest, usual, drawn| sizes(told, fitted, usual, drawn).into_iter().flatten().next();
        let by = |billed| ModelDefaults { billed, ..ModelDefaults::default() };
        assert_eq!(first(None, &pixels, by(BilledSize::Asked), Some(drawn)), Some(asked));
        assert_eq!(first(None, &pixels, by(BilledSize::Drawn), Some(drawn)), Some(drawn));
        assert_eq!(first(Some(told), &pixels, by(BilledSize::Asked), Some(drawn)), Some(told));
        assert_eq!(first(None, &pixels, by(BilledSize::Drawn), None), Some(asked), "a lost picture has no size");
        let unasked = fitted(OutputSize::Default);
        let has_one = ModelDefaults { size: Some(usual), ..ModelDefaults::default() };
        assert_eq!(first(None, &unasked, has_one, Some(drawn)), Some(usual));
        assert_eq!(first(None, &unasked, ModelDefaults::default(), Some(drawn)), Some(drawn));
        let shape = fitted(OutputSize::Ratio { across: 1, down: 1, asked, pixels: 1 });
        assert_eq!(first(None, &shape, by(BilledSize::Asked), Some(drawn)), Some(drawn));
        assert_eq!(first(None, &shape, by(BilledSize::Asked), None), Some(asked));
    }

    #[test]
    fn what_a_provider_reports_counts_with_the_markup_and_less_than_nothing_or_nonsense_does_not() {
        let price = Price {
            markup_ppm: 100_000,
            per_unit: Some(Usd::from_nanos(3)),
            ..Price::flat(Usd::from_nanos(50_000_000))
        };
        let request = ImageRequest::from_json(br#"{"prompt": "a fox"}"#).unwrap();
        let (fitted, usual, listed) = (fitted(OutputSize::Default), ModelDefaults::default(), Usd::ZERO);
        let input = BillInput { price: &price, request: &request, fitted: &fitted, usual, sent_quality: None, listed };
        let dollars = |text: &str| input.reported(&Reported::Dollars(text.to_owned())).map(Usd::nanos);
        assert_eq!([dollars("0.04"), dollars("0")], [44_000_000, 0].map(Some));
        assert_eq!([dollars("-0.04"), dollars("free")], [None; 2]);
        assert_eq!(input.reported(&Reported::Cents("4".to_owned())).map(Usd::nanos), Some(44_000_000));
        assert_eq!(input.reported(&Reported::Units("10".to_owned())).map(Usd::nanos), Some(33));
    }
}
