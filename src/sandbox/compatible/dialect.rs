//! The ways in which an OpenAI-compatible server can differ from OpenAI, as settings.
//!
//! The words are chosen here, not taken from Easel's own config: a test that states the difference twice notices when
//! one of the two is misread. `mod.rs` acts on them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::image::{Format, Size};
use crate::sandbox::settings_serde::parsed;

/// How an OpenAI-compatible server speaks (PROVIDERS.md 8.3 and 8.5).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dialect {
    /// Answers without a key too, as a server on one's own machine does.
    pub open: bool,
    /// The header that carries the key.
    pub auth_header: String,
    /// What stands before the key.
    pub auth_prefix: String,
    /// Headers that must be there besides the key, with exactly these values.
    pub headers: BTreeMap<String, String>,
    /// OpenAI's field name -> this server's. The OpenAI name is then unknown.
    pub rename: BTreeMap<String, String>,
    /// Names with dots lead into objects: `input.prompt` is the prompt within `input`.
    pub nested: bool,
    /// The fields it knows besides the model, the prompt and the size, by OpenAI's names; `None` knows OpenAI's.
    pub knows: Option<BTreeSet<String>>,
    /// Fields taken besides these, with any value.
    pub extra: BTreeSet<String>,
    /// How the pictures of an edit come.
    pub edits: EditStyle,
    /// How a size is written.
    pub size: SizeStyle,
    /// The only sizes it draws; empty: every size.
    pub sizes: BTreeSet<String>,
    /// Both sides are multiples of this.
    pub size_step: u32,
    /// The size drawn when the request names none.
    #[serde(deserialize_with = "parsed")]
    pub default_size: Size,
    /// Pictures per call, at most.
    pub max_n: u8,
    /// What `response_format: b64_json` is called.
    pub base64_word: String,
    /// Whether pictures come as asked or always in one form.
    pub answer: AnswerForm,
    /// Where the list of pictures stands, dots between keys.
    pub list: String,
    /// The key of base64 in a list item.
    pub base64: String,
    /// The key of a link in a list item.
    pub url: String,
    /// List items are bare strings instead of objects.
    pub bare_items: bool,
    /// Links are paths without a host.
    pub relative_urls: bool,
    /// Answers have `created`.
    pub created: bool,
    /// How errors look.
    pub errors: ErrorShape,
    /// A response header with the exact price of the call, such as `x-litellm-response-cost`.
    pub cost_header: Option<String>,
    /// How that price is written.
    pub cost_style: CostStyle,
    /// Where the exact price of the call stands in the answer, dots between keys.
    pub cost_at: Option<String>,
    /// The words of `output_format` it knows.
    pub formats: Vec<String>,
    /// The answer names a job, which has the pictures later.
    pub jobs: Option<Jobs>,
    /// The file format drawn when the request names none.
    #[serde(deserialize_with = "format")]
    pub format: Format,
    /// Models that exist; empty: every name does.
    pub models: BTreeSet<String>,
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect {
            open: false,
            auth_header: "authorization".to_owned(),
            auth_prefix: "Bearer ".to_owned(),
            headers: BTreeMap::new(),
            rename: BTreeMap::new(),
            nested: false,
            knows: None,
            extra: BTreeSet::new(),
            edits: EditStyle::Form,
            size: SizeStyle::Any,
            sizes: BTreeSet::new(),
            size_step: 1,
            default_size: Size::new(1024, 1024),
            max_n: 10,
            base64_word: "b64_json".to_owned(),
            answer: AnswerForm::Asked,
            list: "data".to_owned(),
            base64: "b64_json".to_owned(),
            url: "url".to_owned(),
            bare_items: false,
            relative_urls: false,
            created: true,
            errors: ErrorShape::OpenAi,
            cost_header: None,
            cost_style: CostStyle::Plain,
            cost_at: None,
            formats: ["png", "jpeg", "jpg", "webp"].map(str::to_owned).into(),
            jobs: None,
            format: Format::Png,
            models: BTreeSet::new(),
        }
    }
}

/// How a size is written in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeStyle {
    /// `size` or `image_size` as `WxH`, or `width` and `height`.
    Any,
    /// `"size": "1024x1024"`.
    WidthXHeight,
    /// `"size": "1024*1024"`.
    WidthStarHeight,
    /// `"width": 1024, "height": 1024`.
    TwoFields,
    /// `"aspect_ratio": "16:9"`, drawn with about one million pixels.
    AspectRatio,
    /// No word for it: every picture has the default size.
    None,
}

/// How the pictures of an edit come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditStyle {
    /// As files of a form, to a path of their own.
    Form,
    /// As one `data:` URL among the fields of any request.
    Url,
    /// As a list of them.
    Urls,
}

/// How the price of a call is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostStyle {
    /// `0.018`.
    Plain,
    /// `18000000e-09`.
    Scientific,
    /// The word `None`, as a proxy says that knows no price.
    None,
}

/// Where a job's names stand, dots between keys, and the words for its state.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jobs {
    /// Its id, in every answer.
    pub id: String,
    /// Its state, in every answer.
    pub state: String,
    /// Where every answer has the address to poll; `None` leaves it out.
    pub address: Option<String>,
    /// The state of a job that is being drawn.
    pub running: String,
    /// The state of one whose pictures are there.
    pub done: String,
    /// The state of one that failed.
    pub failed: String,
    /// The state of one that was refused for its content; `None`: as if it had failed.
    pub refused: Option<String>,
    /// Why it failed.
    pub reason: String,
}

impl Default for Jobs {
    fn default() -> Jobs {
        Jobs {
            id: "id".to_owned(),
            state: "status".to_owned(),
            address: None,
            running: "running".to_owned(),
            done: "succeeded".to_owned(),
            failed: "failed".to_owned(),
            refused: None,
            reason: "error".to_owned(),
        }
    }
}

/// The form pictures come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerForm {
    /// As `response_format` says; links when it says nothing.
    Asked,
    /// Always base64.
    Base64,
    /// Always base64 with a `data:` prefix, under the key of base64.
    DataUrl,
    /// Always links.
    Url,
}

/// How a server words its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// `{"error":{"message","type","param","code"}}`.
    #[serde(rename = "openai")]
    OpenAi,
    /// `{"detail":[{"loc","msg","type"}]}` with 422, as FastAPI does.
    Fastapi,
    /// `{"error":"text"}`.
    Text,
    /// `{"message":"text"}`.
    Message,
    /// `{"code":40001,"msg":"text"}`.
    CodeMsg,
    /// `{"code":20400,"message":"text","data":null}`, but a bare string for a wrong key or path.
    CodeMessage,
}

fn format<'de, D: Deserializer<'de>>(input: D) -> Result<Format, D::Error> {
    String::deserialize(input)?.parse().map_err(|()| D::Error::custom("a file format is png, jpeg or webp"))
}
