//! Fetching a try's pictures: out of the reply, or from behind its links, and only where a link may lead.
//!
//! A link comes from a reply, so it is followed to hosts that belong to the provider and nowhere else, and without a
//! key. What a picture costs is not known here.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::Url;

use crate::failure::{Class, Failure};
use crate::gateway::attempt::Attempt;
use crate::gateway::transport::Reach;
use crate::image::{Encoded, Picture};
use crate::provider::{Call, Found, Source};
use crate::request::ResponseFormat;

/// Tries for one picture file that is already paid for.
const DOWNLOADS: u32 = 3;
/// Redirects followed for one picture file.
const REDIRECTS: u32 = 3;

impl Attempt {
    /// A picture's bytes, checked, in the form the client will want.
    pub(super) async fn fetch(&self, found: Found) -> Result<Picture, Failure> {
        let encoded = match found.source {
            Source::Inline(encoded) => encoded,
            Source::Link(url) => Encoded::Raw(self.download(url).await?),
        };
        let mut picture = Picture::inspect(encoded)
            .map_err(|fault| Failure::new(Class::Malformed, format!("the picture is {fault}")))?;
        picture.revised_prompt = found.revised_prompt.or_else(|| self.revised_prompt.as_deref().map(str::to_owned));
        // The next reader will most likely want what this one wants; encoding once here keeps hits free of it.
        Ok(match self.request.response_format {
            ResponseFormat::B64Json => picture.into_base64(),
            ResponseFormat::Url => picture,
        })
    }

    /// Downloads a picture that is already paid for, so it is tried more than once. No credentials are sent.
    async fn download(&self, mut url: Url) -> Result<bytes::Bytes, Failure> {
        let deadline = Instant::now() + self.offer.provider.timeout;
        let (mut tries, mut hops) = (0, 0);
        loop {
            self.check_host(&url)?;
            let reach = self.reach(&url).await;
            let failure = match self.send(&Call::get(url.clone(), http::HeaderMap::new()), deadline, reach).await {
                Ok(reply) if reply.status == 200 => return Ok(reply.body),
                Ok(reply) if (300..400).contains(&reply.status) && hops < REDIRECTS => {
                    let target = reply.header(&http::header::LOCATION).and_then(|to| url.join(to).ok());
                    url = target.ok_or_else(|| Failure::new(Class::Malformed, "a redirect to nowhere"))?;
                    hops += 1;
                    continue;
                }
                Ok(reply) => Failure::new(Class::Malformed, format!("the picture link answered {}", reply.status)),
                Err(failure) => failure,
            };
            tries += 1;
            if tries >= DOWNLOADS || failure.class == Class::Malformed && Instant::now() >= deadline {
                return Err(failure);
            }
            sleep(Duration::from_millis(100) * tries).await;
        }
    }

    /// Whether `url` is at the provider's own address.
    fn is_own(&self, url: &Url) -> bool {
        let base = &self.offer.provider.account.base_url;
        url.host_str() == base.host_str() && url.port_or_known_default() == base.port_or_known_default()
    }

    /// A link may lead into a private network only where the provider itself is in one.
    async fn reach(&self, url: &Url) -> Reach {
        let base = &self.offer.provider.account.base_url;
        match self.is_own(url) || self.shared.transport.is_private(base).await {
            true => Reach::Anywhere,
            false => Reach::Open,
        }
    }

    /// Links come from a provider's reply; only hosts that belong to it are fetched from.
    fn check_host(&self, url: &Url) -> Result<(), Failure> {
        let base = &self.offer.provider.account.base_url;
        let own = self.is_own(url);
        let listed = |host: &str| {
            let kinds = self.provider.download_hosts().iter().copied();
            kinds.chain(self.offer.provider.download_hosts.iter().map(String::as_str)).any(|rule| {
                match rule.strip_prefix('*') {
                    Some(suffix) => host.ends_with(suffix),
                    None => host == rule,
                }
            })
        };
        let secure = url.scheme() == "https" || (url.scheme() == "http" && base.scheme() == "http");
        if secure && (own || url.host_str().is_some_and(listed)) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or("?");
        Err(Failure::new(Class::Malformed, format!("a picture link to {}://{host} is not followed", url.scheme())))
    }
}
