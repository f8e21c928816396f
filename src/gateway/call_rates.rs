//! What a call takes of the rates (`rate:`) of its provider and its model, before it is sent.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::config::plan::{Model, Priority, Provider, Rate, TextModel};
use crate::rate_limit::{RateCharge, RateLimiter, RateUnit};

/// One in millionths.
const WHOLE_PPM: u32 = 1_000_000;

/// A call that would be sent now.
#[derive(Clone, Copy)]
pub struct RatedCall<'a> {
    provider: &'a Provider,
    model: (&'a str, Rate),
    priority: Priority,
    /// Pictures that it draws.
    pictures: u32,
    /// Calls that would be sent before it, and the pictures that they draw.
    before: (u32, u32),
}

impl<'a> RatedCall<'a> {
    /// One call that draws `pictures`.
    pub fn draw(provider: &'a Provider, model: &'a Model, pictures: u32, priority: Priority) -> RatedCall<'a> {
        RatedCall { provider, model: (&model.name, model.rate), priority, pictures, before: (0, 0) }
    }

    /// One call that writes.
    pub fn write(provider: &'a Provider, model: &'a TextModel, priority: Priority) -> RatedCall<'a> {
        RatedCall { provider, model: (&model.name, model.rate), priority, pictures: 0, before: (0, 0) }
    }

    /// Whether it uses anything of a rate.
    pub fn is_rated(&self) -> bool {
        let limited = |rate: Rate| rate != Rate::default();
        limited(self.provider.rate) || limited(self.model.1)
    }

    /// The same call after so many others, which draw so many pictures.
    pub fn after(self, before: (u32, u32)) -> RatedCall<'a> {
        RatedCall { before, ..self }
    }

    /// How long it takes until it could be sent; nothing, where it can be at once.
    pub fn ready_in(&self, rates: &RateLimiter, now: Instant) -> Duration {
        let (calls, pictures) = self.before;
        let waits = self.charges(now).into_iter().flatten().map(|(who, charge)| {
            let before = if charge.what == RateUnit::Images { pictures } else { calls };
            rates.ready_in(&who, charge, before, self.spared())
        });
        waits.max().unwrap_or_default()
    }

    /// Takes what it uses.
    ///
    /// # Errors
    /// How long it takes until so much has come back. Nothing is taken then.
    pub fn take(&self, rates: &RateLimiter, now: Instant) -> Result<(), Duration> {
        let charges: Vec<(String, RateCharge)> = self.charges(now).into_iter().flatten().collect();
        for (nth, (who, charge)) in charges.iter().enumerate() {
            if let Err(wait) = rates.take_sparing(who, *charge, self.spared()) {
                charges[..nth].iter().for_each(|(who, taken)| rates.give_back(who, *taken, now));
                return Err(wait);
            }
        }
        Ok(())
    }

    /// Gives back what was taken at `now` for a call that is not sent after all.
    pub fn give_back(&self, rates: &RateLimiter, now: Instant) {
        self.charges(now).into_iter().flatten().for_each(|(who, taken)| rates.give_back(&who, taken, now));
    }

    /// Batch leaves live's share of a minute's worth untouched.
    fn spared(&self) -> u32 {
        match self.priority {
            Priority::Live => 0,
            Priority::Batch => WHOLE_PPM.saturating_sub(self.provider.concurrency.shares.ppm(Priority::Batch)),
        }
    }

    /// Of which rates it uses how much.
    fn charges(&self, at: Instant) -> [Option<(String, RateCharge)>; 4] {
        let (model, of_model) = self.model;
        let of_provider = self.provider.rate;
        let charge = |what, per_minute: Option<NonZeroU32>, count| {
            let per_minute = per_minute.filter(|_| count > 0)?;
            Some(RateCharge { what, per_minute, count, at })
        };
        // Most offers have no rate, and pay for no name here.
        let provider = |charge: Option<RateCharge>| charge.map(|charge| (self.provider.name.clone(), charge));
        let whole =
            |charge: Option<RateCharge>| charge.map(|charge| (format!("{}/{model}", self.provider.name), charge));
        [
            provider(charge(RateUnit::Requests, of_provider.requests_per_minute, 1)),
            provider(charge(RateUnit::Images, of_provider.images_per_minute, self.pictures)),
            whole(charge(RateUnit::Requests, of_model.requests_per_minute, 1)),
            whole(charge(RateUnit::Images, of_model.images_per_minute, self.pictures)),
        ]
    }
}

/// The most pictures that a call may ask for at once: a minute's worth.
pub fn most_pictures(provider: &Provider, model: &Model) -> Option<u32> {
    let rates = [provider.rate.images_per_minute, model.rate.images_per_minute];
    rates.into_iter().flatten().min().map(NonZeroU32::get)
}
