//! When a vendor says to come back.

use std::time::Duration;

use http::header::{DATE, HeaderName, RETRY_AFTER};

use crate::calendar::Moment;
use crate::provider::adapter::Reply;

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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn reply(headers: &[(&'static str, &'static str)]) -> Reply {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Reply { status: 429, headers, body: Bytes::new(), at: Moment::from_millis(NOW) }
    }

    /// Wed, 21 Oct 2026 07:27:20 GMT.
    const NOW: i64 = 1_792_567_640_000;

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
}
