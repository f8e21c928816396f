//! Every check, on both sides of its line.

use std::sync::Arc;

use easel_encode::{Encoding, Pixels, encode};

use crate::config::plan::{Brand, QualityCheck, QualityGate, QualityThresholds};
use crate::image::{Format, Size};
use crate::quality::{
    CheckOutcome, Examination, Expected, Fingerprint, PictureQuality, QualityFinding, examine, limits,
};

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
fn one_colour_is_blank_and_so_is_noise_that_cannot_be_seen() {
    for flat in [[0; 3], [255; 3], [128; 3], [200, 20, 20]] {
        assert!(failed(&drawn(|_, _| flat)).contains(&QualityCheck::Blank), "{flat:?}");
    }
    assert!(failed(&drawn(|x, y| [chance(x, y) % 6; 3])).contains(&QualityCheck::Blank));
}

#[test]
fn a_small_dark_logo_on_white_passes_and_a_few_specks_are_near_uniform() {
    let logo = |size: u32| {
        drawn(move |x, y| if x.abs_diff(128) < size && y.abs_diff(128) < size { [20; 3] } else { [255; 3] })
    };
    assert_eq!(failed(&logo(16)), [QualityCheck::LowInformation]);
    assert!(failed(&logo(3)).contains(&QualityCheck::NearUniform));
}

#[test]
fn a_faint_gradient_is_something_to_see_and_noise_as_faint_is_not() {
    let faint = |red: f32, blue: f32| {
        drawn(move |x, y| {
            let share = (x + y) as f32 / 512.0;
            [(120.0 + red * share).round() as u8, 120, (110.0 + blue * share).round() as u8]
        })
    };
    let empty = [QualityCheck::Blank, QualityCheck::NearUniform];
    for (red, blue) in [(22.0, -22.0), (22.0, 22.0), (0.0, 30.0)] {
        let found = failed(&faint(red, blue));
        assert!(!found.iter().any(|check| empty.contains(check)), "{red} {blue}: {found:?}");
    }
    assert!(failed(&faint(8.0, 8.0)).contains(&QualityCheck::Blank));
    let specks = drawn(|x, y| [110 + chance(x, y) / 24, 120, 110 + chance(y, x) / 24]);
    assert!(failed(&specks).contains(&QualityCheck::Blank));
}

#[test]
fn the_blocks_that_a_codec_leaves_of_a_faint_gradient_are_no_mosaic() {
    for (nth, slope) in [0.03_f32, 0.05, 0.08].into_iter().enumerate() {
        let at = |x: u32, y: u32| (90.0 + slope * (x as f32 + 0.7 * y as f32)).round() as u8;
        let bytes: Vec<u8> = (0..SIDE * SIDE).flat_map(|pixel| [at(pixel % SIDE, pixel / SIDE); 3]).collect();
        for quality in [40, 60, 75] {
            let pixels = Pixels { bytes: &bytes, width: SIDE, height: SIDE, alpha: false };
            let jpeg = encode(pixels, Encoding::Jpeg(quality)).unwrap();
            let found = examine(&jpeg, Format::Jpeg, &QualityGate::default(), &Expected::default(), MAX_PIXELS);
            assert!(!checks(&found).contains(&QualityCheck::Mosaic), "{nth} {quality}: {:?}", found.metrics);
        }
    }
}

#[test]
fn red_on_green_of_one_brightness_is_something_to_see() {
    let picture = drawn(|x, y| if (x / 64 + y / 64) % 2 == 0 { [200, 50, 0] } else { [0, 153, 0] });
    assert!(!failed(&picture).contains(&QualityCheck::Blank));
}

#[test]
fn one_level_nearly_everywhere_is_near_uniform_unless_what_is_left_stands_out() {
    let specks = |level: u8| drawn(move |x, y| if chance(x, y) < 3 { [level; 3] } else { [128; 3] });
    assert!(failed(&specks(160)).contains(&QualityCheck::NearUniform));
    assert!(!failed(&specks(175)).contains(&QualityCheck::NearUniform));
    let halves = |right: u8| drawn(move |x, _| if x < 128 { [100; 3] } else { [right; 3] });
    assert!(
        failed(&halves(130)).contains(&QualityCheck::NearUniform),
        "two levels, as far apart as nothing stands out"
    );
    assert!(!failed(&halves(145)).contains(&QualityCheck::NearUniform));
    // Three levels next to each other, and a hundredth of the pixels on thirty others: not two levels, and one band.
    let band = |others: u8| {
        drawn(move |x, y| {
            let level = if chance(x, y) < others { 90 + chance(y, x) / 9 } else { 100 + chance(x + 7, y + 3) % 3 };
            [level; 3]
        })
    };
    assert!(failed(&band(3)).contains(&QualityCheck::NearUniform));
    assert!(!failed(&band(40)).contains(&QualityCheck::NearUniform));
}

