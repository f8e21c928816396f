//! What an accepted picture costs, and how many were accepted.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec};

use crate::ledger::entry::Verdict;
use crate::ledger::sliding_window::Cost;
use crate::metrics::naming::opts;
use crate::metrics::units::dollars;

/// Asks at every scrape what accepted pictures cost, so that the exact sums are what is divided.
pub struct AcceptedCost {
    costs: Box<dyn Fn() -> Vec<Cost> + Send + Sync>,
    descriptions: Vec<Desc>,
}

impl AcceptedCost {
    /// `costs` is asked at every scrape.
    pub fn new(costs: impl Fn() -> Vec<Cost> + Send + Sync + 'static) -> Result<AcceptedCost, prometheus::Error> {
        let (cost, images) = (cost_gauges()?, window_gauges()?);
        let descriptions = cost.desc().into_iter().chain(images.desc()).cloned().collect();
        Ok(AcceptedCost { costs: Box::new(costs), descriptions })
    }
}

fn cost_gauges() -> Result<GaugeVec, prometheus::Error> {
    let help = "Dollars paid for everything, divided by the pictures that were accepted.";
    GaugeVec::new(opts("cost_per_accepted_usd", help), &["by", "name", "window"])
}

fn window_gauges() -> Result<IntGaugeVec, prometheus::Error> {
    let help = "Pictures that came in a window, by what is held of them now.";
    IntGaugeVec::new(opts("window_images", help), &["by", "name", "window", "verdict"])
}

impl Collector for AcceptedCost {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (Ok(costs), Ok(images)) = (cost_gauges(), window_gauges()) else { return Vec::new() };
        for Cost { by, name, window, usd, accepted, rejected } in (self.costs)() {
            if let Some(usd) = usd {
                costs.with_label_values(&[by.as_str(), &name, window]).set(dollars(usd));
            }
            for (verdict, count) in [(Verdict::Accepted, accepted), (Verdict::Rejected, rejected)] {
                let labels = [by.as_str(), &name, window, verdict.as_str()];
                images.with_label_values(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        let families = costs.collect().into_iter().chain(images.collect());
        families.filter(|family| !family.get_metric().is_empty()).collect()
    }
}
