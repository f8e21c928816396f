//! What the sandbox's vendors charge, how long they take and how they misbehave.
//!
//! Everything has a default, so that an empty file is a working sandbox: any key, no delay, no fault, one price. A
//! YAML file gives amounts, rates and durations as plain text (`0.04`, `2.5%`, `300ms`); none of them passes through
//! floating point. Nothing here decides anything: `faults.rs` picks the faults, the vendors' files read the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::faults::{Faults, Mode};
use crate::image::Size;
use crate::money::Usd;
use crate::sandbox::compatible::dialect::Dialect;
use crate::sandbox::metered_prices::Rates;
use crate::sandbox::settings_serde::{amounts, duration, maybe_parsed, parsed};

/// The vendors, each on one line: its documentation, its variant, and its word, which is the first part of its path and
/// its key in YAML and JSON.
macro_rules! vendors {
    ($($(#[$doc:meta])* $variant:ident $field:ident,)+) => {
        /// One of the sandbox's vendors. The word is the first part of its path and its key in YAML and JSON.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Name { $($(#[$doc])* $variant,)+ }

        impl Name {
            /// Every vendor, in the order invoices list them.
            pub const ALL: [Name; [$(Name::$variant),+].len()] = [$(Name::$variant),+];

            /// `openai`, `compatible` and so on.
            pub fn as_str(self) -> &'static str {
                match self { $(Name::$variant => stringify!($field),)+ }
            }
        }

        /// One of something for each vendor.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct PerVendor<T> { $($(#[$doc])* pub $field: T,)+ }

        impl<T> PerVendor<T> {
            /// The one of `name`.
            pub fn get(&self, name: Name) -> &T {
                match name { $(Name::$variant => &self.$field,)+ }
            }

            /// The one of `name`, to change.
            pub fn get_mut(&mut self, name: Name) -> &mut T {
                match name { $(Name::$variant => &mut self.$field,)+ }
            }

            /// Something else for each vendor, made from its name and what it has here.
            pub fn map<U>(&self, mut make: impl FnMut(Name, &T) -> U) -> PerVendor<U> {
                PerVendor { $($field: make(Name::$variant, &self.$field),)+ }
            }
        }
    };
}

vendors! {
    /// The OpenAI Images API.
    OpenAi openai,
    /// A server that resembles it, with a dialect of its own.
    Compatible compatible,
    /// Stability AI, v1 and v2beta.
    Stability stability,
    /// Replicate predictions.
    Replicate replicate,
    /// Azure OpenAI, classic and v1.
    Azure azure,
    /// OpenRouter, its image API and its chat.
    OpenRouter openrouter,
    /// Alibaba's DashScope.
    DashScope dashscope,
    /// fal.ai's queue.
    Fal fal,
    /// Google, the Gemini API and Vertex AI.
    Google google,
    /// Black Forest Labs.
    Bfl bfl,
    /// Anthropic's Messages API. It draws nothing.
    Anthropic anthropic,
    /// OpenAI's Chat Completions and Embeddings, apart from its pictures. It draws nothing.
    Text text,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The settings of all vendors.
pub type Vendors = PerVendor<Vendor>;

/// A whole sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The vendors.
    pub vendors: Vendors,
    /// Where every random choice starts: the same seed and the same order of calls give the same run.
    pub seed: u64,
}

/// One vendor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vendor {
    /// The only key that is accepted; `None` accepts any key that is not empty.
    pub key: Option<String>,
    /// Price of one picture, by model. A model named here exists, whatever the vendor's own list says.
    #[serde(deserialize_with = "amounts")]
    pub price: BTreeMap<String, Usd>,
    /// Finer prices; the first row that fits a picture wins over `price`.
    pub price_table: Vec<PriceRow>,
    /// Price of one picture of every other model.
    #[serde(deserialize_with = "parsed")]
    pub default_price: Usd,
    /// How long drawing takes.
    #[serde(deserialize_with = "duration")]
    pub latency: Duration,
    /// At most this much is added to `latency`, by chance.
    #[serde(deserialize_with = "duration")]
    pub jitter: Duration,
    /// How often a call goes wrong, and how.
    pub faults: Faults,
    /// What every call meets, whatever the odds in `faults`.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub mode: Mode,
    /// Makes PNG and WebP files at least this large by drawing noise, as far as the picture has pixels for it
    /// (3 bytes each). Zero draws none.
    pub min_bytes: usize,
    /// How long access tokens are good, of those that give some: Google and Azure.
    #[serde(deserialize_with = "duration")]
    pub token_life: Duration,
    /// Checks what tokens are asked with. Google's: an RSA PUBLIC KEY in PEM, Azure's: the application's secret; `None`
    /// takes any.
    pub token_key: Option<String>,
    /// How the compatible vendor differs from OpenAI. The others do not read it.
    pub dialect: Dialect,
    /// What models cost that write, at Anthropic and at Text, by the token; a model named here exists. The others do not
    /// read it.
    pub token_price: BTreeMap<String, TokenPrice>,
    /// What Text's models say, in place of the prompt in more words; the first that fits. The others do not read it.
    pub answers: Vec<ScriptedAnswer>,
    /// What models cost that are not charged by the picture: `image_tokens`, `per_second`, `per_megapixel` and
    /// `per_step`, each by model. They win over `price` and `price_table`.
    pub rates: Rates,
    /// Whether bfl reports a task's cost and fal its billable units. The others do not read it.
    pub tells_cost: bool,
}

