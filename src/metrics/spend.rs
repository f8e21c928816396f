//! What was paid, out of the ledger.

use std::sync::Arc;

use prometheus::CounterVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::ledger::{Ledger, SpendKind};
use crate::metrics::naming::opts;
use crate::metrics::units::dollars;

/// Reads the ledger at every scrape, so that the exact integers are what is reported.
pub struct SpendCollector {
    ledger: Arc<Ledger>,
    descriptions: Vec<Desc>,
}

impl SpendCollector {
    /// Of this ledger.
    pub fn new(ledger: Arc<Ledger>) -> Result<SpendCollector, prometheus::Error> {
        let (spend, unsure, saved) = (spend_counters()?, unsure_counters()?, saved_counters()?);
        let prepaid = prepaid_counters()?;
        let (routes, tenants) = (route_counters()?, tenant_counters()?);
        let all = [&spend, &unsure, &prepaid, &saved, &routes, &tenants];
        let descriptions = all.into_iter().flat_map(|counters| counters.desc()).cloned().collect();
        Ok(SpendCollector { ledger, descriptions })
    }
}

fn spend_counters() -> Result<CounterVec, prometheus::Error> {
    CounterVec::new(opts("spend_usd_total", "Dollars paid to providers."), &["provider", "model", "kind"])
}

fn unsure_counters() -> Result<CounterVec, prometheus::Error> {
    let help = "Dollars, as noted or estimated, of calls that were never answered, or by something that says nothing, \
                and jobs that were lost.";
    CounterVec::new(opts("possibly_billed_usd_total", help), &["provider", "model"])
}

fn prepaid_counters() -> Result<CounterVec, prometheus::Error> {
    let help = "Dollars taken from commitments instead of being charged.";
    CounterVec::new(opts("prepaid_usd_total", help), &["provider", "model"])
}

fn route_counters() -> Result<CounterVec, prometheus::Error> {
    CounterVec::new(opts("route_spend_usd_total", "Dollars paid to providers, by route."), &["route"])
}

fn tenant_counters() -> Result<CounterVec, prometheus::Error> {
    CounterVec::new(opts("tenant_spend_usd_total", "Dollars paid to providers, by client."), &["tenant"])
}

fn saved_counters() -> Result<CounterVec, prometheus::Error> {
    CounterVec::new(opts("saved_usd_total", "Dollars not spent thanks to the cache."), &["tier"])
}

impl Collector for SpendCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (Ok(spend), Ok(unsure), Ok(saved)) = (spend_counters(), unsure_counters(), saved_counters()) else {
            return Vec::new();
        };
        let (Ok(prepaid), Ok(routes), Ok(tenants)) = (prepaid_counters(), route_counters(), tenant_counters()) else {
            return Vec::new();
        };
        for (account, total) in self.ledger.totals() {
            let (provider, model) = (account.provider.as_str(), account.model.as_str());
            match account.kind {
                SpendKind::Uncertain => unsure.with_label_values(&[provider, model]).inc_by(dollars(total.usd)),
                SpendKind::Prepaid => prepaid.with_label_values(&[provider, model]).inc_by(dollars(total.usd)),
                kind => spend.with_label_values(&[provider, model, kind.as_str()]).inc_by(dollars(total.usd)),
            }
        }
        for (route, usd) in self.ledger.spent_by_route() {
            routes.with_label_values(&[&*route]).inc_by(dollars(usd));
        }
        for (tenant, usd) in self.ledger.spent_by_tenant() {
            tenants.with_label_values(&[&*tenant]).inc_by(dollars(usd));
        }
        // From the first scrape on, also before the first hit.
        saved.with_label_values(&["exact"]).inc_by(0.0);
        for (tier, usd) in self.ledger.saved_by_tier() {
            saved.with_label_values(&[tier]).inc_by(dollars(usd));
        }
        // A family without a single sample is not valid exposition text.
        let all = [&saved, &spend, &unsure, &prepaid, &routes, &tenants];
        let families = all.into_iter().flat_map(|counters| counters.collect());
        families.filter(|family| !family.get_metric().is_empty()).collect()
    }
}
