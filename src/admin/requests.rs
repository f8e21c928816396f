//! The whole story of one request: what it asked for, which offers were asked and why not the others, what each call cost, and
//! who drew what it was served from the cache. For operators and their programs as JSON, for `easel ledger --request` as text.

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind};
use crate::gateway::Gateway;
use crate::money::Usd;
use crate::store::attempts_of::{AttemptRow, PictureOrigin, PictureRow, RequestRows};

/// Requests that are listed where the query does not say how many.
const LISTED: usize = 200;

/// Requests that are listed at the most: all that are remembered in memory.
const MOST_LISTED: usize = crate::gateway::recent_requests::KEPT;

/// Characters of an id at the most; Easel's have sixteen.
const LONGEST_ID: usize = 64;

/// What is known of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestStory {
    pub(super) id: String,
    /// The access log's line.
    pub(super) line: Option<Value>,
    pub(super) rows: RequestRows,
}

/// The last requests, the newest first, each as the access log has it. Blocks.
///
/// # Errors
/// When the query means nothing.
pub fn list(gateway: &Gateway, query: &str) -> Result<Value, Error> {
    let mut limit = LISTED;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let wrong = || {
            let message = format!("limit '{value}' is none, write it like {LISTED}, {MOST_LISTED} at the most");
            Error::invalid("limit", message)
        };
        match &*name {
            "limit" => {
                let read = value.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
                limit = read.ok_or_else(wrong)?;
            }
            name => {
                let message = format!("'{name}' means nothing here, only limit");
                return Err(Error::invalid(name, message).with_code("unknown_parameter"));
            }
        }
    }
    let lines = newest(gateway, limit);
    Ok(json!({ "requests": lines }))
}

/// The lines of the last requests, the newest first: those of this process, or, where it has served none yet, of those
/// before it that called somebody. Blocks.
pub fn newest(gateway: &Gateway, count: usize) -> Vec<Value> {
    let recent = gateway.shared.recent_requests.newest(count);
    let read = |line: &str| serde_json::from_str(line).ok();
    if recent.is_empty() {
        let earlier = gateway.shared.durable_ledger.store().newest_requests(count).unwrap_or_default();
        return earlier.iter().filter_map(|line| read(line)).collect();
    }
    recent.iter().filter_map(|line| read(line)).collect()
}

impl RequestStory {
    /// What this process and its ledger know of the request `id`. Blocks.
    ///
    /// # Errors
    /// When nothing is known, or the ledger cannot be read.
    pub fn of(gateway: &Gateway, id: &str) -> Result<RequestStory, Error> {
        check_id(id)?;
        let recent = gateway.shared.recent_requests.find(id);
        let line: Option<Value> = recent.and_then(|line| serde_json::from_str(&line).ok());
        let images = line.as_ref().map(images_of).unwrap_or_default();
        let rows = gateway.shared.durable_ledger.store().request(id, &images);
        let rows =
            rows.map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()).with_code("ledger_unreadable"))?;
        RequestStory::from_rows(id, line, rows).ok_or_else(|| unknown(id))
    }

    /// The same of the ledger's file alone.
    ///
    /// # Errors
    /// When the id is none, nothing is known, or the file cannot be read.
    #[cfg(feature = "cli")]
    pub fn of_file(dir: &std::path::Path, id: &str) -> Result<RequestStory, String> {
        check_id(id).map_err(|error| error.message)?;
        let images = |line: &str| serde_json::from_str(line).as_ref().map(images_of).unwrap_or_default();
        let rows = crate::store::request_of(dir, id, images).map_err(|error| error.to_string())?;
        RequestStory::from_rows(id, None, rows).ok_or_else(|| unknown(id).message)
    }

    fn from_rows(id: &str, line: Option<Value>, rows: RequestRows) -> Option<RequestStory> {
        let kept = rows.line.as_deref().and_then(|line| serde_json::from_str(line).ok());
        let line = line.or(kept);
        let known = line.is_some() || !rows.attempts.is_empty();
        known.then(|| RequestStory { id: id.to_owned(), line, rows })
    }

    /// What its attempts came to: on the invoice, out of commitments, of both what bought nothing, and what may be charged
    /// besides.
    pub(super) fn sums(&self) -> [(&'static str, Usd); 4] {
        let sum = |of: fn(&AttemptRow) -> Usd| {
            self.rows.attempts.iter().fold(Usd::ZERO, |sum, attempt| sum.saturating_add(of(attempt)))
        };
        [
            ("usd", sum(|attempt| attempt.usd)),
            ("prepaid_usd", sum(|attempt| attempt.prepaid)),
            ("lost_usd", sum(|attempt| attempt.lost)),
            ("uncertain_usd", sum(|attempt| attempt.uncertain)),
        ]
    }

    /// The story as JSON. Amounts are strings.
    pub fn json(&self) -> Value {
        let total: Map<String, Value> =
            self.sums().into_iter().map(|(name, usd)| (name.to_owned(), usd.to_string().into())).collect();
        json!({
            "request_id": self.id,
            "request": self.line,
            "attempts": self.rows.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
            "total": total,
            "drawn_before": self.drawn_before().map(origin_json).collect::<Vec<_>>(),
        })
    }

    /// Pictures that it delivered and another request had drawn.
    pub(super) fn drawn_before(&self) -> impl Iterator<Item = &PictureOrigin> {
        self.rows.origins.iter().filter(|origin| origin.request != self.id)
    }
}

