//! What a vendor answers: which job it was (a byte), the status (a byte), the content type (a byte), the body.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use easel::internals::calendar::Moment;
use easel::internals::capabilities::{FittedRequest, SizeTolerance};
use easel::internals::config::plan::{Account, CapabilityOverrides, Credentials, Dialect, Model, Rate, TextModel, Via};
use easel::internals::failure::Failure;
use easel::internals::pricing::{Price, TextTokenPrice};
use easel::internals::provider::openai_text::{EmbedRequest, read_embeddings};
use easel::internals::provider::text::{KINDS, read_chat};
use easel::internals::provider::{
    Adapter, ChatRequest, Job, JobResult, PictureSource, Reply, Reported, Step, by_kind, capabilities,
};
use easel::internals::secret::Secret;
use easel::{ImageRequest, Picture, Usd};
use http::{HeaderMap, HeaderValue};

use super::KEY;

/// The kinds that draw, with a model of each sort they have; the last three are not asked to draw.
pub const JOBS: [(&str, &str); 36] = [
    ("openai", "gpt-image-2"),
    ("openai", "dall-e-2"),
    ("openai", "dall-e-3"),
    ("azure", "gpt-image-1"),
    ("azure", "dall-e-3"),
    ("openai_compatible", "m"),
    ("openai_compatible", "dall-e-3"),
    ("stability", "core"),
    ("stability", "sd3.5-large"),
    ("stability", "stable-diffusion-xl-1024-v1-0"),
    ("replicate", "black-forest-labs/flux-schnell"),
    ("replicate", "stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"),
    ("openrouter", "google/gemini-3.1-flash-image"),
    ("openrouter", "black-forest-labs/flux.2-pro"),
    ("openrouter", "chat:openai/gpt-5-image"),
    ("dashscope", "qwen-image-2.0"),
    ("dashscope", "qwen-image-3.0-pro"),
    ("dashscope", "qwen-image-plus"),
    ("dashscope", "wan2.6-t2i"),
    ("dashscope", "wan2.2-t2i-flash"),
    ("dashscope", "z-image-turbo"),
    ("fal", "fal-ai/flux/schnell"),
    ("fal", "fal-ai/fast-sdxl"),
    ("fal", "fal-ai/gpt-image-1.5"),
    ("fal", "fal-ai/nano-banana-2"),
    ("fal", "acme/painter/v2"),
    ("google", "gemini-3.1-flash-image"),
    ("google", "imagen-4.0-generate-001"),
    ("google", "vertex:imagen-3.0-generate-001"),
    ("google", "vertex:gemini-3.1-flash-image"),
    ("bfl", "flux-2-pro"),
    ("bfl", "flux-kontext-pro"),
    ("bfl", "flux-pro-1.1-ultra"),
    ("anthropic", "claude-haiku-4-5"),
    ("openai_text", "gpt-5-nano"),
    ("openai_text", "text-embedding-3-small"),
];

/// The statuses that vendors answer with, the good ones more often.
pub const STATUSES: [u16; 20] =
    [200, 200, 200, 201, 202, 204, 400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 502, 503, 524, 529];

/// What the body is said to be.
pub const CONTENT_TYPES: [&str; 4] = ["application/json", "text/event-stream", "image/png", "text/html"];

/// Everything a job is made of, but the reply.
struct Prepared {
    provider: &'static dyn Adapter,
    account: Account,
    model: Model,
    request: ImageRequest,
    fitted: FittedRequest,
}

static PREPARED: LazyLock<Vec<Option<Prepared>>> = LazyLock::new(|| JOBS.iter().map(|job| prepare(*job)).collect());

fn account(base_url: &str, vertex: bool) -> Account {
    Account {
        base_url: base_url.parse().expect("an address"),
        api_key: (!vertex).then(|| Secret::new(KEY)),
        organization: None,
        project: vertex.then(|| "p1".to_owned()),
        location: vertex.then(|| "global".to_owned()),
        credentials: vertex.then_some(Credentials::Metadata),
        api_version: None,
        poll_hosts: Vec::new(),
        dialect: Dialect::default(),
    }
}

