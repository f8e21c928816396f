//! Signed links to pictures: made for answers, and followed.

use std::time::Instant;

use pingora::proxy::Session;

use crate::error::{Error, ErrorKind};
use crate::gateway::snapshot::Snapshot;
use crate::server::app::Easel;
use crate::server::response;
use crate::server::response::Answer;
use crate::signed_links::BadLink;

impl Easel {
    /// A link to this picture that is good from now on for `link_ttl`.
    pub(super) fn link(&self, snapshot: &Snapshot, name: &str) -> String {
        let base = snapshot.plan.server.public_url.as_ref().map_or(self.public_url.as_str(), |url| url.as_str());
        let expires = response::unix_seconds() + snapshot.plan.server.link_ttl.as_secs();
        format!("{}/v1/images/files/{name}?{}", base.trim_end_matches('/'), snapshot.link_key.query(name, expires))
    }

    /// The picture file, where the link to it is signed and has not expired.
    pub(super) async fn file(&self, session: &Session, snapshot: &Snapshot, name: &str) -> Answer {
        let Some((id, format)) = response::parse_file_name(name) else {
            return Answer::error(&Error::new(ErrorKind::FileNotFound, "There is no such picture."));
        };
        let query = session.req_header().uri.query().unwrap_or_default();
        let now = response::unix_seconds();
        if let Err(bad) = snapshot.link_key.check(name, query, now) {
            let message = match bad {
                BadLink::Signature => "This link is not signed by this server, or was changed.",
                BadLink::Expired => "This link has expired. Repeat the image request for a fresh one.",
            };
            let code = match bad {
                BadLink::Signature => "bad_signature",
                BadLink::Expired => "link_expired",
            };
            return Answer::error(&Error::new(ErrorKind::LinkRefused, message).with_code(code));
        }
        match self.gateway.shared.linked_picture(id, Instant::now()).await {
            Some(kept) if kept.picture.format == format => response::file(&kept, snapshot.plan.server.link_ttl),
            _ => Answer::error(&Error::new(
                ErrorKind::FileNotFound,
                "This picture is no longer held. Repeat the image request for a fresh link.",
            )),
        }
    }
}
