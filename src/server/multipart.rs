//! Takes a client's `multipart/form-data` body apart into its fields.
//!
//! The body is in memory already, bounded by `limits.request_body`, and fields are slices of it. What the
//! fields mean is decided in `request`.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;

use crate::error::{Error, ErrorKind};
use crate::request::FormField;

/// Fields one form may have; OpenAI's largest has 16 pictures, a mask and a handful of texts.
const MAX_FIELDS: usize = 64;

/// Characters of a field's name that are looked at.
const MAX_NAME: usize = 80;

/// The fields of `body` in their order. `media_type` is the request's own, with its boundary.
pub async fn fields(media_type: &str, body: Bytes) -> Result<Vec<FormField>, Error> {
    let boundary = multer::parse_boundary(media_type).map_err(|_| {
        let message = "The content type 'multipart/form-data' needs a boundary.";
        Error::new(ErrorKind::UnsupportedMedia, message).with_param("content-type")
    })?;
    let mut form = Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        if fields.len() == MAX_FIELDS {
            let message = format!("The form has more than {MAX_FIELDS} fields.");
            return Err(Error::new(ErrorKind::InvalidRequest, message).with_code("invalid_form"));
        }
        // A name that is longer is nobody's; what is left of it is told.
        let name = field.name().unwrap_or_default().chars().take(MAX_NAME).collect();
        let (is_file, untouched) = (field.file_name().is_some(), field.file_name() == Some(""));
        let bytes = field.bytes().await.map_err(broken)?;
        if untouched && bytes.is_empty() {
            // What a browser sends for a file that nobody chose (HTML, "constructing the entry list").
            continue;
        }
        fields.push(FormField { name, is_file, bytes });
    }
    Ok(fields)
}

fn broken(error: multer::Error) -> Error {
    let message = format!("The body is not a whole multipart form: {error}.");
    Error::new(ErrorKind::InvalidRequest, message).with_code("invalid_form")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--x\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\na fox\r\n\
                        --x\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n\x01\r\n--x--\r\n";

    #[tokio::test]
    async fn a_form_is_taken_apart_and_a_broken_one_told() {
        let read =
            async |media_type: &str, body: &str| fields(media_type, Bytes::copy_from_slice(body.as_bytes())).await;
        let whole = read("multipart/form-data; boundary=x", FORM).await.unwrap();
        let told: Vec<_> = whole.iter().map(|field| (field.name.as_str(), field.is_file, &field.bytes[..])).collect();
        assert_eq!(told, [("prompt", false, &b"a fox"[..]), ("image", true, &b"\x01"[..])]);
        let cut = read("multipart/form-data; boundary=x", &FORM[..FORM.len() - 12]).await.unwrap_err();
        assert_eq!((cut.kind.status(), cut.code()), (400, "invalid_form"));
        assert_eq!(read("multipart/form-data", FORM).await.unwrap_err().kind.status(), 415);
        let many =
            FORM.replacen("--x\r\n", &"--x\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n1\r\n".repeat(70), 1);
        assert!(read("multipart/form-data; boundary=x", &many).await.is_err());
    }
}
