//! A run in real time: Easel as the command line runs it, before three sandboxes, with clients over sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use easel::sandbox::{Name, Sandbox, Settings};
use easel::{AccessLog, Gateway, Priority, Usd, sidecar};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::drive::{Door, drive};
use super::report::{Answered, Report, VendorFigures};
use super::traffic::{MEDIAN, PROVIDERS, Provider, Traffic, plan};

/// How long a client waits at the most: longer than any deadline of the config.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs `traffic` to its end, which takes as long as it says.
pub async fn run(traffic: Traffic) -> Result<Report, String> {
    let mut sandboxes = Vec::new();
    for (nth, provider) in PROVIDERS.into_iter().enumerate() {
        sandboxes.push(sandbox(provider, traffic.seed ^ nth as u64).await?);
    }
    let urls: Vec<String> = sandboxes.iter().map(|sandbox| format!("{}/compatible/v1/", sandbox.url())).collect();
    let gateway = Gateway::new(plan([&urls[0], &urls[1], &urls[2]])?).map_err(|error| error.to_string())?;
    let running = sidecar::start(gateway.clone(), AccessLog::off()).map_err(|error| error.to_string())?;
    let tally = drive(traffic, Arc::new(Http(running.addr))).await?;
    running.drain().await;
    let figures = [0, 1, 2].map(|nth| figures(&sandboxes[nth]));
    Ok(Report::new(tally, figures, &gateway, Vec::new()))
}

/// One that takes from two thirds to four thirds of the median for a picture.
async fn sandbox(provider: Provider, seed: u64) -> Result<Sandbox, String> {
    let mut settings = Settings { seed, ..Settings::default() };
    let vendor = &mut settings.vendors.compatible;
    vendor.default_price = Usd::from_nanos(provider.price);
    (vendor.latency, vendor.jitter) = (MEDIAN * 2 / 3, MEDIAN * 2 / 3);
    Sandbox::start(([127, 0, 0, 1], 0).into(), settings).await.map_err(|error| error.to_string())
}

fn figures(sandbox: &Sandbox) -> VendorFigures {
    let invoice = sandbox.invoice();
    let bill = invoice.vendor(Name::Compatible);
    VendorFigures {
        calls: bill.calls,
        refused: bill.violations_total,
        most_in_flight: bill.max_in_flight as usize,
        pictures: bill.pictures,
        // A sandbox tells no tenant from another.
        for_batch: None,
        charged: bill.usd,
    }
}

/// A connection for each request.
struct Http(SocketAddr);

impl Door for Http {
    async fn ask(&self, tenant: &'static str, priority: Priority, body: Value) -> Answered {
        let began = Instant::now();
        match tokio::time::timeout(PATIENCE, exchange(self.0, tenant, priority, body)).await {
            Ok(Ok(answered)) => Answered { took: began.elapsed(), ..answered },
            Ok(Err(error)) => Answered { code: error.to_string(), ..Answered::new(0, began.elapsed()) },
            Err(_) => Answered { code: "no answer".to_owned(), ..Answered::new(0, began.elapsed()) },
        }
    }
}

async fn exchange(addr: SocketAddr, tenant: &str, priority: Priority, body: Value) -> std::io::Result<Answered> {
    let body = body.to_string();
    let word = if priority == Priority::Batch { "x-easel-priority: batch\r\n" } else { "" };
    let request = format!(
        "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {tenant}\r\n{word}\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    read(&answer).ok_or_else(|| std::io::Error::other("an answer that is none"))
}

/// Reads an answer that was read to the end of its connection.
fn read(answer: &[u8]) -> Option<Answered> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(end) = head.parse(answer).ok()? else { return None };
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(found.value).ok()?.trim().parse::<u64>().ok()
    };
    let body = &answer[end..];
    if header("content-length").is_none_or(|length| length != body.len() as u64) {
        return None;
    }
    let json: Value = serde_json::from_slice(body).ok()?;
    Some(Answered {
        pictures: json["data"].as_array().map_or(0, Vec::len),
        code: json["error"]["code"].as_str().unwrap_or_default().to_owned(),
        retry_after: header("retry-after").map(Duration::from_secs),
        ..Answered::new(head.code?, Duration::ZERO)
    })
}
