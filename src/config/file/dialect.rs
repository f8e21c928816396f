//! `dialect:` as written: how an OpenAI-compatible server differs from OpenAI.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// How an OpenAI-compatible server differs from OpenAI.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Dialect {
    /// The generation endpoint below base_url. Default images/generations.
    pub(in crate::config) path: Option<String>,
    /// The endpoint that changes pictures, below base_url, like images/edits. Default: the server has none.
    pub(in crate::config) edit_path: Option<String>,
    /// The header that carries the key. Default authorization.
    pub(in crate::config) auth_header: Option<String>,
    /// The word before the key. Default `Bearer` in the authorization header, nothing in any other.
    pub(in crate::config) auth_prefix: Option<String>,
    /// Easel's field name and theirs.
    pub(in crate::config) rename: BTreeMap<String, String>,
    /// Fields never sent.
    pub(in crate::config) drop: Vec<String>,
    /// Fields always sent, in their words.
    pub(in crate::config) constants: BTreeMap<String, serde_json::Value>,
    /// How a size is written. Default WxH.
    pub(in crate::config) size: Option<SizeFormat>,
    /// What `response_format: b64_json` is called there; `none` sends no such field. Default b64_json.
    pub(in crate::config) response_format: Option<String>,
    /// Where the list of pictures is in the answer, dots between keys. Default data.
    pub(in crate::config) list: Option<String>,
    /// The key of base64 in a list item. Default b64_json.
    pub(in crate::config) base64: Option<String>,
    /// The key of a link in a list item. Default url.
    pub(in crate::config) url: Option<String>,
    /// A response header with the price of the call in dollars.
    pub(in crate::config) cost_header: Option<String>,
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
