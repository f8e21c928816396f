//! `quality:` of a route and of Easel itself.

use super::*;
use crate::config::plan::{CheckSet, OnJudgeError, QualityCheck, QualityGate};

fn gate(route: &str) -> Option<std::sync::Arc<QualityGate>> {
    plan(&small("", route)).routes[0].quality.clone()
}

#[test]
fn a_route_that_says_nothing_rejects_what_does_not_decode_and_false_looks_at_nothing() {
    let checks: Vec<_> = gate("").unwrap().checks().iter().collect();
    assert_eq!(checks, [QualityCheck::Undecodable, QualityCheck::TooManyPixels]);
    assert!(gate("    quality: false\n").is_none());
}

#[test]
fn the_usual_checks_leave_out_what_needs_a_setting_until_it_is_there() {
    let needed = [QualityCheck::TooSmall, QualityCheck::BrandColor, QualityCheck::Judge];
    for usual in ["    quality: true\n", "    quality: {}\n"] {
        let gate = gate(usual).unwrap();
        assert_eq!(gate.reject, QualityGate::REJECT.without(CheckSet::of(&needed)));
        assert_eq!(gate.flag, QualityGate::FLAG);
    }
    let set = gate(
        "    quality: {min_size: 64x64, brand: {colors: [\"#0A3d62\"]}, judge: {url: \"http://127.0.0.1:9/j\"}}\n",
    )
    .unwrap();
    assert_eq!(set.reject, QualityGate::REJECT);
    let brand = set.brand.as_deref().unwrap();
    assert_eq!(
        (brand.colors.as_slice(), brand.delta_e, brand.share_ppm),
        ([[0x0a, 0x3d, 0x62]].as_slice(), 10.0, 10_000)
    );
    let judge = set.judge.as_deref().unwrap();
    assert_eq!((judge.on_error, judge.send_prompt, judge.send_picture), (OnJudgeError::Accept, false, true));
}

#[test]
fn a_check_may_be_moved_from_one_list_to_the_other_or_left_out() {
    let moved = gate("    quality: {flag: [blurred], ignore: [mosaic]}\n").unwrap();
    assert!(moved.flag.has(QualityCheck::Blurred) && !moved.reject.has(QualityCheck::Blurred));
    assert!(!moved.checks().has(QualityCheck::Mosaic) && moved.reject.has(QualityCheck::Blank));
    assert!(!moved.flag.has(QualityCheck::Dark), "`flag` was written, so it is what it says");
    let stricter = gate("    quality: {reject: [dark]}\n").unwrap();
    assert_eq!(stricter.reject.iter().collect::<Vec<_>>(), [QualityCheck::Dark]);
    assert!(!stricter.flag.has(QualityCheck::Dark) && stricter.flag.has(QualityCheck::Light));
}

#[test]
fn a_check_that_cannot_work_is_told_with_what_it_needs() {
    for (written, told) in [
        ("quality: {reject: [blured]}", "9:24 expected one of 18 words, found `blured` | did you mean `blurred`?"),
        ("quality: {reject: [blank, blank]}", "9:31 `blank` is there twice | delete one"),
        (
            "quality: {reject: [too_small]}",
            "9:24 `too_small` needs `min_size` beside this list | add `min_size:`, or delete it here",
        ),
        (
            "quality: {flag: [brand_color]}",
            "9:22 `brand_color` needs `brand` beside this list | add `brand:`, or delete it here",
        ),
        (
            "quality: {reject: [dark], flag: [dark]}",
            "9:31 `dark` is in `reject` and in `flag` | leave it in one of them",
        ),
        (
            "quality: {reject: [blank], min_size: 64x64}",
            "9:42 no check uses this | list `too_small` in `reject` or `flag`, or delete `min_size`",
        ),
        (
            "quality: {ignore: [judge], judge: {url: \"http://127.0.0.1:9/\"}}",
            "9:32 no check uses this | list `judge` in `reject` or `flag`, or delete `judge`",
        ),
        (
            "quality: {reject: [], deliver_best: true}",
            "9:41 nothing is rejected here | list checks in `reject`, or delete it",
        ),
        ("quality: {brand: {colors: [\"0a3d62\"]}}", "9:32 `\"0a3d62\"` is not a colour | write `\"#0a3d62\"`"),
        ("quality: {brand: {colors: [\"#abc\"]}}", "9:32 `\"#abc\"` is not a colour | write `\"#aabbcc\"`"),
        ("quality: {brand: {}}", "9:15 this brand has no colours | add `colors:`, like [\"#0a3d62\"]"),
        (
            "quality: {brand: {colors: [\"#000000\", \"#ffffff\"], share: 60%}}",
            "9:62 no picture has `60%` of each of 2 colours | write less",
        ),
        ("quality: {thresholds: {dark: 32}}", "9:34 `32` is no threshold | write a number from 0 to 1"),
        ("quality: {thresholds: {blur: -1}}", "9:34 `-1` is no threshold | write 0 or more"),
        ("quality: {judge: {}}", "9:15 this judge has no address | add `url:`, like http://127.0.0.1:8900/judge"),
        (
            "defaults: {size: 512x512}\n    quality: {min_size: 1024x1024}",
            "10:25 every picture of 512x512, the size of `defaults`, is rejected | write a smaller size, or another \
             `defaults.size`",
        ),
    ] {
        assert_eq!(problems(&small("", &format!("    {written}\n"))), [told], "{written}");
    }
}

#[test]
fn the_pool_of_all_routes_is_bounded_whatever_is_written() {
    let usual = plan(&small("", "")).quality;
    assert!(usual.threads >= 1 && usual.queue == 64 << 20 && usual.max_pixels == 7680 * 4320);
    assert_eq!(usual.keep_rejected, None);
    let with = |quality: &str| format!("quality: {quality}\n{}", small("", ""));
    let kept = plan(&with("{threads: 3, keep_rejected: {dir: ./rejected}}")).quality;
    let keep = kept.keep_rejected.unwrap();
    assert_eq!((kept.threads, keep.dir.to_str(), keep.at_most), (3, Some("./rejected"), 200 << 20));
    for (written, told) in [
        ("{threads: 0}", "1:20 must be at least 1 | -"),
        (
            "{max_pixels: 999999999}",
            "1:23 `999999999` pixels of one picture take more than a gibibyte | write at most 268435456",
        ),
        ("{keep_rejected: {}}", "1:11 this does not say where | add `dir:`, a directory of their own"),
    ] {
        assert_eq!(problems(&with(written)), [told], "{written}");
    }
}
