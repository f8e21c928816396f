//! What all requests to the sandbox share: settings, dice, bills, and the work that was taken on.

use std::sync::{Arc, Mutex};

use fastrand::Rng;

use crate::sandbox::billing::{Billing, Invoice};
use crate::sandbox::lock::lock;
use crate::sandbox::replicate::predictions::Predictions;
use crate::sandbox::settings::{Name, PerVendor, Settings, Vendor};
use crate::sandbox::shelf::Shelf;
use crate::sandbox::tasks::Tasks;
use crate::sandbox::tokens::Given;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) url: String,
    pub(super) start: Settings,
    books: PerVendor<Book>,
    pub(super) shelf: Shelf,
    pub(super) predictions: Predictions,
}

/// One vendor's settings, dice, billing, tasks and tokens.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) settings: Mutex<Arc<Vendor>>,
    pub(super) dice: Mutex<Rng>,
    pub(super) billing: Billing,
    pub(super) tasks: Tasks,
    pub(super) tokens: Given,
}

impl Desk {
    pub(super) fn new(url: String, start: Settings) -> Desk {
        let book = |name, vendor: &Vendor| Book {
            settings: Mutex::new(Arc::new(vendor.clone())),
            dice: Mutex::new(dice(&start, name)),
            billing: Billing::new(),
            tasks: Tasks::default(),
            tokens: Given::default(),
        };
        let books = start.vendors.map(book);
        Desk { url, start, books, shelf: Shelf::default(), predictions: Predictions::default() }
    }

    pub(super) fn book(&self, name: Name) -> &Book {
        self.books.get(name)
    }

    pub(super) fn settings(&self, name: Name) -> Arc<Vendor> {
        Arc::clone(&lock(&self.book(name).settings))
    }

    pub(super) fn set(&self, name: Name, change: impl FnOnce(&mut Vendor)) {
        change(Arc::make_mut(&mut lock(&self.book(name).settings)));
    }

    /// Ends all work that was taken on, uncharged.
    pub(super) fn stop(&self) {
        self.predictions.stop();
        for name in Name::ALL {
            self.book(name).tasks.stop();
        }
    }

    pub(super) fn invoice(&self) -> Invoice {
        Invoice::of(self.books.map(|_, book| book.billing.bill()))
    }

    pub(super) fn reset(&self) {
        for name in Name::ALL {
            let book = self.book(name);
            *lock(&book.settings) = Arc::new(self.start.vendors.get(name).clone());
            *lock(&book.dice) = dice(&self.start, name);
            book.billing.reset();
        }
    }
}

/// A vendor's own generator, so that traffic at one vendor does not change another's luck.
pub(super) fn dice(settings: &Settings, name: Name) -> Rng {
    let lane = name.word().bytes().fold(0u64, |lane, byte| lane.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Rng::with_seed(settings.seed ^ lane)
}
