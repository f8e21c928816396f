//! Texts with a unit: times, bytes, dollars, sizes and percentages.
//!
//! Each has one way to be written, and every other way is answered with that one. Nothing here rounds.

use std::time::Duration;

use bytesize::ByteSize;

use super::file;
use super::plan::{Comparison, Condition, HedgeAfter, Measure, Unit};
use super::suggest::nearest;
use crate::calendar::Zone;
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::pricing::{RowSize, TIERS};
use crate::request::{Quality, ResponseFormat};

mod gate;

/// Why a text is not what it should be.
pub(super) struct UnitError {
    /// Follows the text: "`10 sec` ...".
    pub(super) what: String,
    /// The same text as it should be written, where that is clear.
    pub(super) instead: Option<String>,
}

impl UnitError {
    fn new(what: impl Into<String>, instead: Option<String>) -> UnitError {
        UnitError { what: what.into(), instead }
    }
}

/// A text of the config that stands for a value.
pub(super) trait ConfigUnit {
    /// What it stands for.
    type Value;

    /// How it is written, for help.
    const RULE: &'static str;

    /// Its value.
    fn read(&self) -> Result<Self::Value, UnitError>;
}

/// A number and the letters after it, nothing between and nothing after.
fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let plain = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
    (plain && unit.chars().all(char::is_alphabetic)).then_some((number, unit))
}

/// The number `text` begins with and the word after it, spaces dropped.
fn loosely(text: &str) -> Option<(String, String)> {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    number_and_unit(&squeezed).map(|(number, unit)| (number.to_owned(), unit.to_owned()))
}

/// The units of time, each with the words people write for it.
const TIME_UNITS: [(&str, &[&str]); 5] = [
    ("ms", &["ms", "msec", "millis", "millisecond", "milliseconds"]),
    ("s", &["s", "sec", "secs", "second", "seconds"]),
    ("m", &["m", "min", "mins", "minute", "minutes"]),
    ("h", &["h", "hr", "hrs", "hour", "hours"]),
    ("d", &["d", "day", "days"]),
];

impl ConfigUnit for file::Time {
    type Value = Duration;
    const RULE: &'static str = "write a number and a unit: 500ms, 10s, 2m, 1h or 30d";

    fn read(&self) -> Result<Duration, UnitError> {
        let wrong = |what: &str| UnitError::new(what, time_instead(&self.0));
        let (_, unit) = number_and_unit(&self.0).ok_or_else(|| wrong("is not a time"))?;
        if unit.is_empty() {
            return Err(UnitError::new("is a time without a unit", Some(format!("{}s", self.0))));
        }
        if !TIME_UNITS.iter().any(|(known, _)| *known == unit) {
            return Err(wrong("has an unknown unit of time"));
        }
        let time = humantime::parse_duration(&self.0).map_err(|_| UnitError::new("is not a time", None))?;
        // Deadlines are added to the clock, which must not overflow; a thousand years are enough.
        let longest = Duration::from_secs(365_000 * 86_400);
        if time > longest { Err(UnitError::new("is longer than a thousand years", None)) } else { Ok(time) }
    }
}

fn time_instead(text: &str) -> Option<String> {
    let (number, word) = loosely(text)?;
    let words = TIME_UNITS.iter().flat_map(|(_, words)| words.iter().copied());
    let near = nearest(&word, words)?;
    let (unit, _) = TIME_UNITS.iter().find(|(_, words)| words.contains(&near))?;
    Some(format!("{number}{unit}"))
}

impl ConfigUnit for file::HedgeAfter {
    type Value = HedgeAfter;
    const RULE: &'static str = "write a percentile from p50 to p99, like p95, or a time, like 8s";

    fn read(&self) -> Result<HedgeAfter, UnitError> {
        // Who writes `P95`, `95%` or `95th` means the percentile. A bare number lacks the unit of a time.
        let plain = self.0.trim().to_lowercase();
        let number = plain.strip_prefix('p').or_else(|| plain.strip_suffix('%')).or_else(|| plain.strip_suffix("th"));
        let Some(number) = number else { return file::Time(self.0.clone()).read().map(HedgeAfter::Time) };
        match number.trim().parse::<u8>().ok().filter(|percent| (50..=99).contains(percent)) {
            Some(percent) if self.0 == format!("p{percent}") => Ok(HedgeAfter::Percentile(percent)),
            near => Err(UnitError::new("is no percentile from p50 to p99", near.map(|near| format!("p{near}")))),
        }
    }
}

