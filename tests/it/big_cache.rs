//! A gigabyte of pictures on disk, `kill -9`, and what is there afterwards: `cargo test --test it -- --ignored big_cache`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::commands::Served;
use crate::scripted::{Scripted, Then, answer};

/// So many pictures of 1.5 MB are 1.07 GB.
const PICTURES: u32 = 700;

/// A side of noise, which no compression makes smaller.
const SIDE: u32 = 720;

/// The picture of a number, 1.5 MB of noise.
fn picture(number: u32) -> Vec<u8> {
    let mut noise = fastrand::Rng::with_seed(u64::from(number));
    let mut pixels = vec![0; (SIDE * SIDE * 3) as usize];
    noise.fill(&mut pixels);
    let mut file = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::NoFilter);
    encoder.write_image(&pixels, SIDE, SIDE, ExtendedColorType::Rgb8).unwrap();
    file
}

fn prompt(number: u32) -> String {
    format!("A small red sofa with {number} cushions, morning light")
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Draws for each prompt the picture of the number in it.
async fn vendor() -> Scripted {
    Scripted::start(|asked| {
        let prompt = asked.json()["prompt"].as_str().unwrap().to_owned();
        let number = prompt.split(' ').find_map(|word| word.parse().ok()).unwrap();
        let text = base64_simd::STANDARD.encode_to_string(picture(number));
        let body = format!(r#"{{"created": 1, "data": [{{"b64_json": "{text}"}}]}}"#);
        Then::Answer(answer(200, &[("content-type", "application/json")], body.as_bytes()))
    })
    .await
}

/// An Easel in a process of its own, whose memory holds a sixteenth of its disk.
fn serve(folder: &Path, vendor: &Scripted) -> Served {
    let path = folder.join("easel.yaml");
    let text = format!(
        "server: {{listen: '127.0.0.1:0', admin: '127.0.0.1:0', link_ttl: 1d}}
cache: {{memory: 64MiB, links: 16MiB, disk: {{dir: {dir}, size: 4GiB}}}}
providers:
  home: {{kind: openai_compatible, base_url: http://{vendor}/v1/, models: {{flux: {{price: 0.002}}}}}}
routes:
  - {{name: all, offers: [home/flux], quality: false, cache: {{near: verified}}}}
",
        dir = folder.join("pictures").display(),
        vendor = vendor.addr,
    );
    std::fs::write(&path, text).unwrap();
    Served::start(&path, "", &[], Stdio::null())
}

async fn ask(served: &Served, prompt: &str) -> (String, String) {
    let body = json!({"prompt": prompt, "size": format!("{SIDE}x{SIDE}"), "response_format": "url"});
    let answer = Client::connect(served.addr).await.post("/v1/images/generations", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let link = answer.json()["data"][0]["url"].as_str().unwrap().split_once("/v1/").unwrap().1.to_owned();
    (answer.header("x-easel-cache").to_owned(), link)
}

async fn linked(served: &Served, link: &str) -> (u16, [u8; 32]) {
    let file = Client::connect(served.addr).await.get(&format!("/v1/{link}")).await;
    (file.status, hash(&file.body))
}

async fn disk(served: &Served) -> Value {
    Client::connect(served.admin).await.get("/admin/cache").await.json()["disk"].clone()
}

/// Every file of a picture, by the picture's hash.
fn files(dir: &Path, found: &mut HashMap<[u8; 32], PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path(), found),
            false => drop(found.insert(hash(&std::fs::read(entry.path()).unwrap()), entry.path())),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 1.1 GB of disk and a minute: cargo test --test it -- --ignored big_cache"]
async fn after_kill_9_a_gigabyte_of_pictures_is_served_whole_and_right_its_links_open_and_damaged_files_are_misses() {
    let folder = tempfile::tempdir().unwrap();
    let vendor = vendor().await;
    let served = serve(folder.path(), &vendor);
    let mut known = Vec::new();
    for number in 0..PICTURES {
        let (found, link) = ask(&served, &prompt(number)).await;
        assert_eq!(found, "miss");
        known.push((number, link, hash(&picture(number))));
        // No faster than the disk, or pictures would be in memory alone.
        while disk(&served).await["queued_bytes"].as_u64() > Some(32 << 20) {}
    }
    let before = disk(&served).await;
    drop(served);
    println!("killed with {before}");
    assert!(before["bytes"].as_u64() >= Some(1 << 30), "{before}");
    let mut on_disk = HashMap::new();
    files(&folder.path().join("pictures"), &mut on_disk);
    // Of every hundredth that is there one byte is another.
    let mut damaged = 0;
    for (number, ..) in known.iter().step_by(100) {
        // It came in base64 and is kept as it came.
        let kept = hash(base64_simd::STANDARD.encode_to_string(picture(*number)).as_bytes());
        let Some(file) = on_disk.get(&kept) else { continue };
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file, bytes).unwrap();
        damaged += 1;
    }
    let began = std::time::Instant::now();
    let served = serve(folder.path(), &vendor);
    println!("started again in {:?}", began.elapsed());
    let (mut hits, mut links, mut misses) = (0, 0, 0);
    for (number, link, drawn) in &known {
        let (status, file) = linked(&served, link).await;
        assert!(status == 404 || (status, file) == (200, *drawn), "{number}: {status}");
        links += u32::from(status == 200);
        let (found, again) = ask(&served, &prompt(*number).to_uppercase()).await;
        assert_eq!(linked(&served, &again).await, (200, *drawn), "{number}: {found}");
        hits += u32::from(found == "canonical");
        misses += u32::from(found == "miss");
    }
    println!(
        "of {PICTURES} pictures {hits} were served, {misses} drawn anew, {links} links opened; {damaged} files were damaged"
    );
    assert!(damaged >= 5 && misses >= damaged && hits + misses == PICTURES);
    // What waited to be written is all that may be gone besides.
    let waited = u32::try_from(before["queued_bytes"].as_u64().unwrap() / 1_500_000).unwrap() + 2;
    assert!(
        misses <= damaged + waited && links >= PICTURES - damaged - waited,
        "{misses} and {links}, {waited} waited"
    );
    assert_eq!(u32::try_from(vendor.count("POST")).unwrap(), PICTURES + misses);
}
