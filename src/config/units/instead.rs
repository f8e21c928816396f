//! The same amount as it should be written.
//!
//! A suggestion means what was written and never another amount: where a text may mean two amounts both are named, and
//! where it is not certain that it means one, none is.

use crate::config::units::number_and_unit::number_and_unit;
use crate::money::Usd;

/// The number a text begins with and the word after it, spaces dropped.
fn loosely(text: &str) -> Option<(String, String)> {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    number_and_unit(&squeezed).map(|(number, unit)| (number.to_owned(), unit.to_owned()))
}

/// The word that was meant, with a slip of the pen in words of four letters or more. Words that mean something else
/// stand in the table too, so that none of them is taken for a slip.
fn meant<T: Copy>(word: &str, table: &[(&'static str, T)]) -> Option<T> {
    if let Some((_, value)) = table.iter().find(|(known, _)| *known == word) {
        return Some(*value);
    }
    let long = |word: &str| word.chars().count() >= 4;
    let near = table
        .iter()
        .filter(|(known, _)| long(word) && long(known))
        .map(|(known, value)| (strsim::damerau_levenshtein(word, known), *value));
    let most = if word.chars().count() >= 8 { 2 } else { 1 };
    near.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, value)| value)
}

/// How many of a unit of the config a word for a time stands for; `None` where that is no whole number of one.
const TIME_WORDS: [(&str, Option<(u32, &str)>); 45] = [
    ("ms", Some((1, "ms"))),
    ("msec", Some((1, "ms"))),
    ("msecs", Some((1, "ms"))),
    ("millis", Some((1, "ms"))),
    ("millisecond", Some((1, "ms"))),
    ("milliseconds", Some((1, "ms"))),
    ("s", Some((1, "s"))),
    ("sec", Some((1, "s"))),
    ("secs", Some((1, "s"))),
    ("second", Some((1, "s"))),
    ("seconds", Some((1, "s"))),
    ("m", Some((1, "m"))),
    ("min", Some((1, "m"))),
    ("mins", Some((1, "m"))),
    ("minute", Some((1, "m"))),
    ("minutes", Some((1, "m"))),
    ("h", Some((1, "h"))),
    ("hr", Some((1, "h"))),
    ("hrs", Some((1, "h"))),
    ("hour", Some((1, "h"))),
    ("hours", Some((1, "h"))),
    ("d", Some((1, "d"))),
    ("day", Some((1, "d"))),
    ("days", Some((1, "d"))),
    ("w", Some((7, "d"))),
    ("wk", Some((7, "d"))),
    ("wks", Some((7, "d"))),
    ("week", Some((7, "d"))),
    ("weeks", Some((7, "d"))),
    ("fortnight", Some((14, "d"))),
    ("fortnights", Some((14, "d"))),
    ("us", None),
    ("usec", None),
    ("usecs", None),
    ("micros", None),
    ("microsecond", None),
    ("microseconds", None),
    ("nanos", None),
    ("nanosecond", None),
    ("nanoseconds", None),
    ("month", None),
    ("months", None),
    ("year", None),
    ("years", None),
    ("quarter", None),
];

/// A time as it should be written.
pub(super) fn times(text: &str) -> Vec<String> {
    let Some((number, word)) = loosely(text) else { return several_parts(text).into_iter().collect() };
    if word.is_empty() {
        // Seconds and milliseconds are what other tools take a bare number for.
        return vec![format!("{number}s"), format!("{number}ms")];
    }
    time(&number, &word).into_iter().collect()
}

fn time(number: &str, word: &str) -> Option<String> {
    // A capital M may be a month.
    let word = if word == "M" { return None } else { word.to_lowercase() };
    let (times, unit) = meant(&word, &TIME_WORDS)??;
    match times {
        1 => Some(format!("{number}{unit}")),
        _ => Some(format!("{}{unit}", number.parse::<Usd>().ok()?.checked_mul(times)?)),
    }
}

/// The milliseconds of each unit, the largest first.
const MILLIS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// `1h30m`: several parts of whole numbers, as one in the largest unit that has it whole.
fn several_parts(text: &str) -> Option<String> {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (mut rest, mut sum) = (squeezed.as_str(), 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (word, next) = after.split_at(end);
        let part = time(number, word)?;
        let (number, unit) = number_and_unit(&part)?;
        let (_, millis) = MILLIS.into_iter().find(|(known, _)| *known == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(millis)?)?;
        rest = next;
    }
    let (unit, millis) = MILLIS.into_iter().find(|(_, millis)| sum > 0 && sum % millis == 0)?;
    Some(format!("{}{unit}", sum / millis))
}