/// The units of memory.
const BYTE_UNITS: [&str; 9] = ["B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB"];

impl ConfigUnit for file::Bytes {
    type Value = u64;
    const RULE: &'static str = "write a number and a unit: 64MiB, 2GiB or 50MB";

    fn read(&self) -> Result<u64, UnitError> {
        let loose = loosely(&self.0);
        let near = loose.as_ref().and_then(|(number, word)| {
            let unit = match word.to_lowercase().as_str() {
                "k" | "ki" => "KiB",
                "" | "m" | "mi" | "meg" => "MiB",
                "g" | "gi" | "gig" => "GiB",
                _ => nearest(word, BYTE_UNITS)?,
            };
            Some(format!("{number}{unit}"))
        });
        let (_, unit) =
            number_and_unit(&self.0).ok_or_else(|| UnitError::new("is not an amount of memory", near.clone()))?;
        if unit.is_empty() {
            return Err(UnitError::new("is an amount of memory without a unit", near));
        }
        if !BYTE_UNITS.contains(&unit) && unit != "TiB" {
            return Err(UnitError::new("has an unknown unit of memory", near));
        }
        self.0
            .parse::<ByteSize>()
            .map(|size| size.as_u64())
            .map_err(|_| UnitError::new("is not an amount of memory", None))
    }
}

impl ConfigUnit for file::Ratio {
    type Value = (u32, u32);
    const RULE: &'static str = "write a shape as across:down, like 16:9";

    fn read(&self) -> Result<(u32, u32), UnitError> {
        let part = |text: &str| text.parse::<u32>().ok().filter(|part| (1..=1000).contains(part));
        let split = |sign: char| self.0.split_once(sign).and_then(|(w, h)| Some((part(w.trim())?, part(h.trim())?)));
        let instead = ['/', 'x', '\u{d7}'].into_iter().find_map(split).map(|(w, h)| format!("{w}:{h}"));
        split(':').ok_or_else(|| UnitError::new("is not a shape", instead))
    }
}

impl ConfigUnit for file::Dollars {
    type Value = Usd;
    const RULE: &'static str = "write dollars as a plain number, like 0.009";

    fn read(&self) -> Result<Usd, UnitError> {
        let plain: String = self.0.chars().filter(|c| !matches!(c, '$' | ' ' | '_' | '\u{20ac}')).collect();
        let plain = plain.trim_end_matches("USD").trim_end_matches("usd").replace(',', ".");
        let instead = || (plain != self.0 && plain.parse::<Usd>().is_ok()).then(|| plain.clone());
        match self.0.parse::<Usd>() {
            Ok(usd) if usd < Usd::ZERO => Err(UnitError::new("is less than nothing", None)),
            Ok(usd) => Ok(usd),
            Err(bad) => Err(UnitError::new(format!("is {bad}"), instead())),
        }
    }
}

impl ConfigUnit for file::Pixels {
    type Value = Size;
    const RULE: &'static str = "write a size as width x height in pixels, like 1024x1024";

    fn read(&self) -> Result<Size, UnitError> {
        self.0.parse().map_err(|_| {
            let plain = self.0.to_lowercase().replace(['*', '\u{d7}'], "x").replace(' ', "");
            let square = format!("{plain}x{plain}");
            let instead = [plain, square].into_iter().find(|text| text.parse::<Size>().is_ok());
            UnitError::new("is not a size", instead)
        })
    }
}

impl ConfigUnit for file::RowSize {
    type Value = RowSize;
    const RULE: &'static str = "write a size like 1024x1024, or a resolution: 512, 1K, 2K or 4K";

    fn read(&self) -> Result<RowSize, UnitError> {
        if let Some(tier) = TIERS.into_iter().find(|tier| tier.word == self.0) {
            return Ok(RowSize::Tier(tier));
        }
        file::Pixels(self.0.clone()).read().map(RowSize::Pixels).map_err(|wrong| {
            let tier = TIERS.into_iter().find(|tier| tier.word.eq_ignore_ascii_case(&self.0));
            let instead = tier.map(|tier| tier.word.to_owned()).or(wrong.instead);
            UnitError::new("is neither a size nor a resolution", instead)
        })
    }
}

