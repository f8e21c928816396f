//! Fetching a try's pictures: out of the reply, or from behind its links, and only where a link may lead.
//!
//! A link comes from a reply, so it is followed to hosts that belong to the provider and nowhere else, and without a
//! key. What a picture costs is not known here.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::config::plan::HostRule;
use crate::failure::{Class, Failure};
use crate::gateway::attempt::context::Attempt;
use crate::gateway::attempt::{backoff, redirect};
use crate::image::{Encoded, Fault, Picture};
use crate::provider::{Call, PictureSource, ReplyPicture, retry_after};
use crate::request::ResponseFormat;
use crate::upstream::offload::offload;
use crate::upstream::transport::{AllowedTargets, Bounds, HeldReply, TransportError};

/// Redirects followed for one picture file.
const REDIRECTS: u32 = 3;

/// Why a try to fetch a picture brought none.
enum FetchError {
    /// Another may bring it.
    ForNow(Failure),
    /// No other will.
    ForGood(Failure),
}

/// Why a picture is not there, with the word for it.
#[derive(Debug)]
pub(super) struct FetchFailure {
    pub(super) reason: &'static str,
    pub(super) failure: Failure,
}

impl FetchFailure {
    /// It came and is none.
    fn broken(fault: Fault) -> FetchFailure {
        let failure = Failure::new(Class::Malformed, format!("the picture is {fault}"));
        FetchFailure { reason: fault.as_str(), failure }
    }

    /// It could not be had from behind its link.
    fn out_of_reach(failure: Failure) -> FetchFailure {
        FetchFailure { reason: "out_of_reach", failure }
    }
}

impl Attempt {
    /// A picture's bytes, checked, in the form the client will want.
    /// `body` is the reply's.
    pub(super) async fn fetch(self: &Arc<Self>, found: ReplyPicture, body: Bytes) -> Result<Picture, FetchFailure> {
        let encoded = match found.source {
            PictureSource::Inline(encoded) => encoded,
            PictureSource::Link(url) => Encoded::Raw(self.download(url).await.map_err(FetchFailure::out_of_reach)?),
        };
        let (attempt, revised_prompt) = (self.clone(), found.revised_prompt);
        offload(encoded.bytes().len(), move || attempt.inspect(encoded, &body, revised_prompt)).await
    }

    /// Looks at what was fetched, and brings it into the form in which it is kept.
    fn inspect(&self, encoded: Encoded, body: &Bytes, revised_prompt: Option<String>) -> Result<Picture, FetchFailure> {
        let came = encoded.bytes().as_ptr();
        let mut picture = Picture::inspect(encoded).map_err(FetchFailure::broken)?;
        picture.revised_prompt = revised_prompt.or_else(|| self.revised_prompt.as_deref().map(str::to_owned));
        // The next reader will most likely want what this one wants; encoding once here keeps hits free of it.
        let picture = match self.request.response_format {
            None | Some(ResponseFormat::B64Json) => picture.into_base64(),
            Some(ResponseFormat::Url) => picture,
        };
        let picture = picture.without_the_rest_of(body);
        let bytes = picture.encoded.bytes();
        if bytes.as_ptr() != came {
            self.memory_reservation.keep(bytes.len());
        }
        Ok(picture)
    }

