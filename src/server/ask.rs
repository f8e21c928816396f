//! From a client's body to the request it means, by path and media type.
//!
//! A JSON body is read where it is. Forms and the pictures of an edit are read by a thread of their own, a few at a
//! time: a mask is decoded there, which would keep other connections waiting. Nothing here knows providers or routes.

use bytes::Bytes;
use pingora::proxy::Session;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::{Error, Kind};
use crate::request::ImageRequest;
use crate::server::form;
use crate::server::paths::Operation;

/// Forms that are read at once; each may hold a decoded mask of 256 MiB.
static READERS: Semaphore = Semaphore::const_new(2);

/// What a body is written in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Form,
}

/// The request in `body`.
pub async fn request(session: &Session, operation: Operation, body: Bytes) -> Result<ImageRequest, Error> {
    match (operation, media(session, operation)?) {
        (Operation::Generate, _) => ImageRequest::from_json(&body),
        (Operation::Edit, Media::Json) => apart(move || ImageRequest::from_edit_json(&body)).await,
        (Operation::Edit, Media::Form) => {
            let fields = form::fields(content_type(session), body).await?;
            apart(move || ImageRequest::from_edit_form(fields)).await
        }
        (Operation::Vary, _) => {
            let fields = form::fields(content_type(session), body).await?;
            apart(move || ImageRequest::from_variation_form(fields)).await
        }
    }
}

/// Refuses a body that is not said to be JSON.
pub fn json(session: &Session) -> Result<(), Error> {
    media(session, Operation::Generate).map(drop)
}

/// Reads on a thread that may take its time, and waits for it.
async fn apart(read: impl FnOnce() -> Result<ImageRequest, Error> + Send + 'static) -> Result<ImageRequest, Error> {
    let failed = |why: String| Error::new(Kind::Internal, "Easel failed to read this request.").with_detail(why);
    let _turn = READERS.acquire().await.map_err(|closed| failed(closed.to_string()))?;
    spawn_blocking(read).await.map_err(|panicked| failed(panicked.to_string()))?
}

/// The body's media type, if the operation takes it.
fn media(session: &Session, operation: Operation) -> Result<Media, Error> {
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
        return Err(Error::new(Kind::UnsupportedMedia, format!("Send {wanted}.")).with_param("content-type"));
    };
    let encoding = session.get_header_bytes(http::header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
        let message = "Compressed bodies are not read: send it as it is.";
        return Err(Error::new(Kind::UnsupportedMedia, message).with_param("content-encoding"));
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