impl ConfigUnit for file::Percent {
    /// Parts per million.
    type Value = u32;
    const RULE: &'static str = "write a percentage, like 10%";

    fn read(&self) -> Result<u32, UnitError> {
        let Some(number) = self.0.strip_suffix('%') else {
            // Who leaves the sign out below one means a fraction.
            let meant = |number: Usd| match number.nanos() {
                nanos @ 1..1_000_000_000 => format!("{}%", Usd::from_nanos(nanos * 100)),
                _ => format!("{number}%"),
            };
            let instead = self.0.trim_end().parse::<Usd>().ok().map(meant);
            return Err(UnitError::new("is not a percentage", instead));
        };
        // Money's exact decimals serve here as well: one percent is 10 000 parts per million.
        let nanos = number.parse::<Usd>().map_err(|_| UnitError::new("is not a percentage", None))?.nanos();
        if nanos < 0 {
            return Err(UnitError::new("is less than nothing", None));
        }
        if nanos % 100_000 != 0 {
            return Err(UnitError::new("is finer than a millionth", None));
        }
        match u32::try_from(nanos / 100_000) {
            Ok(ppm) if ppm <= 10_000_000 => Ok(ppm),
            _ => Err(UnitError::new("is more than 1000%", None)),
        }
    }
}

impl ConfigUnit for file::Quality {
    type Value = Quality;
    const RULE: &'static str = "write one of OpenAI's words, like medium";

    fn read(&self) -> Result<Quality, UnitError> {
        self.0.parse().map_err(|()| UnitError::new("is not a quality", None))
    }
}

impl ConfigUnit for file::ZoneName {
    type Value = Zone;
    const RULE: &'static str = "write a time zone's name, like UTC or Europe/Berlin";

    fn read(&self) -> Result<Zone, UnitError> {
        self.0.parse().map_err(|()| UnitError::new("is not a time zone", None))
    }
}

impl ConfigUnit for file::FileFormat {
    type Value = Format;
    const RULE: &'static str = "write png, jpeg or webp";

    fn read(&self) -> Result<Format, UnitError> {
        self.0.parse().map_err(|()| UnitError::new("is not a file format", None))
    }
}

impl ConfigUnit for file::Delivery {
    type Value = ResponseFormat;
    const RULE: &'static str = "write b64_json or url";

    fn read(&self) -> Result<ResponseFormat, UnitError> {
        self.0.parse().map_err(|()| UnitError::new("is no way to hand out a picture", None))
    }
}

impl file::When {
    /// A condition as it is written.
    pub(super) const EXAMPLE: &'static str = "cost_per_accepted_usd > 0.012";
}

impl ConfigUnit for file::When {
    type Value = Condition;
    const RULE: &'static str = "write a measure, one of > >= < <= and a number, like `cost_per_accepted_usd > 0.012` or \
                                `acceptance_rate < 40%`";

    fn read(&self) -> Result<Condition, UnitError> {
        let end = self.0.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        let rest = rest.trim();
        let words = Measure::ALL.map(Measure::as_str);
        let Some(measure) = Measure::ALL.into_iter().find(|measure| measure.as_str() == word) else {
            let near = nearest(word, words).map(|near| format!("{near} {rest}"));
            return Err(UnitError::new(format!("watches none of {}", words.join(", ")), near));
        };
        let Some(comparison) = Comparison::ALL.into_iter().find(|comparison| rest.starts_with(comparison.sign()))
        else {
            return Err(UnitError::new("does not compare with >, >=, < or <=", None));
        };
        let sign = comparison.sign();
        let number = rest[sign.len()..].trim();
        let read = match measure.unit() {
            Unit::Usd => file::Dollars(number.to_owned()).read().map(Usd::nanos),
            Unit::Percent => file::Percent(number.to_owned()).read().map(i64::from),
        };
        let threshold = read.map_err(|wrong| {
            let instead = wrong.instead.map(|number| format!("{word} {sign} {number}"));
            UnitError::new(format!("has a number that {}", wrong.what), instead)
        })?;
        Ok(Condition { measure, comparison, threshold })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ConfigUnit, HedgeAfter, file};