    /// Downloads a picture that is already paid for, so it is tried more than once, from the first link on: another try
    /// may be led elsewhere. No credentials are sent.
    async fn download(&self, url: Url) -> Result<Bytes, Failure> {
        let deadline = Instant::now() + self.offer.provider.timeout;
        let mut again = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let failure = match self.follow(url.clone(), Instant::now() + backoff::share(left)).await {
                Ok(bytes) => return Ok(bytes),
                Err(FetchError::ForGood(failure)) => return Err(failure),
                Err(FetchError::ForNow(failure)) => failure,
            };
            again += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(pause) = backoff::pause(again, failure.retry_after, left).filter(|pause| *pause < left) else {
                return Err(failure);
            };
            sleep(pause).await;
        }
    }

    /// One try of it, along its redirects. Whatever a server answers may be over in a moment: a cache that does not have
    /// the file yet says 403 or 404, and one that is busy 503.
    async fn follow(&self, mut url: Url, deadline: Instant) -> Result<Bytes, FetchError> {
        for _ in 0..=REDIRECTS {
            self.check_host(&url).map_err(FetchError::ForGood)?;
            let reach = self.reach(&url).await;
            let HeldReply { reply, held } = self.look(&url, deadline, reach).await?;
            if reply.status == 200 {
                held.keep();
                return Ok(reply.body);
            }
            if !redirect::is_one(&reply) {
                let failure = Failure::new(Class::Malformed, format!("the picture link answered {}", reply.status));
                return Err(FetchError::ForNow(failure.with_retry_after(retry_after(&reply))));
            }
            url = redirect::anywhere(&url, &reply)
                .ok_or_else(|| FetchError::ForNow(Failure::new(Class::Malformed, "a redirect to nowhere")))?;
        }
        Err(FetchError::ForNow(Failure::new(Class::Malformed, "a picture link that leads on and on")))
    }

    async fn look(&self, url: &Url, deadline: Instant, reach: AllowedTargets) -> Result<HeldReply, FetchError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let bounds = Bounds { silence: Some(backoff::silence(left)), ..self.bounds(deadline, reach) };
        let call = Call::get(url.clone(), http::HeaderMap::new());
        let sent = self.shared.transport.send_watched(&call, bounds, &self.memory_reservation, None).await;
        sent.map_err(|trouble| match trouble {
            // Neither the way there nor the file's size changes by itself.
            TransportError::Private | TransportError::TooLarge => FetchError::ForGood(trouble.failure()),
            trouble => FetchError::ForNow(trouble.failure()),
        })
    }

    /// Whether `url` is at the provider's own address.
    fn is_own(&self, url: &Url) -> bool {
        let base = &self.offer.provider.account.base_url;
        url.host_str() == base.host_str() && url.port_or_known_default() == base.port_or_known_default()
    }

    /// A link may lead into a private network only where the provider itself is in one.
    async fn reach(&self, url: &Url) -> AllowedTargets {
        let base = &self.offer.provider.account.base_url;
        match self.is_own(url) || self.shared.transport.is_private(base).await {
            true => AllowedTargets::Anywhere,
            false => AllowedTargets::Open,
        }
    }

    /// Links come from a provider's reply; only hosts that belong to it are fetched from.
    fn check_host(&self, url: &Url) -> Result<(), Failure> {
        let base = &self.offer.provider.account.base_url;
        let own = self.is_own(url);
        let kinds = self.provider.download_hosts().iter().filter_map(|host| host.parse::<HostRule>().ok());
        let mut rules = kinds.chain(self.offer.provider.download_hosts.iter().cloned());
        let secure = url.scheme() == "https" || (url.scheme() == "http" && base.scheme() == "http");
        if secure && (own || rules.any(|rule| rule.allows(url))) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or("?");
        Err(Failure::new(Class::Malformed, format!("a picture link to {}://{host} is not followed", url.scheme())))
    }
}

/// The pictures of an answer to a call for `n`. Some servers list one twice, which draws and charges no other; so one
/// beyond those that were asked for is left out if it is there already.
pub(super) async fn without_repeats(
    fetched: Vec<Result<Picture, FetchFailure>>,
    n: usize,
) -> Vec<Result<Picture, FetchFailure>> {
    if fetched.len() <= n {
        return fetched;
    }
    let bytes = fetched.iter().flatten().map(Picture::weight).sum();
    offload(bytes, move || without_those_listed_twice(fetched, n)).await
}

fn without_those_listed_twice(
    fetched: Vec<Result<Picture, FetchFailure>>,
    n: usize,
) -> Vec<Result<Picture, FetchFailure>> {
    let mut kept: Vec<Result<Picture, FetchFailure>> = Vec::with_capacity(fetched.len());
    for (at, result) in fetched.into_iter().enumerate() {
        let is_there = |picture: &Picture| kept.iter().flatten().any(|other| other.encoded == picture.encoded);
        if at < n || !result.as_ref().is_ok_and(is_there) {
            kept.push(result);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Format, Size};

    #[test]
    fn a_picture_that_is_listed_twice_is_one_unless_two_were_asked_for() {
        let picture = |text: &'static [u8]| Picture {
            encoded: Encoded::Base64(bytes::Bytes::from_static(text)),
            format: Format::Png,
            size: Size::new(1, 1),
            revised_prompt: None,
        };
        let (a, b) = (picture(b"QQ=="), picture(b"Qg=="));
        for (n, left) in [(1, vec![&a, &b]), (2, vec![&a, &a, &b])] {
            let fetched = vec![Ok(a.clone()), Ok(a.clone()), Ok(b.clone()), Ok(a.clone())];
            let kept = without_those_listed_twice(fetched, n);
            assert_eq!(kept.iter().flatten().collect::<Vec<_>>(), left, "{n} asked");
        }
    }
}
