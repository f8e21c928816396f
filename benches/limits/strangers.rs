//! What those without a key do, and connections on which nothing is asked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Failed;
use crate::case::{Case, Seen, Watch};
use crate::http::{self, Request};
use crate::system::{Setup, System};

const KEYS: Setup = Setup { server: "", more: "", vendor: None, picture: 0, keys: true };

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "uploads",
            what: "200 strangers send 20 MB each",
            setup: KEYS,
            vendor: None,
            goal: 100,
            run: uploads,
        },
        Case {
            name: "headers",
            what: "500 connections send 30 KB of a header that never ends",
            setup: KEYS,
            vendor: None,
            goal: 40,
            run: headers,
        },
        Case {
            name: "idle",
            what: "500 connections are idle after a GET",
            setup: KEYS,
            vendor: None,
            goal: 32,
            run: idle,
        },
        Case {
            name: "idle-http2",
            what: "500 HTTP/2 connections are idle after a GET",
            setup: KEYS,
            vendor: None,
            goal: 32,
            run: idle_http2,
        },
    ]
}

/// All of them at once, from a few threads; whoever is answered early goes on sending for a while.
fn uploads(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    const EACH: usize = 20_000_000;
    const SENDERS: usize = 8;
    watch.begin(system)?;
    let body = vec![b'a'; EACH];
    let (addr, body) = (system.addr, &body);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let sending = |_| {
            scope.spawn(move || {
                let request = Request::form(http::EDIT, body).of_a_stranger();
                let upload = |_| http::exchange(addr, &request).map_or(0, |answer| answer.status);
                (0..200 / SENDERS).map(upload).collect::<Vec<u16>>()
            })
        };
        let senders: Vec<_> = (0..SENDERS).map(sending).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap_or_default()).collect()
    });
    let mut seen = Seen::default();
    statuses.iter().for_each(|status| seen.add(status));
    Ok(seen)
}

/// Open at the same time, until the peak is seen.
fn headers(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    watch.begin(system)?;
    let mut head = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n".to_vec();
    while head.len() < 30_000 {
        head.extend_from_slice(b"x-filler: ");
        head.extend_from_slice(&[b'a'; 1000]);
        head.extend_from_slice(b"\r\n");
    }
    let mut open = Vec::new();
    for _ in 0..500 {
        let mut stream = http::connect(system.addr)?;
        stream.write_all(&head)?;
        open.push(stream);
    }
    sleep(Duration::from_secs(2));
    ends(open)
}

fn idle(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    watch.begin(system)?;
    opened(system, b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer good\r\n\r\n")
}

fn idle_http2(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    watch.begin(system)?;
    opened(system, &[http::PREFACE, &http::http2_get()].concat())
}

/// 500 connections on which this was sent and something came back.
fn opened(system: &System, sent: &[u8]) -> Result<Seen, Failed> {
    let mut open = Vec::new();
    for _ in 0..500 {
        let mut stream = http::connect(system.addr)?;
        stream.write_all(sent)?;
        if stream.read(&mut [0; 4096])? == 0 {
            return Err("a connection was closed at once".into());
        }
        open.push(stream);
    }
    sleep(Duration::from_secs(2));
    ends(open)
}

/// What becomes of connections that say nothing more, and when.
fn ends(mut open: Vec<TcpStream>) -> Result<Seen, Failed> {
    const LONGEST: Duration = Duration::from_secs(90);
    let (began, mut seen) = (Instant::now(), Seen::default());
    for stream in &open {
        stream.set_nonblocking(true)?;
    }
    while !open.is_empty() && began.elapsed() < LONGEST {
        // To ten seconds: the exact moment is the timer's and the machine's.
        let after = format!("closed within {} s", (began.elapsed().as_secs() / 10 + 1) * 10);
        open.retain_mut(|stream| {
            let closed = closed(stream);
            if closed {
                seen.add(&after);
            }
            !closed
        });
        sleep(Duration::from_millis(100));
    }
    open.iter().for_each(|_| seen.add("still open"));
    Ok(seen)
}

/// Reads what is there; whether the other side has closed.
fn closed(stream: &mut TcpStream) -> bool {
    let mut scratch = [0; 16 * 1024];
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}
