//! What the cache saved, added up in memory until it is written down: a hit takes microseconds, and a line in the ledger
//! for each would cost more than the hit. Nothing of it was paid, so that a process that is killed may forget a second
//! of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::calendar::Moment;
use crate::money::Usd;
use crate::store::Write;

/// Pictures that came from the cache.
#[derive(Clone, Copy, Debug)]
pub struct Saving<'a> {
    /// For whom.
    pub tenant: &'a Arc<str>,
    /// On which route.
    pub route: &'a str,
    /// From which part of the cache.
    pub tier: &'static str,
    /// How many.
    pub pictures: usize,
    /// What they cost when they were drawn.
    pub usd: Usd,
}

#[derive(Debug)]
struct SavedSum {
    route: Arc<str>,
    tier: &'static str,
    pictures: u32,
    usd: Usd,
}

/// Savings that are not written down yet, by tenant.
#[derive(Debug, Default)]
pub struct Savings(Mutex<HashMap<Arc<str>, Vec<SavedSum>>>);

impl Savings {
    /// Adds what a hit saved.
    pub fn add(&self, saving: Saving<'_>) {
        let Saving { tenant, route, tier, pictures, usd } = saving;
        let pictures = u32::try_from(pictures).unwrap_or(u32::MAX);
        let mut tenants = self.lock();
        if !tenants.contains_key(tenant) {
            tenants.insert(tenant.clone(), Vec::new());
        }
        let Some(sums) = tenants.get_mut(tenant) else { return };
        match sums.iter_mut().find(|sum| *sum.route == *route && sum.tier == tier) {
            Some(sum) => {
                sum.pictures = sum.pictures.saturating_add(pictures);
                sum.usd = sum.usd.saturating_add(usd);
            }
            None => sums.push(SavedSum { route: route.into(), tier, pictures, usd }),
        }
    }

    /// Takes everything out, to be written down as of `at`.
    pub fn take(&self, at: Moment) -> Vec<Write> {
        let tenants = std::mem::take(&mut *self.lock());
        let of = |(tenant, sums): (Arc<str>, Vec<SavedSum>)| {
            sums.into_iter().map(move |sum| {
                let SavedSum { route, tier, pictures, usd } = sum;
                Write::Saved { at, tenant: tenant.clone(), route, tier, pictures, usd }
            })
        };
        tenants.into_iter().flat_map(of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<SavedSum>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_of_one_tenant_on_one_route_are_one_line_and_are_written_once() {
        let (savings, web, at) = (Savings::default(), "web".into(), Moment::from_millis(7));
        let hit = |route| Saving { tenant: &web, route, tier: "exact", pictures: 2, usd: "0.08".parse().unwrap() };
        savings.add(hit("r"));
        savings.add(hit("r"));
        savings.add(hit("s"));
        let line = |route: &str, pictures, usd: &str| Write::Saved {
            at,
            tenant: web.clone(),
            route: route.into(),
            tier: "exact",
            pictures,
            usd: usd.parse().unwrap(),
        };
        assert_eq!(savings.take(at), [line("r", 4, "0.16"), line("s", 2, "0.08")]);
        assert_eq!(savings.take(at), []);
    }
}
