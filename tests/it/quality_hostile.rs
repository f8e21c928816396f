//! Files of somebody who means harm, or of a broken disk: each has a reason, none is decoded beyond the bound, none panics.
//!
//! `EASEL_FUZZ_CASES=1000000 cargo test --release --test it quality_hostile` tries more changes than the few thousand of a usual
//! run, and `EASEL_FUZZ_SEED` others. `EASEL_FUZZ_CORPUS=DIR` has every file of a directory looked at, as those of the decoders'
//! own fuzz corpora.

use std::io::Write;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::process::Output;

use easel::internals::config::plan::{QualityCheck, QualityGate};
use easel::internals::image::{Format, Size};
use easel::internals::quality::{Examination, Expected, examine};
use easel_fixtures::{Chance, Class, Kind, scene};
use flate2::Compression;
use flate2::write::ZlibEncoder;

const MAX_PIXELS: u64 = 1 << 20;

fn look(file: &[u8], format: Format) -> Examination {
    examine(file, format, &QualityGate::default(), &Expected::default(), MAX_PIXELS)
}

fn reasons(file: &[u8], format: Format) -> Vec<QualityCheck> {
    let gate = QualityGate::decodes();
    look(file, format).verdict(&gate).rejected
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name, data].concat();
    [&(data.len() as u32).to_be_bytes()[..], &named, &crc(&named).to_be_bytes()].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A PNG of grey that says it has these sides, with other chunks ahead of its data.
fn png(width: u32, height: u32, before: &[u8], data: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)[..], before, &chunk(b"IDAT", data), &chunk(b"IEND", &[])].concat()
}

/// The rows of a grey square, none filtered.
fn rows(side: usize) -> Vec<u8> {
    let row = |y: usize| (0..side).map(move |x| ((x * 7) ^ (y * 5)) as u8);
    (0..side).flat_map(|y| std::iter::once(0).chain(row(y))).collect()
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", chunks].concat()
}

fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let padding: &[u8] = if data.len() % 2 == 1 { &[0] } else { &[] };
    [name, &(data.len() as u32).to_le_bytes()[..], data, padding].concat()
}

fn canvas(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let (width, height) = ((width - 1).to_le_bytes(), (height - 1).to_le_bytes());
    riff_chunk(b"VP8X", &[&[flags, 0, 0, 0], &width[..3], &height[..3]].concat())
}

/// Small pictures of every format, lossless and not, with alpha and without.
fn samples() -> Vec<(Format, Vec<u8>)> {
    let picture = |class, kind| scene(class, 5, 96, 64).file(kind).bytes;
    vec![
        (Format::Png, picture(Class::Portrait, Kind::Png)),
        (Format::Png, picture(Class::TransparentLogo, Kind::Png)),
        (Format::Jpeg, picture(Class::Portrait, Kind::Jpeg)),
        (Format::Webp, picture(Class::Portrait, Kind::Webp)),
        (Format::Webp, picture(Class::TransparentLogo, Kind::Webp)),
    ]
}

#[test]
fn a_file_of_fifty_thousand_by_fifty_thousand_pixels_is_turned_away_by_its_header() {
    let huge = png(50_000, 50_000, &[], &deflated(&vec![0; 1 << 20]));
    assert_eq!(reasons(&huge, Format::Png), [QualityCheck::TooManyPixels]);
    assert_eq!(look(&huge, Format::Png).size, Some(Size::new(50_000, 50_000)));
    // A gibibyte of zeros in a mebibyte: 32,768 rows of as many.
    assert_eq!(
        reasons(&png(32_768, 32_768, &[], &deflated(&vec![0; 1 << 24])), Format::Png),
        [QualityCheck::TooManyPixels]
    );
    let webp = riff(&[canvas(0, 1 << 24, 1 << 24), riff_chunk(b"VP8L", &[0x2f, 0, 0, 0, 0])].concat());
    assert_eq!(reasons(&webp, Format::Webp), [QualityCheck::TooManyPixels]);
    let mut jpeg = samples()[2].1.clone();
    let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(reasons(&jpeg, Format::Jpeg), [QualityCheck::TooManyPixels]);
}

