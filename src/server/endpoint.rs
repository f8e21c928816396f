//! Which requests are Easel's own, by method and path alone.
//!
//! The decision must fall before a byte of the body is read: once it is read, Pingora can no longer pass the request
//! through untouched.

use http::Method;
use percent_encoding::percent_decode_str;

/// How pictures are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /v1/images/generations`.
    Generate,
    /// `POST /v1/images/edits`.
    Edit,
    /// `POST /v1/images/variations`.
    Vary,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A request for pictures.
    Draw(Operation),
    /// `POST /v1/images/feedback`.
    Feedback,
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/{id}`, the id decoded.
    Model(String),
    /// `GET /v1/images/files/{name}`, the name as it stands.
    File(String),
    /// A path of ours with a method that is not; the methods that are.
    WrongMethod(&'static str),
    /// Not ours.
    Other,
}

/// Reads the target off method and path.
pub fn target(method: &Method, path: &str) -> Endpoint {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let posted = match path {
        "/v1/images/generations" => Some(Endpoint::Draw(Operation::Generate)),
        "/v1/images/edits" => Some(Endpoint::Draw(Operation::Edit)),
        "/v1/images/variations" => Some(Endpoint::Draw(Operation::Vary)),
        "/v1/images/feedback" => Some(Endpoint::Feedback),
        _ => None,
    };
    if let Some(target) = posted {
        return if *method == Method::POST { target } else { Endpoint::WrongMethod("POST") };
    }
    let found = if path == "/v1/models" {
        Endpoint::Models
    } else if let Some(id) = path.strip_prefix("/v1/models/") {
        Endpoint::Model(percent_decode_str(id).decode_utf8_lossy().into_owned())
    } else if let Some(name) = path.strip_prefix("/v1/images/files/") {
        Endpoint::File(name.to_owned())
    } else {
        return Endpoint::Other;
    };
    if reads { found } else { Endpoint::WrongMethod("GET, HEAD") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_ours_by_method_and_path() {
        let get = |path: &str| target(&Method::GET, path);
        let post = |path: &str| target(&Method::POST, path);
        assert_eq!(post("/v1/images/generations"), Endpoint::Draw(Operation::Generate));
        assert_eq!(post("/v1/images/edits"), Endpoint::Draw(Operation::Edit));
        assert_eq!(post("/v1/images/variations"), Endpoint::Draw(Operation::Vary));
        assert_eq!(post("/v1/images/feedback"), Endpoint::Feedback);
        assert_eq!(get("/v1/models"), Endpoint::Models);
        assert_eq!(get("/v1/models/openai/dall-e-3"), Endpoint::Model("openai/dall-e-3".into()));
        assert_eq!(get("/v1/models/openai%2Fdall-e-3"), Endpoint::Model("openai/dall-e-3".into()));
        assert_eq!(get("/v1/images/files/../../etc/passwd"), Endpoint::File("../../etc/passwd".into()));
        assert_eq!(get("/v1/images/generations"), Endpoint::WrongMethod("POST"));
        assert_eq!(get("/v1/images/feedback"), Endpoint::WrongMethod("POST"));
        assert_eq!(target(&Method::DELETE, "/v1/models"), Endpoint::WrongMethod("GET, HEAD"));
        for other in ["/", "/v1/chat/completions", "/v1/images/generations/", "/v1/images/edit", "/v1/modelsx"] {
            assert_eq!(get(other), Endpoint::Other, "{other}");
        }
    }
}
