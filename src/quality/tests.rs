//! Every check, on both sides of its line.

use std::sync::Arc;

use easel_encode::{Encoding, Pixels, encode};

use crate::config::plan::{Brand, QualityCheck, QualityGate, QualityThresholds};
use crate::image::{Format, Size};
use crate::quality::{
    CheckOutcome, Examination, Expected, Fingerprint, PictureQuality, QualityFinding, examine, limits,
};

mod appearance;

use appearance::discs;

const MAX_PIXELS: u64 = 1 << 22;
const SIDE: u32 = 256;

/// A picture of `SIDE` by `SIDE`, each pixel as `paint` has it.
fn drawn(paint: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    of_size(SIDE, SIDE, paint)
}

fn of_size(width: u32, height: u32, paint: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let bytes: Vec<u8> = (0..width * height).flat_map(|at| paint(at % width, at / width)).collect();
    encode(Pixels { bytes: &bytes, width, height, alpha: false }, Encoding::Png).unwrap()
}

fn transparent(paint: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
    let bytes: Vec<u8> = (0..SIDE * SIDE).flat_map(|at| paint(at % SIDE, at / SIDE)).collect();
    encode(Pixels { bytes: &bytes, width: SIDE, height: SIDE, alpha: true }, Encoding::Png).unwrap()
}

/// A number that says nothing of its neighbours.
fn chance(x: u32, y: u32) -> u8 {
    let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35);
    ((mixed ^ mixed >> 15).wrapping_mul(0x2c1b_3c6d) >> 24) as u8
}

/// Something to see: soft hills, and sharp discs on them.
fn scene(x: u32, y: u32) -> [u8; 3] {
    let hill = 110.0 + 60.0 * (x as f32 / 37.0).sin() * (y as f32 / 29.0).cos();
    let disc = (x as i32 % 80 - 40).pow(2) + (y as i32 % 70 - 35).pow(2) < 400;
    let level = if disc { 235 } else { hill as u8 };
    [level, level / 2 + (x / 4) as u8, 200 - level / 2]
}

fn examined(file: &[u8], gate: &QualityGate, expected: &Expected) -> Examination {
    examine(file, Format::Png, gate, expected, MAX_PIXELS)
}

/// What the default gate finds.
fn failed(file: &[u8]) -> Vec<QualityCheck> {
    checks(&examined(file, &QualityGate::default(), &Expected::default()))
}

fn checks(examination: &Examination) -> Vec<QualityCheck> {
    examination.findings.iter().map(|finding| finding.check).collect()
}

fn with_size(size: Size) -> Expected {
    Expected { size: Some(size), ..Expected::default() }
}

#[test]
fn a_scene_of_the_agreed_size_passes_every_check() {
    let found = examined(&drawn(scene), &QualityGate::default(), &with_size(Size::new(SIDE, SIDE)));
    assert_eq!(found.findings, []);
    assert_eq!(found.size, Some(Size::new(SIDE, SIDE)));
    let verdict = found.verdict(&QualityGate::default());
    assert_eq!((verdict.rejected, verdict.flagged, verdict.badness), (vec![], vec![], Some(0.0)));
}

#[test]
fn a_side_may_miss_the_agreed_size_by_a_twentieth_and_no_more() {
    let found = |width| {
        checks(&examined(&of_size(width, 400, scene), &QualityGate::default(), &with_size(Size::new(400, 400))))
    };
    assert_eq!(found(380), []);
    assert_eq!(found(420), []);
    assert_eq!(found(379), [QualityCheck::WrongSize, QualityCheck::WrongRatio]);
    assert_eq!(found(421), [QualityCheck::WrongSize, QualityCheck::WrongRatio]);
}

