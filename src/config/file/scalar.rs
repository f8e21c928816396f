//! Texts that stand for something else, each with the JSON Schema that describes it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::config::plan::QualityCheck as GateCheck;
use crate::config::presets;
use crate::image::Format;
use crate::request::{Quality as QualityWord, ResponseFormat};
use crate::secret::Secret;

// How each is written, as a regular expression that every editor knows (ECMA's, without look-around). The loader does not go
// by them: units.rs says what is wrong in words. A test holds the two to each other.
const TIME: &str = "^[0-9]+([.][0-9]+)?(ms|s|m|h|d)$";
const HEDGE_AFTER: &str = "^(p[5-9][0-9]|[0-9]+([.][0-9]+)?(ms|s|m|h|d))$";
const BYTES: &str = "^[0-9]+([.][0-9]+)?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$";
const DOLLARS: &str = r"^\s*[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\s*$";
const PIXELS: &str = "^0*[1-9][0-9]{0,5}x0*[1-9][0-9]{0,5}$";
pub(in crate::config) const ROW_SIZE: &str = "^(0*[1-9][0-9]{0,5}x0*[1-9][0-9]{0,5}|512|1K|2K|4K)$";
const RATIO: &str = r"^\s*[+]?[0-9]+\s*:\s*[+]?[0-9]+\s*$";
const PERCENT: &str = r"^\s*[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\s*%$";
const WHEN: &str = r"^(cost_per_accepted_usd|acceptance_rate|spend_usd_per_hour|budget_share|error_rate)\s*(>=|<=|>|<)\s*[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\s*%?\s*$";
const COLOR: &str = "^#[0-9a-fA-F]{6}$";
const DECIMAL: &str = "^-?[0-9]+([.][0-9]+)?$";

/// How `provider/model` is written.
pub(in crate::config) const OFFER: &str = "^[a-z0-9][a-z0-9_-]*/.+$";

/// How a name of the user's own is written: it stands in metrics, headers and `provider/model`.
pub(in crate::config) const NAME: &str = "^[a-z0-9][a-z0-9_-]*$";

/// A text that no message shows; best written as a reference to the outside.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct Hidden(pub(in crate::config) Secret);

impl JsonSchema for Hidden {
    fn schema_name() -> Cow<'static, str> {
        "Hidden".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "writeOnly": true, "examples": ["${OPENAI_API_KEY}", "${file:/run/secrets/key}"]})
    }
}

/// A header's value, which may be a secret too.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct HeaderText(pub(in crate::config) Secret);

impl JsonSchema for HeaderText {
    fn schema_name() -> Cow<'static, str> {
        "HeaderText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// A text that stands for something else, with the JSON Schema that describes it.
macro_rules! written {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Deserialize)]
        #[serde(transparent)]
        pub(in crate::config) struct $name(pub(in crate::config) String);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+ };
}

written! {
    /// A length of time.
    Time = {"type": "string", "format": "duration", "pattern": TIME, "examples": ["500ms", "10s", "2m", "1h", "30d"]};
    /// A percentile, or a length of time.
    HedgeAfter = {"type": "string", "format": "percentile or duration", "pattern": HEDGE_AFTER, "examples": ["p95", "8s"]};
    /// An amount of memory.
    Bytes = {"type": "string", "format": "bytes", "pattern": BYTES, "examples": ["64MiB", "2GiB", "50MB"]};
    /// Dollars, exact to nine digits after the point.
    Dollars = {"type": ["string", "number"], "format": "usd", "minimum": 0, "pattern": DOLLARS, "examples": [0.009]};
    /// Pixels across and down.
    Pixels = {"type": "string", "format": "size", "pattern": PIXELS, "examples": ["1024x1024"]};
    /// Pixels across and down, or the word for a resolution.
    RowSize = {"type": "string", "format": "size", "pattern": ROW_SIZE, "examples": ["1024x1024", "2K"]};
    /// A shape, across to down.
    Ratio = {"type": "string", "format": "ratio", "pattern": RATIO, "examples": ["16:9"]};
    /// A share.
    Percent = {"type": "string", "format": "percent", "pattern": PERCENT, "examples": ["10%"]};
    /// A measure, a comparison and a number.
    When = {"type": "string", "format": "condition", "pattern": WHEN, "examples": ["cost_per_accepted_usd > 0.012", "acceptance_rate < 40%"]};
    /// How much effort a picture gets.
    Quality = {"type": "string", "enum": (QualityWord::ALL.iter().map(|quality| quality.as_str()).collect::<Vec<_>>())};
    /// A check of the quality gate.
    QualityCheck = {"type": "string", "enum": (GateCheck::ALL.map(GateCheck::as_str))};
    /// A colour.
    Color = {"type": "string", "format": "color", "pattern": COLOR, "examples": ["#0a3d62"]};
    /// A number that may have a point.
    Decimal = {"type": ["string", "number"], "format": "decimal", "pattern": DECIMAL, "examples": [0.5]};
    /// What is known of a vendor.
    Preset = {"type": "string", "enum": (presets::ALL.map(|(name, _)| name))};
    /// A time zone by its IANA name.
    ZoneName = {"type": "string", "examples": ["UTC", "Europe/Berlin"]};
    /// How pictures are handed out.
    Delivery = {"type": "string", "enum": (ResponseFormat::ALL.iter().map(|format| format.as_str()).collect::<Vec<_>>())};
    /// A file format.
    FileFormat = {"type": "string", "enum": (Format::ALL.map(Format::as_str))};
}
