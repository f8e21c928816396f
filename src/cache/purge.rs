//! Which kept pictures are to go, by an operator's word.

use std::time::{Duration, Instant};

use crate::cache::disk_tier::FromDisk;
use crate::cache::generated_picture::GeneratedPicture;
use crate::cache::pool_entry::PooledPicture;
use crate::canonical::Canonical;

/// What a picture must be to go: all that is given here at once. Where nothing is given, every picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgeSelector {
    /// The key of its canonical request, as `easel explain` tells it.
    pub key: Option<u128>,
    /// Whose it is.
    pub tenant: Option<String>,
    /// The route that it was drawn on.
    pub route: Option<String>,
    /// The provider that drew it.
    pub provider: Option<String>,
    /// The model that drew it, by its name at the provider.
    pub model: Option<String>,
    /// Its id.
    pub image: Option<String>,
    /// It has been kept for so long, or longer.
    pub older_than: Option<Duration>,
}

impl PurgeSelector {
    /// Whether a picture is one of those.
    pub(super) fn selects(&self, key: u128, canonical: &[u8], pooled: &PooledPicture, now: Instant) -> bool {
        self.is_met(key, canonical, &pooled.generated, now.saturating_duration_since(pooled.since))
    }

    /// Whether a picture on disk is one of those. `key` is that of its request.
    pub(super) fn selects_on_disk(&self, key: u128, canonical: &[u8], picture: &FromDisk) -> bool {
        self.is_met(key, canonical, &picture.generated, picture.age)
    }

    fn is_met(&self, key: u128, canonical: &[u8], generated: &GeneratedPicture, age: Duration) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let (tenant, route) = Canonical::owners(canonical).unwrap_or_default();
        let (provider, model) = generated.drawn_by.split_once('/').unwrap_or_default();
        self.key.is_none_or(|wanted| wanted == key)
            && is(&self.tenant, tenant)
            && is(&self.route, route)
            && is(&self.provider, provider)
            && is(&self.model, model)
            && is(&self.image, &generated.id)
            && self.older_than.is_none_or(|least| age >= least)
    }
}
