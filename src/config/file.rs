//! The YAML exactly as written.
//!
//! Every field may be absent and every amount, time and size is still text: what they mean is `check`'s business. The
//! doc sentence of a field is its description in the JSON Schema, so it is written for whoever edits the YAML. Nothing
//! here is `Debug`, because it holds keys in the clear.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::image::Format;
use crate::request::Quality as QualityWord;

/// A text that stands for something else, with the JSON Schema that describes it.
macro_rules! written {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Deserialize)]
        #[serde(transparent)]
        pub(super) struct $name(pub(super) String);

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
    Time = {"type": "string", "format": "duration", "examples": ["500ms", "10s", "2m", "1h", "30d"]};
    /// An amount of memory.
    Bytes = {"type": "string", "format": "bytes", "examples": ["64MiB", "2GiB", "50MB"]};
    /// Dollars, exact to nine digits after the point.
    Dollars = {"type": ["string", "number"], "format": "usd", "examples": [0.009]};
    /// Pixels across and down.
    Pixels = {"type": "string", "format": "size", "examples": ["1024x1024"]};
    /// A share.
    Percent = {"type": "string", "format": "percent", "examples": ["10%"]};
    /// A text that no message shows; best written as a reference to the outside.
    Hidden = {"type": "string", "writeOnly": true, "examples": ["${OPENAI_API_KEY}", "${file:/run/secrets/key}"]};
    /// How much effort a picture gets.
    Quality = {"type": "string", "enum": (QualityWord::ALL.iter().map(|quality| quality.word()).collect::<Vec<_>>())};
    /// A file format.
    FileFormat = {"type": "string", "enum": (Format::ALL.map(Format::word))};
}

/// One Easel: where it listens, whom it may ask, and which request goes where.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    /// Addresses and limits of Easel itself.
    pub(super) server: Server,
    /// Memory for pictures.
    pub(super) cache: Cache,
    /// Who can draw: one entry for each account at a vendor, under a name of your choice.
    pub(super) providers: BTreeMap<String, Provider>,
    /// Which request goes to whom. The first route that matches is taken.
    pub(super) routes: Vec<Route>,
}

/// Addresses and limits of Easel itself.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    /// Where clients connect, host:port. Default 127.0.0.1:8080.
    pub(super) listen: Option<String>,
    /// Where metrics and health are served, host:port. Default 127.0.0.1:9901.
    pub(super) admin: Option<String>,
    /// Serve clients over TLS.
    pub(super) tls: Option<Tls>,
    /// How clients reach picture files when they ask for links. Default: the address Easel listens on.
    pub(super) public_url: Option<String>,
    /// Where every request goes that is not about images: scheme, host and port. Default: nowhere (404).
    pub(super) passthrough: Option<String>,
    /// Worker threads. Default: one a core.
    pub(super) threads: Option<u64>,
    /// How long a stopping server waits for work in flight. Default 30s.
    pub(super) drain: Option<Time>,
    /// Signs picture links; give every Easel of one deployment the same. Default: random, links end with the process.
    pub(super) link_secret: Option<Hidden>,
    /// How long a picture link is good. Default 1h.
    pub(super) link_ttl: Option<Time>,
    /// Size and count limits.
    pub(super) limits: Limits,
}

/// Certificate and key, PEM files.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    /// The certificate chain's file.
    pub(super) cert: Option<String>,
    /// The private key's file.
    pub(super) key: Option<String>,
}

/// Size and count limits.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// Largest request body. Default 50MiB.
    pub(super) request_body: Option<Bytes>,
    /// Largest provider reply or downloaded picture. Default 64MiB.
    pub(super) response_body: Option<Bytes>,
    /// Image requests being served at once; one more is answered 429. Default 1024.
    pub(super) in_flight: Option<u64>,
    /// How long a client may take to send its request body. Default 30s.
    pub(super) body_timeout: Option<Time>,
}

/// Memory for pictures.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    /// Pictures kept for reuse. Default 512MiB.
    pub(super) memory: Option<Bytes>,
    /// Pictures held because a link to them was handed out. Default 256MiB.
    pub(super) links: Option<Bytes>,
    /// Prompts as language models rewrote them. Default 16MiB.
    pub(super) prompts: Option<Bytes>,
}

