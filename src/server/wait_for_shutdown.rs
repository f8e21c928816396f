//! The moment at which the server stops.

use pingora::server::ShutdownWatch;

/// Waits until the server stops.
pub async fn stopping(shutdown: &ShutdownWatch) {
    // Without a sender the server is gone.
    let _ = shutdown.clone().wait_for(|stops| *stops).await;
}
