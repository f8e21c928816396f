//! Holds a client to the requests and pictures that it may ask for in a minute.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::plan::Client;
use crate::error::{Error, ErrorKind};
use crate::gateway::caller::Caller;
use crate::gateway::outcome::Outcome;
use crate::rate_limit::{RateCharge, RateExceeded, RateLimiter, RateUnit};

/// What a request used of its client's rate; given back unless the request came to something. Of what vendors refused
/// not all is given back.
pub struct Allowance<'a> {
    rates: &'a RateLimiter,
    client: Option<Arc<Client>>,
    taken: Vec<RateCharge>,
}

impl<'a> Allowance<'a> {
    /// Uses one request and `pictures` of what `caller` may ask for in a minute.
    pub fn take(rates: &'a RateLimiter, caller: &Caller, pictures: u8, now: Instant) -> Result<Allowance<'a>, Error> {
        let mut allowance = Allowance { rates, client: caller.client.clone(), taken: Vec::new() };
        let Some(client) = &caller.client else { return Ok(allowance) };
        let limits = [
            (RateUnit::Requests, client.rate.requests_per_minute, 1),
            (RateUnit::Images, client.rate.images_per_minute, u32::from(pictures)),
        ];
        for (what, per_minute, count) in limits {
            let Some(per_minute) = per_minute else { continue };
            // What was taken before is given back when the allowance is dropped.
            rates.take(&client.name, what, per_minute, count, now).map_err(|wait| too_much(what, per_minute, wait))?;
            allowance.taken.push(RateCharge { what, per_minute, count, at: now });
        }
        Ok(allowance)
    }

    /// Keeps what was taken for a request that brought pictures, or gives it back.
    pub fn settle(mut self, outcome: &Outcome) {
        let refused = |error: &Error| matches!(error.kind, ErrorKind::Refused | ErrorKind::InvalidRequest);
        match &outcome.result {
            Ok(_) => self.taken.clear(),
            Err(error) if outcome.attempts > 0 && refused(error) => self.give_back(RateLimiter::forgive),
            Err(_) => {}
        }
    }

    fn give_back(&mut self, how: impl Fn(&RateLimiter, &str, RateCharge, Instant)) {
        let Some(client) = &self.client else { return };
        let now = Instant::now();
        self.taken.drain(..).for_each(|taken| how(self.rates, &client.name, taken, now));
    }
}

impl Drop for Allowance<'_> {
    fn drop(&mut self) {
        self.give_back(RateLimiter::give_back);
    }
}

fn too_much(what: RateUnit, per_minute: NonZeroU32, wait: RateExceeded) -> Error {
    let what = match what {
        RateUnit::Images => "pictures",
        RateUnit::Requests => "requests",
    };
    match wait {
        RateExceeded::RetryAfter(time) => {
            let message = format!("This client may ask for {per_minute} {what} a minute, and has done so.");
            // A fraction of a second is no time to name.
            Error::new(ErrorKind::RateLimited, message).with_retry_after(time.max(Duration::from_secs(1)))
        }
        RateExceeded::TooMuch => {
            let message = format!("This client may ask for {per_minute} {what} a minute: ask for fewer at once.");
            Error::invalid("n", message).with_code("client_rate_limit")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::{Priority, Rate};
    use sha2::{Digest, Sha256};

    fn named(name: &str, keys: &[&str]) -> Arc<Client> {
        let keys = keys.iter().map(|key| Sha256::digest(key.as_bytes()).into()).collect();
        Arc::new(Client {
            name: name.to_owned(),
            keys,
            routes: None,
            budgets: Vec::new(),
            max_usd_per_image: None,
            max_usd_per_request: None,
            rate: Rate { images_per_minute: NonZeroU32::new(4), requests_per_minute: NonZeroU32::new(2) },
            priority: Priority::Live,
            cache_share_ppm: None,
        })
    }

    #[test]
    fn what_comes_to_nothing_uses_up_no_rate() {
        let (rates, caller) = (RateLimiter::default(), Caller::client(named("web", &["one"])));
        for _ in 0..5 {
            drop(Allowance::take(&rates, &caller, 4, Instant::now()).unwrap());
        }
        let too_many = Allowance::take(&rates, &caller, 5, Instant::now());
        assert_eq!(too_many.err().unwrap().param.as_deref(), Some("n"));
        let now = Instant::now();
        let served = Outcome { result: Ok(Vec::new()), ..Outcome::failed(1, Error::new(ErrorKind::Busy, "")) };
        Allowance::take(&rates, &caller, 4, now).unwrap().settle(&served);
        let error = Allowance::take(&rates, &caller, 1, now).err().unwrap();
        assert_eq!((error.kind, error.retry_after), (ErrorKind::RateLimited, Some(Duration::from_secs(15))));
    }

    #[test]
    fn what_vendors_refuse_again_and_again_uses_up_the_rate_in_the_end() {
        let (rates, caller) = (RateLimiter::default(), Caller::client(named("web", &["one"])));
        let ask = |attempts| {
            let allowance = Allowance::take(&rates, &caller, 1, Instant::now()).map_err(|error| error.kind)?;
            let refused = Outcome::failed(1, Error::new(ErrorKind::Refused, ""));
            allowance.settle(&Outcome { attempts, ..refused });
            Ok(())
        };
        for _ in 0..50 {
            assert_eq!(ask(0), Ok(()), "nobody was asked");
        }
        // Two requests a minute: two are given back, two are not.
        assert_eq!([ask(1), ask(1), ask(1), ask(1)], [Ok(()); 4]);
        assert_eq!(ask(1), Err(ErrorKind::RateLimited));
    }
}
