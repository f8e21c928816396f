//! Colours as a browser shows them: what a file's colour profile says becomes sRGB.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

/// The largest profile that is read. Those of printers, the largest in use, have about two million bytes.
pub(super) const LARGEST: usize = 4 << 20;
/// The longest part of a row that goes through a profile at once.
const PIXELS: usize = 4096;

/// Turns pixels of three or four channels into sRGB in place. A profile that is broken, of another kind than RGB, or sRGB
/// itself does nothing, as in browsers.
pub(super) fn to_srgb(profile: &[u8], channels: usize, pixels: &mut [u8]) {
    if profile.len() > LARGEST || !matches!(channels, 3 | 4) {
        return;
    }
    // A profile is data of strangers for a library that we do not know to be free of panics; one must not cost a picture.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let layout = if channels == 4 { Layout::Rgba } else { Layout::Rgb };
        if let Some(transform) = transform(profile, layout) {
            let mut stored = vec![0; PIXELS * channels];
            for part in pixels.chunks_mut(PIXELS * channels) {
                let stored = &mut stored[..part.len()];
                stored.copy_from_slice(part);
                if transform.transform(stored, part).is_err() {
                    return;
                }
            }
        }
    }));
}

fn transform(profile: &[u8], layout: Layout) -> Option<Arc<Transform8BitExecutor>> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    if profile.color_space != DataColorSpace::Rgb {
        return None;
    }
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(layout, &srgb, layout, TransformOptions::default()).ok()?;
    changes_something(transform.as_ref(), layout).then_some(transform)
}

/// Whether a profile is not sRGB by another name: most files that have one say sRGB, and need no work.
fn changes_something(transform: &Transform8BitExecutor, layout: Layout) -> bool {
    let channels = if layout == Layout::Rgba { 4 } else { 3 };
    let levels = [0, 32, 64, 96, 128, 160, 192, 224, 255_u8];
    let mut samples = Vec::new();
    for red in levels {
        for green in levels {
            for blue in levels {
                samples.extend_from_slice(&[red, green, blue, 255][..channels]);
            }
        }
    }
    let mut turned = vec![0; samples.len()];
    // Rounding moves a level by one, and by a few where colours are dark.
    transform.transform(&samples, &mut turned).is_ok() && samples.iter().zip(&turned).any(|(a, b)| a.abs_diff(*b) > 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(profile: &ColorProfile, pixel: [u8; 3]) -> [u8; 3] {
        let mut pixels = pixel;
        to_srgb(&profile.encode().unwrap(), 3, &mut pixels);
        pixels
    }

    #[test]
    fn the_red_of_display_p3_and_the_green_of_adobe_rgb_are_shown_in_srgb() {
        // What browsers show: P3 (200, 30, 30) lies inside sRGB a little further out.
        let [red, green, blue] = turned(&ColorProfile::new_display_p3(), [200, 30, 30]);
        assert!((214..=224).contains(&red) && green < 20 && blue < 26, "{red} {green} {blue}");
        let [red, green, _] = turned(&ColorProfile::new_adobe_rgb(), [120, 200, 120]);
        assert!(red < 90 && (195..=206).contains(&green), "{red} {green}");
    }

    #[test]
    fn srgb_by_its_own_profile_and_a_broken_profile_change_nothing() {
        assert_eq!(turned(&ColorProfile::new_srgb(), [12, 130, 250]), [12, 130, 250]);
        let whole = ColorProfile::new_display_p3().encode().unwrap();
        for broken in [&whole[..40], &whole[..200], b"", &vec![0; LARGEST + 1]] {
            let mut pixels = [200, 30, 30];
            to_srgb(broken, 3, &mut pixels);
            assert_eq!(pixels, [200, 30, 30]);
        }
    }
}
