//! Tasks that a vendor accepts at once and a client polls later: started, ended once, remembered for a while.
//!
//! What a task ends with is the vendor's own JSON; this file only keeps it. A task holds its place in flight until it
//! ends and is charged by whoever ends it, so what is charged is charged once. Replicate's predictions have files of
//! their own, because they also report what they are doing meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::sandbox::billing::CallGuard;
use crate::sandbox::lock::lock;

/// Tasks that can be polled; older ones are forgotten, as every vendor forgets them.
const REMEMBERED: usize = 10_000;

/// The tasks of one vendor.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<TasksState>);

#[derive(Debug, Default)]
struct TasksState {
    next: u64,
    by_number: BTreeMap<u64, Arc<Task>>,
}

/// One piece of work.
#[derive(Debug)]
pub(super) struct Task {
    /// 16 hex digits.
    pub id: String,
    /// When it was accepted.
    pub created: Instant,
    /// How long it takes.
    pub time: Duration,
    state: watch::Sender<TaskState>,
    worker: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
enum TaskState {
    Running(#[expect(dead_code, reason = "held for its Drop")] Option<CallGuard>),
    Ended(Value),
}

impl Tasks {
    /// Accepts a task that is done after `time`, and holds `guard` until then. `finish` charges and says what the task
    /// ends with; it is called once, and not at all when the task is ended before its time.
    pub(super) fn start(
        &self,
        guard: Option<CallGuard>,
        time: Duration,
        finish: impl FnOnce(&str) -> Value + Send + 'static,
    ) -> Arc<Task> {
        let task = {
            let mut all = lock(&self.0);
            all.next += 1;
            let number = all.next;
            let task = Arc::new(Task {
                id: format!("{number:016x}"),
                created: Instant::now(),
                time,
                state: watch::Sender::new(TaskState::Running(guard)),
                worker: Mutex::new(None),
            });
            all.by_number.insert(number, Arc::clone(&task));
            while all.by_number.len() > REMEMBERED {
                if let Some((_, oldest)) = all.by_number.pop_first() {
                    oldest.end(|| Value::Null);
                }
            }
            task
        };
        let worked = Arc::clone(&task);
        let worker = tokio::spawn(async move {
            tokio::time::sleep_until(worked.created + worked.time).await;
            worked.end(|| finish(&worked.id));
        });
        *lock(&task.worker) = Some(worker.abort_handle());
        task
    }

    /// The task of this id.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Task>> {
        let number = u64::from_str_radix(id, 16).ok()?;
        lock(&self.0).by_number.get(&number).filter(|task| task.id == id).cloned()
    }

    /// Ends everything that still runs, uncharged.
    pub(super) fn stop(&self) {
        for task in lock(&self.0).by_number.values() {
            task.end(|| Value::Null);
        }
    }
}

impl Task {
    /// What it ended with; `None` while it runs.
    pub(super) fn ended_with(&self) -> Option<Value> {
        match &*self.state.borrow() {
            TaskState::Running(_) => None,
            TaskState::Ended(value) => Some(value.clone()),
        }
    }

    /// Ends it as `ending` says, if it has not ended yet; its place in flight is free at once. Whether it was still
    /// running.
    pub(super) fn end(&self, ending: impl FnOnce() -> Value) -> bool {
        let ended = self.state.send_if_modified(|state| {
            let running = matches!(state, TaskState::Running(_));
            if running {
                *state = TaskState::Ended(ending());
            }
            running
        });
        if ended && let Some(worker) = lock(&self.worker).take() {
            worker.abort();
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::sandbox::state::SandboxState;
    use crate::sandbox::vendor_call::VendorCall;
    use crate::sandbox::{Name, Settings};

    #[tokio::test(start_paused = true)]
    async fn a_task_ends_once_in_its_own_time_and_gives_its_place_back() {
        let mut settings = Settings::default();
        settings.vendors.compatible.latency = Duration::from_secs(10);
        let shared = Arc::new(SandboxState::new("http://sandbox".to_owned(), settings));
        let (tasks, headers) = (Tasks::default(), HeaderMap::new());
        let in_flight = || shared.invoice().vendor(Name::Compatible).in_flight;
        let start = |finish: fn(&str) -> Value| {
            let mut call = VendorCall::admit(&shared, Name::Compatible, &headers);
            tasks.start(call.take_guard(), call.time, finish)
        };
        let (first, second) = (start(|id| json!(id)), start(|_| json!("done")));
        assert_eq!((first.ended_with(), in_flight()), (None, 2));
        assert!(second.end(|| json!("cancelled")));
        assert_eq!((second.ended_with(), in_flight()), (Some(json!("cancelled")), 1));
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!((first.ended_with(), second.ended_with()), (Some(json!(first.id)), Some(json!("cancelled"))));
        assert!(!first.end(|| Value::Null) && in_flight() == 0);
        assert!(tasks.get(&first.id).is_some() && tasks.get("1").is_none() && tasks.get("x").is_none());
    }
}
