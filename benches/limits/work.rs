//! What those who have a key may ask for, at the bounds: large bodies, large masks, large replies, slow readers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{scope, sleep};
use std::time::Duration;

use serde_json::Value;

use crate::Failed;
use crate::case::{Case, Seen, Watch};
use crate::http::{self, Request};
use crate::system::{Setup, System};
use crate::vendor;

const PLAIN: Setup = Setup { server: "", more: "", vendor: None, picture: 0, keys: true };

/// Pictures of 3 MB.
const LARGE: Setup = Setup { picture: 3_000_000, ..PLAIN };

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "json",
            what: "8 edits with 48 MB of JSON each: a list where a number is wanted",
            setup: PLAIN,
            vendor: None,
            goal: 300,
            run: json,
        },
        Case {
            name: "masks",
            what: "4 edits with a picture and a mask of 7680x4320 each",
            setup: PLAIN,
            vendor: None,
            goal: 100,
            run: masks,
        },
        Case {
            name: "links",
            what: "500 slow readers of one link to 3 MB",
            setup: LARGE,
            vendor: None,
            goal: 100,
            run: links,
        },
        Case {
            name: "answers",
            what: "500 slow readers of one cached answer of 4 MB",
            setup: LARGE,
            vendor: None,
            goal: 100,
            run: answers,
        },
        Case {
            name: "replies-over",
            what: "12 replies of a vendor that never ends",
            setup: PLAIN,
            vendor: Some(vendor::endless),
            goal: 200,
            run: replies,
        },
        Case {
            name: "replies-at",
            what: "12 replies of 60 MB, a picture each",
            setup: Setup { more: "cache: {memory: 64MiB}", ..PLAIN },
            vendor: Some(vendor::large),
            goal: 600,
            run: replies,
        },
    ]
}

/// The same request from so many at once, made by `made` of its number.
fn at_once(addr: SocketAddr, count: usize, made: &(dyn Fn(usize) -> (bool, Vec<u8>) + Sync)) -> Seen {
    let ask = move |number: usize| {
        let (form, body) = made(number);
        let request = match form {
            true => Request::form(http::EDIT, &body),
            false if body.len() > 1_000_000 => Request::json(http::EDIT, &body),
            false => Request::json(http::GENERATE, &body),
        };
        http::exchange(addr, &request).map_or(0, |answer| answer.status)
    };
    let ask = &ask;
    let mut seen = Seen::default();
    scope(|scope| {
        let asking: Vec<_> = (0..count).map(|number| scope.spawn(move || ask(number))).collect();
        asking.into_iter().for_each(|asking| seen.add(asking.join().unwrap_or(0)));
    });
    seen
}

fn json(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    let body = [br#"{"prompt":"x","n":["#.as_slice(), &b"1,".repeat(24_000_000), b"1]}"].concat();
    watch.begin(system)?;
    Ok(at_once(system.addr, 8, &|_| (false, body.clone())))
}

fn masks(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    let picture = transparent(7680, 4320)?;
    watch.begin(system)?;
    Ok(at_once(system.addr, 4, &|number| {
        let prompt = format!("door {number}");
        (true, http::form(&[("prompt", &prompt)], &[("image", &picture), ("mask", &picture)]))
    }))
}

/// A PNG with alpha, all of it transparent, row by row.
fn transparent(width: u32, height: u32) -> Result<Vec<u8>, Failed> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header()?;
    let mut rows = writer.stream_writer()?;
    let row = vec![0; width as usize * 4];
    for _ in 0..height {
        rows.write_all(&row)?;
    }
    rows.finish()?;
    writer.finish()?;
    Ok(file)
}

fn replies(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    watch.begin(system)?;
    Ok(at_once(system.addr, 12, &|number| (false, format!(r#"{{"prompt":"large {number}"}}"#).into_bytes())))
}

fn links(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    let asked = br#"{"prompt":"a linked fox","response_format":"url"}"#;
    let answer = http::exchange(system.addr, &Request::json(http::GENERATE, asked))?;
    let told: Value = serde_json::from_slice(&answer.body)?;
    let link = told["data"][0]["url"].as_str().ok_or("no link")?;
    let path = link.splitn(4, '/').nth(3).ok_or("a link without a path")?;
    watch.begin(system)?;
    slow_readers(system.addr, Request::get(&format!("/{path}")).head().as_bytes())
}

fn answers(system: &System, watch: &mut Watch) -> Result<Seen, Failed> {
    let request = Request::json(http::GENERATE, br#"{"prompt":"a cached fox"}"#);
    http::exchange(system.addr, &request)?;
    watch.begin(system)?;
    let mut sent = request.head().into_bytes();
    sent.extend_from_slice(request.body());
    slow_readers(system.addr, &sent)
}

/// 500 who read a little every half second. The system's own buffers on the way are the kernel's and not Easel's.
fn slow_readers(addr: SocketAddr, sent: &[u8]) -> Result<Seen, Failed> {
    let mut reading = Vec::new();
    for _ in 0..500 {
        let mut stream = http::connect(addr)?;
        stream.write_all(sent)?;
        reading.push(stream);
    }
    for _ in 0..12 {
        reading.iter_mut().try_for_each(sip)?;
        sleep(Duration::from_millis(500));
    }
    let mut seen = Seen::default();
    reading.iter().for_each(|_| seen.add("read on"));
    Ok(seen)
}

fn sip(stream: &mut TcpStream) -> Result<(), Failed> {
    match stream.read(&mut [0; 8 * 1024])? {
        0 => Err("a reader was cut off".into()),
        _ => Ok(()),
    }
}
