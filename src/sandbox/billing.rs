//! What each vendor was asked for and what it charges: the invoice that Easel's ledger must equal.
//!
//! A [`Billing`] counts calls in flight by guards, and adds up amounts exactly; a sum that does not fit is reported on
//! the invoice as a violation, never rounded. It knows nothing of wire formats.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use tokio::sync::watch;

use crate::money::{self, Usd};
use crate::sandbox::settings::{Name, PerVendor};

/// How many violations an invoice spells out; `violations_total` counts on.
const SPELLED_OUT: usize = 200;

/// What one vendor did and charges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// Calls that ask for pictures (for text or vectors, where nothing is drawn), whatever became of them. Polls, lists and downloads are
    /// not among them.
    pub calls: u64,
    /// Pictures drawn, answered and charged.
    pub pictures: u64,
    /// How many of `pictures` were withheld for their content (blurred) and are charged all the same.
    pub refused_billed: u64,
    /// The sum of what is charged.
    #[serde(serialize_with = "as_text")]
    pub usd: Usd,
    /// Calls being worked on now; a Replicate prediction counts until it ends.
    pub in_flight: u32,
    /// The largest `in_flight` seen.
    pub max_in_flight: u32,
    /// Requests this vendor does not take: wrong key, unknown field, wrong type. Faults and refusals are not among
    /// them. The first 200, each with the status and body that was answered.
    pub violations: Vec<String>,
    /// All violations.
    pub violations_total: u64,
    /// Pictures and amounts by model.
    pub by_model: BTreeMap<String, Line>,
}

/// What one model cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Pictures charged.
    pub pictures: u64,
    /// Their sum.
    #[serde(serialize_with = "as_text")]
    pub usd: Usd,
}

/// All vendors' bills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invoice {
    /// Each vendor's.
    #[serde(flatten)]
    pub vendors: PerVendor<Bill>,
    /// Their sum; `None` when it does not fit.
    #[serde(serialize_with = "as_maybe_text")]
    pub total: Option<Usd>,
}

impl Invoice {
    pub(super) fn of(vendors: PerVendor<Bill>) -> Invoice {
        let total = money::sum(Name::ALL.map(|name| vendors.get(name).usd));
        Invoice { vendors, total }
    }

    /// The bill of `vendor`.
    pub fn vendor(&self, vendor: Name) -> &Bill {
        self.vendors.get(vendor)
    }
}

fn as_text<S: Serializer>(usd: &Usd, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(usd)
}

fn as_maybe_text<S: Serializer>(usd: &Option<Usd>, out: S) -> Result<S::Ok, S::Error> {
    match usd {
        Some(usd) => out.collect_str(usd),
        None => out.serialize_none(),
    }
}

/// One vendor's running bill, shared by its calls.
#[derive(Clone, Debug)]
pub(super) struct Billing(Arc<watch::Sender<Bill>>);

impl Billing {
    pub(super) fn new() -> Billing {
        Billing(Arc::new(watch::Sender::new(Bill::default())))
    }

    /// The bill as it stands.
    pub(super) fn bill(&self) -> Bill {
        self.0.borrow().clone()
    }

    /// Waits until the bill is as `wanted`.
    pub(super) async fn until(&self, wanted: impl FnMut(&Bill) -> bool) -> Bill {
        // The sender lives as long as `self`, so waiting cannot fail.
        match self.0.subscribe().wait_for(wanted).await {
            Ok(bill) => bill.clone(),
            Err(_) => self.bill(),
        }
    }

    /// Counts a call and holds its place in flight.
    pub(super) fn begin_call(&self) -> CallGuard {
        self.0.send_modify(|bill| {
            bill.calls += 1;
            bill.in_flight += 1;
            bill.max_in_flight = bill.max_in_flight.max(bill.in_flight);
        });
        CallGuard(self.clone())
    }

    /// Charges `count` pictures of `model` at `price` each, `refused` of them withheld. `None` when the sum does not
    /// fit; nothing is charged then, and the invoice says so.
    pub(super) fn charge(&self, model: &str, price: Usd, count: u32, refused: u32) -> Option<Usd> {
        let mut charged = None;
        self.0.send_modify(|bill| {
            charged = bill.add(model, price, count);
            if charged.is_some() {
                bill.refused_billed += u64::from(refused);
            } else {
                bill.complain("the bill does not fit; this sandbox charges no more".to_owned());
            }
        });
        charged
    }

