//! What the wire formats share: addresses, credentials, waiting times, and where a picture's bytes are.
//!
//! Small pure helpers without a vendor's name in them. An address is always built below the account's own base, so a
//! key can go nowhere else, and every header that carries a key is marked sensitive.

use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, DATE, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value};
use url::Url;

use crate::calendar::Moment;
use crate::capabilities::OutputSize;
use crate::config::plan::{Account, HostRule};
use crate::failure::{Class, Failure};
use crate::image::{Encoded, Size, is_data_url, is_picture_text, without_data_prefix};
use crate::provider::adapter::{PictureSource, Reply};
use crate::request::ImageRequest;
use crate::secret::Secret;

/// An address below `base`: its host, its whole path, then `segments`, each percent-encoded. Empty segments and dots
/// are left out, so nothing climbs above the base.
pub fn address<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, Failure> {
    let mut url = base.clone();
    url.set_fragment(None);
    let no_path = || Failure::new(Class::AdapterBug, "base_url is not an address that paths can be added to");
    url.path_segments_mut()
        .map_err(|()| no_path())?
        .pop_if_empty()
        .extend(segments.into_iter().filter(|segment| !segment.is_empty()));
    Ok(url)
}

/// Whether the account's key may be sent to an address that a reply gives: at the account's own origin, or at
/// `domain` and below over TLS, and at the hosts that the config names. An address that names a user of its own is nobody's.
pub fn may_have_the_key(account: &Account, url: &Url, domain: &str) -> bool {
    let below = |host: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let theirs = url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(below);
    (theirs && names_nobody(url)) || may_be_asked(account, url, &account.poll_hosts)
}

/// The same by the hosts that the config names.
pub fn may_be_asked(account: &Account, url: &Url, hosts: &[HostRule]) -> bool {
    let theirs = url.origin() == account.base_url.origin() || hosts.iter().any(|rule| rule.allows_with_key(url));
    theirs && names_nobody(url)
}

/// Whether an address has no user of its own.
fn names_nobody(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// Whether a job's id from a reply may become part of an address.
pub fn is_plain_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !id.is_empty() && id.len() <= 128 && id.bytes().all(plain)
}