#[test]
fn a_shape_without_a_size_is_held_against_the_shape_alone() {
    let expected = Expected { ratio: Some((16, 9)), ..Expected::default() };
    let found = |height| checks(&examined(&of_size(320, height, scene), &QualityGate::default(), &expected));
    assert_eq!(found(180), []);
    assert_eq!(found(188), []);
    assert_eq!(found(190), [QualityCheck::WrongRatio]);
}

#[test]
fn a_picture_may_not_be_a_pixel_smaller_than_the_least_size() {
    let gate = QualityGate { min_size: Some(Size::new(256, 200)), ..QualityGate::default() };
    let found = |width, height| checks(&examined(&of_size(width, height, scene), &gate, &Expected::default()));
    assert_eq!(found(256, 200), []);
    assert_eq!(found(255, 200), [QualityCheck::TooSmall]);
    assert_eq!(found(256, 199), [QualityCheck::TooSmall]);
}

#[test]
fn a_banner_of_more_than_twenty_to_seven_is_odd_and_flagged() {
    assert_eq!(failed(&of_size(400, 141, scene)), []);
    let banner = examined(&of_size(400, 139, scene), &QualityGate::default(), &Expected::default());
    let verdict = banner.verdict(&QualityGate::default());
    assert_eq!((verdict.rejected, verdict.flagged), (vec![], vec![QualityCheck::OddRatio]));
}

#[test]
fn a_file_with_a_byte_changed_or_the_end_missing_does_not_decode() {
    let whole = drawn(scene);
    let mut garbled = whole.clone();
    let middle = whole.len() / 2;
    garbled[middle] ^= 0x55;
    for broken in [&whole[..whole.len() - 40], &whole[..20], b"", &garbled] {
        let found = examined(broken, &QualityGate::decodes(), &Expected::default());
        assert_eq!(checks(&found), [QualityCheck::Undecodable]);
        assert_eq!(found.verdict(&QualityGate::decodes()).badness, None);
    }
}

#[test]
fn a_picture_of_too_many_pixels_is_not_decoded() {
    let file = drawn(scene);
    let pixels = u64::from(SIDE * SIDE);
    let found = |most| examine(&file, Format::Png, &QualityGate::decodes(), &Expected::default(), most);
    assert_eq!(found(pixels).findings, []);
    assert_eq!(checks(&found(pixels - 1)), [QualityCheck::TooManyPixels]);
    assert_eq!(found(pixels - 1).size, Some(Size::new(SIDE, SIDE)));
}

#[test]
fn a_gate_that_asks_for_the_size_alone_decodes_nothing() {
    let whole = drawn(scene);
    let reject = crate::config::plan::CheckSet::of(&[QualityCheck::WrongSize, QualityCheck::TooManyPixels]);
    let gate = QualityGate { reject, flag: Default::default(), ..QualityGate::default() };
    // Half of the pixels are missing, which nobody looks for.
    let found = examined(&whole[..whole.len() / 2], &gate, &with_size(Size::new(SIDE, SIDE)));
    assert_eq!(found.findings, []);
    assert_eq!(found.metrics.named().count(), 0);
}

/// An animated WebP of pictures of `SIDE` by `SIDE`, lossless.
fn animated(pictures: &[&dyn Fn(u32, u32) -> [u8; 3]]) -> Vec<u8> {
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let padding = vec![0; data.len() % 2];
        [name, &(data.len() as u32).to_le_bytes()[..], data, &padding].concat()
    };
    let sides = [&(SIDE - 1).to_le_bytes()[..3], &(SIDE - 1).to_le_bytes()[..3]].concat();
    let frames = pictures.iter().map(|paint| {
        let bytes: Vec<u8> = (0..SIDE * SIDE).flat_map(|at| paint(at % SIDE, at / SIDE)).collect();
        let pixels = Pixels { bytes: &bytes, width: SIDE, height: SIDE, alpha: false };
        // Without the header of its own file, the chunk is what a frame has.
        let still = encode(pixels, Encoding::Webp).unwrap().split_off(12);
        chunk(b"ANMF", &[&[0; 6], &sides[..], &[100, 0, 0, 0], &still].concat())
    });
    let canvas = chunk(b"VP8X", &[&[2, 0, 0, 0], &sides[..]].concat());
    let body = [b"WEBP", &canvas[..], &chunk(b"ANIM", &[0; 6]), &frames.collect::<Vec<_>>().concat()].concat();
    chunk(b"RIFF", &body)
}

