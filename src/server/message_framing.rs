//! Message framing: a request says in exactly one way where its body ends, which prevents request smuggling.
//!
//! A service behind this proxy may count a doubtful length otherwise than Easel does, and would take the end of one
//! request for the beginning of the next. Easel refuses a length with two readings. A length with one reading that is
//! written oddly is written anew, and its request is the last on its connection.

use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use pingora::http::RequestHeader;

use crate::error::{Error, ErrorKind};

/// Names that servers of the CGI kind take for the two real ones.
const TWINS: [HeaderName; 2] =
    [HeaderName::from_static("content_length"), HeaderName::from_static("transfer_encoding")];

/// Whether the body's length was told as plainly as it should be. Pingora has made sure already that all lengths told
/// are the same number, and that a chunked body has none besides.
///
/// # Errors
/// A transfer coding other than `chunked` alone (RFC 9112 section 6.1).
pub fn settle(head: &mut RequestHeader) -> Result<bool, Error> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        && (codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
    {
        let message = "Send 'transfer-encoding: chunked' once and alone, or the body's length.";
        return Err(Error::new(ErrorKind::InvalidRequest, message).with_code("invalid_transfer_encoding"));
    }
    let twins = TWINS.into_iter().filter(|twin| head.remove_header(twin).is_some()).count();
    Ok(one_length(head) && twins == 0)
}

/// Leaves one number of several equal ones; whether it was one already.
fn one_length(head: &mut RequestHeader) -> bool {
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return true };
    if lengths.next().is_none() && first.as_bytes().iter().all(u8::is_ascii_digit) {
        return true;
    }
    let text = first.to_str().unwrap_or_default();
    let number = text.split(',').next().unwrap_or_default().trim().to_owned();
    // A number is a header value.
    let _ = head.insert_header(CONTENT_LENGTH, number);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut head = RequestHeader::build("POST", b"/", None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    #[test]
    fn equal_lengths_become_one_and_are_told_apart_from_a_plain_one() {
        for (fields, plain) in [
            (&[("content-length", "5")][..], true),
            (&[("content-length", "5, 5")][..], false),
            (&[("content-length", "5"), ("Content-Length", "5")][..], false),
            (&[("content-length", "5 ,5,5"), ("content-length", "5")][..], false),
            (&[("content-length", "5"), ("content_length", "50")][..], false),
        ] {
            let mut head = head(fields);
            assert_eq!(settle(&mut head).unwrap(), plain, "{fields:?}");
            let left: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            assert_eq!(left, [("content-length", &b"5"[..])], "{fields:?}");
        }
        assert!(settle(&mut head(&[])).unwrap());
    }

    #[test]
    fn a_transfer_coding_is_chunked_once_and_alone() {
        for good in ["chunked", "Chunked", " chunked "] {
            assert!(settle(&mut head(&[("transfer-encoding", good)])).unwrap(), "{good}");
        }
        for bad in ["chunked, chunked", "gzip, chunked", "identity", ",chunked", "", "xchunked"] {
            assert!(settle(&mut head(&[("transfer-encoding", bad)])).is_err(), "{bad}");
        }
        assert!(settle(&mut head(&[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")])).is_err());
        let mut twin = head(&[("transfer-encoding", "chunked"), ("transfer_encoding", "identity")]);
        assert!(!settle(&mut twin).unwrap());
        assert_eq!(twin.headers.len(), 1);
    }
}
