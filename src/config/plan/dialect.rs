//! How an OpenAI-compatible server differs from OpenAI, checked (PROVIDERS.md 8.5).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::config::plan::hosts::HostRule;
use crate::secret::Secret;

/// How an OpenAI-compatible server differs from OpenAI (PROVIDERS.md 8.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Dialect {
    /// Path of the generation endpoint below `base_url`.
    pub path: String,
    /// Path of the endpoint that changes pictures; `None` when the server has none.
    pub edit_path: Option<String>,
    /// How the pictures of an edit are sent.
    pub edit_as: EditAs,
    /// Header that carries the key, and what stands before it (`authorization`, `Bearer `).
    pub auth: (String, String),
    /// Sent with every call, lower-case name and value.
    pub headers: Vec<(String, Secret)>,
    /// Our field name -> theirs, dots between the keys of nested objects.
    pub rename: BTreeMap<String, String>,
    /// Fields never sent.
    pub drop: BTreeSet<String>,
    /// Fields always sent, in their words, dots between the keys of nested objects.
    pub constants: BTreeMap<String, Value>,
    /// How a size is written.
    pub size: SizeFormat,
    /// What `response_format: b64_json` is called there; `None` sends no such field.
    pub response_format: Option<String>,
    /// Where the list of pictures is in the answer, dots between keys (`data`, `output.results`).
    pub list: String,
    /// The path of base64 in a list item; an item that is a bare string is taken as it is.
    pub base64: String,
    /// The path of a link in a list item.
    pub url: String,
    /// Response header with the price of the call, such as `x-litellm-response-cost`.
    pub cost_header: Option<String>,
    /// Where the price of the call is in the answer, dots between keys.
    pub cost_at: Option<String>,
    /// What that price is counted in.
    pub cost_unit: CostUnit,
    /// How to ask for the pictures later; `None` where the first answer has them.
    pub poll: Option<Poll>,
}

/// How the pictures of an edit are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditAs {
    /// As files of a form.
    Form,
    /// As a `data:` URL in the JSON body, one picture a call.
    Json,
    /// As a list of `data:` URLs in the JSON body.
    JsonList,
}

/// What a told price is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostUnit {
    /// Dollars.
    Usd,
    /// Cents of a dollar.
    Cents,
    /// The vendor's own units, at the model's unit price.
    Units,
}

/// A job that is asked about until it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Where to ask.
    pub at: AskAt,
    /// Where the job's state is in each answer, dots between keys.
    pub status: String,
    /// States of a job whose pictures are there.
    pub done: Vec<String>,
    /// States of a job that failed.
    pub failed: Vec<String>,
    /// States of a job that was refused for its content.
    pub refused: Vec<String>,
    /// Where a failed job says why; `None` is wherever errors usually are.
    pub error: Option<String>,
    /// Time between two questions.
    pub every: Duration,
}

/// Where a job is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskAt {
    /// Below `base_url`.
    Path {
        /// Where the job's id is in the first answer, dots between keys.
        id: String,
        /// The path, with `{id}` where the id goes.
        path: String,
    },
    /// At the address that the first answer gives.
    Url {
        /// Where it is in that answer, dots between keys.
        url: String,
        /// Hosts besides `base_url`'s own that it may name.
        hosts: Vec<HostRule>,
    },
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect {
            path: "images/generations".to_owned(),
            edit_path: None,
            edit_as: EditAs::Form,
            auth: ("authorization".to_owned(), "Bearer ".to_owned()),
            headers: Vec::new(),
            rename: BTreeMap::new(),
            drop: BTreeSet::new(),
            constants: BTreeMap::new(),
            size: SizeFormat::WidthXHeight,
            response_format: Some("b64_json".to_owned()),
            list: "data".to_owned(),
            base64: "b64_json".to_owned(),
            url: "url".to_owned(),
            cost_header: None,
            cost_at: None,
            cost_unit: CostUnit::Usd,
            poll: None,
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
