//! A line in the log when something is paused, and one when it has come back.

use crate::breaker::{BreakerChange, BreakerEvent, Breakers};

/// Logs what changed of the breakers since the last time.
pub fn log_breaker_changes(breakers: &Breakers) {
    for BreakerChange { target, event } in breakers.take_changes() {
        match event {
            BreakerEvent::Paused { pause, length } => {
                log::warn!("{target} is paused for {}: {}", seconds(length), pause.as_str());
            }
            BreakerEvent::Back { pause, after } => {
                log::info!("{target} is back, {} after it was paused: {}", seconds(after), pause.as_str());
            }
        }
    }
}

fn seconds(length: std::time::Duration) -> String {
    format!("{:.1} s", length.as_secs_f64())
}
