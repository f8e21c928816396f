//! How an OpenAI-compatible server differs from OpenAI, checked (PROVIDERS.md 8.5).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// How an OpenAI-compatible server differs from OpenAI (PROVIDERS.md 8.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Dialect {
    /// Path of the generation endpoint below `base_url`.
    pub path: String,
    /// Path of the endpoint that changes pictures; `None` when the server has none.
    pub edit_path: Option<String>,
    /// Header that carries the key, and what stands before it (`authorization`, `Bearer `).
    pub auth: (String, String),
    /// Our field name -> theirs.
    pub rename: BTreeMap<String, String>,
    /// Fields never sent.
    pub drop: BTreeSet<String>,
    /// Fields always sent, in their words.
    pub constants: BTreeMap<String, Value>,
    /// How a size is written.
    pub size: SizeFormat,
    /// What `response_format: b64_json` is called there; `None` sends no such field.
    pub response_format: Option<String>,
    /// Where the list of pictures is in the answer, dots between keys (`data`, `output.results`).
    pub list: String,
    /// The key of base64 in a list item; an item that is a bare string is taken as it is.
    pub base64: String,
    /// The key of a link in a list item.
    pub url: String,
    /// Response header with the price of the call in dollars, such as `x-litellm-response-cost`.
    pub cost_header: Option<String>,
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect {
            path: "images/generations".to_owned(),
            edit_path: None,
            auth: ("authorization".to_owned(), "Bearer ".to_owned()),
            rename: BTreeMap::new(),
            drop: BTreeSet::new(),
            constants: BTreeMap::new(),
            size: SizeFormat::WidthXHeight,
            response_format: Some("b64_json".to_owned()),
            list: "data".to_owned(),
            base64: "b64_json".to_owned(),
            url: "url".to_owned(),
            cost_header: None,
        }
    }
}

/// How a vendor writes a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeFormat {
    /// `"size": "1024x1024"`.
    WidthXHeight,
    /// `"size": "1024*1024"`.
    WidthStarHeight,
    /// `"width": 1024, "height": 1024`.
    TwoFields,
    /// `"aspect_ratio": "1:1"`.
    AspectRatio,
    /// Not sent.
    Omit,
}