/// What a word for an amount of memory may mean. Those without a B are of a thousand to some and of 1024 to others.
const BYTE_WORDS: [(&str, &[&str]); 36] = [
    ("", &["MiB", "B"]),
    ("b", &["B"]),
    ("byte", &["B"]),
    ("bytes", &["B"]),
    ("k", &["KiB", "kB"]),
    ("ki", &["KiB"]),
    ("kb", &["kB"]),
    ("kib", &["KiB"]),
    ("kilobyte", &["kB"]),
    ("kilobytes", &["kB"]),
    ("kibibyte", &["KiB"]),
    ("kibibytes", &["KiB"]),
    ("m", &["MiB", "MB"]),
    ("meg", &["MiB", "MB"]),
    ("megs", &["MiB", "MB"]),
    ("mi", &["MiB"]),
    ("mb", &["MB"]),
    ("mib", &["MiB"]),
    ("megabyte", &["MB"]),
    ("megabytes", &["MB"]),
    ("mebibyte", &["MiB"]),
    ("mebibytes", &["MiB"]),
    ("g", &["GiB", "GB"]),
    ("gig", &["GiB", "GB"]),
    ("gigs", &["GiB", "GB"]),
    ("gi", &["GiB"]),
    ("gb", &["GB"]),
    ("gib", &["GiB"]),
    ("gigabyte", &["GB"]),
    ("gigabytes", &["GB"]),
    ("gibibyte", &["GiB"]),
    ("gibibytes", &["GiB"]),
    ("t", &["TiB", "TB"]),
    ("ti", &["TiB"]),
    ("tb", &["TB"]),
    ("tib", &["TiB"]),
];

/// An amount of memory as it should be written.
pub(super) fn bytes(text: &str) -> Vec<String> {
    let Some((number, word)) = loosely(text) else { return Vec::new() };
    let word = word.to_lowercase();
    let units = BYTE_WORDS.iter().find(|(known, _)| *known == word).map_or(&[][..], |(_, units)| units);
    units.iter().map(|unit| format!("{number}{unit}")).collect()
}

/// Dollars as they should be written; cents are a hundredth, and other currencies are none.
pub(super) fn dollars(text: &str) -> Vec<String> {
    let plain: String = text.chars().filter(|c| !matches!(c, '$' | '_') && !c.is_whitespace()).collect();
    let plain = plain.to_lowercase();
    let without = |ends: &[&str]| ends.iter().find_map(|end| plain.strip_suffix(end).map(str::to_owned));
    let cents = without(&["cents", "cent", "cts", "ct", "c", "\u{a2}"]);
    let usd = without(&["dollars", "dollar", "usd"]).or_else(|| plain.strip_prefix("usd").map(str::to_owned));
    let amounts = decimals(cents.as_deref().or(usd.as_deref()).unwrap_or(&plain));
    let read = amounts.into_iter().filter_map(|amount| amount.parse::<Usd>().ok().map(|usd| (amount, usd)));
    let written = read.filter_map(|(amount, usd)| match cents {
        Some(_) => (usd.nanos() % 100 == 0).then(|| Usd::from_nanos(usd.nanos() / 100).to_string()),
        None => Some(amount),
    });
    written.filter(|amount| amount != text && !amount.starts_with('-')).collect()
}

/// A percentage as it should be written: who leaves the sign out may mean a fraction.
pub(super) fn percents(text: &str) -> Vec<String> {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let squeezed = squeezed.to_lowercase();
    let signed = ["%", "percent", "pct"].into_iter().find_map(|sign| squeezed.strip_suffix(sign));
    let numbers = decimals(signed.unwrap_or(&squeezed));
    let read = numbers.into_iter().filter_map(|number| number.parse::<Usd>().ok());
    let one = Usd::from_nanos(1_000_000_000);
    let ten = Usd::from_nanos(10_000_000_000);
    let written = read.filter(|number| *number >= Usd::ZERO).flat_map(|number| {
        let percent = format!("{number}%");
        let fraction = number.checked_mul(100).map(|number| format!("{number}%"));
        match signed {
            None if number > Usd::ZERO && number < one => fraction.into_iter().chain([percent]).collect(),
            None if number >= one && number < ten => [percent].into_iter().chain(fraction).collect(),
            _ => vec![percent],
        }
    });
    written.filter(|percent| percent != text).collect()
}

