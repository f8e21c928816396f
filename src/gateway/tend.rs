//! What a gateway does by itself while it serves: it looks at its alerts and books monthly fees by the hour.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::gateway::{Gateway, alarm, books};

/// How often it is looked whether an hour is over.
const FEES: Duration = Duration::from_secs(30);

/// A gateway's tasks. They end when this is dropped.
pub struct Tending(Vec<JoinHandle<()>>);

/// Begins to tend `gateway` on the present tokio runtime.
pub fn start(gateway: &Arc<Gateway>) -> Tending {
    let alarm = alarm::start(gateway.clone(), gateway.clone());
    Tending(vec![alarm, tokio::spawn(fees(gateway.clone()))])
}

async fn fees(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(FEES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        gateway.shared.books.accrue(&gateway.live().plan, books::now());
    }
}

impl Drop for Tending {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}
