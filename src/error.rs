//! Errors as the caller meets them: what kind, which words for the caller, which words for the operator.
//!
//! [`ErrorKind`] decides status, OpenAI `type` and `code`, and the word used in logs and metrics, each in one exhaustive
//! match. Nothing here formats an HTTP answer (that is `server/response.rs`) and nothing here knows a provider.

use std::fmt;
use std::time::Duration;

/// What went wrong, as far as the caller's next step is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
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
    /// Every able provider is paused.
    Unavailable,
    /// Providers were asked and failed.
    UpstreamFailed,
    /// The route's deadline passed first.
    DeadlineExceeded,
    /// An idempotency key that stands for another request.
    IdempotencyReused,
    /// An idempotency key whose pictures were delivered, or drawn, and are not kept any more.
    IdempotencyGone,
    /// An idempotency key whose request failed and was, or may have been, paid for.
    IdempotencyFailed,
    /// An idempotency key whose request ended with the process, and may have been paid for.
    IdempotencyInterrupted,
    /// An idempotency key whose request is under way in another process, one of which hands over to the other.
    IdempotencyElsewhere,
    /// A fault of our own.
    Internal,
}

impl ErrorKind {
    /// HTTP status of the answer.
    pub fn status(self) -> u16 {
        match self {
            ErrorKind::InvalidRequest | ErrorKind::Refused | ErrorKind::PriceLimit => 400,
            ErrorKind::Unauthorized => 401,
            ErrorKind::LinkRefused
            | ErrorKind::Forbidden
            | ErrorKind::ForeignOrigin
            | ErrorKind::CrossSite
            | ErrorKind::ForeignHost
            | ErrorKind::NotOfThisMachine => 403,
            ErrorKind::UnknownPath | ErrorKind::ModelNotFound | ErrorKind::FileNotFound => 404,
            ErrorKind::WrongMethod => 405,
            ErrorKind::IdempotencyReused
            | ErrorKind::IdempotencyFailed
            | ErrorKind::IdempotencyInterrupted
            | ErrorKind::IdempotencyElsewhere => 409,
            ErrorKind::IdempotencyGone => 410,
            ErrorKind::TooLarge => 413,
            ErrorKind::UnsupportedMedia => 415,
            ErrorKind::HeaderTooLarge => 431,
            ErrorKind::Busy | ErrorKind::OverBudget | ErrorKind::RateLimited => 429,
            ErrorKind::Internal => 500,
            ErrorKind::UpstreamFailed => 502,
            ErrorKind::Unavailable => 503,
            ErrorKind::DeadlineExceeded => 504,
        }
    }

    /// The `error.type` that OpenAI's clients know.
    pub fn openai_type(self) -> &'static str {
        match self {
            ErrorKind::InvalidRequest
            | ErrorKind::TooLarge
            | ErrorKind::HeaderTooLarge
            | ErrorKind::UnsupportedMedia
            | ErrorKind::UnknownPath
            | ErrorKind::WrongMethod
            | ErrorKind::ModelNotFound
            | ErrorKind::FileNotFound
            | ErrorKind::LinkRefused
            | ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::ForeignOrigin
            | ErrorKind::CrossSite
            | ErrorKind::ForeignHost
            | ErrorKind::NotOfThisMachine
            | ErrorKind::IdempotencyReused
            | ErrorKind::IdempotencyGone
            | ErrorKind::IdempotencyFailed
            | ErrorKind::IdempotencyInterrupted
            | ErrorKind::IdempotencyElsewhere
            | ErrorKind::PriceLimit => "invalid_request_error",
            ErrorKind::Refused => "image_generation_user_error",
            ErrorKind::Busy | ErrorKind::RateLimited => "rate_limit_error",
            ErrorKind::OverBudget => "insufficient_quota",
            ErrorKind::Unavailable | ErrorKind::UpstreamFailed | ErrorKind::DeadlineExceeded | ErrorKind::Internal => {
                "server_error"
            }
        }
    }

    /// The default `error.code`; the same word goes to the log and the metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::InvalidRequest => "invalid_request",
            ErrorKind::TooLarge => "request_too_large",
            ErrorKind::HeaderTooLarge => "header_too_large",
            ErrorKind::UnsupportedMedia => "unsupported_media_type",
            ErrorKind::UnknownPath => "unknown_path",
            ErrorKind::WrongMethod => "method_not_allowed",
            ErrorKind::ModelNotFound => "model_not_found",
            ErrorKind::FileNotFound => "file_not_found",
            ErrorKind::LinkRefused => "link_refused",
            ErrorKind::Refused => "moderation_blocked",
            ErrorKind::PriceLimit => "price_limit",
            ErrorKind::Unauthorized => "invalid_api_key",
            ErrorKind::Forbidden => "route_not_allowed",
            ErrorKind::ForeignOrigin => "foreign_origin",
            ErrorKind::CrossSite => "cross_site",
            ErrorKind::ForeignHost => "foreign_host",
            ErrorKind::NotOfThisMachine => "not_of_this_machine",
            ErrorKind::OverBudget => "insufficient_quota",
            ErrorKind::RateLimited => "client_rate_limit",
            ErrorKind::Busy => "rate_limit_exceeded",
            ErrorKind::Unavailable => "providers_unavailable",
            ErrorKind::UpstreamFailed => "upstream_failed",
            ErrorKind::DeadlineExceeded => "deadline_exceeded",
            ErrorKind::IdempotencyReused => "idempotency_key_reused",
            ErrorKind::IdempotencyGone => "idempotency_pictures_gone",
            ErrorKind::IdempotencyFailed => "idempotency_paid_failure",
            ErrorKind::IdempotencyInterrupted => "idempotency_interrupted",
            ErrorKind::IdempotencyElsewhere => "idempotency_elsewhere",
            ErrorKind::Internal => "internal_error",
        }
    }

    /// Whether the same request may succeed later. OpenAI's client reads this as `x-should-retry`.
    pub fn worth_retrying(self) -> bool {
        match self {
            ErrorKind::Busy
            | ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::UpstreamFailed
            | ErrorKind::DeadlineExceeded
            | ErrorKind::IdempotencyElsewhere
            | ErrorKind::Internal => true,
            ErrorKind::InvalidRequest
            | ErrorKind::TooLarge
            | ErrorKind::HeaderTooLarge
            | ErrorKind::UnsupportedMedia
            | ErrorKind::UnknownPath
            | ErrorKind::WrongMethod
            | ErrorKind::ModelNotFound
            | ErrorKind::FileNotFound
            | ErrorKind::LinkRefused
            | ErrorKind::Refused
            | ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::ForeignOrigin
            | ErrorKind::CrossSite
            | ErrorKind::ForeignHost
            | ErrorKind::NotOfThisMachine
            | ErrorKind::OverBudget
            | ErrorKind::IdempotencyReused
            | ErrorKind::IdempotencyGone
            | ErrorKind::IdempotencyFailed
            | ErrorKind::IdempotencyInterrupted
            | ErrorKind::PriceLimit => false,
        }
    }
}

/// A failure on its way to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure; decides status and words.
    pub kind: ErrorKind,
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
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), param: None, code: None, retry_after: None, detail: None }
    }

    /// A 400 about one request field.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Error {
        let mut error = Error::new(ErrorKind::InvalidRequest, message);
        error.param = Some(param.into());
        error.code = Some("invalid_value");
        error
    }

    /// The answer to a client that may come back in a second.
    pub fn busy(message: &str) -> Error {
        Error::new(ErrorKind::Busy, message).with_retry_after(Duration::from_secs(1))
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
        self.code.unwrap_or(self.kind.as_str())
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
