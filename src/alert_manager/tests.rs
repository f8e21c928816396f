//! Looks at alerts whose sums a test makes up.

use std::sync::Mutex;

use serde_json::json;

use crate::alert_evaluator::AlertState;
use crate::alert_evaluator::alert_event::ResolveReason;
use crate::alert_evaluator::measurement::BudgetUse;
use crate::alert_manager::*;
use crate::clock::ManualClock;
use crate::config::plan::{Dimension, Plan};
use crate::gateway::config_loader::ProcessEnv;
use crate::ledger::sliding_window::WindowSum;
use crate::metrics::Metrics;
use crate::money::Usd;
use crate::upstream::transport::{PooledClient, Transport};

/// A plan with these lines under `alerts:`.
pub(super) fn plan(alerts: &str) -> Plan {
    let text = format!(
        "providers:\n  home: {{kind: openai_compatible, base_url: http://127.0.0.1:1/v1/, models: {{m: {{price: 0.002}}}}}}\n\
         routes:\n  - {{name: all, offers: [home/m]}}\n{alerts}"
    );
    crate::reload::check("test.yaml", &text, &ProcessEnv).unwrap_or_else(|problems| panic!("{problems}"))
}

/// One provider whose sum can be changed while somebody looks.
#[derive(Default)]
struct ChangingSum {
    sum: Mutex<WindowSum>,
    /// The moments it was asked at.
    asked: Mutex<Vec<Moment>>,
}

impl ChangingSum {
    fn set(&self, nanos: i64, accepted: u64) {
        let sum = WindowSum { usd: Usd::from_nanos(nanos), accepted, attempts: accepted, ..WindowSum::default() };
        *self.sum.lock().unwrap() = sum;
    }
}

impl Readings for ChangingSum {
    fn names(&self, _: Dimension) -> Vec<Arc<str>> {
        vec!["home".into()]
    }

    fn sum(&self, _: Dimension, _: &str, _: Duration, now: Moment) -> WindowSum {
        self.asked.lock().unwrap().push(now);
        *self.sum.lock().unwrap()
    }

    fn budgets(&self, _now: Moment) -> Vec<BudgetUse> {
        Vec::new()
    }
}

const DEAR: &str = "alerts:\n  - {name: dear, when: cost_per_accepted_usd > 0.012, by: provider}\n";

fn minute(number: i64) -> Moment {
    Moment::from_millis(number * 60_000)
}

/// Where alerts are told: to these metrics, over a transport of their own.
pub(super) fn outputs(metrics: &Metrics) -> AlertOutputs {
    AlertOutputs {
        transport: Arc::new(Transport::new(
            Box::new(PooledClient::new()),
            1 << 20,
            metrics.response_body_bytes.clone(),
        )),
        state: metrics.alert_state.clone(),
        notifications: metrics.alert_notifications.clone(),
    }
}

/// A config that can be changed while somebody looks at its alerts.
#[derive(Clone)]
struct InForce(Arc<Mutex<(u64, Vec<Arc<Alert>>)>>);

impl InForce {
    fn new(alerts: &str) -> InForce {
        InForce(Arc::new(Mutex::new((1, plan(alerts).alerts))))
    }

    fn replace(&self, alerts: &str) {
        let mut in_force = self.0.lock().unwrap();
        *in_force = (in_force.0 + 1, plan(alerts).alerts);
    }

    fn rules(&self) -> AlertRules {
        let in_force = self.clone();
        Box::new(move || in_force.0.lock().unwrap().clone())
    }
}

/// The lines of the metric.
fn states(metrics: &Metrics) -> Vec<String> {
    let page = metrics.render(crate::metrics::Scrape::default()).unwrap();
    page.lines().filter(|line| line.starts_with("easel_alert_state{")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_metric_says_where_each_alert_stands_and_forgets_the_one_that_is_gone() {
    let (metrics, told) = (Metrics::new(&Arc::default()).unwrap(), Arc::new(ChangingSum::default()));
    let in_force = InForce::new(DEAR);
    let mut alerting = Alerting::new(in_force.rules(), told.clone(), outputs(&metrics));
    alerting.evaluate(minute(1));
    assert_eq!(states(&metrics), ["easel_alert_state{alert=\"dear\",name=\"home\"} 0"]);
    told.set(13_000_000, 1);
    alerting.evaluate(minute(2));
    assert_eq!(states(&metrics), ["easel_alert_state{alert=\"dear\",name=\"home\"} 2"]);
    in_force.replace(&format!("{DEAR}  - {{name: more, when: error_rate > 1%, for: 1m}}\n"));
    alerting.evaluate(minute(3));
    let both =
        ["easel_alert_state{alert=\"dear\",name=\"home\"} 2", "easel_alert_state{alert=\"more\",name=\"all\"} 0"];
    assert_eq!(states(&metrics), both);
    in_force.replace("");
    alerting.evaluate(minute(4));
    assert_eq!(states(&metrics), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn alerts_are_looked_at_at_once_and_then_every_so_often_at_the_time_of_the_clock_that_is_given() {
    let (metrics, told) = (Metrics::new(&Arc::default()).unwrap(), Arc::new(ChangingSum::default()));
    let clock = ManualClock::at(minute(7));
    let alerting = Alerting::new(InForce::new(DEAR).rules(), told.clone(), outputs(&metrics));
    let watching = start(alerting, Clock::Manual(clock.clone()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*told.asked.lock().unwrap(), [minute(7)]);
    clock.set(minute(8));
    tokio::time::sleep(2 * EVERY).await;
    assert_eq!(*told.asked.lock().unwrap(), [7, 8, 8].map(minute));
    watching.abort();
}

#[test]
fn a_message_says_everything_and_the_webhook_nothing() {
    let lines =
        "alerts:\n  - {name: dear, when: acceptance_rate < 40%, by: provider, over: 90m, webhook: http://h/x}\n";
    let alert = plan(lines).alerts[0].clone();
    let event = |news| AlertEvent {
        alert: alert.clone(),
        name: "home".into(),
        news,
        value: Some(395_000),
        since: minute(1),
        at: minute(2),
    };
    let told = webhook_payload::message(&event(News::Firing));
    let expected = json!({
        "status": "firing",
        "alert": "dear",
        "by": "provider",
        "name": "home",
        "measure": "acceptance_rate",
        "value": "39.5%",
        "comparison": "<",
        "threshold": "40%",
        "over": "90m",
        "since": "1970-01-01T00:01:00Z",
        "at": "1970-01-01T00:02:00Z",
        "text": "dear is firing for provider home: acceptance_rate is 39.5%, below 40%",
    });
    assert_eq!(told, expected);
    let resolved = webhook_payload::message(&event(News::Resolved(ResolveReason::Better)));
    assert_eq!(resolved["status"], "resolved");
    let budget = plan("alerts:\n  - {name: full, when: budget_share > 90%}\n").alerts[0].clone();
    let event = AlertEvent { alert: budget, name: "client:web".into(), ..event(News::Firing) };
    let told = webhook_payload::message(&event);
    assert_eq!((&told["by"], &told["name"], &told["over"]), (&json!("budget"), &json!("client:web"), &json!(null)));
    assert_eq!(AlertState::Pending { since: minute(1) }.number(), 1);
}