/// What a number with commas may be: a comma before three digits may stand for a point, or between thousands.
pub(super) fn decimals(text: &str) -> Vec<String> {
    let text = text.trim();
    let thousands = |text: &str, comma: char| {
        let mut groups = text.split(comma);
        let first = groups.next().unwrap_or_default();
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        (1..=3).contains(&first.len()) && digits(first) && groups.all(|group| group.len() == 3 && digits(group))
    };
    let (commas, points) = (text.matches(',').count(), text.matches('.').count());
    match (commas, points) {
        (0, 0 | 1) => vec![text.to_owned()],
        // 1.000.000
        (0, _) => thousands(text, '.').then(|| text.replace('.', "")).into_iter().collect(),
        // 1,000.50 and 1.000,50
        (_, 1) if text.find(',') < text.find('.') => {
            let whole = text.split('.').next().unwrap_or_default();
            thousands(whole, ',').then(|| text.replace(',', "")).into_iter().collect()
        }
        (1, _) if points > 0 => {
            let whole = text.split(',').next().unwrap_or_default();
            thousands(whole, '.').then(|| text.replace('.', "").replace(',', ".")).into_iter().collect()
        }
        (1, 0) => {
            let point = text.replace(',', ".");
            let large = thousands(text, ',') && !text.starts_with('0');
            if large { vec![text.replace(',', ""), point] } else { vec![point] }
        }
        (_, 0) => thousands(text, ',').then(|| text.replace(',', "")).into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;
    use crate::config::units::ConfigUnit;

    fn all(found: fn(&str) -> Vec<String>, cases: &[(&str, &[&str])]) {
        for (written, expected) in cases {
            assert_eq!(found(written), *expected, "{written}");
        }
    }

    #[test]
    fn a_time_is_never_answered_with_another_time() {
        let cases: &[(&str, &[&str])] = &[
            ("2w", &["14d"]),
            ("1.5 weeks", &["10.5d"]),
            ("1 fortnight", &["14d"]),
            ("10 sec", &["10s"]),
            ("10 Seconds", &["10s"]),
            ("10secnds", &["10s"]),
            ("5 minuets", &["5m"]),
            ("2 min", &["2m"]),
            ("90 milisecond", &["90ms"]),
            ("1h30m", &["90m"]),
            ("1 h 30 min", &["90m"]),
            ("1d12h", &["36h"]),
            ("1m500ms", &["60500ms"]),
            ("60", &["60s", "60ms"]),
            // Nothing that Easel has a unit for, or nothing certain.
            ("500us", &[]),
            ("5 microsecnds", &[]),
            ("10 nanoseconds", &[]),
            ("3 months", &[]),
            ("3mo", &[]),
            ("5M", &[]),
            ("1y", &[]),
            ("1 year", &[]),
            ("10x", &[]),
            ("soon", &[]),
            ("", &[]),
            ("1:30", &[]),
            ("-5s", &[]),
            ("PT10S", &[]),
        ];
        all(times, cases);
        for instead in cases.iter().flat_map(|(_, instead)| instead.iter()) {
            assert!(file::Time((*instead).to_owned()).read().is_ok(), "{instead}");
        }
    }

    #[test]
    fn memory_is_never_answered_with_another_amount() {
        let cases: &[(&str, &[&str])] = &[
            ("50 MiB", &["50MiB"]),
            ("50mb", &["50MB"]),
            ("512 megabytes", &["512MB"]),
            ("512 bytes", &["512B"]),
            ("2Gi", &["2GiB"]),
            ("2g", &["2GiB", "2GB"]),
            ("2tib", &["2TiB"]),
            ("536870912", &["536870912MiB", "536870912B"]),
            ("2PiB", &[]),
            ("5EB", &[]),
            ("50MX", &[]),
            ("10Mbit", &[]),
            ("lots", &[]),
        ];
        all(bytes, cases);
        for instead in cases.iter().flat_map(|(_, instead)| instead.iter()) {
            assert!(file::Bytes((*instead).to_owned()).read().is_ok(), "{instead}");
        }
    }

    #[test]
    fn dollars_are_never_answered_with_another_amount() {
        let cases: &[(&str, &[&str])] = &[
            ("$0.03", &["0.03"]),
            ("0,03", &["0.03"]),
            ("0.06 USD", &["0.06"]),
            ("USD 5", &["5"]),
            ("1,000", &["1000", "1.000"]),
            ("0,125", &["0.125"]),
            ("1,000.50", &["1000.50"]),
            ("1.000,50", &["1000.50"]),
            ("$1_000", &["1000"]),
            ("1,000,000", &["1000000"]),
            ("3 cents", &["0.03"]),
            ("3c", &["0.03"]),
            ("0.5 ct", &["0.005"]),
            ("5 EUR", &[]),
            ("\u{20ac}5", &[]),
            ("1k", &[]),
            ("-$5", &[]),
            ("1,00,0", &[]),
            ("cheap", &[]),
        ];
        all(dollars, cases);
        for instead in cases.iter().flat_map(|(_, instead)| instead.iter()) {
            assert!(file::Dollars((*instead).to_owned()).read().is_ok(), "{instead}");
        }
    }

    #[test]
    fn a_percentage_without_its_sign_may_be_a_fraction_and_then_both_are_named() {
        let cases: &[(&str, &[&str])] = &[
            ("10", &["10%"]),
            ("0.15", &["15%", "0.15%"]),
            ("0.055", &["5.5%", "0.055%"]),
            ("1", &["1%", "100%"]),
            ("1.5", &["1.5%", "150%"]),
            ("0", &["0%"]),
            ("5.5 %", &["5.5%"]),
            ("5,5%", &["5.5%"]),
            ("20 percent", &["20%"]),
            ("-1", &[]),
            ("half", &[]),
        ];
        all(percents, cases);
    }
}
