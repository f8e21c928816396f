//! `easel health`: whether an Easel that serves is well, for what looks after containers and services.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::cli;
use crate::gateway::config_loader::WithoutSecrets;

/// Longest wait for a connection, and for the answer. Who looks after containers waits some seconds himself.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of an answer that are read: its first line is enough.
const LONGEST: usize = 1024;

/// Arguments of `easel health`.
#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 is well, 1 is not well or a config with problems, 2 is an address that cannot be asked."
)]
pub struct Args {
    /// The config file whose `server.admin` is asked.
    #[arg(short, long, default_value = "easel.yaml")]
    config: PathBuf,
    /// The address of the admin listener, like 127.0.0.1:9901, instead of a config.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    admin: Option<SocketAddr>,
    /// Ask whether it takes requests (/readyz), which it does not while it drains, and not only whether it lives (/healthz).
    #[arg(long)]
    ready: bool,
}

/// Asks.
pub fn run(args: Args) -> ExitCode {
    let address = match args.admin {
        Some(address) => address,
        None => match configured(&args) {
            Ok(address) => address,
            Err(code) => return code,
        },
    };
    let path = if args.ready { "/readyz" } else { "/healthz" };
    match ask(reachable(address), path) {
        Ok(200) => cli::print(if args.ready { "ready" } else { "ok" }),
        Ok(status) => cli::problems(format!("http://{address}{path} answers {status}")),
        Err(error) => cli::problems(format!("http://{address}{path} does not answer: {error}")),
    }
}

fn configured(args: &Args) -> Result<SocketAddr, ExitCode> {
    let plan = crate::reload::load(&args.config, &WithoutSecrets).map_err(cli::problems)?;
    let admin = &plan.server.admin;
    admin.parse().map_err(|_| cli::failed(format!("server.admin is {admin}: give the address with --admin")))
}

/// Where a listener is asked that takes connections at every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The status of the answer.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let (until, mut answer, mut part) = (Instant::now() + PATIENCE, Vec::new(), [0; 128]);
    while answer.len() < LONGEST && !answer.contains(&b'\n') {
        // A peer that says a byte now and then is not well either.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => break,
            read => answer.extend_from_slice(part.get(..read).unwrap_or_default()),
        }
    }
    status(&answer).ok_or_else(|| std::io::Error::other("what it says is no HTTP"))
}

/// The status in the first line of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_in_the_first_line_and_what_is_no_http_has_none() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\nserver: x\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        for other in [&b"SSH-2.0-OpenSSH\r\n"[..], b"", b"HTTP/1.1\r\n", b"HTTP/1.1 abc\r\n", b"\xff\xfe"] {
            assert_eq!(status(other), None, "{other:?}");
        }
    }

    #[test]
    fn who_says_a_byte_now_and_then_is_waited_for_no_longer_than_who_says_nothing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (done, heard) = std::sync::mpsc::channel::<()>();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let pause = Duration::from_millis(100);
            while heard.recv_timeout(pause).is_err() && stream.write_all(b"x").is_ok() {}
        });
        let error = ask(address, "/healthz").unwrap_err().kind();
        assert!(matches!(error, ErrorKind::TimedOut | ErrorKind::WouldBlock), "{error}");
        done.send(()).ok();
        peer.join().unwrap();
    }

    #[test]
    fn a_listener_at_every_address_is_asked_on_this_machine() {
        let asked = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9901"), "127.0.0.1:9901");
        assert_eq!(asked("[::]:9901"), "[::1]:9901");
        assert_eq!(asked("10.0.0.7:9901"), "10.0.0.7:9901");
    }
}