#[test]
fn what_has_no_bright_part_is_dark_and_what_has_no_dark_part_is_light() {
    let night = |moon: u8| drawn(move |x, y| if x < 24 && y < 64 { [moon; 3] } else { [scene(x, y)[0] / 6; 3] });
    assert!(failed(&night(80)).contains(&QualityCheck::Dark));
    assert!(!failed(&night(84)).contains(&QualityCheck::Dark));
    let fog = |pole: u8| drawn(move |x, y| if x < 24 && y < 64 { [pole; 3] } else { [255 - scene(x, y)[0] / 30; 3] });
    assert!(failed(&fog(244)).contains(&QualityCheck::Light));
    assert!(!failed(&fog(240)).contains(&QualityCheck::Light));
}

/// Discs whose edge is so many pixels wide.
fn discs(edge: f32) -> Vec<u8> {
    drawn(move |x, y| {
        let from = ((x as f32 % 64.0 - 32.0).hypot(y as f32 % 64.0 - 32.0) - 16.0) / edge;
        [(30.0 + 190.0 / (1.0 + (-from).exp())) as u8; 3]
    })
}

#[test]
fn soft_edges_everywhere_are_blurred_and_one_sharp_part_is_enough() {
    assert!(!failed(&discs(0.3)).contains(&QualityCheck::Blurred));
    assert!(failed(&discs(0.6)).contains(&QualityCheck::Blurred));
}

#[test]
fn faint_shapes_are_blurred_where_they_are_soft_and_not_where_they_are_sharp() {
    // No step of five levels stands out from what a codec leaves.
    let faint = |edge: f32| {
        drawn(move |x, y| {
            let from = ((x as f32 % 32.0 - 16.0).hypot(y as f32 % 32.0 - 16.0) - 8.0) / edge;
            [(60.0 + x as f32 / 2.0 + 5.0 / (1.0 + (-from).exp())).round() as u8; 3]
        })
    };
    assert_eq!(failed(&faint(0.2)), []);
    let night = |edge: f32| {
        drawn(move |x, y| {
            let from = ((x as f32 % 64.0 - 32.0).hypot(y as f32 % 64.0 - 32.0) - 16.0) / edge;
            [(16.0 + 20.0 / (1.0 + (-from).exp())).round() as u8; 3]
        })
    };
    assert!(!failed(&night(0.2)).contains(&QualityCheck::Blurred));
    assert!(failed(&night(4.0)).contains(&QualityCheck::Blurred));
}

#[test]
fn the_borders_of_a_codec_s_blocks_do_not_make_a_blurred_picture_sharp() {
    let soft = |x: u32, y: u32| {
        let from = ((x as f32 % 64.0 - 32.0).hypot(y as f32 % 64.0 - 32.0) - 16.0) / 4.0;
        let share = 1.0 / (1.0 + (-from).exp());
        [(230.0 * share) as u8, (250.0 - 230.0 * share) as u8, 128]
    };
    let bytes: Vec<u8> = (0..SIDE * SIDE).flat_map(|at| soft(at % SIDE, at / SIDE)).collect();
    for quality in [50, 75, 90] {
        let pixels = Pixels { bytes: &bytes, width: SIDE, height: SIDE, alpha: false };
        let jpeg = encode(pixels, Encoding::Jpeg(quality)).unwrap();
        let found = examine(&jpeg, Format::Jpeg, &QualityGate::default(), &Expected::default(), MAX_PIXELS);
        assert!(checks(&found).contains(&QualityCheck::Blurred), "quality {quality}: {:?}", found.metrics);
    }
}

#[test]
fn squares_whose_edges_lie_where_a_codec_s_blocks_end_are_sharp() {
    let squares = drawn(|x, y| if (x / 64 + y / 64) % 2 == 0 { [210, 180, 40] } else { [30, 60, 120] });
    assert!(!failed(&squares).contains(&QualityCheck::Blurred));
}

#[test]
fn a_gradient_that_never_had_edges_is_not_blurred() {
    assert_eq!(failed(&drawn(|x, y| [(x / 2 + y / 2) as u8, 120, 255 - (x / 2) as u8])), []);
    let round = drawn(|x, y| [255 - ((x as f32 - 128.0).hypot(y as f32 - 128.0) * 1.2) as u8; 3]);
    assert_eq!(failed(&round), []);
}

#[test]
fn noise_from_edge_to_edge_is_noise_and_stars_are_not() {
    assert!(
        failed(&drawn(|x, y| [chance(x, y), chance(y, x), chance(x + 999, y)])).contains(&QualityCheck::StaticNoise)
    );
    let half = drawn(|x, y| if x < 128 { [chance(x, y); 3] } else { scene(x, y) });
    assert!(!failed(&half).contains(&QualityCheck::StaticNoise));
    let stars = drawn(|x, y| [if chance(x, y) > 240 { 250 } else { 5 }; 3]);
    assert!(!failed(&stars).contains(&QualityCheck::StaticNoise));
}

