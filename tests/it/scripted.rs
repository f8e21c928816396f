//! A vendor that does on the wire exactly what a test says: answers, silence, half answers, resets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Header lines, lower-case.
    pub head: Vec<String>,
    pub body: Vec<u8>,
    /// Which connection it came over, from 0.
    pub connection: usize,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is done about a request.
pub enum Then {
    /// These bytes, and the connection stays.
    Answer(Vec<u8>),
    /// These bytes, and the connection is closed.
    Last(Vec<u8>),
    /// These bytes but for the last of them, which is sent when the word is given; and the connection stays.
    Held(Vec<u8>, tokio::sync::watch::Receiver<bool>),
    /// These bytes, and then nothing, for ever.
    Stall(Vec<u8>),
    /// Nothing, for ever.
    Hang,
    /// The connection is reset.
    Reset,
}

/// What is done before the body is read; `None` reads it.
type AtTheDoor = dyn Fn(&Asked) -> Option<Then> + Send + Sync;

pub struct Scripted {
    pub addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Connections that were made, and how many of them have ended.
    lines: Arc<tokio::sync::watch::Sender<(usize, usize)>>,
}

impl Scripted {
    pub async fn start(script: impl Fn(&Asked) -> Then + Send + Sync + 'static) -> Scripted {
        Scripted::with_door(|_| None, script).await
    }

    /// The same with a word before the body is read.
    pub async fn with_door(
        door: impl Fn(&Asked) -> Option<Then> + Send + Sync + 'static,
        script: impl Fn(&Asked) -> Then + Send + Sync + 'static,
    ) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (asked, lines) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(tokio::sync::watch::Sender::default()));
        let (log, count) = (asked.clone(), lines.clone());
        let (door, script): (Arc<AtTheDoor>, Arc<_>) = (Arc::new(door), Arc::new(script));
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                count.send_modify(|(made, _)| *made += 1);
                let (door, script, log, count) = (door.clone(), script.clone(), log.clone(), count.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, connection, &*door, &*script, &log).await;
                    count.send_modify(|(_, ended)| *ended += 1);
                });
            }
        });
        Scripted { addr, asked, lines }
    }

    /// What was asked so far, bodies that were read whole.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often with this method.
    pub fn count(&self, method: &str) -> usize {
        self.asked().iter().filter(|asked| asked.method == method).count()
    }

    /// Connections that were made.
    pub fn connections(&self) -> usize {
        self.lines.borrow().0
    }

    /// Waits until so many connections have ended.
    pub async fn ended(&self, many: usize) {
        let mut lines = self.lines.subscribe();
        let wait = lines.wait_for(|(_, ended)| *ended >= many);
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap().unwrap();
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    door: &AtTheDoor,
    script: &(impl Fn(&Asked) -> Then + Send + Sync),
    log: &Mutex<Vec<Asked>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                text => lines.push(text.to_owned()),
            }
        }
        let mut first = lines[0].split(' ').map(str::to_owned);
        let (method, path) = (first.next()?, first.next()?);
        let head: Vec<String> = lines[1..].iter().map(|line| line.to_lowercase()).collect();
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut asked = Asked { method, path, head, body: Vec::new(), connection };
        let then = match door(&asked) {
            Some(then) => then,
            None => {
                asked.body = vec![0; length];
                stream.read_exact(&mut asked.body).await.ok()?;
                log.lock().unwrap().push(asked.clone());
                script(&asked)
            }
        };
        match then {
            Then::Answer(bytes) => stream.write_all(&bytes).await.ok()?,
            Then::Last(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                // What is not read is answered with a reset, as a server does that closes.
                return stream.shutdown().await.ok();
            }
            Then::Held(bytes, mut word) => {
                let (last, most) = bytes.split_last().unwrap();
                stream.write_all(most).await.ok()?;
                word.wait_for(|given| *given).await.ok()?;
                stream.write_all(&[*last]).await.ok()?;
            }
            Then::Stall(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                std::future::pending().await
            }
            Then::Hang => std::future::pending().await,
            Then::Reset => return stream.get_ref().set_zero_linger().ok(),
        }
    }
}

/// An HTTP answer with its length.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| bytes.push_str(&format!("{name}: {value}\r\n")));
    [bytes.as_bytes(), b"\r\n", body].concat()
}

/// One of JSON.
pub fn json_answer(status: u16, body: &Value) -> Vec<u8> {
    answer(status, &[("content-type", "application/json")], body.to_string().as_bytes())
}

/// A picture's file.
pub fn picture() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 7]));
    crate::exchange::png(picture).to_vec()
}

/// The answer with one picture in it.
pub fn drawn() -> Value {
    json!({"created": 1, "data": [{"b64_json": base64_simd::STANDARD.encode_to_string(picture())}]})
}
