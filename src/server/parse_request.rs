//! From a client's body to the request it means, by path and media type.
//!
//! A small JSON body is read where it is. Larger ones, forms and the pictures of an edit are read by a thread of their
//! own, a few at a time, and masks, whose pixels are decoded, apart from all others: what takes long delays its like
//! alone. Nothing here knows providers or routes.

use std::time::Duration;

use pingora::proxy::Session;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::plan::Limits;
use crate::error::{Error, ErrorKind};
use crate::request::{Edit, EditDraft, ImageRequest, Input, Mask};
use crate::server::endpoint::Operation;
use crate::server::multipart;
use crate::server::request_memory::RequestBody;

/// Bodies that are read at once by threads of their own. Each holds its own bytes and what it decodes of them.
static READERS: Semaphore = Semaphore::const_new(2);

/// Masks that are decoded at once. One takes as long as its pixels, some tenths of a second at the most.
static MASKS: Semaphore = Semaphore::const_new(1);

/// How long a request waits until its turn to be read comes.
const TURN: Duration = Duration::from_secs(10);

/// JSON of so many bytes is read where it is, in some fifty microseconds.
const SMALL: usize = 64 * 1024;

/// What a body is written in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `multipart/form-data`.
    Form,
}

/// The largest body that `operation` takes: words alone are never large.
pub fn most_bytes(operation: Operation, limits: &Limits) -> usize {
    match operation {
        Operation::Generate => limits.generation_body.min(limits.request_body),
        Operation::Edit | Operation::Vary => limits.request_body,
    }
}

/// The request in `body`, whose media type is one that `operation` takes.
pub async fn request(
    session: &Session,
    operation: Operation,
    media: Media,
    body: RequestBody,
    limits: &Limits,
) -> Result<ImageRequest, Error> {
    let bytes = body.bytes.clone();
    let draft = match (operation, media) {
        (Operation::Generate, _) if bytes.len() <= SMALL => return ImageRequest::from_json(&bytes),
        (Operation::Generate, _) => return offload(&READERS, move || ImageRequest::from_json(&bytes)).await,
        (Operation::Edit, Media::Json) => offload(&READERS, move || EditDraft::from_edit_json(&bytes)).await?,
        (Operation::Edit, Media::Form) => {
            let fields = Box::pin(multipart::fields(content_type(session), bytes)).await?;
            offload(&READERS, move || EditDraft::from_edit_form(fields)).await?
        }
        (Operation::Vary, _) => {
            let fields = Box::pin(multipart::fields(content_type(session), bytes)).await?;
            offload(&READERS, move || EditDraft::from_variation_form(fields)).await?
        }
    };
    draft.check_mask(limits.mask_pixels)?;
    let mut request = if draft.has_mask() { offload(&MASKS, move || draft.finish()).await? } else { draft.finish()? };
    if let Some(edit) = &mut request.edit {
        keep(&body, edit);
    }
    Ok(request)
}

/// Has the pictures counted with the body that they came in.
fn keep(body: &RequestBody, edit: &mut Edit) {
    let kept = |input: &mut Input| input.bytes = body.keep(std::mem::take(&mut input.bytes));
    edit.images.iter_mut().for_each(kept);
    if let Some(Mask { clear, white }) = &mut edit.mask {
        kept(clear);
        *white = body.keep(std::mem::take(white));
    }
}

/// Refuses a body that is not said to be JSON.
pub fn json(session: &Session) -> Result<(), Error> {
    media(session, Operation::Generate).map(drop)
}

/// Reads on a thread that may take its time, when it is this request's turn.
async fn offload<T: Send + 'static>(
    turns: &'static Semaphore,
    read: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let failed = |why: String| Error::new(ErrorKind::Internal, "Easel failed to read this request.").with_detail(why);
    let turn = timeout(TURN, turns.acquire()).await;
    let turn = turn.map_err(|_| Error::busy("This server has many large requests to read."))?;
    // Whoever asked may leave: the thread goes on all the same, and its turn lasts as long as it does.
    let turn = turn.map_err(|closed| failed(closed.to_string()))?;
    let read = spawn_blocking(move || {
        let read = read();
        drop(turn);
        read
    });
    read.await.map_err(|panicked| failed(panicked.to_string()))?
}

/// The body's media type, if the operation takes it.
pub fn media(session: &Session, operation: Operation) -> Result<Media, Error> {
    let told = content_type(session).split(';').next().unwrap_or_default().trim();
    let media = [("application/json", Media::Json), ("multipart/form-data", Media::Form)]
        .into_iter()
        .find(|(name, media)| name.eq_ignore_ascii_case(told) && takes(operation, *media));
    let Some((_, media)) = media else {
        let wanted = match operation {
            Operation::Generate => "'content-type: application/json'",
            Operation::Edit => "a form ('content-type: multipart/form-data'), or 'content-type: application/json'",
            Operation::Vary => "a form ('content-type: multipart/form-data')",
        };
        return Err(Error::new(ErrorKind::UnsupportedMedia, format!("Send {wanted}.")).with_param("content-type"));
    };
    let encoding = session.get_header_bytes(http::header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
        let message = "Compressed bodies are not read: send it as it is.";
        return Err(Error::new(ErrorKind::UnsupportedMedia, message).with_param("content-encoding"));
    }
    Ok(media)
}

fn takes(operation: Operation, media: Media) -> bool {
    match operation {
        Operation::Generate => media == Media::Json,
        Operation::Edit => true,
        Operation::Vary => media == Media::Form,
    }
}

fn content_type(session: &Session) -> &str {
    session.get_header(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
