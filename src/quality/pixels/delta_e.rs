//! How different two colours look: CIEDE2000, and how much of a picture has a colour.

use super::surface::Thumbnail;

/// A colour as the eye orders them: CIE L*a*b* under daylight (D65).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lab {
    /// Lightness, 0 to 100.
    pub l: f32,
    /// From green to red.
    pub a: f32,
    /// From blue to yellow.
    pub b: f32,
}

impl Lab {
    /// A colour of sRGB.
    pub fn from_srgb([red, green, blue]: [u8; 3]) -> Lab {
        let [red, green, blue] = [red, green, blue].map(linear);
        let x = (0.412_456_4 * red + 0.357_576_1 * green + 0.180_437_5 * blue) / 0.950_47;
        let y = 0.212_672_9 * red + 0.715_152_2 * green + 0.072_175 * blue;
        let z = (0.019_333_9 * red + 0.119_192 * green + 0.950_304_1 * blue) / 1.088_83;
        let [x, y, z] = [x, y, z].map(compressed);
        Lab { l: 116.0 * y - 16.0, a: 500.0 * (x - y), b: 200.0 * (y - z) }
    }
}

fn linear(level: u8) -> f32 {
    let level = f32::from(level) / 255.0;
    if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
}

fn compressed(t: f32) -> f32 {
    if t > 0.008_856_452 { t.cbrt() } else { t * 7.787_037 + 4.0 / 29.0 }
}

/// The difference of two colours by CIEDE2000 (Sharma, Wu, Dalal 2005), with the lightness weighed by 1 / `lightness`.
pub fn delta_e_2000(one: Lab, other: Lab, lightness: f32) -> f32 {
    let chroma = |lab: Lab| lab.a.hypot(lab.b);
    let seventh = |c: f32| (c.powi(7) / (c.powi(7) + 25_f32.powi(7))).sqrt();
    let g = 0.5 * (1.0 - seventh((chroma(one) + chroma(other)) / 2.0));
    let [a1, a2] = [one.a, other.a].map(|a| a * (1.0 + g));
    let (c1, c2) = (a1.hypot(one.b), a2.hypot(other.b));
    let hue = |a: f32, b: f32| if a == 0.0 && b == 0.0 { 0.0 } else { b.atan2(a).to_degrees().rem_euclid(360.0) };
    let (h1, h2) = (hue(a1, one.b), hue(a2, other.b));
    let grey = c1 * c2 == 0.0;
    let turn = match h2 - h1 {
        _ if grey => 0.0,
        turn if turn > 180.0 => turn - 360.0,
        turn if turn < -180.0 => turn + 360.0,
        turn => turn,
    };
    let mean_hue = match h1 + h2 {
        sum if grey => sum,
        sum if (h1 - h2).abs() <= 180.0 => sum / 2.0,
        sum if sum < 360.0 => (sum + 360.0) / 2.0,
        sum => (sum - 360.0) / 2.0,
    };
    let (dl, dc) = (other.l - one.l, c2 - c1);
    let dh = 2.0 * (c1 * c2).sqrt() * (turn / 2.0).to_radians().sin();
    let cos = |degrees: f32| degrees.to_radians().cos();
    let t = 1.0 - 0.17 * cos(mean_hue - 30.0) + 0.24 * cos(2.0 * mean_hue) + 0.32 * cos(3.0 * mean_hue + 6.0)
        - 0.20 * cos(4.0 * mean_hue - 63.0);
    let (mean_l, mean_c) = ((one.l + other.l) / 2.0 - 50.0, (c1 + c2) / 2.0);
    let sl = 1.0 + 0.015 * mean_l * mean_l / (20.0 + mean_l * mean_l).sqrt();
    let sc = 1.0 + 0.045 * mean_c;
    let sh = 1.0 + 0.015 * mean_c * t;
    let theta = 60.0 * (-((mean_hue - 275.0) / 25.0).powi(2)).exp();
    let rt = -2.0 * seventh(mean_c) * theta.to_radians().sin();
    let (l, c, h) = (dl / (lightness * sl), dc / sc, dh / sh);
    (l * l + c * c + h * h + rt * c * h).max(0.0).sqrt()
}

/// How many of a million visible pixels of the thumbnail are within `delta_e` of a colour. A lit object has its colour in
/// many lightnesses, so that lightness counts half.
pub fn share_of_color(thumbnail: &Thumbnail, color: [u8; 3], delta_e: f32) -> u32 {
    let color = Lab::from_srgb(color);
    let (mut visible, mut near) = (0_u64, 0_u64);
    // Neighbours are often the same colour.
    let mut last = None;
    for pixel in thumbnail.visible() {
        let is_near = match last {
            Some((same, is_near)) if same == pixel => is_near,
            _ => delta_e_2000(color, Lab::from_srgb(pixel), 2.0) <= delta_e,
        };
        last = Some((pixel, is_near));
        visible += 1;
        near += u64::from(is_near);
    }
    u32::try_from(near * 1_000_000 / visible.max(1)).unwrap_or(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of Sharma's test data, which reach every branch: grey, hues on both sides of zero, the blue turn, tiny differences.
    const SHARMA: [([f32; 3], [f32; 3], f32); 16] = [
        ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
        ([50.0, 3.1571, -77.2803], [50.0, 0.0, -82.7485], 2.8615),
        ([50.0, -1.3802, -84.2814], [50.0, 0.0, -82.7485], 1.0),
        ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0009], 7.1792),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0011], 7.2195),
        ([50.0, -0.001, 2.49], [50.0, 0.0009, -2.49], 4.8045),
        ([50.0, 2.5, 0.0], [50.0, 0.0, -2.5], 4.3065),
        ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
        ([50.0, 2.5, 0.0], [61.0, -5.0, 29.0], 22.8977),
        ([50.0, 2.5, 0.0], [58.0, 24.0, 15.0], 19.4535),
        ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
        ([22.7233, 20.0904, -46.694], [23.0331, 14.973, -42.5619], 2.0373),
        ([90.8027, -2.0831, 1.441], [91.1528, -1.6435, 0.0447], 1.4441),
        ([6.7747, -0.2908, -2.4247], [5.8714, -0.0985, -2.2286], 0.6377),
        ([2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082),
    ];

    #[test]
    fn pairs_of_colours_differ_by_what_their_publication_says_in_both_orders() {
        let lab = |[l, a, b]: [f32; 3]| Lab { l, a, b };
        for (one, other, expected) in SHARMA {
            for (from, to) in [(one, other), (other, one)] {
                let found = delta_e_2000(lab(from), lab(to), 1.0);
                assert!((found - expected).abs() < 2e-3, "{from:?} {to:?}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn white_black_and_red_stand_where_cielab_has_them() {
        let near = |lab: Lab, [l, a, b]: [f32; 3]| (lab.l - l).abs() + (lab.a - a).abs() + (lab.b - b).abs() < 0.1;
        assert!(near(Lab::from_srgb([255; 3]), [100.0, 0.0, 0.0]));
        assert!(near(Lab::from_srgb([0; 3]), [0.0, 0.0, 0.0]));
        assert!(near(Lab::from_srgb([255, 0, 0]), [53.24, 80.09, 67.2]));
    }
}