#[test]
fn texts_and_profiles_that_inflate_to_sixty_four_mebibytes_are_left_alone_and_the_picture_is_judged() {
    let bomb = deflated(&vec![0; 64 << 20]);
    let text = chunk(b"zTXt", &[b"Comment\0\0", &bomb[..]].concat());
    let profile = chunk(b"iCCP", &[b"bomb\0\0", &bomb[..]].concat());
    for before in [text, profile] {
        assert_eq!(reasons(&png(256, 256, &before, &deflated(&rows(256))), Format::Png), []);
    }
}

/// KiB of address space that a process has in which a picture is judged: it needs two thirds of them for itself,
/// and for a picture of as many pixels as may be decoded a third more than there are.
#[cfg(target_os = "linux")]
const MEMORY: u32 = 125_000;

/// Judges a file in a process of its own that is killed where it takes more than [`MEMORY`].
#[cfg(target_os = "linux")]
fn judged_in_little_memory(file: &[u8], name: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), file).unwrap();
    let judge = format!("ulimit -v {MEMORY} && exec \"$0\" judge \"$1\"");
    let mut shell = std::process::Command::new("sh");
    // Both allocators, the program's and the system's, reserve addresses by the 64 MiB that nobody uses yet. Whether there
    // are some left for another thread's stack would go by the size of the program, to the page.
    shell.env("MIMALLOC_ARENA_RESERVE", "0").env("MALLOC_ARENA_MAX", "1");
    shell.args(["-c", &judge, env!("CARGO_BIN_EXE_easel"), name]).current_dir(folder.path()).output().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_gibibyte_in_a_mebibyte_takes_no_more_memory_than_a_picture() {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    (0..1024).for_each(|_| encoder.write_all(&[0; 1 << 20]).unwrap());
    let gibibyte = encoder.finish().unwrap();
    assert!(gibibyte.len() <= 1 << 20, "{}", gibibyte.len());
    let text = chunk(b"zTXt", &[b"Comment\0\0", &gibibyte[..]].concat());
    let profile = chunk(b"iCCP", &[b"bomb\0\0", &gibibyte[..]].concat());
    let webp = riff(&[canvas(0, 1 << 14, 1 << 14), riff_chunk(b"VP8L", &[0x2f, 0xff, 0xff, 0xff, 0x0f])].concat());
    for (name, file, verdict) in [
        ("huge.png", png(50_000, 50_000, &[], &gibibyte), "rejected: too_many_pixels"),
        ("square.png", png(32_768, 32_767, &[], &gibibyte), "rejected: too_many_pixels"),
        ("text.png", png(256, 256, &text, &deflated(&rows(256))), "accepted"),
        ("profile.png", png(256, 256, &profile, &deflated(&rows(256))), "accepted"),
        ("longer.png", png(256, 256, &[], &[deflated(&rows(256)), gibibyte.clone()].concat()), "accepted"),
        ("endless.png", png(1024, 1024, &[], &gibibyte), "rejected: blank"),
        ("hidden.webp", webp, "rejected: too_many_pixels"),
    ] {
        let output = judged_in_little_memory(&file, name);
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|line| line.starts_with(&format!("{name}  "))).unwrap_or_default();
        assert!(line.contains(verdict), "{name}: {output:?}");
    }
    // A picture of as many pixels as may be decoded does not fit, so that the bound is one.
    let row: Vec<u8> = std::iter::once(0).chain((0..7680).map(|x| (x * 7) as u8)).collect();
    let largest = png(7680, 4320, &[], &deflated(&row.repeat(4320)));
    let output = judged_in_little_memory(&largest, "largest.png");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("largest.png  "), "{output:?}");
}

