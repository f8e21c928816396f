//! Sends a run's traffic, however it is sent, and counts what the clients get.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use easel::Priority;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::report::{Answered, Tally};
use super::traffic::{Arrival, BATCH_JOBS, BATCH_TENANT, BATCH_WORKERS, Traffic, batch_body, batch_pause};

/// How requests are sent.
pub trait Door: Send + Sync + 'static {
    /// Sends one, and waits for its answer.
    fn ask(&self, tenant: &'static str, priority: Priority, body: Value) -> impl Future<Output = Answered> + Send;
}

/// Sends all of `traffic` through `door`, from now on.
pub async fn drive(traffic: Traffic, door: Arc<impl Door>) -> Result<Tally, String> {
    let drive = Arc::new(Drive { traffic, door, began: Instant::now(), tally: Mutex::default(), next_job: 0.into() });
    let mut clients = JoinSet::new();
    if traffic.with_batch {
        (0..BATCH_WORKERS).for_each(|worker| drop(clients.spawn(drive.clone().work_on_batch(worker))));
    }
    for arrival in traffic.arrivals() {
        sleep_until(drive.began + arrival.at).await;
        clients.spawn(drive.clone().live(arrival));
    }
    while let Some(ended) = clients.join_next().await {
        ended.map_err(|error| error.to_string())?;
    }
    Ok(drive.tally.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

struct Drive<D> {
    traffic: Traffic,
    door: Arc<D>,
    began: Instant,
    tally: Mutex<Tally>,
    next_job: AtomicU64,
}

impl<D: Door> Drive<D> {
    async fn live(self: Arc<Self>, arrival: Arrival) {
        let answered = self.door.ask(arrival.tenant, Priority::Live, arrival.body()).await;
        self.count(|tally| tally.live(arrival, &answered));
    }

    /// Does jobs of the batch from the beginning of the burst to its end, each until it is drawn.
    async fn work_on_batch(self: Arc<Self>, worker: u64) {
        let mut random = fastrand::Rng::with_seed(self.traffic.seed ^ worker.rotate_left(32));
        sleep_until(self.began + self.traffic.steady).await;
        loop {
            let job = self.next_job.fetch_add(1, Ordering::Relaxed);
            if job >= BATCH_JOBS {
                return;
            }
            for tried in 0.. {
                if self.began.elapsed() >= self.traffic.end() {
                    return;
                }
                let answered = self.door.ask(BATCH_TENANT, Priority::Batch, batch_body(job)).await;
                self.count(|tally| tally.batch(&answered));
                if answered.status == 200 {
                    break;
                }
                sleep(batch_pause(answered.retry_after, tried, &mut random)).await;
            }
        }
    }

    fn count(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