    fn time(text: &str) -> Result<Duration, Option<String>> {
        file::Time(text.into()).read().map_err(|wrong| wrong.instead)
    }

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(time("30d"), Ok(Duration::from_secs(30 * 86_400)));
    }

    #[test]
    fn another_way_to_write_a_time_is_answered_with_the_right_one() {
        let hint = |text| time(text).unwrap_err();
        assert_eq!(hint("10 sec").as_deref(), Some("10s"));
        assert_eq!(hint("10 seconds").as_deref(), Some("10s"));
        assert_eq!(hint("10secnds").as_deref(), Some("10s"));
        assert_eq!(hint("10").as_deref(), Some("10s"));
        assert_eq!(hint("2 min").as_deref(), Some("2m"));
        assert_eq!(hint("soon"), None);
        assert_eq!(hint(""), None);
        assert_eq!(hint("99999999999d"), None);
    }

    #[test]
    fn memory_has_a_unit() {
        let bytes = |text: &str| file::Bytes(text.into()).read().map_err(|wrong| wrong.instead);
        assert_eq!(bytes("50MiB"), Ok(50 << 20));
        assert_eq!(bytes("50MB"), Ok(50_000_000));
        assert_eq!(bytes("1.5GiB"), Ok(3 << 29));
        let hint = |text: &str| bytes(text).unwrap_err();
        assert_eq!(hint("50").as_deref(), Some("50MiB"));
        assert_eq!(hint("50 MiB").as_deref(), Some("50MiB"));
        assert_eq!(hint("50mb").as_deref(), Some("50MB"));
        assert_eq!(hint("2g").as_deref(), Some("2GiB"));
        assert_eq!(hint("lots"), None);
    }

    #[test]
    fn dollars_are_exact_and_never_negative() {
        let usd = |text: &str| file::Dollars(text.into()).read().map(|usd| usd.nanos()).map_err(|wrong| wrong.instead);
        assert_eq!(usd("0.009"), Ok(9_000_000));
        assert_eq!(usd("0.000000001"), Ok(1));
        assert_eq!(usd("$0.03"), Err(Some("0.03".into())));
        assert_eq!(usd("0,03"), Err(Some("0.03".into())));
        assert_eq!(usd("-1"), Err(None));
        assert_eq!(usd("0.0000000001"), Err(None));
    }

    #[test]
    fn sizes_and_percentages_are_written_one_way() {
        let size = |text: &str| file::Pixels(text.into()).read().map_err(|wrong| wrong.instead);
        assert!(size("1024x768").is_ok());
        assert_eq!(size("1024 X 768"), Err(Some("1024x768".into())));
        assert_eq!(size("1024*768"), Err(Some("1024x768".into())));
        assert_eq!(size("512"), Err(Some("512x512".into())));
        assert_eq!(size("large"), Err(None));
        let percent = |text: &str| file::Percent(text.into()).read().map_err(|wrong| wrong.instead);
        assert_eq!(percent("10%"), Ok(100_000));
        assert_eq!(percent("5.5%"), Ok(55_000));
        assert_eq!(percent("10"), Err(Some("10%".into())));
        assert_eq!(percent("0.15"), Err(Some("15%".into())));
        assert_eq!(percent("0"), Err(Some("0%".into())));
        assert_eq!(percent("1001%"), Err(None));
        assert_eq!(percent("-1%"), Err(None));
    }

    #[test]
    fn a_hedge_comes_after_a_percentile_or_a_time() {
        let after = |text: &str| file::HedgeAfter(text.into()).read().map_err(|wrong| wrong.instead);
        assert_eq!(after("p50"), Ok(HedgeAfter::Percentile(50)));
        assert_eq!(after("p99"), Ok(HedgeAfter::Percentile(99)));
        assert_eq!(after("8s"), Ok(HedgeAfter::Time(Duration::from_secs(8))));
        for meant in ["P95", "95%", "95th", "p 95"] {
            assert_eq!(after(meant), Err(Some("p95".into())), "{meant}");
        }
        assert_eq!(after("8 sec"), Err(Some("8s".into())));
        assert_eq!(after("8"), Err(Some("8s".into())));
        for wrong in ["p49", "p100", "p99.9", "late", ""] {
            assert_eq!(after(wrong), Err(None), "{wrong}");
        }
    }
}