/// What a million of a model's tokens cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPrice {
    /// Of those it reads.
    #[serde(deserialize_with = "parsed")]
    pub text_in: Usd,
    /// Of those it finds in its cache, at Text; absent, as the others.
    #[serde(default, deserialize_with = "maybe_parsed")]
    pub text_cached_in: Option<Usd>,
    /// Of those it writes; absent, nothing.
    #[serde(default, deserialize_with = "parsed")]
    pub text_out: Usd,
}

/// What a model says where it is told something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedAnswer {
    /// Where this stands anywhere in what the model is told; empty, always.
    #[serde(default)]
    pub when: String,
    /// What it says.
    pub say: String,
}

impl Default for TokenPrice {
    /// Of every model without a price of its own.
    fn default() -> TokenPrice {
        let (text_in, text_out) = (Usd::from_nanos(1_000_000_000), Usd::from_nanos(5_000_000_000));
        TokenPrice { text_in, text_cached_in: None, text_out }
    }
}

impl Default for Vendor {
    fn default() -> Vendor {
        Vendor {
            key: None,
            price: BTreeMap::new(),
            price_table: Vec::new(),
            default_price: Usd::from_nanos(40_000_000),
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            faults: Faults::default(),
            mode: Mode::Normal,
            min_bytes: 0,
            token_life: Duration::from_secs(3599),
            token_key: None,
            dialect: Dialect::default(),
            token_price: BTreeMap::new(),
            answers: Vec::new(),
            rates: Rates::default(),
            tells_cost: true,
        }
    }
}

impl Vendor {
    /// What one picture costs. `quality` is the vendor's own word, where it has one.
    pub fn price_of(&self, model: &str, size: Size, quality: Option<&str>) -> Usd {
        if let Some(usd) = self.rates.picture(model, size, &[]) {
            return usd;
        }
        let row = self.price_table.iter().find(|row| row.fits(model, size, quality));
        row.map(|row| row.usd).or_else(|| self.price.get(model).copied()).unwrap_or(self.default_price)
    }

    /// Whether `key` is accepted.
    pub(super) fn accepts(&self, key: Option<&str>) -> bool {
        match (key, &self.key) {
            (None | Some(""), _) => false,
            (Some(_), None) => true,
            (Some(given), Some(wanted)) => given == wanted,
        }
    }
}

/// A price for some pictures; an absent part fits any.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// Exactly this model.
    #[serde(default)]
    pub model: Option<String>,
    /// Exactly this size.
    #[serde(default, deserialize_with = "maybe_parsed")]
    pub size: Option<Size>,
    /// No more pixels than this size has.
    #[serde(default, deserialize_with = "maybe_parsed")]
    pub up_to: Option<Size>,
    /// Exactly this quality, in the vendor's word.
    #[serde(default)]
    pub quality: Option<String>,
    /// Price of one picture.
    #[serde(deserialize_with = "parsed")]
    pub usd: Usd,
}

impl PriceRow {
    fn fits(&self, model: &str, size: Size, quality: Option<&str>) -> bool {
        self.model.as_deref().is_none_or(|wanted| wanted == model)
            && self.size.is_none_or(|wanted| wanted == size)
            && self.up_to.is_none_or(|most| size.pixels() <= most.pixels())
            && self.quality.as_deref().is_none_or(|wanted| Some(wanted) == quality)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::faults::Rate;

    #[test]
    fn an_empty_file_is_a_working_sandbox() {
        assert_eq!(serde_yaml::from_str::<Settings>("{}").unwrap(), Settings::default());
    }

    #[test]
    fn a_file_gives_prices_rates_and_delays_as_plain_text() {
        let settings: Settings = serde_yaml::from_str(
            "seed: 7
vendors:
  openai:
    key: sk-sandbox
    price: {gpt-image-2: 0.053, dall-e-3: 0.000000001}
    price_table:
      - {model: gpt-image-2, size: 1536x1024, quality: high, usd: 0.165}
      - {model: gpt-image-2, up_to: 512x512, usd: 0.006}
    default_price: 1e-2
    latency: 1s 500ms
    faults: {error_rate: 10%, hang_rate: 2.5%}
    mode: {rate_limited: {retry_after: 5s}}
  stability: {mode: down500}
",
        )
        .unwrap();
        let openai = &settings.vendors.openai;
        let price = |model, size, quality| openai.price_of(model, size, quality).to_string();
        assert_eq!(price("gpt-image-2", Size::new(1024, 1024), Some("high")), "0.053");
        assert_eq!(price("gpt-image-2", Size::new(1536, 1024), Some("high")), "0.165");
        assert_eq!(price("gpt-image-2", Size::new(512, 256), None), "0.006");
        assert_eq!(price("dall-e-3", Size::new(512, 256), None), "0.000000001");
        assert_eq!(price("gpt-image-1", Size::new(1024, 1024), None), "0.01");
        assert_eq!((openai.latency, settings.seed), (Duration::from_millis(1500), 7));
        assert_eq!((openai.faults.error_rate, openai.faults.hang_rate), (Rate::percent(10), Rate::per_mille(25)));
        assert_eq!(openai.mode, Mode::RateLimited { retry_after: Duration::from_secs(5) });
        assert_eq!(settings.vendors.stability.mode, Mode::Down500);
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        for text in ["vendors: {openia: {}}", "vendors: {openai: {lateny: 1s}}", "vendors: {openai: {mode: sulking}}"] {
            assert!(serde_yaml::from_str::<Settings>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn without_a_key_of_its_own_a_vendor_takes_any_key_but_none() {
        let open = Vendor::default();
        assert_eq!([open.accepts(Some("x")), open.accepts(Some("")), open.accepts(None)], [true, false, false]);
        let strict = Vendor { key: Some("right".to_owned()), ..Vendor::default() };
        assert_eq!([strict.accepts(Some("right")), strict.accepts(Some("wrong"))], [true, false]);
    }
}
