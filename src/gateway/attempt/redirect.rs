//! A vendor that sends elsewhere.
//!
//! A request for pictures is never sent again to another address: whether the first was taken nobody knows, and the key goes to the
//! account's own address only. So the operator is told where it leads. A question about a job may follow within the same
//! origin, and a picture's link is followed wherever a link may lead.

use http::header::LOCATION;
use url::Url;

use crate::failure::{Class, Failure};
use crate::provider::Reply;

/// Characters of an address that are told.
const TOLD: usize = 200;

/// Whether the reply names another address or is meant to.
pub fn is_one(reply: &Reply) -> bool {
    (300..400).contains(&reply.status)
}

/// Where it leads.
pub fn anywhere(from: &Url, reply: &Reply) -> Option<Url> {
    reply.header(&LOCATION).and_then(|to| from.join(to).ok())
}

/// Where it leads, if that is at the same origin: the key may go there.
pub fn target(from: &Url, reply: &Reply) -> Option<Url> {
    anywhere(from, reply).filter(|to| to.origin() == from.origin() && to.username().is_empty())
}

/// What it means for the call, for the operator. The address is told without its query, which may hold a secret.
pub fn failure(from: &Url, reply: &Reply) -> Failure {
    let status = reply.status;
    let words = match anywhere(from, reply) {
        Some(mut to) => {
            to.set_query(None);
            to.set_fragment(None);
            // Neither of these can fail for an address that has a host, and others have no user.
            let _ = (to.set_username(""), to.set_password(None));
            let to: String = to.as_str().chars().take(TOLD).collect();
            format!("HTTP {status} from {} leads to {to}, which is not followed: mend base_url", from.path())
        }
        None => format!("HTTP {status} from {} leads nowhere: it names no address", from.path()),
    };
    Failure::new(Class::Malformed, words)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn reply(location: Option<&'static str>) -> Reply {
        let headers = location.map(|to| (LOCATION, HeaderValue::from_static(to))).into_iter().collect::<HeaderMap>();
        Reply { status: 307, headers, body: Bytes::new(), at: crate::clock::now() }
    }

    #[test]
    fn the_operator_is_told_where_it_leads_and_no_secret() {
        let from: Url = "http://vendor.example/v1/images/generations".parse().unwrap();
        for (location, told) in [
            (Some("/v1/images/generations/"), "leads to http://vendor.example/v1/images/generations/,"),
            (Some("https://vendor.example/v1/?key=s3cret#x"), "leads to https://vendor.example/v1/,"),
            (Some("https://me:s3cret@other.example/"), "leads to https://other.example/,"),
            (Some("http://["), "leads nowhere"),
            (None, "leads nowhere"),
        ] {
            let words = failure(&from, &reply(location)).message;
            assert!(words.contains(told) && !words.contains("s3cret"), "{words}");
        }
    }

    #[test]
    fn a_question_follows_within_its_own_origin_only() {
        let from: Url = "https://vendor.example/jobs/1".parse().unwrap();
        let to = |location| target(&from, &reply(Some(location))).map(String::from);
        assert_eq!(to("/jobs/1/").as_deref(), Some("https://vendor.example/jobs/1/"));
        for elsewhere in ["http://vendor.example/jobs/1", "https://vendor.example:81/", "https://me@vendor.example/"] {
            assert_eq!(to(elsewhere), None, "{elsewhere}");
        }
    }
}
