//! What is agreed about money, as written: budgets and billing.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Dollars, Percent, ZoneName};

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
#[schemars(extend("examples" = [{"usd": 50, "per": "month"}]))]
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
