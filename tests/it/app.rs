//! A service behind `server.passthrough` that is strict about HTTP/1.1 and answers every byte it should not have seen.
//!
//! What is no request is answered 400 `stray` at once, on the connection it came over, so that whoever is given that
//! connection next is given that answer too. What it saw is kept, requests that never came to their end included.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct EventRole {
    /// Number of its connection.
    pub connection: usize,
    /// Request line and headers.
    pub head: String,
    /// What came of its body.
    pub body: Vec<u8>,
    /// Whether its body came to its end.
    pub whole: bool,
}

impl EventRole {
    /// Method and path.
    pub fn line(&self) -> &str {
        self.head.split(" HTTP/").next().unwrap_or_default()
    }

    /// Every value of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// What the service saw and still has open.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub requests: Vec<EventRole>,
    pub strays: Vec<String>,
    pub open: usize,
    connections: usize,
}

/// The running service.
pub struct App {
    pub url: String,
    book: watch::Sender<Book>,
}

impl App {
    /// Answers each request when it is whole, with its method, path and body.
    pub async fn start() -> App {
        App::answering(|_| None).await
    }

    /// The same, but where `early` has an answer to a head, that goes out before the body is read, and the body is
    /// read as whatever comes next: how services behave that know a path without a body.
    pub async fn answering(early: impl Fn(&EventRole) -> Option<String> + Send + Sync + 'static) -> App {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (book, early) = (watch::Sender::new(Book::default()), Arc::new(early));
        let kept = book.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (book, early) = (kept.clone(), early.clone());
                tokio::spawn(async move {
                    book.send_modify(|book| (book.open, book.connections) = (book.open + 1, book.connections + 1));
                    let number = book.borrow().connections;
                    Talk { stream, number, book: book.clone(), buffer: Vec::new() }.run(&*early).await;
                    book.send_modify(|book| book.open -= 1);
                });
            }
        });
        App { url, book }
    }

    /// Waits until the book is as wanted.
    pub async fn until(&self, wanted: impl FnMut(&Book) -> bool) -> Book {
        self.book.subscribe().wait_for(wanted).await.unwrap().clone()
    }

    /// Waits until every connection is closed.
    pub async fn closed(&self) -> Book {
        self.until(|book| book.open == 0).await
    }

    /// What was seen so far.
    pub fn book(&self) -> Book {
        self.book.borrow().clone()
    }
}

/// One connection.
struct Talk {
    stream: TcpStream,
    number: usize,
    book: watch::Sender<Book>,
    buffer: Vec<u8>,
}

impl Talk {
    async fn run(mut self, early: &(dyn Fn(&EventRole) -> Option<String> + Send + Sync)) {
        while let Some(head) = self.until(b"\r\n\r\n").await {
            let head = String::from_utf8_lossy(&head).into_owned();
            let line = head.lines().next().unwrap_or_default();
            if line.split(' ').count() != 3 || !line.ends_with(" HTTP/1.1") {
                self.book.send_modify(|book| book.strays.push(head.clone()));
                self.say("HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\nstray").await;
                continue;
            }
            let seen = EventRole { connection: self.number, head, body: Vec::new(), whole: false };
            let answer = early(&seen);
            let at = self.book.borrow().requests.len();
            self.book.send_modify(|book| book.requests.push(seen.clone()));
            if let Some(answer) = answer {
                self.say(&answer).await;
                continue;
            }
            if self.body(&seen, at).await.is_none() {
                return;
            }
            self.book.send_modify(|book| book.requests[at].whole = true);
            let body = self.book.borrow().requests[at].body.clone();
            let told = format!("{} {}", seen.line(), String::from_utf8_lossy(&body));
            let length = told.len();
            let told = if seen.line().starts_with("HEAD") { "" } else { &told };
            self.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{told}")).await;
        }
        let rest = String::from_utf8_lossy(&self.buffer).into_owned();
        if !rest.is_empty() {
            self.book.send_modify(|book| book.strays.push(rest));
        }
    }

    /// Reads the body by the head's own words.
    async fn body(&mut self, seen: &EventRole, at: usize) -> Option<()> {
        match (seen.header("transfer-encoding")[..].first(), seen.header("content-length")[..].first()) {
            (Some(_), _) => loop {
                let line = self.until(b"\r\n").await?;
                let size = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
                self.take(size, at).await?;
                if self.until(b"\r\n").await? != b"\r\n" {
                    return None;
                }
                if size == 0 {
                    return Some(());
                }
            },
            (None, Some(length)) => self.take(length.parse().ok()?, at).await,
            (None, None) => Some(()),
        }
    }

    async fn take(&mut self, mut wanted: usize, at: usize) -> Option<()> {
        loop {
            let ready = wanted.min(self.buffer.len());
            let piece: Vec<u8> = self.buffer.drain(..ready).collect();
            self.book.send_modify(|book| book.requests[at].body.extend(piece));
            wanted -= ready;
            if wanted == 0 {
                return Some(());
            }
            self.fill().await?;
        }
    }

    async fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(found) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Some(self.buffer.drain(..found + mark.len()).collect());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(1..) => Some(()),
            _ => None,
        }
    }

    async fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }
}
