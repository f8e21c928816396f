//! `sizes:` of a model: a list, shapes, a grid, whatever is asked, or none.

use crate::capabilities::{SizeBounds, Sizes};
use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::image::Size;

/// Pixels of a picture whose model decides them, where nothing is said.
const MEGAPIXEL: Size = Size::new(1024, 1024);

pub(super) fn sizes(checker: &mut Checker<'_>, sizes: &file::Sizes, at: NodePath<'_>) -> Sizes {
    match sizes {
        file::Sizes::Word(file::SizeWord::Any) => Sizes::Any,
        file::Sizes::Word(file::SizeWord::None) => Sizes::None,
        file::Sizes::Listed(listed) => {
            if listed.is_empty() && !at.lost_items() {
                checker.report(
                    at,
                    "a model that draws no size is no use",
                    "list sizes, or write `any` or `none`".to_owned(),
                );
            }
            let read = listed.iter().enumerate();
            Sizes::Listed(read.filter_map(|(index, size)| checker.read(at.item(index), Some(size))).collect())
        }
        file::Sizes::Ruled(rules) => match &rules.ratios {
            Some(ratios) => shapes(checker, ratios, rules, at),
            None => grid(checker, rules, at),
        },
    }
}

/// Shapes, of about so many pixels.
fn shapes(checker: &mut Checker<'_>, ratios: &[file::Ratio], rules: &file::SizeRules, at: NodePath<'_>) -> Sizes {
    for key in ["multiple_of", "min_side", "max_side", "min_pixels", "max_pixels", "max_ratio"] {
        if at.key(key).is_given() {
            let help = "keep either `ratios` and `pixels`, or the bounds of a grid".to_owned();
            checker.report(at.key(key), format!("`{key}` means nothing beside `ratios`"), help);
        }
    }
    let place = at.key("ratios");
    if ratios.is_empty() && !place.lost_items() {
        checker.report(place, "a model that draws no shape is no use", "list shapes like 16:9".to_owned());
    }
    let read = ratios.iter().enumerate();
    let shapes = read.filter_map(|(index, ratio)| checker.read(place.item(index), Some(ratio))).collect();
    let pixels = checker.read(at.key("pixels"), rules.pixels.as_ref()).unwrap_or(MEGAPIXEL).pixels();
    Sizes::Ratios { shapes, pixels }
}

/// Every size on a grid within bounds.
fn grid(checker: &mut Checker<'_>, rules: &file::SizeRules, at: NodePath<'_>) -> Sizes {
    let file::SizeRules { ratios: _, pixels, multiple_of, min_side, max_side, min_pixels, max_pixels, max_ratio } =
        rules;
    if pixels.is_some() {
        let help = "add `ratios`, or write `min_pixels` and `max_pixels`".to_owned();
        checker.report(at.key("pixels"), "`pixels` means nothing without `ratios`", help);
    }
    let multiple_of = checker.count(at.key("multiple_of"), *multiple_of, 1, 1);
    let steps = SizeBounds {
        multiple_of,
        min_side: checker.count(at.key("min_side"), *min_side, 1, multiple_of),
        max_side: checker.count(at.key("max_side"), *max_side, 1, Size::MAX_SIDE),
        min_pixels: checker.read(at.key("min_pixels"), min_pixels.as_ref()).map_or(1, Size::pixels),
        max_pixels: checker.read(at.key("max_pixels"), max_pixels.as_ref()).map_or(u64::MAX, Size::pixels),
        max_ratio: checker.count(at.key("max_ratio"), *max_ratio, 1, Size::MAX_SIDE),
    };
    let some = steps.max_side / multiple_of * multiple_of;
    let reachable = some >= steps.min_side && u64::from(some) * u64::from(some) >= steps.min_pixels;
    if !reachable || steps.min_pixels > steps.max_pixels {
        let help = "the longest side and the pixels must allow for the shortest".to_owned();
        checker.report(at, "no size is within these bounds", help);
    }
    Sizes::Stepped(steps)
}