/// One account at one vendor.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Provider {
    /// The vendor's wire format: openai, azure, openai_compatible, stability, google, replicate, openrouter, bfl,
    /// dashscope or fal; or anthropic, which draws nothing but rewrites prompts.
    pub(super) kind: Option<String>,
    /// Scheme, host and path prefix of the API. Default: the vendor's own, where the kind has one.
    pub(super) base_url: Option<String>,
    /// The vendor's key, sent to this provider's hosts and nowhere else.
    pub(super) api_key: Option<Hidden>,
    /// OpenAI's organisation header; only for kind openai.
    pub(super) organization: Option<String>,
    /// OpenAI's project header, or Vertex AI's project; only for kinds openai and google.
    pub(super) project: Option<String>,
    /// Vertex AI's location: a region, global, us or eu; only for kind google.
    pub(super) location: Option<String>,
    /// Vertex AI's credentials: the text of a service account's JSON, or the word metadata for the machine's own
    /// identity; only for kind google.
    pub(super) credentials: Option<Hidden>,
    /// Azure's api-version, or v1 for its newer surface; only for kind azure. Default 2025-04-01-preview.
    pub(super) api_version: Option<String>,
    /// Longest wait for one call, polling included. Default 120s.
    pub(super) timeout: Option<Time>,
    /// Longest wait for a connection. Default 5s.
    pub(super) connect_timeout: Option<Time>,
    /// Calls at once.
    pub(super) concurrency: Concurrency,
    /// When to stop asking for a while.
    pub(super) breaker: Breaker,
    /// Added to every price of this provider, for resellers.
    pub(super) markup: Option<Percent>,
    /// Hosts besides the vendor's own from which pictures may be downloaded; `*.` in front means any host below.
    pub(super) download_hosts: Vec<String>,
    /// The models that may be asked, each with its price.
    pub(super) models: BTreeMap<String, Model>,
    /// How an OpenAI-compatible server differs from OpenAI; only for kind openai_compatible.
    pub(super) dialect: Option<Dialect>,
}

/// Calls at once.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Concurrency {
    /// Calls in flight, at most. Default 32.
    pub(super) limit: Option<u64>,
    /// Calls waiting for a slot, at most. Default 256.
    pub(super) queue: Option<u64>,
    /// Longest wait for a slot. Default 10s.
    pub(super) max_wait: Option<Time>,
}

/// When to stop asking for a while.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Breaker {
    /// Failures within the window that pause an offer. Default 5.
    pub(super) failures: Option<u64>,
    /// The time in which they count. Default 30s.
    pub(super) window: Option<Time>,
    /// How long the pause is. Default 20s.
    pub(super) pause: Option<Time>,
}

/// One model: its price, and what it can do where Easel does not know.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Model {
    /// Dollars a picture: one number, rows by size and quality, or steps by resolution. For a model that writes, dollars
    /// by the token. Required.
    pub(super) price: Option<Price>,
    /// Charged on top for each picture whose request uses them.
    pub(super) addons: Addons,
    /// Dollars for one of the vendor's own billing units, where its answers say how many a call took (fal, dashscope).
    pub(super) unit_price: Option<Dollars>,
    /// Pictures one call can draw.
    pub(super) max_n: Option<u64>,
    /// Sizes it draws: a list, or `any` to send on whatever is asked.
    pub(super) sizes: Option<Sizes>,
    /// File formats that can be asked for.
    pub(super) formats: Option<Vec<FileFormat>>,
    /// Longest prompt in characters.
    pub(super) prompt_chars: Option<u64>,
    /// Whether it takes a seed.
    pub(super) seed: Option<bool>,
    /// Whether it takes a negative prompt.
    pub(super) negative_prompt: Option<bool>,
    /// Sent with every call, in the vendor's own words.
    pub(super) options: BTreeMap<String, serde_json::Value>,
    /// Asked through OpenRouter's image API, or through a chat that answers with pictures; only for kind openrouter.
    /// Default images.
    pub(super) via: Option<Via>,
    /// The OpenAI model behind an Azure deployment, like gpt-image-1: it decides what can be asked; only for kind
    /// azure. Default: the deployment's own name.
    pub(super) model_family: Option<String>,
}

