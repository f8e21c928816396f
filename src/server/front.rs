//! The door: HTTP/1.1 or HTTP/2 on a connection without TLS.
//!
//! Pingora tells the two apart by waiting for 24 bytes, which a short HTTP/1.0 health check never sends. Four bytes are
//! enough: no HTTP/1 request begins like HTTP/2's preface. A connection that says nothing is closed after a while.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::server::proxy::Easel;
use crate::server::wire::Wire;

/// How a connection that is to become HTTP/2 begins (RFC 9113 section 3.4), as far as it differs from any HTTP/1.
const PREFACE: &[u8; 4] = b"PRI ";

/// How long a new connection may say nothing. As long as an idle one is kept.
const FIRST_WORDS: Duration = Duration::from_secs(60);

/// Both ways to speak with the same proxy.
pub struct Front {
    http1: Arc<Spoken>,
    http2: Arc<Spoken>,
    gateway: Arc<Gateway>,
}

impl Front {
    /// A door to `proxy`, watched over as `gateway`'s config says.
    pub fn new(proxy: HttpProxy<Easel>, gateway: Arc<Gateway>) -> Front {
        let proxy = Arc::new(proxy);
        let spoken = |h2c| {
            let mut options = HttpServerOptions::default();
            options.h2c = h2c;
            Arc::new(Spoken { proxy: proxy.clone(), options })
        };
        Front { http1: spoken(false), http2: spoken(true), gateway }
    }
}

#[async_trait]
impl ServerApp for Front {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // In TLS, the handshake has settled which of the two it is.
        let spoken = if stream.get_ssl_digest().is_some() {
            &self.http1
        } else {
            let mut first = [0u8; PREFACE.len()];
            let peeked = timeout(FIRST_WORDS, stream.try_peek(&mut first)).await.ok()?.ok()?;
            if peeked && &first == PREFACE { &self.http2 } else { &self.http1 }
        };
        spoken.process_new(Box::new(Wire::new(stream, self.gateway.clone())), shutdown).await
    }

    async fn cleanup(&self) {
        self.http1.proxy.http_cleanup().await;
    }
}

/// The proxy with one set of options.
struct Spoken {
    proxy: Arc<HttpProxy<Easel>>,
    options: HttpServerOptions,
}

#[async_trait]
impl HttpServerApp for Spoken {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.proxy.process_new_http(session, shutdown).await
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