#[test]
fn an_animation_is_judged_by_its_first_frame() {
    let grey = |_: u32, _: u32| [128; 3];
    for (pictures, wanted) in [
        (&[&scene as &dyn Fn(u32, u32) -> [u8; 3], &grey, &scene][..], vec![]),
        (&[&scene], vec![]),
        (&[&grey, &scene], vec![QualityCheck::Blank, QualityCheck::NearUniform, QualityCheck::LowInformation]),
    ] {
        let found =
            examine(&animated(pictures), Format::Webp, &QualityGate::default(), &Expected::default(), MAX_PIXELS);
        assert_eq!((found.size, checks(&found)), (Some(Size::new(SIDE, SIDE)), wanted));
    }
}

#[test]
fn a_number_that_no_check_asks_for_is_not_measured() {
    let reject = crate::config::plan::CheckSet::of(&[QualityCheck::StaticNoise]);
    let gate = QualityGate { reject, flag: Default::default(), ..QualityGate::default() };
    let found = examined(&drawn(scene), &gate, &Expected::default());
    let names: Vec<_> = found.metrics.named().map(|(name, _)| name).collect();
    assert_eq!(names, ["noise"]);
    assert_eq!(found.fingerprint, None);
}

#[test]
fn of_two_rejected_pictures_the_one_that_is_still_of_use_is_the_better_one() {
    let badness = |findings: &[(QualityCheck, f64, f64)]| {
        let mut found = Examination::default();
        for (check, measured, limit) in findings {
            found.note(QualityFinding { check: *check, measured: *measured, limit: *limit });
        }
        found.verdict(&QualityGate::default()).badness
    };
    let off = badness(&[(QualityCheck::WrongSize, 0.06, 0.05)]);
    let far_off = badness(&[(QualityCheck::WrongSize, 1.0, 0.05)]);
    let blurred = badness(&[(QualityCheck::Blurred, 0.01, 0.25)]);
    let blank = badness(&[(QualityCheck::Blank, 0.0, 4.0)]);
    assert!(badness(&[]) < off && off < far_off && far_off < blurred && blurred < blank);
    assert_eq!(badness(&[(QualityCheck::Undecodable, 0.0, 1.0)]), None);
    // What only flags a picture makes it no worse.
    assert_eq!(badness(&[(QualityCheck::Dark, 0.1, 0.3)]), Some(0.0));
}

#[test]
fn limits_are_the_route_s() {
    let thresholds = QualityThresholds { noise: 100.0, ..QualityThresholds::default() };
    let gate = QualityGate { thresholds, ..QualityGate::default() };
    let found = examined(&drawn(|x, y| [chance(x, y); 3]), &gate, &Expected::default());
    assert!(!checks(&found).contains(&QualityCheck::StaticNoise));
}

