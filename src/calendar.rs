//! Wall-clock time as money sees it: a moment, and the day or month it belongs to in somebody's time zone.
//!
//! Nothing here reads a clock; moments come in as arguments. Time zones are IANA's, built into the binary, so that a
//! container without zone files counts as everybody else does.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// Milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// So many milliseconds after 1970 began.
    pub const fn from_millis(millis: i64) -> Moment {
        Moment(millis)
    }

    /// Milliseconds since 1970 began.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment and `time` more, as far as a number goes.
    pub fn after(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(millis(time)))
    }

    /// `time` before this moment, as far as a number goes.
    pub fn before(self, time: Duration) -> Moment {
        Moment(self.0.saturating_sub(millis(time)))
    }

    /// How long it is since `earlier`; nothing if that is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment on a calendar; moments beyond its ends are at its ends.
    fn timestamp(self) -> Timestamp {
        let ends = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_millisecond(self.0).unwrap_or(ends)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl From<std::time::SystemTime> for Moment {
    /// A clock that stands before 1970 counts as 1970.
    fn from(time: std::time::SystemTime) -> Moment {
        Moment(millis(time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default()))
    }
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC, whole seconds: `2026-11-25T04:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl FromStr for Moment {
    type Err = ();

    /// Reads RFC 3339, with any offset.
    fn from_str(text: &str) -> Result<Moment, ()> {
        text.parse::<Timestamp>().map(|at| Moment(at.as_millisecond())).map_err(drop)
    }
}

/// A time zone by its IANA name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = ();

    /// `UTC`, `Europe/Berlin`, `Asia/Kolkata`.
    fn from_str(name: &str) -> Result<Zone, ()> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Zone::default());
        }
        TimeZone::get(name).map(Zone).map_err(drop)
    }
}

impl Zone {
    /// The day that `at` belongs to: `2026-11-25`.
    pub fn date(&self, at: Moment) -> String {
        at.timestamp().to_zoned(self.0.clone()).date().to_string()
    }

    /// The hour that `at` belongs to, where the zone is then: `2026-11-25T14:00+01:00`.
    pub fn hour(&self, at: Moment) -> String {
        at.timestamp().to_zoned(self.0.clone()).strftime("%Y-%m-%dT%H:00%:z").to_string()
    }

    /// When the day written `2026-11-25` begins; `None` if there is no such day.
    pub fn midnight(&self, date: &str) -> Option<Moment> {
        is_date(date).then_some(())?;
        midnight(date.parse().ok()?, self)
    }

    /// The month written `2026-11`; `None` if there is no such month.
    pub fn month(&self, month: &str) -> Option<Period> {
        self.midnight(&format!("{month}-01")).map(|first| Per::Month.period(self, first))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

/// How often a count begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// At midnight.
    Day,
    /// At midnight before the first.
    Month,
    /// Never.
    Total,
}

impl Per {
    /// The word in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Per::Day => "day",
            Per::Month => "month",
            Per::Total => "total",
        }
    }

    /// The day or month in `zone` that `at` belongs to. Where a zone skips midnight, a day begins when the clock goes on.
    pub fn period(self, zone: &Zone, at: Moment) -> Period {
        let day = at.timestamp().to_zoned(zone.0.clone()).date();
        let (first, span) = match self {
            Per::Total => return Period { start: Moment(i64::MIN), end: None },
            Per::Day => (day, Span::new().days(1)),
            Per::Month => (day.first_of_month(), Span::new().months(1)),
        };
        let next = first.checked_add(span).ok();
        let start = midnight(first, zone).unwrap_or(Moment(i64::MIN));
        Period { start, end: next.and_then(|next| midnight(next, zone)) }
    }
}

fn midnight(day: Date, zone: &Zone) -> Option<Moment> {
    let start: Zoned = day.to_zoned(zone.0.clone()).ok()?;
    Some(Moment(start.timestamp().as_millisecond()))
}

/// A stretch of time over which something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub start: Moment,
    /// The first moment of the next; `None` where there is no next.
    pub end: Option<Moment>,
}

impl Period {
    /// Whether `at` is in it: not before it either, as after a clock that was ahead was set right.
    pub fn holds(&self, at: Moment) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }

    /// How much of it lies before `at`, as a part of the whole in millionths. 0 where it never ends.
    pub fn elapsed_ppm(&self, at: Moment) -> u32 {
        let Some(end) = self.end else { return 0 };
        let whole = i128::from(end.0) - i128::from(self.start.0);
        let gone = (i128::from(at.0) - i128::from(self.start.0)).clamp(0, whole);
        u32::try_from(gone * 1_000_000 / whole.max(1)).unwrap_or(1_000_000)
    }
}

/// A day of the calendar, `2026-11-25`.
pub fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    fn period(per: Per, zone: &str, now: &str) -> (String, String) {
        let period = per.period(&zone.parse().unwrap(), at(now));
        (period.start.to_string(), period.end.unwrap().to_string())
    }

    #[test]
    fn a_month_is_the_zones_own() {
        let utc = period(Per::Month, "UTC", "2026-11-30T23:30:00Z");
        assert_eq!(utc, ("2026-11-01T00:00:00Z".into(), "2026-12-01T00:00:00Z".into()));
        let berlin = period(Per::Month, "Europe/Berlin", "2026-11-30T23:30:00Z");
        assert_eq!(berlin, ("2026-11-30T23:00:00Z".into(), "2026-12-31T23:00:00Z".into()));
    }

    #[test]
    fn a_day_is_as_long_as_the_clocks_make_it() {
        let short = period(Per::Day, "Europe/Berlin", "2026-03-29T12:00:00Z");
        assert_eq!(short, ("2026-03-28T23:00:00Z".into(), "2026-03-29T22:00:00Z".into()));
        let long = period(Per::Day, "Europe/Berlin", "2026-10-25T00:00:00Z");
        assert_eq!(long, ("2026-10-24T22:00:00Z".into(), "2026-10-25T23:00:00Z".into()));
        let odd = period(Per::Day, "Asia/Kolkata", "2026-11-25T18:29:59Z");
        assert_eq!(odd, ("2026-11-24T18:30:00Z".into(), "2026-11-25T18:30:00Z".into()));
    }

    #[test]
    fn a_total_has_no_end_and_a_period_holds_no_moment_before_or_after_it() {
        let total = Per::Total.period(&Zone::default(), at("2026-11-25T00:00:00Z"));
        assert!(total.end.is_none() && total.holds(Moment(i64::MAX)) && total.holds(Moment(i64::MIN)));
        assert_eq!(total.elapsed_ppm(Moment(5)), 0);
        let day = Per::Day.period(&Zone::default(), at("2026-11-25T12:00:00Z"));
        assert!(day.holds(at("2026-11-25T00:00:00Z")) && day.holds(at("2026-11-25T23:59:59Z")));
        assert!(!day.holds(at("2026-11-26T00:00:00Z")) && !day.holds(at("2026-11-24T23:59:59Z")));
        assert_eq!(day.elapsed_ppm(at("2026-11-25T06:00:00Z")), 250_000);
        assert_eq!([day.elapsed_ppm(Moment(0)), day.elapsed_ppm(Moment(i64::MAX))], [0, 1_000_000]);
    }

    #[test]
    fn no_moment_is_too_far_for_the_calendar() {
        for millis in [i64::MIN, -1, 0, i64::MAX] {
            for per in [Per::Day, Per::Month, Per::Total] {
                let period = per.period(&"America/New_York".parse().unwrap(), Moment(millis));
                assert!(period.end.is_none_or(|end| end > period.start), "{period:?}");
            }
            assert!(!Moment(millis).to_string().is_empty());
        }
    }

    #[test]
    fn days_and_months_are_written_and_read_in_a_zone() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        assert_eq!(berlin.date(at("2026-11-24T23:00:00Z")), "2026-11-25");
        assert_eq!(berlin.midnight("2026-11-25"), Some(at("2026-11-24T23:00:00Z")));
        assert_eq!(berlin.month("2026-11").map(|month| month.start), Some(at("2026-10-31T23:00:00Z")));
        assert_eq!([berlin.month("2026-13"), berlin.month("2026")], [None, None]);
        assert_eq!([berlin.midnight("2026-11"), berlin.midnight("2026-11-25T00:00:00")], [None, None]);
    }

    #[test]
    fn a_zone_has_a_name_and_nonsense_has_none() {
        assert_eq!("europe/berlin".parse::<Zone>().unwrap().to_string(), "Europe/Berlin");
        assert_eq!("utc".parse::<Zone>().unwrap().to_string(), "UTC");
        assert!("Europe/Atlantis".parse::<Zone>().is_err() && "".parse::<Zone>().is_err());
        assert!(is_date("2026-11-25") && !is_date("2026-13-01") && !is_date("yesterday"));
    }
}
