//! What is agreed about money, as written: budgets, billing, clients.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Dollars, Hidden, Percent, ZoneName};

/// One budget or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Budgets {
    /// One.
    One(Budget),
    /// Several that all hold.
    Many(Vec<Budget>),
}

/// So much and no more. What an attempt may cost is set aside before it is sent, so no crowd of requests passes it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Budget {
    /// Dollars. Required.
    pub(in crate::config) usd: Option<Dollars>,
    /// How often the budget begins again: day, month or total (never). Default month.
    pub(in crate::config) per: Option<Per>,
    /// Whose midnight begins a day or month, like Europe/Berlin. Default UTC.
    pub(in crate::config) zone: Option<ZoneName>,
}

/// How often a budget begins again.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Per {
    /// At midnight.
    Day,
    /// At midnight before the first.
    Month,
    /// Never.
    Total,
}

/// A price from some number of pictures on.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct VolumeTier {
    /// Once so many pictures were charged in a month. Required.
    pub(in crate::config) from: Option<u64>,
    /// Dollars a picture from then on; only for one model.
    pub(in crate::config) usd: Option<Dollars>,
    /// Taken off every price from then on, instead of `usd`.
    pub(in crate::config) discount: Option<Percent>,
}

/// What is agreed with a vendor.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Billing {
    /// Whose months the vendor counts in. Default UTC.
    pub(in crate::config) zone: Option<ZoneName>,
    /// Discounts by how many pictures all models of this provider were charged for in a month.
    pub(in crate::config) volume: Vec<VolumeTier>,
    /// Dollars paid for every month in any case. Pictures are taken out of it first and add nothing to the bill.
    pub(in crate::config) committed_usd_per_month: Option<Dollars>,
    /// Dollars a month for capacity held ready. They are part of the month's cost, whether it is used or not.
    pub(in crate::config) reserved_usd_per_month: Option<Dollars>,
    /// Whether the reserved capacity is bought now; while it is, `concurrency.reserved_limit` holds. Default true.
    pub(in crate::config) active: Option<bool>,
    /// What is charged when there is no picture to deliver. Default: as the vendor's answers tell.
    pub(in crate::config) charges: Charges,
}

/// What is charged when there is no picture to deliver.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Charges {
    /// Pictures withheld for their content.
    pub(in crate::config) refused: Option<Charged>,
    /// Pictures that came and cannot be delivered, like broken ones. Default yes.
    pub(in crate::config) rejected: Option<Charged>,
    /// Calls that failed at the vendor, by its own word. Default no.
    pub(in crate::config) failed: Option<Charged>,
    /// Calls that Easel gave up, answers that do not say what was charged, and jobs that were lost. Default maybe.
    pub(in crate::config) abandoned: Option<Charged>,
}

/// Whether something is charged.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Charged {
    /// It is not.
    No,
    /// It is, as if it had been delivered.
    Yes,
    /// Nobody knows: it is recorded apart and counts against budgets.
    Maybe,
}

/// Who may ask.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Clients {
    /// Whoever reaches the address.
    Anyone(Anyone),
    /// Only these.
    Listed(Vec<Client>),
}

impl Default for Clients {
    fn default() -> Clients {
        Clients::Listed(Vec::new())
    }
}

/// The word for whoever reaches the address.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Anyone {
    /// Anyone may ask.
    Anyone,
}

/// One caller with a key of its own. Nothing is shared between clients.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Client {
    /// The client's name in logs, metrics and the ledger. Required.
    pub(in crate::config) name: Option<String>,
    /// SHA-256 of the key in hex: `printf %s "$KEY" | sha256sum`. A list while a key is being replaced. Required.
    pub(in crate::config) key_sha256: Option<Keys>,
    /// The routes that the client may use. Default: all.
    pub(in crate::config) routes: Option<Vec<String>>,
    /// What may be spent for the client.
    pub(in crate::config) budget: Option<Budgets>,
    /// The most that a picture for the client may cost.
    pub(in crate::config) max_usd_per_image: Option<Dollars>,
    /// The most that a request of the client may cost.
    pub(in crate::config) max_usd_per_request: Option<Dollars>,
    /// How much the client may ask for. Default: without limit.
    pub(in crate::config) rate: Rate,
}

/// One key's hash or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Keys {
    /// One.
    One(Hidden),
    /// Several that are all good.
    Many(Vec<Hidden>),
}

/// How much a client may ask for.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Rate {
    /// Pictures in a minute, those from the cache included.
    pub(in crate::config) images_per_minute: Option<u64>,
    /// Requests in a minute.
    pub(in crate::config) requests_per_minute: Option<u64>,
}
