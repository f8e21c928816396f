//! A finished picture, held against what was agreed: what is told of it, and what a strict route does not take.
//!
//! Only what the head of a file tells is looked at, its size and its format. What was agreed depends on how the size
//! was asked for: pixels are pixels; a shape is met by any picture of about that shape and about as many pixels as the
//! model (or the tier) was said to draw; and where no size was asked, any will do.

use std::fmt;

use crate::capabilities::adjustment::Adjustment;
use crate::capabilities::fitted::FittedRequest;
use crate::capabilities::sizes::{OutputSize, Tier};
use crate::image::{Format, Size};
use crate::request::{Background, ImageRequest};

/// How far a picture's shape may be from the shape that was asked for, as |ln| of the two ratios. Vendors round to whole
/// steps of 64 pixels: 16:9 comes as 1344x768, 4:5 as 896x1152, 2.8% off.
const SHAPE_SLACK: f64 = 0.05;
/// A picture with less than one in so many of the pixels that a shape was said to have, or with more than so many times
/// as many, is of another resolution. Tiers are a factor of 4 apart; a model's "about a megapixel" is not exact.
const PIXELS_SLACK: u64 = 2;

/// A wish that a picture does not meet although its model was asked for it. The word goes to log and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// Another size than was agreed.
    Size,
    /// Another file format than was asked for.
    OutputFormat,
    /// A file that cannot be transparent, where that was asked for.
    Background,
}

impl Mismatch {
    /// Every one, for metrics and tables.
    pub const ALL: [Mismatch; 3] = [Mismatch::Size, Mismatch::OutputFormat, Mismatch::Background];

    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Mismatch::Size => "wrong_size",
            Mismatch::OutputFormat => "wrong_format",
            Mismatch::Background => "wrong_background",
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a route takes only as it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrictOptions {
    /// The size (`size.strict`, or `strict` of the whole route).
    pub size: bool,
    /// Every other wish (`strict` of the whole route).
    pub wishes: bool,
}

/// What a finished picture is, next to what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultCheck {
    /// What is told of it in `x-easel-adjusted`.
    pub adjusted: Vec<Adjustment>,
    /// What it does not keep of what was agreed, and how that is told.
    pub unmet: Vec<(Mismatch, Adjustment)>,
}

impl ResultCheck {
    /// The first agreement it breaks that the route insists on.
    pub fn refused(&self, strict: StrictOptions) -> Option<&(Mismatch, Adjustment)> {
        self.unmet.iter().find(|(unmet, _)| match unmet {
            Mismatch::Size => strict.size,
            Mismatch::OutputFormat | Mismatch::Background => strict.wishes,
        })
    }
}

impl FittedRequest {
    /// Holds a picture of this size and format, drawn for `request`, against what was agreed.
    pub fn check_result(&self, request: &ImageRequest, size: Size, format: Format) -> ResultCheck {
        let (resized, agreed) = self.resized(request.size, size);
        let wrong_size = resized.iter().filter(|_| !agreed).map(|change| (Mismatch::Size, change.clone()));
        let files: Vec<_> = written(request, format).into_iter().chain(covered(request, format)).collect();
        let unmet = wrong_size.chain(files.iter().cloned()).collect();
        let others = self.adjusted.iter().filter(|adjusted| !adjusted.is_of("size")).cloned();
        let adjusted = resized.into_iter().chain(others).chain(files.into_iter().map(|(_, change)| change)).collect();
        ResultCheck { adjusted, unmet }
    }

    /// How a picture of size `came` differs from what was asked, and whether that was agreed.
    fn resized(&self, asked: Option<Size>, came: Size) -> (Option<Adjustment>, bool) {
        let Some(asked) = asked.filter(|asked| *asked != came) else { return (None, true) };
        let foreseen = self.adjusted.iter().find(|adjusted| adjusted.is_of("size"));
        match foreseen {
            Some(foreseen @ Adjustment::Changed(..)) if self.keeps(came) => (Some(foreseen.clone()), true),
            // A size that the model does not take was not agreed; where nothing was said, just what was asked was.
            _ => {
                let agreed = matches!(foreseen, Some(Adjustment::Dropped(_)));
                (Some(Adjustment::Changed("size", asked.to_string(), came.to_string())), agreed)
            }
        }
    }

