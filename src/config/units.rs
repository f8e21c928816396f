//! Texts with a unit: times, bytes, dollars, sizes and percentages.
//!
//! Each has one way to be written, and every other way is answered with that one. Nothing here rounds.

use std::time::Duration;

use bytesize::ByteSize;

use super::file;
use super::plan::{Comparison, Condition, HedgeAfter, Measure, Unit};
use super::suggest::nearest;
use crate::calendar::Zone;
use crate::config::units::number_and_unit::number_and_unit;
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::pricing::{RowSize, TIERS};
use crate::request::{Quality, ResponseFormat};

mod gate;
mod instead;
mod number_and_unit;

/// Why a text is not what it should be.
pub(super) struct UnitError {
    /// Follows the text: "`10 sec` ...".
    pub(super) what: String,
    /// The same as it should be written; several where it may mean several amounts, none where that is not certain.
    pub(super) instead: Vec<String>,
}

impl UnitError {
    fn new(what: impl Into<String>, instead: impl IntoIterator<Item = String>) -> UnitError {
        UnitError { what: what.into(), instead: instead.into_iter().collect() }
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

/// The units of time.
const TIME_UNITS: [&str; 5] = ["ms", "s", "m", "h", "d"];

impl ConfigUnit for file::Time {
    type Value = Duration;
    const RULE: &'static str = "write a number and a unit: 500ms, 10s, 2m, 1h or 30d";

    fn read(&self) -> Result<Duration, UnitError> {
        let wrong = |what: &str| UnitError::new(what, instead::times(&self.0));
        let (_, unit) = number_and_unit(&self.0).ok_or_else(|| wrong("is not a time"))?;
        if unit.is_empty() {
            return Err(wrong("is a time without a unit"));
        }
        if !TIME_UNITS.contains(&unit) {
            return Err(wrong("has an unknown unit of time"));
        }
        let time = humantime::parse_duration(&self.0).map_err(|_| UnitError::new("is not a time", None))?;
        // Deadlines are added to the clock, which must not overflow; a thousand years are enough.
        let longest = Duration::from_secs(365_000 * 86_400);
        if time > longest { Err(UnitError::new("is longer than a thousand years", None)) } else { Ok(time) }
    }
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
const BYTE_UNITS: [&str; 10] = ["B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"];

impl ConfigUnit for file::Bytes {
    type Value = u64;
    const RULE: &'static str = "write a number and a unit: 64MiB, 2GiB or 50MB";

    fn read(&self) -> Result<u64, UnitError> {
        let wrong = |what: &str| UnitError::new(what, instead::bytes(&self.0));
        let (_, unit) = number_and_unit(&self.0).ok_or_else(|| wrong("is not an amount of memory"))?;
        if unit.is_empty() {
            return Err(wrong("is an amount of memory without a unit"));
        }
        if !BYTE_UNITS.contains(&unit) {
            return Err(wrong("has an unknown unit of memory"));
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
        match self.0.parse::<Usd>() {
            Ok(usd) if usd < Usd::ZERO => Err(UnitError::new("is less than nothing", None)),
            Ok(usd) => Ok(usd),
            Err(bad) => Err(UnitError::new(format!("is {bad}"), instead::dollars(&self.0))),
        }
    }
}

impl ConfigUnit for file::Pixels {
    type Value = Size;
    const RULE: &'static str = "write a size as width x height in pixels, like 1024x1024";

    fn read(&self) -> Result<Size, UnitError> {
        self.0.parse().map_err(|_| {
            let plain = self.0.to_lowercase().replace(['*', '\u{d7}'], "x").replace(' ', "").replace("px", "");
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
            let tier: Vec<String> = tier.map(|tier| tier.word.to_owned()).into_iter().collect();
            let instead = if tier.is_empty() { wrong.instead } else { tier };
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
            return Err(UnitError::new("is not a percentage", instead::percents(&self.0)));
        };
        // Money's exact decimals serve here as well: one percent is 10 000 parts per million.
        let not = |_| UnitError::new("is not a percentage", instead::percents(&self.0));
        let nanos = number.parse::<Usd>().map_err(not)?.nanos();
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
            let instead = wrong.instead.into_iter().map(|number| format!("{word} {sign} {number}"));
            UnitError::new(format!("has a number that {}", wrong.what), instead)
        })?;
        Ok(Condition { measure, comparison, threshold })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ConfigUnit, HedgeAfter, file};

    fn time(text: &str) -> Result<Duration, Vec<String>> {
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
        assert_eq!(time("10 sec"), Err(vec!["10s".to_owned()]));
        assert_eq!(time("2w"), Err(vec!["14d".to_owned()]));
        assert_eq!(time("10"), Err(vec!["10s".to_owned(), "10ms".to_owned()]));
        for none in ["soon", "", "99999999999d"] {
            assert_eq!(time(none), Err(Vec::new()), "{none}");
        }
    }

    #[test]
    fn memory_has_a_unit() {
        let bytes = |text: &str| file::Bytes(text.into()).read().map_err(|wrong| wrong.instead);
        assert_eq!(bytes("50MiB"), Ok(50 << 20));
        assert_eq!(bytes("50MB"), Ok(50_000_000));
        assert_eq!(bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(bytes("2TiB"), Ok(2 << 40));
        let hint = |text: &str| bytes(text).unwrap_err();
        assert_eq!(hint("50"), ["50MiB", "50B"]);
        assert_eq!(hint("50 MiB"), ["50MiB"]);
        assert_eq!(hint("lots"), [""; 0]);
    }

    #[test]
    fn dollars_are_exact_and_never_negative() {
        let usd = |text: &str| file::Dollars(text.into()).read().map(|usd| usd.nanos()).map_err(|wrong| wrong.instead);
        assert_eq!(usd("0.009"), Ok(9_000_000));
        assert_eq!(usd("0.000000001"), Ok(1));
        assert_eq!(usd("$0.03"), Err(vec!["0.03".to_owned()]));
        assert_eq!(usd("0,03"), Err(vec!["0.03".to_owned()]));
        assert_eq!(usd("-1"), Err(Vec::new()));
        assert_eq!(usd("0.0000000001"), Err(Vec::new()));
    }

    #[test]
    fn sizes_and_percentages_are_written_one_way() {
        let size = |text: &str| file::Pixels(text.into()).read().map_err(|wrong| wrong.instead);
        assert!(size("1024x768").is_ok());
        assert_eq!(size("1024 X 768"), Err(vec!["1024x768".to_owned()]));
        assert_eq!(size("1024*768"), Err(vec!["1024x768".to_owned()]));
        assert_eq!(size("512"), Err(vec!["512x512".to_owned()]));
        assert_eq!(size("large"), Err(Vec::new()));
        let percent = |text: &str| file::Percent(text.into()).read().map_err(|wrong| wrong.instead);
        assert_eq!(percent("10%"), Ok(100_000));
        assert_eq!(percent("5.5%"), Ok(55_000));
        assert_eq!(percent("10"), Err(vec!["10%".to_owned()]));
        assert_eq!(percent("0.15"), Err(vec!["15%".to_owned(), "0.15%".to_owned()]));
        assert_eq!(percent("0"), Err(vec!["0%".to_owned()]));
        assert_eq!(percent("1001%"), Err(Vec::new()));
        assert_eq!(percent("-1%"), Err(Vec::new()));
    }

    #[test]
    fn a_hedge_comes_after_a_percentile_or_a_time() {
        let after = |text: &str| file::HedgeAfter(text.into()).read().map_err(|wrong| wrong.instead);
        assert_eq!(after("p50"), Ok(HedgeAfter::Percentile(50)));
        assert_eq!(after("p99"), Ok(HedgeAfter::Percentile(99)));
        assert_eq!(after("8s"), Ok(HedgeAfter::Time(Duration::from_secs(8))));
        for meant in ["P95", "95%", "95th", "p 95"] {
            assert_eq!(after(meant), Err(vec!["p95".to_owned()]), "{meant}");
        }
        assert_eq!(after("8 sec"), Err(vec!["8s".to_owned()]));
        assert_eq!(after("8"), Err(vec!["8s".to_owned(), "8ms".to_owned()]));
        for wrong in ["p49", "p100", "p99.9", "late", ""] {
            assert_eq!(after(wrong), Err(Vec::new()), "{wrong}");
        }
    }
}