/// OpenRouter's two ways to ask for pictures.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Via {
    /// The image API.
    Images,
    /// A chat completion that answers with pictures.
    Chat,
}

/// What a model costs.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Price {
    /// Every picture costs the same.
    Flat(Dollars),
    /// By size and quality, or by resolution.
    Rows(Vec<PriceRow>),
    /// By the token, for a model that writes.
    Tokens(TokenPrices),
}

/// Dollars by the token.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TokenPrices {
    /// Dollars for a million tokens.
    pub(super) tokens_per_million: TokensPerMillion,
}

/// Dollars for a million tokens.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TokensPerMillion {
    /// Tokens that the model reads. Required.
    pub(super) text_in: Option<Dollars>,
    /// Tokens that it writes. Required.
    pub(super) text_out: Option<Dollars>,
}

/// One row of a price table: either size and quality, or up_to.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PriceRow {
    /// Exactly this size; absent means any.
    pub(super) size: Option<Pixels>,
    /// Exactly this quality; absent means any.
    pub(super) quality: Option<Quality>,
    /// Every picture of at most as many pixels as this size.
    pub(super) up_to: Option<Pixels>,
    /// Dollars a picture.
    pub(super) usd: Option<Dollars>,
}

/// Dollars a picture on top of its price.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Addons {
    /// The request has a negative prompt.
    pub(super) negative_prompt: Option<Dollars>,
    /// The request asks for an alpha channel.
    pub(super) transparent_background: Option<Dollars>,
    /// The request names a style.
    pub(super) style: Option<Dollars>,
    /// The request fixes the seed.
    pub(super) seed: Option<Dollars>,
}

/// The sizes a model draws.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Sizes {
    /// Whatever is asked.
    Word(AnySize),
    /// Only these.
    Listed(Vec<Pixels>),
}

/// The word for "whatever is asked".
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnySize {
    /// Whatever is asked is sent on.
    Any,
}

/// How an OpenAI-compatible server differs from OpenAI.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dialect {
    /// The generation endpoint below base_url. Default images/generations.
    pub(super) path: Option<String>,
    /// The endpoint that changes pictures, below base_url, like images/edits. Default: the server has none.
    pub(super) edit_path: Option<String>,
    /// The header that carries the key. Default authorization.
    pub(super) auth_header: Option<String>,
    /// The word before the key. Default `Bearer` in the authorization header, nothing in any other.
    pub(super) auth_prefix: Option<String>,
    /// Easel's field name and theirs.
    pub(super) rename: BTreeMap<String, String>,
    /// Fields never sent.
    pub(super) drop: Vec<String>,
    /// Fields always sent, in their words.
    pub(super) constants: BTreeMap<String, serde_json::Value>,
    /// How a size is written. Default WxH.
    pub(super) size: Option<SizeFormat>,
    /// What `response_format: b64_json` is called there; `none` sends no such field. Default b64_json.
    pub(super) response_format: Option<String>,
    /// Where the list of pictures is in the answer, dots between keys. Default data.
    pub(super) list: Option<String>,
    /// The key of base64 in a list item. Default b64_json.
    pub(super) base64: Option<String>,
    /// The key of a link in a list item. Default url.
    pub(super) url: Option<String>,
    /// A response header with the price of the call in dollars.
    pub(super) cost_header: Option<String>,
}

/// How a vendor writes a size.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
pub(super) enum SizeFormat {
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

/// Which requests go to whom, and under what conditions.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Route {
    /// The route's name in logs, metrics and headers. Required.
    pub(super) name: Option<String>,
    /// Which requests are meant. Default: all.
    #[serde(rename = "match")]
    pub(super) matches: Match,
    /// Who may draw, in the order they are asked. Required.
    pub(super) offers: Vec<Offer>,
    /// What a picture and a request may cost.
    pub(super) price: Limit,
    /// How long a client waits: a time, or a time and what happens then. Default 180s, partial.
    pub(super) deadline: Option<Deadline>,
    /// How often it is tried.
    pub(super) attempts: Attempts,
    /// What happens when a provider refuses the prompt for its content. Default fail.
    pub(super) refusals: Option<Refusals>,
    /// What becomes of the prompt before it is drawn.
    pub(super) prompt: Prompt,
    /// Filled in where a request is silent.
    pub(super) defaults: Defaults,
    /// How far a size may be bent to what a model draws.
    pub(super) size: Bend,
    /// Reuse of pictures; `false` turns it off. Default on, for 30d.
    pub(super) cache: Option<RouteCache>,
}