/// The files of a directory that begin as a picture does.
fn pictures_in(folder: &Path) -> Vec<(PathBuf, Format, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let read = entries.filter_map(|path| {
        let file = std::fs::read(&path).unwrap();
        let format = match file.get(..4)? {
            [0x89, b'P', b'N', b'G'] => Format::Png,
            [0xff, 0xd8, ..] => Format::Jpeg,
            b"RIFF" => Format::Webp,
            _ => return None,
        };
        Some((path, format, file))
    });
    read.collect()
}

#[test]
fn files_that_decoders_were_fuzzed_with_have_a_reason_each() {
    let corrupt = pictures_in(Path::new("tests/fixtures/pictures/public/corrupt"));
    // Three of PngSuite's do not even begin as a PNG.
    assert_eq!(corrupt.len(), 17);
    for (path, format, file) in corrupt {
        assert_eq!(reasons(&file, format), [QualityCheck::Undecodable], "{}", path.display());
    }
    let Some(corpus) = std::env::var_os("EASEL_FUZZ_CORPUS") else { return };
    for (path, format, file) in pictures_in(Path::new(&corpus)) {
        let found = look(&file, format);
        assert!(found.size.is_some() || !found.findings.is_empty(), "{}", path.display());
    }
}

#[test]
fn data_that_go_on_beyond_the_last_row_or_end_before_it_are_told_apart() {
    assert_eq!(reasons(&png(64, 64, &[], &deflated(&rows(64))), Format::Png), []);
    let short = rows(64)[..4000].to_vec();
    assert_eq!(reasons(&png(64, 64, &[], &deflated(&short)), Format::Png), [QualityCheck::Undecodable]);
    // 16 MiB where 4 KiB are due: what is too much is not inflated.
    let _ = look(&png(64, 64, &[], &deflated(&[rows(64), vec![0; 16 << 20]].concat())), Format::Png);
}

#[test]
fn a_small_canvas_does_not_hide_a_large_picture() {
    // A lossy key frame that says it has 16,383 by 16,383 pixels, on a canvas of 16 by 16.
    let frame = [&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f][..], &[0; 64]].concat();
    let hidden = riff(&[canvas(0, 16, 16), riff_chunk(b"VP8 ", &frame)].concat());
    assert_eq!(reasons(&hidden, Format::Webp), [QualityCheck::Undecodable]);
    // The same with data that go on beyond the file.
    let mut cut = riff(&[canvas(0, 16, 16), riff_chunk(b"VP8 ", &frame)].concat());
    cut.truncate(cut.len() - 20);
    assert_eq!(reasons(&cut, Format::Webp), [QualityCheck::Undecodable]);
    let animated = [&[0; 16][..], &riff_chunk(b"VP8 ", &frame)].concat();
    let hidden = riff(&[canvas(2, 16, 16), riff_chunk(b"ANIM", &[0; 6]), riff_chunk(b"ANMF", &animated)].concat());
    assert_eq!(reasons(&hidden, Format::Webp), [QualityCheck::Undecodable]);
}

#[test]
fn riff_in_riff_and_lengths_beyond_the_file_are_no_picture() {
    let mut nested = samples()[3].1.clone();
    for _ in 0..50 {
        nested = riff(&riff_chunk(b"RIFF", &nested));
    }
    assert_eq!(reasons(&nested, Format::Webp), [QualityCheck::Undecodable]);
    let mut long = samples()[3].1.clone();
    long[16..20].copy_from_slice(&[0xff; 4]);
    assert_eq!(reasons(&long, Format::Webp), [QualityCheck::Undecodable]);
    let mut png = samples()[0].1.clone();
    png[33..37].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(reasons(&png, Format::Png), [QualityCheck::Undecodable]);
}

