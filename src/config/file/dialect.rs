//! `dialect:` as written: how an OpenAI-compatible server differs from OpenAI.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{HeaderText, Time};

/// How an OpenAI-compatible server differs from OpenAI.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Dialect {
    /// The generation endpoint below base_url. Default images/generations.
    pub(in crate::config) path: Option<String>,
    /// The endpoint that changes pictures, below base_url, like images/edits. Default: the server has none.
    pub(in crate::config) edit_path: Option<String>,
    /// How the pictures of an edit are sent: as a form, as one `data:` URL, or as a list of them. Default form.
    pub(in crate::config) edit_as: Option<EditAs>,
    /// The header that carries the key. Default authorization.
    pub(in crate::config) auth_header: Option<String>,
    /// The word before the key. Default `Bearer` in the authorization header, nothing in any other.
    pub(in crate::config) auth_prefix: Option<String>,
    /// Sent with every call, besides the key.
    pub(in crate::config) headers: BTreeMap<String, HeaderText>,
    /// Easel's field name and theirs; dots between the keys of nested objects.
    pub(in crate::config) rename: BTreeMap<String, String>,
    /// Fields never sent.
    pub(in crate::config) drop: Vec<String>,
    /// Fields always sent, in their words; dots between the keys of nested objects.
    pub(in crate::config) constants: BTreeMap<String, serde_json::Value>,
    /// How a size is written. Default WxH.
    pub(in crate::config) size: Option<SizeFormat>,
    /// What `response_format: b64_json` is called there; `none` sends no such field. Default b64_json.
    pub(in crate::config) response_format: Option<String>,
    /// Where the list of pictures is in the answer, dots between keys. Default data.
    pub(in crate::config) list: Option<String>,
    /// The key of base64 in a list item, dots between keys; an item may also be the text itself. Default b64_json.
    pub(in crate::config) base64: Option<String>,
    /// The key of a link in a list item, dots between keys. Default url.
    pub(in crate::config) url: Option<String>,
    /// A response header with the price of the call.
    pub(in crate::config) cost_header: Option<String>,
    /// Where the price of the call is in the answer, dots between keys.
    pub(in crate::config) cost_at: Option<String>,
    /// What that price is counted in: usd, cents, or units of the model's `unit_price`. Default usd.
    pub(in crate::config) cost_unit: Option<CostUnit>,
    /// How to ask for the pictures later, where the first answer only names a job.
    pub(in crate::config) poll: Option<Poll>,
}

/// How the pictures of an edit are sent.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum EditAs {
    /// As files of a form, as OpenAI does.
    Form,
    /// As a text of the JSON body, one picture a call.
    Json,
    /// As a list in the JSON body.
    JsonList,
}

/// What a told price is counted in.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum CostUnit {
    /// Dollars.
    Usd,
    /// Cents of a dollar.
    Cents,
    /// The vendor's own units, at the model's `unit_price`.
    Units,
}

/// A job that is asked about until it is done. Its last answer has the pictures, where `list` says.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Poll {
    /// Where the job's id is in the first answer, dots between keys; goes with `path`.
    pub(in crate::config) id: Option<String>,
    /// Where to ask, below base_url; `{id}` stands for the job's id.
    pub(in crate::config) path: Option<String>,
    /// Where in the first answer the address to ask at is, dots between keys; instead of `id` and `path`.
    pub(in crate::config) url: Option<String>,
    /// Hosts besides base_url's own that such an address may name, and that get the key then, over HTTPS only; `*.` in
    /// front means any host below, and a port may follow.
    pub(in crate::config) hosts: Vec<String>,
    /// Where the job's state is in each answer, dots between keys. Default status.
    pub(in crate::config) status: Option<String>,
    /// States of a job whose pictures are there. Required; a state in none of the lists means asking again.
    pub(in crate::config) done: Vec<String>,
    /// States of a job that failed.
    pub(in crate::config) failed: Vec<String>,
    /// States of a job that was refused for its content.
    pub(in crate::config) refused: Vec<String>,
    /// Where a failed job says why, dots between keys. Default: wherever errors usually are.
    pub(in crate::config) error: Option<String>,
    /// Time between two questions. Default 1s.
    pub(in crate::config) every: Option<Time>,
}

/// How a vendor writes a size.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
pub(in crate::config) enum SizeFormat {
    /// One field: size 1024x1024.
    #[serde(rename = "WxH")]
    WidthXHeight,
    /// One field: size 1024*1024.
    #[serde(rename = "W*H")]
    WidthStarHeight,
    /// Two fields: width and height.
    #[serde(rename = "width_height")]
    TwoFields,
    /// One field: aspect_ratio 1:1.
    #[serde(rename = "aspect_ratio")]
    AspectRatio,
    /// Not sent.
    #[serde(rename = "none")]
    Omit,
}
