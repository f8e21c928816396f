//! Errors as the caller meets them: what kind, which words for the caller, which words for the operator.
//!
//! [`Kind`] decides status, OpenAI `type` and `code`, and the word used in logs and metrics, each in one exhaustive
//! match. Nothing here formats an HTTP answer (that is `server/respond.rs`) and nothing here knows a provider.

use std::fmt;
use std::time::Duration;

/// What went wrong, as far as the caller's next step is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is wrong; sending it again changes nothing.
    InvalidRequest,
    /// The body is larger than this server reads.
    TooLarge,
    /// The head is larger than this server reads.
    HeaderTooLarge,
    /// The body is not of a type this path reads.
    UnsupportedMedia,
    /// No such path.
    UnknownPath,
    /// The path exists, the method does not.
    WrongMethod,
    /// No route answers this model name.
    ModelNotFound,
    /// A picture file that is not (or no longer) here.
    FileNotFound,
    /// A picture link whose signature is wrong or whose time is over.
    LinkRefused,
    /// A provider refused the content by its policy.
    Refused,
    /// Every able provider costs more than the caller or the route allows.
    PriceLimit,
    /// The caller has no key that is known here.
    Unauthorized,
    /// The caller may not use what it asks for.
    Forbidden,
    /// A web page sent it whose origin is not known here.
    ForeignOrigin,
    /// A web page of another site sent it.
    CrossSite,
    /// It calls this server by a name that is not its own.
    ForeignHost,
    /// Another machine sent it, and the config does not say that anyone may ask.
    NotOfThisMachine,
    /// A budget is used up.
    OverBudget,
    /// The caller asks for more in a minute than it may.
    RateLimited,
    /// Every able provider is at its concurrency cap, or the server is.
    Busy,
    /// Every able provider is cooling down.
    Unavailable,
    /// Providers were asked and failed.
    UpstreamFailed,
    /// The route's deadline passed first.
    DeadlineExceeded,
    /// A fault of our own.
    Internal,
}

