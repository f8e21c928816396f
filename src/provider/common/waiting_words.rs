//! When a vendor says to come back, where it says so in a sentence or in the headers of its rate limits instead of in
//! `retry-after`.

use std::time::Duration;

use crate::provider::adapter::Reply;
use crate::provider::common::retry_after::seconds;

/// What stands before the time: `Please try again in 20s` (OpenAI), `Please retry after 26 seconds` (Azure), `Please retry
/// in 41.5s` (Google), `Your rate limit resets in ~30s` (Replicate).
const BEFORE_THE_TIME: [&str; 4] = ["try again in ", "retry after ", "retry in ", "resets in "];

/// Units as vendors write them, with their seconds. Of two that begin alike the longer comes first.
const UNITS: [(&str, f64); 10] = [
    ("milliseconds", 0.001),
    ("ms", 0.001),
    ("minutes", 60.0),
    ("minute", 60.0),
    ("seconds", 1.0),
    ("second", 1.0),
    ("hours", 3600.0),
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
];

/// The numbers of one time that are read: hours, minutes, seconds, milliseconds.
const PARTS: usize = 4;

/// A number without a unit that is larger than this is a moment of Unix time and not a wait; no vendor asks to wait for
/// thirty years.
const MOMENTS_FROM: f64 = 1e9;
/// And from here on one in milliseconds.
const MILLIS_FROM: f64 = 1e12;

/// The time that a sentence names.
pub fn waiting_time_in(sentence: &str) -> Option<Duration> {
    let sentence = sentence.to_lowercase();
    BEFORE_THE_TIME.iter().find_map(|before| {
        let (_, rest) = sentence.split_once(before)?;
        duration(rest.trim_start_matches(['~', ' ']).trim_start_matches("about "))
    })
}

/// When the limits that are used up have room again, by `x-ratelimit-reset-…` as OpenAI and its like send it (`1ms`, `6m0s`,
/// `12`). A limit of which something is left is not the one that was met; of several the last to have room counts.
pub fn rate_limit_reset(reply: &Reply) -> Option<Duration> {
    let text = |name: &str| reply.headers.get(name)?.to_str().ok();
    let resets = reply.headers.keys().filter_map(|name| {
        let which = name.as_str().strip_prefix("x-ratelimit-reset")?;
        let left = text(&format!("x-ratelimit-remaining{which}")).and_then(|left| left.trim().parse::<f64>().ok());
        let told = text(name.as_str())?.trim().to_lowercase();
        if left.is_some_and(|left| left > 0.0) { None } else { duration(&told).or_else(|| moment(&told, reply)) }
    });
    resets.max()
}

/// A number without a unit: seconds from now, or a moment of Unix time.
fn moment(told: &str, reply: &Reply) -> Option<Duration> {
    let number: f64 = told.parse().ok()?;
    let unix = if number >= MILLIS_FROM { number / 1000.0 } else { number };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are far below 2^53")]
    let now = reply.at.millis() as f64 / 1000.0;
    if number >= MOMENTS_FROM { seconds(unix - now) } else { seconds(number) }
}

/// A time at the beginning of a text: numbers with units, one after the other.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total, mut read) = (text, 0.0, 0);
    while read < PARTS {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].trim_end_matches('.').parse::<f64>() else { break };
        let after = rest[digits..].trim_start();
        let Some((unit, length)) = UNITS.iter().find(|(unit, _)| is_unit(after, unit)) else { break };
        total += number * length;
        rest = after[unit.len()..].trim_start();
        read += 1;
    }
    if read == 0 { None } else { seconds(total) }
}

/// Whether a text begins with this unit and not with a longer word.
fn is_unit(text: &str, unit: &str) -> bool {
    text.strip_prefix(unit).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphabetic()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::calendar::Moment;

    #[test]
    fn the_time_that_a_sentence_names_is_read_as_vendors_write_it() {
        for (sentence, millis) in [
            ("Rate limit reached for gpt-image-1: Limit 5, Used 5. Please try again in 12s. Visit https://x", 12_000),
            ("Please try again in 1m30s.", 90_000),
            ("Please try again in 6m0s. Contact us", 360_000),
            ("Please try again in 250ms.", 250),
            ("please Try Again In 1.5s", 1_500),
            ("Requests have exceeded call rate limit. Please retry after 26 seconds.", 26_000),
            ("Please retry after 1 second.", 1_000),
            ("Please retry in 41.503s.", 41_503),
            ("Request was throttled. Your rate limit resets in ~30s.", 30_000),
            ("Your rate limit resets in about 2 minutes.", 120_000),
            ("Try again in 1 hours", 3_600_000),
        ] {
            assert_eq!(waiting_time_in(sentence), Some(Duration::from_millis(millis)), "{sentence}");
        }
        for sentence in
            ["Please try again later.", "try again in a few seconds", "try again in 5", "retry after 3 moons", ""]
        {
            assert_eq!(waiting_time_in(sentence), None, "{sentence}");
        }
        assert_eq!(waiting_time_in("try again in 99999999999h"), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn of_the_limits_in_the_headers_the_one_that_is_used_up_counts() {
        let after = |headers: &[(&'static str, &'static str)]| {
            let pairs = headers.iter();
            let headers: HeaderMap =
                pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
            let at = Moment::from_millis(1_790_000_000_000);
            rate_limit_reset(&Reply { status: 429, headers, body: Bytes::new(), at }).map(|told| told.as_millis())
        };
        let requests = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "12s")];
        let tokens = [("x-ratelimit-remaining-tokens", "900"), ("x-ratelimit-reset-tokens", "6m0s")];
        assert_eq!(after(&[requests, tokens].concat()), Some(12_000), "tokens are left");
        assert_eq!(after(&tokens), None);
        assert_eq!(after(&[("x-ratelimit-reset-input-images", "1ms"), requests[0], requests[1]]), Some(12_000));
        assert_eq!(after(&[("x-ratelimit-reset", "7")]), Some(7_000));
        assert_eq!(after(&[("x-ratelimit-reset", "1790000030")]), Some(30_000));
        assert_eq!(after(&[("x-ratelimit-reset", "1790000030500")]), Some(30_500));
        assert_eq!(after(&[("x-ratelimit-reset", "soon"), ("x-ratelimit-limit-requests", "5")]), None);
    }
}