#[test]
fn a_check_fails_exactly_where_each_of_its_numbers_is_beyond_its_limit() {
    let brand = Brand { colors: vec![[220, 30, 60]], delta_e: 10.0, share_ppm: 10_000 };
    let gate =
        QualityGate { min_size: Some(Size::new(300, 300)), brand: Some(Arc::new(brand)), ..QualityGate::default() };
    let expected = Expected { size: Some(Size::new(320, 200)), ratio: None, transparent: true };
    let limits = limits(&gate, &expected, MAX_PIXELS);
    let pictures = [
        drawn(scene),
        drawn(|_, _| [128; 3]),
        drawn(|x, y| [chance(x, y), chance(y, x), chance(x + 999, y)]),
        drawn(|x, y| scene(x, y).map(|level| level / 8)),
        drawn(|x, y| scene(x, y).map(|level| 255 - level / 40)),
        drawn(|x, y| if chance(x, y) < 3 { [160; 3] } else { [128; 3] }),
        drawn(|x, y| [(x / 2 + y / 2) as u8, 120, 255 - (x / 2) as u8]),
        drawn(|x, _| if x < 100 { [220, 30, 60] } else { [20; 3] }),
        of_size(400, 100, scene),
        discs(2.0),
        transparent(|x, y| [255, 255, 255, if x > 100 && y > 100 { 255 } else { 0 }]),
        b"no picture".to_vec(),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (nth, file) in pictures.iter().enumerate() {
        let found = examined(file, &gate, &expected);
        for report in found.report(&gate, &expected, &limits) {
            let beyond = report
                .numbers
                .iter()
                .all(|(limit, measured)| measured.is_some_and(|measured| limit.fails.is_beyond(measured, limit.limit)));
            let failed = matches!(report.outcome, CheckOutcome::Rejects | CheckOutcome::Flags);
            // What else decides stands in `besides`.
            if !report.numbers.iter().any(|(limit, _)| limit.besides.is_some()) {
                assert_eq!(failed, beyond, "picture {nth}: {report:?}");
            }
            assert_eq!(failed, checks(&found).contains(&report.check), "picture {nth}: {report:?}");
            seen.extend(failed.then_some(report.check));
        }
    }
    let unasked = [QualityCheck::TooManyPixels, QualityCheck::Mosaic, QualityCheck::Duplicate, QualityCheck::Judge];
    let unseen = QualityCheck::ALL.into_iter().filter(|check| !seen.contains(check) && !unasked.contains(check));
    assert_eq!(unseen.collect::<Vec<_>>(), [], "each check fails for one of these pictures");
}

#[test]
fn only_checks_that_can_be_made_have_limits_and_each_limit_is_the_gate_s() {
    let thresholds = QualityThresholds { blur: 0.125, ..QualityThresholds::default() };
    let gate = QualityGate { thresholds, ..QualityGate::default() };
    let all = limits(&gate, &Expected::default(), MAX_PIXELS);
    for idle in [
        QualityCheck::WrongSize,
        QualityCheck::WrongRatio,
        QualityCheck::TooSmall,
        QualityCheck::BrandColor,
        QualityCheck::Opaque,
        QualityCheck::Judge,
    ] {
        assert!(all.iter().all(|limit| limit.check != idle), "{idle:?}");
    }
    let blur = all.iter().find(|limit| limit.metric == "sharpness").unwrap();
    assert_eq!((blur.limit, blur.setting), (0.125, Some("thresholds.blur")));
    let known = examined(&drawn(scene), &gate, &Expected::default());
    for (name, _) in known.metrics.named() {
        assert!(all.iter().any(|limit| limit.metric == name), "no check goes by {name}");
    }
    assert_eq!(limits(&QualityGate::decodes(), &Expected::default(), 9).len(), 2);
}

#[test]
fn what_is_kept_of_a_verdict_weighs_its_words_and_its_fingerprint() {
    let fingerprint = examined(&drawn(scene), &QualityGate::default(), &Expected::default()).fingerprint;
    let nothing = PictureQuality::default().weight();
    let flagged = PictureQuality { flagged: vec![QualityCheck::Dark], ..PictureQuality::default() };
    let both = PictureQuality { rejected: vec![QualityCheck::Blank; 2], ..flagged.clone() };
    let compared = PictureQuality { fingerprint, ..both.clone() };
    let word = size_of::<QualityCheck>();
    // 16 by 16 colours.
    let weights = [nothing, nothing + word, nothing + 3 * word, nothing + 3 * word + 768];
    assert_eq!([PictureQuality::default(), flagged, both, compared].map(|kept| kept.weight()), weights);
}
