//! The client: a fixed number of POSTs over a fixed number of kept-alive connections, on one thread.
//!
//! It does as little as it can, so that it does not become what is measured, but it does look at every answer: status,
//! length, and what Easel says of its cache. A wrong answer ends the run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{Failed, cpu};

/// What is sent, and how often.
#[derive(Clone)]
pub struct Batch {
    /// The system under test.
    pub addr: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Requests in all.
    pub requests: usize,
    /// Numbers the prompts; `None` sends the same prompt every time.
    pub numbers: Option<Arc<AtomicU64>>,
    /// What every answer must have in its head.
    pub mark: &'static str,
}

/// What a batch took.
pub struct Taken {
    /// CPU time of the system under test for one request, in microseconds.
    pub cpu_us: f64,
    /// One duration a request.
    pub latencies: Vec<Duration>,
}

impl Batch {
    /// Opens the connections, sends one request on each that does not count (it may draw the hits' picture), then the batch.
    pub async fn run(&self) -> Result<Taken, Failed> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            let mut connection = Connection::open(self).await?;
            connection.exchange("").await?;
            connections.push(connection);
        }
        let left = Arc::new(AtomicUsize::new(self.requests));
        let before = cpu::nanoseconds(self.pid)?;
        let mut running = JoinSet::new();
        for connection in connections {
            running.spawn(connection.work(left.clone()));
        }
        let mut latencies = Vec::with_capacity(self.requests);
        while let Some(done) = running.join_next().await {
            latencies.extend(done??);
        }
        let used = cpu::nanoseconds(self.pid)? - before;
        Ok(Taken { cpu_us: used as f64 / 1000.0 / self.requests as f64, latencies })
    }
}

struct Connection {
    batch: Batch,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(batch: &Batch) -> Result<Connection, Failed> {
        let stream = TcpStream::connect(batch.addr).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { batch: batch.clone(), stream, buffer: vec![0; 256 * 1024] })
    }

    async fn work(mut self, left: Arc<AtomicUsize>) -> Result<Vec<Duration>, Failed> {
        let mut latencies = Vec::new();
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let began = Instant::now();
            self.exchange(self.batch.mark).await?;
            latencies.push(began.elapsed());
        }
        Ok(latencies)
    }

    /// One request and its answer, whose head must hold `mark`.
    async fn exchange(&mut self, mark: &str) -> Result<(), Failed> {
        let number = self.batch.numbers.as_ref().map_or(0, |numbers| numbers.fetch_add(1, Ordering::Relaxed));
        let body = format!(r#"{{"model":"picture","prompt":"a red fox in the snow, number {number:010}"}}"#);
        let length = body.len();
        let request = format!(
            "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer none\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (mut filled, head) = self.head().await?;
        let text = str::from_utf8(&self.buffer[..head])?;
        if !text.starts_with("HTTP/1.1 200 ") || !text.contains(mark) {
            let all = String::from_utf8_lossy(&self.buffer[..filled]);
            return Err(format!("expected 200 with '{mark}', not: {all}").into());
        }
        let told = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let end = head + told.ok_or("no content-length")??;
        while filled < end {
            match self.stream.read(&mut self.buffer).await? {
                0 => return Err("the body ended early".into()),
                more => filled += more,
            }
        }
        if filled == end { Ok(()) } else { Err("more than one answer to one request".into()) }
    }

    /// Bytes read so far, and how many of them are the head.
    async fn head(&mut self) -> Result<(usize, usize), Failed> {
        let mut filled = 0;
        loop {
            match self.stream.read(&mut self.buffer[filled..]).await? {
                0 => return Err("the connection ended before a head".into()),
                more => filled += more,
            }
            let end = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                return Ok((filled, end + 4));
            }
        }
    }
}