impl Kind {
    /// HTTP status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Kind::InvalidRequest | Kind::Refused | Kind::PriceLimit => 400,
            Kind::Unauthorized => 401,
            Kind::LinkRefused
            | Kind::Forbidden
            | Kind::ForeignOrigin
            | Kind::CrossSite
            | Kind::ForeignHost
            | Kind::NotOfThisMachine => 403,
            Kind::UnknownPath | Kind::ModelNotFound | Kind::FileNotFound => 404,
            Kind::WrongMethod => 405,
            Kind::TooLarge => 413,
            Kind::UnsupportedMedia => 415,
            Kind::HeaderTooLarge => 431,
            Kind::Busy | Kind::OverBudget | Kind::RateLimited => 429,
            Kind::Internal => 500,
            Kind::UpstreamFailed => 502,
            Kind::Unavailable => 503,
            Kind::DeadlineExceeded => 504,
        }
    }

    /// The `error.type` that OpenAI's clients know.
    pub fn openai_type(self) -> &'static str {
        match self {
            Kind::InvalidRequest
            | Kind::TooLarge
            | Kind::HeaderTooLarge
            | Kind::UnsupportedMedia
            | Kind::UnknownPath
            | Kind::WrongMethod
            | Kind::ModelNotFound
            | Kind::FileNotFound
            | Kind::LinkRefused
            | Kind::Unauthorized
            | Kind::Forbidden
            | Kind::ForeignOrigin
            | Kind::CrossSite
            | Kind::ForeignHost
            | Kind::NotOfThisMachine
            | Kind::PriceLimit => "invalid_request_error",
            Kind::Refused => "image_generation_user_error",
            Kind::Busy | Kind::RateLimited => "rate_limit_error",
            Kind::OverBudget => "insufficient_quota",
            Kind::Unavailable | Kind::UpstreamFailed | Kind::DeadlineExceeded | Kind::Internal => "server_error",
        }
    }

    /// The default `error.code`; the same word goes to the log and the metric label.
    pub fn word(self) -> &'static str {
        match self {
            Kind::InvalidRequest => "invalid_request",
            Kind::TooLarge => "request_too_large",
            Kind::HeaderTooLarge => "header_too_large",
            Kind::UnsupportedMedia => "unsupported_media_type",
            Kind::UnknownPath => "unknown_path",
            Kind::WrongMethod => "method_not_allowed",
            Kind::ModelNotFound => "model_not_found",
            Kind::FileNotFound => "file_not_found",
            Kind::LinkRefused => "link_refused",
            Kind::Refused => "moderation_blocked",
            Kind::PriceLimit => "price_limit",
            Kind::Unauthorized => "invalid_api_key",
            Kind::Forbidden => "route_not_allowed",
            Kind::ForeignOrigin => "foreign_origin",
            Kind::CrossSite => "cross_site",
            Kind::ForeignHost => "foreign_host",
            Kind::NotOfThisMachine => "not_of_this_machine",
            Kind::OverBudget => "insufficient_quota",
            Kind::RateLimited => "client_rate_limit",
            Kind::Busy => "rate_limit_exceeded",
            Kind::Unavailable => "providers_unavailable",
            Kind::UpstreamFailed => "upstream_failed",
            Kind::DeadlineExceeded => "deadline_exceeded",
            Kind::Internal => "internal_error",
        }
    }

    /// Whether the same request may succeed later. OpenAI's client reads this as `x-should-retry`.
    pub fn worth_retrying(self) -> bool {
        match self {
            Kind::Busy
            | Kind::RateLimited
            | Kind::Unavailable
            | Kind::UpstreamFailed
            | Kind::DeadlineExceeded
            | Kind::Internal => true,
            Kind::InvalidRequest
            | Kind::TooLarge
            | Kind::HeaderTooLarge
            | Kind::UnsupportedMedia
            | Kind::UnknownPath
            | Kind::WrongMethod
            | Kind::ModelNotFound
            | Kind::FileNotFound
            | Kind::LinkRefused
            | Kind::Refused
            | Kind::Unauthorized
            | Kind::Forbidden
            | Kind::ForeignOrigin
            | Kind::CrossSite
            | Kind::ForeignHost
            | Kind::NotOfThisMachine
            | Kind::OverBudget
            | Kind::PriceLimit => false,
        }
    }
}

/// A failure on its way to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure; decides status and words.
    pub kind: Kind,
    /// Words for the caller. Never a provider's key, account or address.
    pub message: String,
    /// The request field at fault, in OpenAI's `param`.
    pub param: Option<String>,
    /// A code more exact than the kind's own word, such as `unknown_parameter`.
    pub code: Option<&'static str>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// Words for the operator's log; may be longer and name providers.
    pub detail: Option<String>,
}

impl Error {
    /// An error of `kind` with words for the caller.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), param: None, code: None, retry_after: None, detail: None }
    }

    /// A 400 about one request field.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Error {
        let mut error = Error::new(Kind::InvalidRequest, message);
        error.param = Some(param.into());
        error.code = Some("invalid_value");
        error
    }

    /// The answer to a client that may come back in a second.
    pub fn busy(message: &str) -> Error {
        Error::new(Kind::Busy, message).with_retry_after(Duration::from_secs(1))
    }

    /// The same error with a more exact code.
    pub fn with_code(mut self, code: &'static str) -> Error {
        self.code = Some(code);
        self
    }

    /// The same error naming the field at fault.
    pub fn with_param(mut self, param: impl Into<String>) -> Error {
        self.param = Some(param.into());
        self
    }

    /// The same error with a time to come back.
    pub fn with_retry_after(mut self, after: Duration) -> Error {
        self.retry_after = Some(after);
        self
    }

    /// The same error with words for the operator.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.detail = Some(detail.into());
        self
    }

    /// The `error.code` of the answer.
    pub fn code(&self) -> &'static str {
        self.code.unwrap_or(self.kind.word())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.message)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
