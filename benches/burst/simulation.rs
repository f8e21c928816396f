//! A run in virtual time: the real gateway on a clock that jumps from event to event, before vendors without a socket.

use std::sync::Arc;
use std::time::Duration;

use easel::parts::{Clock, ManualClock, Moment};
use easel::{Caller, Gateway, GatewayRequest, ImageRequest, Outcome, Priority};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::decisions::Decisions;
use super::drive::{Door, drive};
use super::report::{Answered, Report};
use super::traffic::{Traffic, plan};
use super::virtual_vendors::{Vendors, VirtualClient};

/// Where the vendors seem to be; the first part of each name is the provider's.
const URLS: [&str; 3] = ["https://capped.example/v1/", "https://reserved.example/v1/", "https://metered.example/v1/"];

/// When the run seems to take place, in milliseconds since 1970.
const BEGIN: i64 = 1_796_000_000_000;

/// How often the wall clock is set after the one that jumps. Money is counted by minutes and days.
const TICK: Duration = Duration::from_millis(250);

/// Runs `traffic` to its end. Everything happens on this thread, whose random numbers follow from the seed.
pub fn run(traffic: Traffic) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    fastrand::seed(traffic.seed);
    runtime.block_on(simulate(traffic))
}

async fn simulate(traffic: Traffic) -> Result<Report, String> {
    let wall = ManualClock::at(Moment::from_millis(BEGIN));
    let decisions = Arc::new(Decisions::new());
    let vendors = Vendors::new(traffic.seed, Clock::Manual(wall.clone()), decisions.clone());
    let client = Box::new(VirtualClient(vendors.clone()));
    let gateway = Gateway::with_parts(plan(URLS)?, Clock::Manual(wall.clone()), client);
    let gateway = gateway.map_err(|error| error.to_string())?;
    let mut ticking = JoinSet::new();
    ticking.spawn(tick(wall));
    let tally = drive(traffic, Arc::new(Function { gateway: gateway.clone(), decisions: decisions.clone() })).await?;
    // What nobody waits for any more is paid for all the same.
    gateway.shared.work.close();
    gateway.shared.work.wait().await;
    ticking.abort_all();
    Ok(Report::new(tally, vendors.figures(), &gateway, decisions.noted()))
}

/// Sets the wall clock after the one that jumps.
async fn tick(wall: ManualClock) {
    let began = Instant::now();
    loop {
        let millis = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX - BEGIN);
        wall.set(Moment::from_millis(BEGIN + millis));
        sleep(TICK).await;
    }
}

/// Requests as the server would hand them over.
struct Function {
    gateway: Arc<Gateway>,
    decisions: Arc<Decisions>,
}

impl Door for Function {
    async fn ask(&self, tenant: &'static str, priority: Priority, body: Value) -> Answered {
        let snapshot = self.gateway.snapshot();
        let client = snapshot.plan.clients.iter().find(|client| client.name == tenant).cloned();
        let began = Instant::now();
        let outcome = match ImageRequest::from_json(body.to_string().as_bytes()) {
            Ok(request) => {
                let caller = client.map_or_else(Caller::anybody, Caller::client);
                let request = GatewayRequest { caller, priority, ..GatewayRequest::new(request) };
                self.gateway.serve(&snapshot, request, |_| None).await
            }
            Err(error) => Outcome::failed(snapshot.version, error),
        };
        let served: Vec<String> = outcome.served_by().iter().map(|(offer, n)| format!("{offer}={n}")).collect();
        self.decisions.note(&[body["prompt"].as_str().unwrap_or_default(), outcome.as_str(), &served.join(",")]);
        let took = began.elapsed();
        match outcome.result {
            Ok(pictures) => Answered { pictures: pictures.len(), ..Answered::new(200, took) },
            Err(error) => Answered {
                code: error.code().to_owned(),
                retry_after: error.retry_after,
                ..Answered::new(error.kind.status(), took)
            },
        }
    }
}