/// Which requests are meant; all conditions must hold.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Match {
    /// Model names a client may send; a `*` at the end stands for anything. Default: every name.
    pub(super) models: Option<Vec<String>>,
    /// Headers a request must carry, with exactly these values.
    pub(super) headers: BTreeMap<String, String>,
}

/// provider/model, alone or with conditions.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Offer {
    /// provider/model.
    Name(String),
    /// provider/model with conditions.
    Limited(LimitedOffer),
}

/// provider/model with conditions.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitedOffer {
    /// provider/model. Required.
    pub(super) offer: Option<String>,
    /// No picture of this offer dearer than this.
    pub(super) max_usd_per_image: Option<Dollars>,
}

/// What a picture and a request may cost.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limit {
    /// No picture dearer than this.
    pub(super) max_usd_per_image: Option<Dollars>,
    /// No request dearer than this.
    pub(super) max_usd_per_request: Option<Dollars>,
}

/// How long a client waits.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Deadline {
    /// This long.
    After(Time),
    /// This long, and what happens then.
    Then(DeadlineThen),
}

/// How long a client waits, and what happens then.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeadlineThen {
    /// How long. Default 180s.
    pub(super) after: Option<Time>,
    /// What the client gets then. Default partial.
    pub(super) then: Option<OnDeadline>,
}

/// What a client gets when its deadline passes.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnDeadline {
    /// The pictures there are, if any.
    Partial,
    /// An error.
    Fail,
}

/// How often it is tried.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Attempts {
    /// Failed calls after which a request gives up. Default 6.
    pub(super) max: Option<u64>,
    /// Failed calls after which a request stops asking the same offer. Default 2.
    pub(super) per_offer: Option<u64>,
}

/// What happens when a provider refuses the prompt for its content.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Refusals {
    /// The refusal goes back to the caller.
    Fail,
    /// The next offer is asked.
    Next,
}

/// What becomes of the prompt before it is drawn.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Prompt {
    /// Put before the prompt as it is, the space at its end included.
    pub(super) prefix: Option<String>,
    /// Put after the prompt, likewise.
    pub(super) suffix: Option<String>,
    /// A language model rewrites the caller's prompt. Where it cannot, the caller's own words are drawn.
    pub(super) enrich: Option<Enrich>,
}

/// Who rewrites prompts, and how.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Enrich {
    /// provider/model, the provider being of kind anthropic. Required.
    pub(super) offer: Option<String>,
    /// What the model is told to do with a prompt. Required.
    pub(super) system: Option<String>,
    /// Longest wait for it; never more than half of the time that is left. Default 3s.
    pub(super) timeout: Option<Time>,
    /// Its longest answer, in tokens. A longer one is cut off by the vendor and not used. Default 400.
    pub(super) max_tokens: Option<u64>,
    /// Whether what it wrote is kept for the same prompt, as long as the route's pictures. Default true.
    pub(super) cache: Option<bool>,
}

/// Filled in where a request is silent.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Defaults {
    /// Pixels across and down.
    pub(super) size: Option<Pixels>,
    /// How much effort.
    pub(super) quality: Option<Quality>,
    /// File format.
    pub(super) output_format: Option<FileFormat>,
}

/// How far a size may be bent to what a model draws.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bend {
    /// Largest change of the shape. Default 15%.
    pub(super) tolerance: Option<Percent>,
    /// Refuse instead of bending. Default false.
    pub(super) strict: Option<bool>,
}

/// Reuse of pictures.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RouteCache {
    /// On or off.
    Switch(bool),
    /// On, with conditions.
    On(RouteCacheOn),
}

/// Reuse of pictures, with conditions.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RouteCacheOn {
    /// How long a picture is reused. Default 30d.
    pub(super) ttl: Option<Time>,
}
