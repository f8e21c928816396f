//! Where alerts are told.

use std::sync::Arc;

use prometheus::{IntCounterVec, IntGaugeVec};

use crate::upstream::transport::Transport;

/// Where alerts are told.
#[derive(Clone)]
pub struct AlertOutputs {
    /// Carries messages to webhooks.
    pub transport: Arc<Transport>,
    /// Where each alert stands: `easel_alert_state`.
    pub state: IntGaugeVec,
    /// What became of messages: `easel_alert_notifications_total`.
    pub notifications: IntCounterVec,
}