fn check_id(id: &str) -> Result<(), Error> {
    let plain = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let wrong =
        || Error::invalid("request", "the id of a request is what x-easel-request-id says, like 8cd8be07f3ce33a2");
    plain.then_some(()).ok_or_else(wrong)
}

fn unknown(id: &str) -> Error {
    let message = format!(
        "Nothing is known of a request '{id}'. The ledger has those that called a provider; what became of another is in \
         memory for a while, and in the access log."
    );
    Error::new(ErrorKind::UnknownPath, message).with_code("request_not_found").with_param("request")
}

/// The pictures that a line names.
fn images_of(line: &Value) -> Vec<String> {
    let ids = line["image"]["image_ids"].as_array();
    ids.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

fn attempt_json(attempt: &AttemptRow) -> Value {
    let AttemptRow { id, owner, purpose, chosen, opened_at, settled_at, asked, estimate, usd, prepaid, .. } = attempt;
    let AttemptRow { lost, uncertain, source, billed, accepted, rejected, reason, refused, outcome, .. } = attempt;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "attempt": id,
        "offer": format!("{}/{}", owner.provider, owner.model),
        "tenant": &*owner.tenant,
        "route": &*owner.route,
        "purpose": purpose,
        "chosen": text(chosen),
        "opened_at": opened_at.to_string(),
        "settled_at": settled_at.map(|at| at.to_string()),
        "outcome": text(outcome),
        "ms": attempt.latency_us / 1_000,
        "asked": asked,
        "billed": billed,
        "accepted": accepted,
        "rejected": rejected,
        "reason": text(reason),
        "refused": refused,
        "estimate_usd": estimate.to_string(),
        "usd": usd.to_string(),
        "prepaid_usd": prepaid.to_string(),
        "lost_usd": lost.to_string(),
        "uncertain_usd": uncertain.to_string(),
        "source": text(source),
        "pictures": attempt.pictures.iter().map(picture_json).collect::<Vec<_>>(),
    })
}

fn picture_json(picture: &PictureRow) -> Value {
    let PictureRow { image, usd, verdict, reason } = picture;
    json!({"image": image, "usd": usd.to_string(), "verdict": verdict, "reason": reason})
}

fn origin_json(origin: &PictureOrigin) -> Value {
    let PictureOrigin { image, request, offer, at, usd } = origin;
    let at = at.map(|at| at.to_string());
    json!({"image": image, "request_id": request, "offer": offer, "at": at, "usd": usd.to_string()})
}