fn prepare((kind, name): (&str, &str)) -> Option<Prepared> {
    let provider = by_kind(kind)?;
    let (word, rest) = name.split_once(':').unwrap_or(("", name));
    let (vertex, chat) = (word == "vertex", word == "chat");
    let name = if vertex || chat { rest } else { name };
    let base = provider.default_base_url().unwrap_or("https://server.example/v1/");
    let account = account(if vertex { "https://aiplatform.googleapis.com/" } else { base }, vertex);
    let model = Model {
        name: name.to_owned(),
        price: Price::flat(Usd::ZERO),
        volume: Vec::new(),
        rate: Rate::default(),
        capabilities: CapabilityOverrides::default(),
        options: BTreeMap::new(),
        via: if chat { Via::Chat } else { Via::Images },
        family: None,
    };
    let request = ImageRequest::from_json(br#"{"prompt": "a red fox", "n": 2}"#).expect("a request");
    let tolerance = SizeTolerance { tolerance_ppm: 150_000, strict: false };
    let fitted =
        capabilities(provider, &account, &model).fit(&request, tolerance).expect("any model draws a plain prompt");
    Some(Prepared { provider, account, model, request, fitted })
}

/// Reads it as a reply to that job, to its first call and to a later one.
pub fn reply(data: &[u8]) {
    let [job, status, content_type, body @ ..] = data else { return };
    let at = usize::from(*job) % JOBS.len();
    let mut headers = HeaderMap::new();
    let content_type = CONTENT_TYPES[usize::from(*content_type) % CONTENT_TYPES.len()];
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let reply = Reply {
        status: STATUSES[usize::from(*status) % STATUSES.len()],
        headers,
        body: Bytes::copy_from_slice(body),
        at: Moment::default(),
    };
    match &PREPARED[at] {
        Some(prepared) => prepared.read(&reply),
        None => words(JOBS[at], &reply),
    }
}

impl Prepared {
    fn read(&self, reply: &Reply) {
        let token = Secret::new(KEY);
        let noted = Reported::Cents("3.0".to_owned());
        let mut polled = self.account.base_url.clone();
        polled.set_path("/polled/1");
        let left = Duration::from_secs(60);
        let first = Job::new(&self.account, &self.model, &self.request, &self.fitted, 2, left);
        let first = Job { bearer: self.account.api_key.is_none().then_some(&token), ..first };
        let later = Job { noted: Some(&noted), polled: Some(&polled), ..first };
        for job in [first, later] {
            match self.provider.read(&job, reply) {
                Step::Done(JobResult { images, .. }) => {
                    for picture in images {
                        if let PictureSource::Inline(encoded) = picture.source {
                            let _ = Picture::inspect(encoded);
                        }
                    }
                }
                Step::Failed(failure) | Step::Lost { failure, .. } => hides_the_key(&failure),
                Step::Again { .. } => {}
            }
        }
        for event in String::from_utf8_lossy(&reply.body).split("\n\n").take(16) {
            let _ = (self.provider.partial(event), self.provider.finishes(event));
        }
    }
}

/// A vendor may quote the key. Nobody is told it.
fn hides_the_key(failure: &Failure) {
    assert!(!failure.message.contains(KEY), "shows the key: {}", failure.message);
    assert!(failure.message.len() <= 4096, "{} bytes of message", failure.message.len());
}

/// The same for a kind that writes.
fn words((kind, name): (&str, &str), reply: &Reply) {
    let base = KINDS.iter().find(|known| known.name == kind).expect("a kind that writes").default_base_url;
    let account = account(base, false);
    let price = TextTokenPrice { text_in: Usd::ZERO, text_cached_in: None, text_out: None, markup_ppm: 0 };
    let model = TextModel { name: name.to_owned(), price, rate: Rate::default(), options: BTreeMap::new() };
    let failed = if name.contains("embedding") {
        let wish = EmbedRequest { account: &account, model: &model, inputs: &["a", "b"] };
        read_embeddings(&wish, reply).map(|told| assert_eq!(told.vectors.len(), 2)).err()
    } else {
        let wish = ChatRequest { account: &account, model: &model, system: "", user: "a fox", max_tokens: 100 };
        read_chat(kind, &wish, reply).err()
    };
    if let Some(failure) = failed {
        hides_the_key(&failure);
    }
}
