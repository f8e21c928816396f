//! Amounts, rates and durations that a settings file writes as plain text.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::money::Usd;

/// A value written as text that `T` can read. A YAML number is read by its digits, never as a float.
pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(input: D) -> Result<T, D::Error> {
    String::deserialize(input)?.parse().map_err(D::Error::custom)
}

pub(super) fn maybe_parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    input: D,
) -> Result<Option<T>, D::Error> {
    Option::<String>::deserialize(input)?.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

/// Amounts by name.
pub(super) fn amounts<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, Usd>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(input)?;
    let read = |(name, text): (String, String)| {
        text.parse().map(|usd| (name.clone(), usd)).map_err(|why| D::Error::custom(format!("{name}: {why}")))
    };
    texts.into_iter().map(read).collect()
}

/// `300ms`, `2s`, `1m 30s`.
pub(super) fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    humantime::parse_duration(&String::deserialize(input)?).map_err(D::Error::custom)
}