    /// Whether a picture of this size is what was asked of the vendor.
    fn keeps(&self, came: Size) -> bool {
        match self.output_size {
            // The model draws what it draws, and the size it chose is known only now.
            OutputSize::Default => false,
            OutputSize::Pixels(size) => came == size,
            OutputSize::Ratio { across, down, pixels, asked: _ } => {
                let pixels = self.tier.map_or(pixels, |tier| Tier::square(tier).pixels());
                let shape = crate::capabilities::sizes::shape_error(came, across, down) <= SHAPE_SLACK;
                let enough = came.pixels().saturating_mul(PIXELS_SLACK) >= pixels;
                shape && enough && came.pixels() <= pixels.saturating_mul(PIXELS_SLACK)
            }
        }
    }
}

fn written(request: &ImageRequest, came: Format) -> Option<(Mismatch, Adjustment)> {
    let asked = request.output_format.filter(|asked| *asked != came)?;
    let change = Adjustment::Changed("output_format", asked.as_str().to_owned(), came.as_str().to_owned());
    Some((Mismatch::OutputFormat, change))
}

/// JPEG has no transparency. Whether a picture of another format has any is in its pixels, which nobody looks at.
fn covered(request: &ImageRequest, came: Format) -> Option<(Mismatch, Adjustment)> {
    let (asked, got) = (Background::Transparent, Background::Opaque);
    let covered = request.background == Some(asked) && came == Format::Jpeg;
    let change = || Adjustment::Changed("background", asked.as_str().to_owned(), got.as_str().to_owned());
    covered.then(|| (Mismatch::Background, change()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Tier = Tier { word: "1K", side: 1024 };
    const TWO: Tier = Tier { word: "2K", side: 2048 };

    const SQUARE: Size = Size::new(1024, 1024);
    const SMALL: Size = Size::new(512, 512);

    fn request(more: &str) -> ImageRequest {
        ImageRequest::from_json(format!(r#"{{"prompt":"x"{more}}}"#).as_bytes()).unwrap()
    }

    fn fitted(output_size: OutputSize, foreseen: Option<(&str, &str)>) -> FittedRequest {
        let change = |(from, to): (&str, &str)| Adjustment::Changed("size", from.to_owned(), to.to_owned());
        let adjusted = foreseen.map(change).into_iter().chain([Adjustment::Dropped("quality")]).collect();
        FittedRequest { output_size, tier: None, quality: None, format: None, partials: 0, adjusted }
    }

    fn told(fitted: &FittedRequest, request: &ImageRequest, came: &str) -> (String, bool) {
        let came = fitted.check_result(request, came.parse().unwrap(), Format::Png);
        let told: Vec<String> = came.adjusted.iter().map(ToString::to_string).collect();
        (told.join(","), came.unmet.iter().any(|(unmet, _)| *unmet == Mismatch::Size))
    }

    #[test]
    fn pixels_that_were_agreed_are_kept_to_the_pixel_and_what_came_instead_is_told() {
        let asked = request(r#","size":"1024x1024""#);
        let exact = fitted(OutputSize::Pixels(SQUARE), None);
        assert_eq!(told(&exact, &asked, "1024x1024"), ("quality dropped".to_owned(), false));
        for came in ["512x512", "1023x1024", "2048x2048", "1536x1024"] {
            let line = format!("size 1024x1024 -> {came},quality dropped");
            assert_eq!(told(&exact, &asked, came), (line, true), "{came}");
        }
    }

    #[test]
    fn a_size_that_was_bent_beforehand_is_told_as_it_came() {
        let asked = request(r#","size":"1000x1000""#);
        let bent = fitted(OutputSize::Pixels(Size::new(992, 992)), Some(("1000x1000", "992x992")));
        assert_eq!(told(&bent, &asked, "992x992"), ("size 1000x1000 -> 992x992,quality dropped".to_owned(), false));
        assert_eq!(told(&bent, &asked, "512x512"), ("size 1000x1000 -> 512x512,quality dropped".to_owned(), true));
        assert_eq!(told(&bent, &asked, "1000x1000"), ("quality dropped".to_owned(), false), "met after all");
    }

    #[test]
    fn a_shape_is_met_by_about_its_ratio_and_about_its_pixels() {
        let asked = request(r#","size":"1792x1024""#);
        let ratio = OutputSize::Ratio { across: 16, down: 9, asked: Size::new(1792, 1024), pixels: SQUARE.pixels() };
        let shape = fitted(ratio, Some(("1792x1024", "16:9")));
        for came in ["1344x768", "1376x768", "1820x1024", "1024x576"] {
            assert_eq!(told(&shape, &asked, came).0, "size 1792x1024 -> 16:9,quality dropped", "{came}");
        }
        for came in ["1024x1024", "768x1344", "1216x832", "672x384", "2752x1536"] {
            let line = format!("size 1792x1024 -> {came},quality dropped");
            assert_eq!(told(&shape, &asked, came), (line, true), "{came}");
        }
        let exact = fitted(OutputSize::Ratio { across: 1, down: 1, asked: SQUARE, pixels: SQUARE.pixels() }, None);
        let asked = request(r#","size":"1024x1024""#);
        assert!(told(&exact, &asked, "1080x1080").1, "nothing but these pixels was said to come");
        assert!(!told(&exact, &asked, "1024x1024").1);
    }

    #[test]
    fn a_tier_is_met_by_its_own_resolution_only() {
        let asked = request(r#","size":"1792x1792""#);
        let ratio = OutputSize::Ratio { across: 1, down: 1, asked: Size::new(1792, 1792), pixels: SQUARE.pixels() };
        let tiered = |tier| FittedRequest { tier: Some(tier), ..fitted(ratio, Some(("1792x1792", "1:1"))) };
        assert!(!told(&tiered(TWO), &asked, "2048x2048").1);
        assert!(told(&tiered(TWO), &asked, "1024x1024").1);
        assert!(!told(&tiered(ONE), &asked, "1024x1024").1);
    }

    #[test]
    fn where_no_size_was_asked_any_is_right() {
        for output_size in [OutputSize::Default, OutputSize::Pixels(SQUARE)] {
            for asked in ["", r#","size":"auto""#] {
                let came = fitted(output_size, None).check_result(&request(asked), SMALL, Format::Png);
                assert_eq!((came.adjusted, came.unmet), (vec![Adjustment::Dropped("quality")], vec![]));
            }
        }
    }

    #[test]
    fn a_model_without_sizes_tells_what_came_and_agreed_to_none() {
        let unsized_model =
            FittedRequest { adjusted: vec![Adjustment::Dropped("size")], ..fitted(OutputSize::Default, None) };
        let asked = request(r#","size":"1024x1024""#);
        assert_eq!(told(&unsized_model, &asked, "512x512"), ("size 1024x1024 -> 512x512".to_owned(), false));
        assert_eq!(told(&unsized_model, &asked, "1024x1024"), (String::new(), false));
    }

    #[test]
    fn a_file_of_another_format_is_told_and_jpeg_is_never_transparent() {
        let asked = request(r#","output_format":"webp","background":"transparent""#);
        let came = fitted(OutputSize::Default, None).check_result(&asked, SMALL, Format::Jpeg);
        let told: Vec<String> = came.adjusted.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["quality dropped", "output_format webp -> jpeg", "background transparent -> opaque"]);
        let of = |size, wishes| came.refused(StrictOptions { size, wishes }).map(|(unmet, _)| unmet.as_str());
        assert_eq!((of(true, false), of(false, true)), (None, Some("wrong_format")));
        let came = fitted(OutputSize::Default, None).check_result(&request(""), SMALL, Format::Jpeg);
        assert_eq!(came.unmet, [], "nobody asked for a format");
    }

    #[test]
    fn a_route_insists_on_what_its_config_says() {
        let came = fitted(OutputSize::Pixels(SQUARE), None).check_result(
            &request(r#","size":"1024x1024""#),
            SMALL,
            Format::Png,
        );
        let of = |size, wishes| came.refused(StrictOptions { size, wishes }).map(|(unmet, _)| unmet.as_str());
        assert_eq!((of(true, false), of(false, true), of(true, true)), (Some("wrong_size"), None, Some("wrong_size")));
    }
}
