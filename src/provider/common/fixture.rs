//! An account, a model and a request put together, for the tests of this floor. Compiled for tests only.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use crate::calendar::Moment;
use crate::capabilities::SizeTolerance;
use crate::config::plan::{Account, CapabilityOverrides, Dialect, Model, Rate, Via};
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::pricing::Price;
use crate::provider::adapter::{Adapter, Call, Job, Reply, Reported};
use crate::provider::{by_kind, capabilities};
use crate::request::{Edit, ImageRequest, Input, Mask};
use crate::secret::Secret;

/// An account at this address with this key.
pub fn account(base: &str, key: &str) -> Account {
    Account {
        base_url: base.parse().unwrap(),
        api_key: Some(Secret::new(key)),
        organization: None,
        project: None,
        location: None,
        credentials: None,
        api_version: None,
        poll_hosts: Vec::new(),
        dialect: Dialect::default(),
    }
}

/// What a job refers to.
pub struct JobFixture {
    /// The provider under test.
    pub provider: &'static dyn Adapter,
    /// Its account, with a key.
    pub account: Account,
    /// The model.
    pub model: Model,
    /// Its token, for vendors that take one.
    pub bearer: Option<Secret>,
    /// The caller's request.
    pub request: ImageRequest,
    /// Time left.
    pub time_left: Duration,
    /// What the latest step noted.
    pub noted: Option<Reported>,
    /// Where the latest poll went.
    pub polled: Option<Url>,
}

impl JobFixture {
    /// A job for this kind and model, with an OpenAI request.
    pub fn new(kind: &str, model: &str, request: &str) -> JobFixture {
        let provider = by_kind(kind).unwrap();
        let base = provider.default_base_url().unwrap_or("https://server.example/prefix/v1/");
        JobFixture {
            provider,
            account: account(base, "key-0123456789abcdef"),
            model: Model {
                name: model.to_owned(),
                price: Price::flat(Usd::ZERO),
                volume: Vec::new(),
                rate: Rate::default(),
                capabilities: CapabilityOverrides::default(),
                options: BTreeMap::new(),
                via: Via::default(),
                family: None,
            },
            bearer: None,
            request: ImageRequest::from_json(request.as_bytes()).unwrap(),
            time_left: Duration::from_secs(120),
            noted: None,
            polled: None,
        }
    }

    /// The same with an edit of so many pictures, with or without a mask.
    pub fn editing(mut self, images: usize, mask: bool) -> JobFixture {
        let input =
            |bytes: &str| Input::new(Bytes::copy_from_slice(bytes.as_bytes()), Format::Png, Size::new(1024, 1024));
        let images = (0..images).map(|number| input(&format!("image {number}"))).collect();
        let mask = mask.then(|| Mask { clear: input("mask clear"), white: Bytes::from_static(b"mask white") });
        self.request.edit = Some(Edit { images, mask, fidelity: None });
        self
    }

    /// The key in the account.
    pub fn key(&self) -> &str {
        self.account.api_key.as_ref().map_or("", Secret::reveal)
    }

    /// The job, fitted to the model as the gateway does it.
    pub fn job(&self) -> Job<'_> {
        let size_tolerance = SizeTolerance { tolerance_ppm: 150_000, strict: false };
        let fitted =
            capabilities(self.provider, &self.account, &self.model).fit(&self.request, size_tolerance).unwrap();
        let job = Job::new(&self.account, &self.model, &self.request, &fitted, self.request.n, self.time_left);
        Job { bearer: self.bearer.as_ref(), noted: self.noted.as_ref(), polled: self.polled.as_ref(), ..job }
    }

    /// The call this job starts with.
    pub fn call(&self) -> Call {
        self.provider.ask(&self.job()).unwrap()
    }

    /// The JSON body of that call.
    pub fn body(&self) -> Value {
        serde_json::from_slice(&self.call().body).unwrap()
    }

    /// A reply without headers.
    pub fn reply(&self, status: u16, body: impl AsRef<[u8]>) -> Reply {
        Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_ref()), at: Moment::default() }
    }
}

impl Reply {
    /// The same reply with one more header.
    pub fn with(mut self, name: &'static str, value: &str) -> Reply {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }
}