#[test]
fn sides_of_nothing_are_no_picture() {
    for (width, height) in [(0, 10), (10, 0), (0, 0)] {
        assert_eq!(reasons(&png(width, height, &[], &deflated(&[0; 16])), Format::Png), [QualityCheck::Undecodable]);
    }
    let mut jpeg = samples()[2].1.clone();
    let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0);
    assert_eq!(reasons(&jpeg, Format::Jpeg), [QualityCheck::Undecodable]);
}

#[test]
fn segments_of_a_jpeg_that_overlap_or_go_on_beyond_its_end_are_no_picture() {
    let whole = samples()[2].1.clone();
    for marker in [0xdb, 0xc4, 0xc0, 0xda] {
        let at = whole.windows(2).position(|two| two == [0xff, marker]).unwrap();
        for length in [0_u16, 1, 2, 3, 40_000, u16::MAX] {
            let mut broken = whole.clone();
            broken[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
            assert_eq!(reasons(&broken, Format::Jpeg), [QualityCheck::Undecodable], "{marker:x} {length}");
        }
    }
}

#[test]
fn a_progressive_jpeg_of_hundreds_of_scans_is_no_picture() {
    let whole = samples()[2].1.clone();
    let frame = whole.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    let scan = whole.windows(2).position(|two| two == [0xff, 0xda]).unwrap();
    let mut head = whole[..scan].to_vec();
    head[frame + 1] = 0xc2;
    let components = usize::from(head[frame + 9]);
    let ids: Vec<u8> = (0..components).map(|nth| head[frame + 10 + 3 * nth]).collect();
    let mut file = head;
    // Each scan refines the same coefficients once more, out of nothing.
    for nth in 0..500 {
        file.extend([0xff, 0xda, 0, 8, 1, ids[nth % components], 0, 1, 63, 0x10, 0xff, 0xd0]);
    }
    file.extend([0xff, 0xd9]);
    assert_eq!(reasons(&file, Format::Jpeg), [QualityCheck::Undecodable]);
}

#[test]
fn a_file_that_ends_at_any_place_ends_in_a_reason() {
    for (format, file) in samples() {
        // The last bytes of a PNG are no pixels, and a WebP may have a byte of padding.
        for length in (0..file.len() - 40).step_by(64) {
            assert_eq!(
                reasons(&file[..length], format),
                [QualityCheck::Undecodable],
                "{format:?} {length} of {}",
                file.len()
            );
        }
    }
}

#[test]
fn bytes_changed_at_random_panic_nowhere_and_a_png_is_known_by_its_checksums() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let mut chance = Chance::new(number("EASEL_FUZZ_SEED", 1));
    let samples = samples();
    for _ in 0..number("EASEL_FUZZ_CASES", 3_000) {
        let (format, whole) = &samples[chance.below(samples.len())];
        let mut file = whole.clone();
        let at = chance.below(file.len());
        file[at] ^= 1 << chance.below(8);
        if *format == Format::Png && at < file.len() - 12 {
            assert!(!look(&file, *format).findings.is_empty(), "byte {at}");
        }
        for _ in 0..chance.below(4) {
            change(&mut file, &mut chance, &samples[at % samples.len()].1);
        }
        let _ = look(&file, *format);
    }
}

fn change(file: &mut Vec<u8>, chance: &mut Chance, other: &[u8]) {
    if file.is_empty() {
        return;
    }
    // The first bytes say what the others mean.
    let reach = if chance.below(2) == 0 { file.len() } else { file.len().min(200) };
    let at = chance.below(reach);
    let end = (at + chance.below(60)).min(file.len());
    match chance.below(7) {
        0 => file[at] = chance.byte(),
        1 => file[at] = [0, 0x7f, 0x80, 0xff][chance.below(4)],
        2 => file.truncate(at),
        3 => drop(file.drain(at..end)),
        4 => file[at..end].fill(0),
        5 => {
            let part = file[at..end].to_vec();
            file.splice(at..at, part);
        }
        _ => {
            let from = chance.below(other.len());
            let to = (from + chance.below(200)).min(other.len());
            file.splice(at..at, other[from..to].iter().copied());
        }
    }
}
