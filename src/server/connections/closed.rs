//! Why Easel closes connections.

/// Why Easel closed a connection that no answer had closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
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

impl Closed {
    /// The word in logs, metrics and, where there is an answer, its `code`.
    pub fn word(self) -> &'static str {
        match self {
            Closed::HeaderTimeout => "header_timeout",
            Closed::Handshake => "handshake",
            Closed::HeaderTooLarge => "header_too_large",
            Closed::Malformed => "malformed_request",
            Closed::Idle => "idle",
            Closed::MadeRoom => "made_room",
            Closed::Full => "connections_full",
        }
    }
}
