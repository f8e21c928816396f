//! What all requests to the sandbox share: settings, random generators, bills, and accepted tasks.

use std::sync::{Arc, Mutex};

use fastrand::Rng;

use crate::sandbox::access_tokens::TokenStore;
use crate::sandbox::billing::{Billing, Invoice};
use crate::sandbox::lock::lock;
use crate::sandbox::picture_links::PictureLinks;
use crate::sandbox::replicate::prediction_state::Predictions;
use crate::sandbox::settings::{Name, PerVendor, Settings, Vendor};
use crate::sandbox::tasks::Tasks;

/// What all requests share.
#[derive(Debug)]
pub(super) struct SandboxState {
    pub(super) url: String,
    pub(super) start: Settings,
    vendor_states: PerVendor<VendorState>,
    pub(super) picture_links: PictureLinks,
    pub(super) predictions: Predictions,
}

/// One vendor's settings, random generator, billing, tasks and tokens.
#[derive(Debug)]
pub(super) struct VendorState {
    pub(super) settings: Mutex<Arc<Vendor>>,
    pub(super) rng: Mutex<Rng>,
    pub(super) billing: Billing,
    pub(super) tasks: Tasks,
    pub(super) tokens: TokenStore,
}

impl SandboxState {
    pub(super) fn new(url: String, start: Settings) -> SandboxState {
        let vendor_state = |name, vendor: &Vendor| VendorState {
            settings: Mutex::new(Arc::new(vendor.clone())),
            rng: Mutex::new(vendor_rng(&start, name)),
            billing: Billing::new(),
            tasks: Tasks::default(),
            tokens: TokenStore::default(),
        };
        let vendor_states = start.vendors.map(vendor_state);
        SandboxState {
            url,
            start,
            vendor_states,
            picture_links: PictureLinks::default(),
            predictions: Predictions::default(),
        }
    }

    pub(super) fn vendor_state(&self, name: Name) -> &VendorState {
        self.vendor_states.get(name)
    }

    pub(super) fn settings(&self, name: Name) -> Arc<Vendor> {
        Arc::clone(&lock(&self.vendor_state(name).settings))
    }

    pub(super) fn set(&self, name: Name, change: impl FnOnce(&mut Vendor)) {
        change(Arc::make_mut(&mut lock(&self.vendor_state(name).settings)));
    }

    /// Ends all accepted tasks and predictions, uncharged.
    pub(super) fn stop(&self) {
        self.predictions.stop();
        for name in Name::ALL {
            self.vendor_state(name).tasks.stop();
        }
    }

    pub(super) fn invoice(&self) -> Invoice {
        Invoice::of(self.vendor_states.map(|_, vendor_state| vendor_state.billing.bill()))
    }

    pub(super) fn reset(&self) {
        for name in Name::ALL {
            let vendor_state = self.vendor_state(name);
            *lock(&vendor_state.settings) = Arc::new(self.start.vendors.get(name).clone());
            *lock(&vendor_state.rng) = vendor_rng(&self.start, name);
            vendor_state.billing.reset();
        }
    }
}

/// A vendor's own random generator, so that traffic at one vendor does not change what another one does.
pub(super) fn vendor_rng(settings: &Settings, name: Name) -> Rng {
    let lane = name.as_str().bytes().fold(0u64, |lane, byte| lane.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Rng::with_seed(settings.seed ^ lane)
}