    /// Charges a call of `model` at one price, and `count` pictures with it. `None` when the sum does not fit, as with
    /// pictures.
    pub(super) fn charge_call(&self, model: &str, usd: Usd, count: u32) -> Option<()> {
        let mut charged = None;
        self.0.send_modify(|bill| {
            charged = bill.add_amount(model, usd, count);
            if charged.is_none() {
                bill.complain("the bill does not fit; this sandbox charges no more".to_owned());
            }
        });
        charged
    }

    /// Charges text that `model` wrote, which is no picture. `None` when the sum does not fit, as with pictures.
    pub(super) fn charge_text(&self, model: &str, usd: Usd) -> Option<()> {
        self.charge_call(model, usd, 0)
    }

    /// Notes a request that this vendor does not take.
    pub(super) fn complain(&self, violation: String) {
        self.0.send_modify(|bill| bill.complain(violation));
    }

    /// A new bill. Calls in flight stay in flight.
    pub(super) fn reset(&self) {
        self.0.send_modify(|bill| {
            let in_flight = bill.in_flight;
            *bill = Bill { in_flight, max_in_flight: in_flight, ..Bill::default() };
        });
    }
}

impl Bill {
    fn add(&mut self, model: &str, price: Usd, count: u32) -> Option<Usd> {
        let amount = price.checked_mul(count)?;
        self.add_amount(model, amount, count)?;
        Some(amount)
    }

    fn add_amount(&mut self, model: &str, amount: Usd, count: u32) -> Option<()> {
        let sum = self.usd.checked_add(amount)?;
        let line = self.by_model.entry(model.to_owned()).or_default();
        line.usd = line.usd.checked_add(amount)?;
        line.pictures += u64::from(count);
        self.usd = sum;
        self.pictures += u64::from(count);
        Some(())
    }

    fn complain(&mut self, violation: String) {
        self.violations_total += 1;
        if self.violations.len() < SPELLED_OUT {
            self.violations.push(violation);
        }
    }
}

/// A call's place in flight; given back when it is dropped.
#[derive(Debug)]
pub(super) struct CallGuard(Billing);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|bill| bill.in_flight -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_flight_is_given_back_and_the_largest_number_is_remembered() {
        let billing = Billing::new();
        let (first, second) = (billing.begin_call(), billing.begin_call());
        drop(first);
        let third = billing.begin_call();
        assert_eq!((billing.bill().in_flight, billing.bill().max_in_flight, billing.bill().calls), (2, 2, 3));
        drop((second, third));
        assert_eq!((billing.bill().in_flight, billing.bill().max_in_flight), (0, 2));
    }

    #[test]
    fn a_reset_keeps_what_is_still_in_flight() {
        let billing = Billing::new();
        let guard = billing.begin_call();
        billing.charge("core", Usd::from_nanos(3), 1, 0);
        billing.reset();
        assert_eq!(billing.bill(), Bill { in_flight: 1, max_in_flight: 1, ..Bill::default() });
        drop(guard);
        assert_eq!(billing.bill().in_flight, 0);
    }

    #[test]
    fn the_invoice_is_the_exact_sum_of_its_lines() {
        let all = PerVendor::<()>::default().map(|_, ()| Billing::new());
        all.openai.charge("gpt-image-2", Usd::from_nanos(53_000_001), 3, 0);
        all.openai.charge("dall-e-3", Usd::from_nanos(1), 1, 0);
        all.stability.charge("core", Usd::from_nanos(30_000_000), 2, 1);
        let invoice = Invoice::of(all.map(|_, billing| billing.bill()));
        assert_eq!(invoice.vendor(Name::OpenAi).by_model["gpt-image-2"].usd, Usd::from_nanos(159_000_003));
        assert_eq!(invoice.vendor(Name::OpenAi).usd, Usd::from_nanos(159_000_004));
        assert_eq!(invoice.vendor(Name::Stability).refused_billed, 1);
        assert_eq!(invoice.total, Some(Usd::from_nanos(219_000_004)));
        let json = serde_json::to_value(&invoice).unwrap();
        assert_eq!((json["total"].as_str(), json["stability"]["usd"].as_str()), (Some("0.219000004"), Some("0.06")));
    }

    #[test]
    fn a_sum_that_does_not_fit_is_told_and_not_charged() {
        let billing = Billing::new();
        assert_eq!(billing.charge("m", Usd::from_nanos(i64::MAX), 2, 0), None);
        assert_eq!((billing.bill().usd, billing.bill().pictures, billing.bill().violations_total), (Usd::ZERO, 0, 1));
    }
}
