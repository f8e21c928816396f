//! Vendors whose replies are as large as Easel takes, or larger.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::spawn;

use base64_simd::STANDARD;

use crate::Failed;

/// Sends JSON that does not end, in chunks.
pub fn endless() -> Result<SocketAddr, Failed> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let begun = r#"{"created":1,"data":[{"b64_json":"AAA"#;
    let begun = format!("{head}{:x}\r\n{begun}\r\n", begun.len());
    serve(Arc::new(move |stream| {
        stream.write_all(begun.as_bytes())?;
        let chunk = [b"40000\r\n".as_slice(), &[b'A'; 0x40000], b"\r\n"].concat();
        // It ends when Easel has had enough, or at 1 GB.
        (0..4000).try_for_each(|_| stream.write_all(&chunk))
    }))
}

/// Answers with one picture of 45 MB, which is 60 MB of base64.
pub fn large() -> Result<SocketAddr, Failed> {
    let mut noise = fastrand::Rng::with_seed(7);
    let (width, height) = (4096, 3662);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    noise.fill(&mut pixels);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::NoCompression);
    encoder.write_header()?.write_image_data(&pixels)?;
    let body = format!(r#"{{"created":1,"data":[{{"b64_json":"{}"}}]}}"#, STANDARD.encode_to_string(file));
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    serve(Arc::new(move |stream| stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()))))
}

type Answer = Arc<dyn Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync>;

/// Gives every request this answer.
fn serve(answer: Answer) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            // A client that leaves ends its own thread only.
            spawn(move || while asked(&mut stream).is_some() && answer(&mut stream).is_ok() {});
        }
    });
    Ok(addr)
}

/// Reads one request; `None` when there is no other.
fn asked(stream: &mut TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(told) = line.strip_prefix("content-length:") {
            length = told.trim().parse().ok()?;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()
}