/// The headers of every call: JSON wanted back, and the account's key in `header` behind `prefix`.
pub fn headers(account: &Account, header: &str, prefix: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(key) = &account.api_key {
        let name = HeaderName::from_bytes(header.as_bytes())
            .map_err(|_| Failure::new(Class::AdapterBug, format!("'{header}' cannot be the name of a header")))?;
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", key.reveal()))
            .map_err(|_| Failure::new(Class::Auth, "the API key has characters that no header can carry"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// `headers` with the token that stands in a key's place, where there is one.
pub fn with_token(mut headers: HeaderMap, token: Option<&Secret>) -> Result<HeaderMap, Failure> {
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
            .map_err(|_| Failure::new(Class::Auth, "the access token has characters that no header can carry"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Adds a header unless its value has characters that no header can carry.
pub fn add_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// A header's value shorter than this is a word, not a secret, and blotting it out would make messages unreadable.
const SHORTEST_SECRET: usize = 8;

/// `text` with the account's key blotted out, and what else might be secret of its headers; a vendor may quote it in an
/// error. Text that was cut off may end in the first part of a key, which is blotted out too.
pub fn without_key(account: &Account, text: &str) -> String {
    let values = account.dialect.headers.iter().map(|(_, value)| value.reveal());
    let secrets = values.filter(|value| value.len() >= SHORTEST_SECRET);
    let text = &secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
    let Some(key) = account.api_key.as_ref().map(Secret::reveal).filter(|key| !key.is_empty()) else {
        return text.to_owned();
    };
    let text = text.replace(key, "***");
    let parts = key.char_indices().rev().map(|(end, _)| &key[..end]).filter(|part| part.len() >= 4);
    match parts.filter_map(|part| text.strip_suffix(part)).next() {
        Some(rest) => format!("{rest}***"),
        None => text,
    }
}

/// When the vendor says to come back: `retry-after-ms` over `retry-after` (seconds, fractions allowed), as OpenAI's
/// own client reads them, or a date (RFC 9110 10.2.3). What the vendor calls now is what its `date` says, so that
/// clocks which disagree do no harm; without one it is when the reply came.
pub fn retry_after(reply: &Reply) -> Option<Duration> {
    let number = |name: &HeaderName| reply.header(name).and_then(|text| text.trim().parse::<f64>().ok());
    let date = |name: &HeaderName| {
        let at = httpdate::parse_http_date(reply.header(name)?.trim()).ok()?;
        Some(Moment::from(at))
    };
    let until = || Some(date(&RETRY_AFTER)?.since(date(&DATE).unwrap_or(reply.at)));
    number(&HeaderName::from_static("retry-after-ms"))
        .and_then(|millis| seconds(millis / 1000.0))
        .or_else(|| number(&RETRY_AFTER).and_then(seconds))
        .or_else(|| seconds(until()?.as_secs_f64()))
}

/// A vendor's number of seconds as a duration; nonsense is none, and no vendor is believed for longer than a day.
pub fn seconds(seconds: f64) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    if !seconds.is_finite() {
        return None;
    }
    Duration::try_from_secs_f64(seconds.min(DAY.as_secs_f64())).ok()
}

/// The class an HTTP status has by itself.
///
/// A gateway in front of the vendor has statuses for having waited in vain: the request had been handed on, so it may
/// have been drawn. Cloudflare's 521, 523, 525, 526 and 530 are about the connection, which never came to be.
pub fn class_of_status(status: u16) -> Class {
    match status {
        // 408 and 499: timed out, or given up by whoever asked for us. 504: no answer in time. Cloudflare's 520: an
        // answer it could not read; 522: no sign of life, perhaps only after the request was sent; 524: no answer in
        // time; 527: lost on the way. 598 and 599 are other proxies' words for timeouts.
        408 | 499 | 504 | 520 | 522 | 524 | 527 | 598 | 599 => Class::TimeoutAmbiguous,
        401 | 403 => Class::Auth,
        402 => Class::Quota,
        404 | 410 => Class::ModelGone,
        405 | 406 | 411 | 415 => Class::AdapterBug,
        409 | 425 | 500..=599 => Class::Server,
        429 => Class::RateLimited,
        400..=499 => Class::CallerInvalid,
        // A redirect is not followed, and a success without pictures is no success.
        _ => Class::Malformed,
    }
}

/// Whether the caller's request has this field, by our name. What it never sent cannot be its mistake, and neither can
/// what the route put there.
pub fn caller_sent(request: &ImageRequest, field: &str) -> bool {
    let filled = request.filled;
    match field {
        "prompt" => !filled.prompt,
        "n" => request.n > 1,
        "size" => request.size.is_some() && !filled.size,
        "quality" => request.quality.is_some() && !filled.quality,
        "output_format" => request.output_format.is_some() && !filled.output_format,
        "output_compression" => request.output_compression.is_some(),
        "background" => request.background.is_some(),
        "moderation" => request.moderation.is_some(),
        "style" => request.style.is_some(),
        "complexity" => request.complexity.is_some(),
        "seed" => request.seed.is_some(),
        "negative_prompt" => request.negative_prompt.is_some(),
        "user" => request.user.is_some(),
        "image" => request.edit.is_some(),
        "mask" => request.edit.as_ref().is_some_and(|edit| edit.mask.is_some()),
        "input_fidelity" => request.edit.as_ref().is_some_and(|edit| edit.fidelity.is_some()),
        _ => false,
    }
}

/// The frame as `across:down`; pixels are reduced to their shape.
pub fn ratio(output_size: OutputSize) -> Option<String> {
    let (across, down) = match output_size {
        OutputSize::Default => return None,
        OutputSize::Ratio { across, down, .. } => (across, down),
        OutputSize::Pixels(Size { width, height }) => {
            let divisor = greatest_common_divisor(width, height).max(1);
            (width / divisor, height / divisor)
        }
    };
    Some(format!("{across}:{down}"))
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// A JSON field of a body, left out when there is nothing to say.
pub fn put(body: &mut Map<String, Value>, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(field.to_owned(), value.into());
    }
}

/// Pictures of one reply that are looked at. Vendors may send more than they were asked for, and charge for them; no
/// API draws more than this in one call.
pub const MOST_PICTURES: usize = 16;

/// A picture written as base64, with or without a `data:` prefix. Text that lies in `body` is shared, not copied; text
/// that had escapes lies elsewhere and may have had line breaks, which are removed. Whoever looks at the picture brings
/// base64 of another form into the standard one.
pub fn inline(body: &Bytes, text: &[u8]) -> PictureSource {
    let text = without_data_prefix(text);
    let shared = body.as_ptr_range().contains(&text.as_ptr());
    PictureSource::Inline(Encoded::Base64(match shared {
        true => body.slice_ref(text),
        false => text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect(),
    }))
}

/// A picture as base64, or a link in its place. Base64 has no dot and no colon, which every link has.
pub fn inline_or_link(body: &Bytes, base: &Url, text: &[u8]) -> Option<PictureSource> {
    const LONGEST_LINK: usize = 8 * 1024;
    let is_link = is_data_url(text) || (text.len() <= LONGEST_LINK && text.iter().any(|b| matches!(b, b'.' | b':')));
    match text.is_empty() {
        true => None,
        false if is_link => link(body, base, str::from_utf8(text).ok()?),
        false => Some(inline(body, text)),
    }
}

/// Whether a reply's body is a stream of events.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let told = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    told.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}

/// Whether a text is a whole address of a picture, or the picture itself; schemes are written in any case.
pub fn is_address(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins("https://") || begins("http://") || is_data_url(text.as_bytes())
}

/// A picture behind a link: absolute, relative to `base`, or the picture itself in its place, as a `data:` URL or as bare
/// base64. `None` for anything that is not HTTP.
pub fn link(body: &Bytes, base: &Url, text: &str) -> Option<PictureSource> {
    if is_data_url(text.as_bytes()) || is_picture_text(text.as_bytes()) {
        return Some(inline(body, text.as_bytes()));
    }
    let url = base.join(text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(PictureSource::Link(url))
}

/// A picture as a `data:` URL.
pub fn data_url(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", base64(bytes))
}

/// Bytes in standard padded base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::Dialect;

    fn account(base: &str, key: &str) -> Account {
        Account {
            base_url: base.parse().unwrap(),
            api_key: Some(Secret::new(key)),
            organization: None,
            project: None,
            location: None,
            credentials: None,
            api_version: None,
            poll_hosts: Vec::new(),
            dialect: Dialect::default(),
        }
    }

    fn reply(headers: &[(&'static str, &'static str)]) -> Reply {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Reply { status: 429, headers, body: Bytes::new(), at: Moment::from_millis(NOW) }
    }

    #[test]
    fn an_address_keeps_the_prefix_and_the_host() {
        let base: Url = "https://host/deep/prefix/?api-version=1".parse().unwrap();
        let at = |segments: &[&str]| address(&base, segments.iter().copied()).unwrap().to_string();
        assert_eq!(at(&["images", "generations"]), "https://host/deep/prefix/images/generations?api-version=1");
        assert_eq!(at(&["..", "", "a/b?c#d"]), "https://host/deep/prefix/a%2Fb%3Fc%23d?api-version=1");
        let bare: Url = "https://host".parse().unwrap();
        assert_eq!(address(&bare, ["x"]).unwrap().as_str(), "https://host/x");
        assert_eq!(address(&"mailto:x@y".parse().unwrap(), ["x"]).unwrap_err().class, Class::AdapterBug);
    }

    #[test]
    fn the_key_goes_to_the_accounts_own_origin_and_to_the_vendors_hosts_over_tls() {
        let account = account("http://127.0.0.1:9/bfl/", "sk-live");
        for (url, may) in [
            ("http://127.0.0.1:9/poll", true),
            ("https://vendor.example/x", true),
            ("https://api.us1.vendor.example/x", true),
            ("http://127.0.0.1:8/poll", false),
            ("https://127.0.0.1:9/poll", false),
            ("http://api.vendor.example/x", false),
            ("https://api.vendor.example:8443/x", false),
            ("https://evilvendor.example/x", false),
            ("https://vendor.example.evil.example/x", false),
            ("https://user@vendor.example/x", false),
            ("https://:password@vendor.example/x", false),
            ("http://user:password@127.0.0.1:9/poll", false),
        ] {
            assert_eq!(may_have_the_key(&account, &url.parse().unwrap(), "vendor.example"), may, "{url}");
        }
        assert!(is_plain_id("gm3q-7") && !is_plain_id("") && !is_plain_id("a/b") && !is_plain_id(&"a".repeat(129)));
    }

    #[test]
    fn a_key_travels_in_a_header_that_no_debug_print_shows() {
        let made = headers(&account("https://host/", "sk-live"), "authorization", "Bearer ").unwrap();
        assert_eq!(made["authorization"], "Bearer sk-live");
        assert!(!format!("{made:?}").contains("sk-live"));
        let broken = headers(&account("https://host/", "sk\nlive"), "authorization", "Bearer ").unwrap_err();
        assert_eq!(broken.class, Class::Auth);
        assert!(!broken.to_string().contains("live"));
        assert_eq!(without_key(&account("https://host/", "sk-live"), "bad key sk-live."), "bad key ***.");
        assert_eq!(without_key(&account("https://host/", "sk-live"), "cut off: sk-li"), "cut off: ***");
        let mut account = account("https://host/", "sk-live");
        for value in ["2", "tenant-secret"] {
            account.dialect.headers.push(("x-of-theirs".to_owned(), Secret::new(value)));
        }
        assert_eq!(without_key(&account, "version 2 of tenant-secret"), "version 2 of ***");
    }

    #[test]
    fn a_waiting_time_is_read_in_milliseconds_first_and_never_believed_beyond_a_day() {
        let after = |headers: &[_]| retry_after(&reply(headers));
        assert_eq!(after(&[("retry-after", "30")]), Some(Duration::from_secs(30)));
        assert_eq!(after(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        assert_eq!(after(&[("retry-after", "9"), ("retry-after-ms", "250")]), Some(Duration::from_millis(250)));
        assert_eq!(after(&[("retry-after", "1e300")]), Some(Duration::from_secs(86_400)));
        for nonsense in ["-1", "inf", "NaN", "soon", "Wed, 32 Oct 2026 07:28:00 GMT", "2026-10-21T07:28:00Z"] {
            assert_eq!(after(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }

    /// Wed, 21 Oct 2026 07:27:20 GMT.
    const NOW: i64 = 1_792_567_640_000;

    #[test]
    fn a_waiting_time_may_be_a_date_in_any_of_https_three_ways_to_write_one() {
        let after = |headers: &[_]| retry_after(&reply(headers));
        for date in ["Wed, 21 Oct 2026 07:28:00 GMT", "Wednesday, 21-Oct-26 07:28:00 GMT", "Wed Oct 21 07:28:00 2026"] {
            assert_eq!(after(&[("retry-after", date)]), Some(Duration::from_secs(40)), "{date}");
            // The vendor's clock is an hour behind ours.
            let told = [("retry-after", date), ("date", "Wed, 21 Oct 2026 07:27:53 GMT")];
            assert_eq!(after(&told), Some(Duration::from_secs(7)), "{date}");
        }
        let past = [("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT")];
        assert_eq!(after(&past), Some(Duration::ZERO));
        let ages = [("retry-after", "Wed, 21 Oct 2099 07:27:00 GMT")];
        assert_eq!(after(&ages), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn a_link_may_be_relative_or_the_picture_itself_but_never_a_file() {
        let base: Url = "https://host/v1/".parse().unwrap();
        let at = |text: &'static str| link(&Bytes::new(), &base, text);
        assert_eq!(at("files/1.png"), Some(PictureSource::Link("https://host/v1/files/1.png".parse().unwrap())));
        assert_eq!(at("/files/1.png"), Some(PictureSource::Link("https://host/files/1.png".parse().unwrap())));
        assert_eq!(at("https://cdn/1.png"), Some(PictureSource::Link("https://cdn/1.png".parse().unwrap())));
        let inside = PictureSource::Inline(Encoded::Base64(Bytes::from_static(b"QUJD")));
        assert_eq!(at("data:image/png;base64,QUJD"), Some(inside));
        assert_eq!(at("file:///etc/passwd"), None);
    }

    #[test]
    fn a_frame_is_told_as_a_shape() {
        assert_eq!(ratio(OutputSize::Default), None);
        assert_eq!(ratio(OutputSize::Pixels(Size::new(1536, 1024))).as_deref(), Some("3:2"));
        let asked = Size::new(1792, 1024);
        assert_eq!(ratio(OutputSize::Ratio { across: 16, down: 9, asked, pixels: 1 }).as_deref(), Some("16:9"));
    }
}