#[test]
fn blocks_of_many_colours_are_a_mosaic_and_blocks_of_few_are_drawn() {
    let blocks =
        drawn(|x, y| scene(x / 16 * 16 + 8, y / 16 * 16 + 8).map(|level| level / 2 + chance(x / 16, y / 16) / 2));
    assert!(failed(&blocks).contains(&QualityCheck::Mosaic));
    let palette = [[20, 20, 40], [230, 200, 60], [90, 160, 70], [200, 40, 40]];
    let chess = drawn(|x, y| palette[usize::from(chance(x / 16, y / 48) % 4)]);
    assert!(!failed(&chess).contains(&QualityCheck::Mosaic));
}

#[test]
fn a_white_logo_on_nothing_is_not_blank_and_nothing_at_all_is() {
    let ring = |x: u32, y: u32| (60..80).contains(&((x as f32 - 128.0).hypot(y as f32 - 128.0) as u32));
    let found = failed(&transparent(|x, y| [255, 255, 255, if ring(x, y) { 255 } else { 0 }]));
    assert!(!found.contains(&QualityCheck::Blank) && !found.contains(&QualityCheck::NearUniform), "{found:?}");
    // Colours below an alpha of nothing are not seen.
    assert!(
        failed(&transparent(|x, y| {
            let [r, g, b] = scene(x, y);
            [r, g, b, 0]
        }))
        .contains(&QualityCheck::Blank)
    );
}

#[test]
fn where_transparency_was_asked_for_a_thousandth_of_the_pixels_must_be() {
    let asked = Expected { transparent: true, ..Expected::default() };
    let hole = |pixels: u32| {
        transparent(move |x, y| {
            let [r, g, b] = scene(x, y);
            [r, g, b, if x + y * SIDE < pixels { 0 } else { 255 }]
        })
    };
    let found = |file: &[u8]| checks(&examined(file, &QualityGate::default(), &asked));
    assert_eq!(found(&hole(66)), []);
    assert_eq!(found(&hole(65)), [QualityCheck::Opaque]);
    assert_eq!(found(&drawn(scene)), [QualityCheck::Opaque]);
    assert_eq!(failed(&drawn(scene)), []);
}

#[test]
fn a_brand_colour_must_cover_its_share_in_any_lightness_of_a_lit_thing() {
    let gate = |share_ppm| {
        let brand = Brand { colors: vec![[220, 30, 60]], delta_e: 10.0, share_ppm };
        QualityGate { brand: Some(Arc::new(brand)), ..QualityGate::default() }
    };
    let can = drawn(|x, y| {
        // A red strip, lit from one side.
        if (64..96).contains(&x) {
            [190 + (y / 4) as u8, 26 + (y / 32) as u8, 52 + (y / 32) as u8]
        } else {
            [scene(x, y)[0]; 3]
        }
    });
    let found = |share| checks(&examined(&can, &gate(share), &Expected::default()));
    assert_eq!(found(100_000), []);
    assert_eq!(found(130_000), [QualityCheck::BrandColor]);
    assert_eq!(
        checks(&examined(&drawn(|x, y| [scene(x, y)[0]; 3]), &gate(10_000), &Expected::default())),
        [QualityCheck::BrandColor]
    );
}

fn fingerprint(file: &[u8]) -> Fingerprint {
    examined(file, &QualityGate::default(), &Expected::default()).fingerprint.unwrap()
}

fn is_duplicate(one: &[u8], other: &[u8]) -> bool {
    let mut found = examined(one, &QualityGate::default(), &Expected::default());
    found.compare(&QualityGate::default(), [&fingerprint(other)]);
    checks(&found).contains(&QualityCheck::Duplicate)
}

#[test]
fn the_same_picture_a_little_shifted_is_a_duplicate() {
    assert!(is_duplicate(&drawn(scene), &drawn(scene)));
    assert!(is_duplicate(&drawn(scene), &drawn(|x, y| scene(x + 2, y + 1))));
    assert!(!is_duplicate(&drawn(scene), &drawn(|x, y| scene(x + 40, y + 30))));
}

#[test]
fn two_logos_on_white_are_no_duplicates_and_neither_is_one_in_two_colours() {
    let logo = |inside: fn(i32, i32) -> bool, ink: [u8; 3]| {
        drawn(move |x, y| if inside(x as i32 - 128, y as i32 - 128) { ink } else { [255; 3] })
    };
    let disc = logo(|x, y| x * x + y * y < 1600, [30, 30, 30]);
    let bar = logo(|x, y| x.abs() < 60 && y.abs() < 14, [30, 30, 30]);
    assert!(!is_duplicate(&disc, &bar));
    let (red, blue) =
        (logo(|x, y| x * x + y * y < 1600, [150, 40, 40]), logo(|x, y| x * x + y * y < 1600, [40, 70, 190]));
    assert!(!is_duplicate(&red, &blue));
    assert!(is_duplicate(&disc, &logo(|x, y| (x - 1).pow(2) + y * y < 1600, [30, 30, 30])));
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
