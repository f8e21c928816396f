//! Why Easel closes connections.

/// Why Easel closed a connection that no answer had closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Its TLS handshake, or the head of its request, was not there in time.
    HeaderTimeout,
    /// The TLS handshake failed.
    Handshake,
    /// The head of its request is longer than this server reads.
    HeaderTooLarge,
    /// The head of its request cannot be read.
    Malformed,
    /// No request came for as long as a connection is kept.
    Idle,
    /// It had nothing under way and made room for another.
    MadeRoom,
    /// It came when no other could make room.
    Full,
}

impl CloseReason {
    /// The word in logs, metrics and, where there is an answer, its `code`.
    pub fn as_str(self) -> &'static str {
        match self {
            CloseReason::HeaderTimeout => "header_timeout",
            CloseReason::Handshake => "handshake",
            CloseReason::HeaderTooLarge => "header_too_large",
            CloseReason::Malformed => "malformed_request",
            CloseReason::Idle => "idle",
            CloseReason::MadeRoom => "made_room",
            CloseReason::Full => "connections_full",
        }
    }
}
