//! What a gateway does by itself while it serves: it looks at its alerts, books monthly fees by the hour, writes down what
//! the cache saved, and sends spans to a collector.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::alert_evaluator::Readings;
use crate::alert_evaluator::measurement::BudgetUse;
use crate::alert_manager;
use crate::alert_manager::{AlertOutputs, Alerting};
use crate::calendar::Moment;
use crate::config::plan::Dimension;
use crate::gateway::Gateway;
use crate::ledger::counter::Budgeted;
use crate::ledger::sliding_window::WindowSum;
use crate::span_exporter;

/// How often monthly fees are booked that are due.
const ACCRUE_EVERY: Duration = Duration::from_secs(30);
/// How long hits are added up in memory; a process that is killed forgets that much of what the cache saved. This is also
/// how soon it is noticed that the ledger's file is gone.
const WRITE_SAVINGS_EVERY: Duration = Duration::from_secs(1);
/// How often it is checked whether the clock was set back to a time of which only the record knows what was spent.
const CHECK_CLOCK_EVERY: Duration = Duration::from_secs(1);

/// A gateway's tasks. They end when this is dropped.
pub struct BackgroundTasks(Vec<JoinHandle<()>>);

/// Starts the background tasks of `gateway` on the present tokio runtime.
pub fn start(gateway: &Arc<Gateway>) -> BackgroundTasks {
    let fees = |gateway: &Arc<Gateway>| {
        gateway.shared.durable_ledger.accrue(&gateway.snapshot().plan, gateway.shared.clock.now())
    };
    let savings = |gateway: &Arc<Gateway>| {
        gateway.shared.durable_ledger.write_savings();
        gateway.shared.durable_ledger.store().look();
        gateway.shared.idempotency.expire(gateway.shared.clock.now());
        gateway.shared.equivalences.expire();
    };
    let behind = |gateway: &Arc<Gateway>| {
        if gateway.shared.ledger.is_behind() {
            let gateway = gateway.clone();
            drop(tokio::task::spawn_blocking(move || gateway.shared.durable_ledger.catch_up(&gateway.snapshot().plan)));
        }
    };
    BackgroundTasks(vec![
        alert_manager::start(alerts(gateway), gateway.shared.clock.clone()),
        tokio::spawn(every(ACCRUE_EVERY, gateway.clone(), fees)),
        tokio::spawn(every(WRITE_SAVINGS_EVERY, gateway.clone(), savings)),
        tokio::spawn(every(CHECK_CLOCK_EVERY, gateway.clone(), behind)),
        span_exporter::start(gateway.shared.spans.clone(), gateway.shared.transport.clone()),
    ])
}

/// The alerts of `gateway`, held against its ledger.
pub fn alerts(gateway: &Arc<Gateway>) -> Alerting<Arc<Gateway>> {
    let (of, metrics) = (gateway.clone(), &gateway.shared.metrics);
    let rules = move || {
        let snapshot = of.snapshot();
        (snapshot.version, snapshot.plan.alerts.clone())
    };
    let outlets = AlertOutputs {
        transport: gateway.shared.transport.clone(),
        state: metrics.alert_state.clone(),
        notifications: metrics.alert_notifications.clone(),
    };
    Alerting::new(Box::new(rules), gateway.clone(), outlets)
}

impl Readings for Gateway {
    fn names(&self, by: Dimension) -> Vec<Arc<str>> {
        self.shared.ledger.names(by)
    }

    fn sum(&self, by: Dimension, name: &str, over: Duration, now: Moment) -> WindowSum {
        self.shared.ledger.sum(by, name, over, now)
    }

    fn budgets(&self, now: Moment) -> Vec<BudgetUse> {
        let budgets = self.shared.ledger.budgets(&self.snapshot().plan, now).into_iter();
        budgets.map(|Budgeted { key, limit, used }| BudgetUse { scope: key.to_string().into(), limit, used }).collect()
    }
}

async fn every(time: Duration, gateway: Arc<Gateway>, task: impl Fn(&Arc<Gateway>)) {
    let mut ticks = tokio::time::interval(time);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        task(&gateway);
    }
}

impl Drop for BackgroundTasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}
