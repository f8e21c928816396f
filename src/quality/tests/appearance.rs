//! What a picture looks like, on both sides of each line.

use super::*;

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
pub(super) fn discs(edge: f32) -> Vec<u8> {
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
