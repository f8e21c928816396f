//! `quality:` of a route and of Easel itself: checks that can work, thresholds that mean something, a judge that can be asked.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{
    Brand, CheckSet, KeepRejected, OnJudgeError, OutsideJudge, QualityCheck, QualityGate, QualityPool,
    QualityThresholds,
};
use crate::image::Size;
use crate::secret::Secret;

/// Twenty pictures of 3 MB that wait, besides those that are looked at.
const QUEUE: u64 = 64 << 20;
/// More takes a machine's memory with one picture: 1 GiB.
const MOST_PIXELS: u64 = 1 << 28;
/// Some hundred rejected pictures.
const AT_MOST: u64 = 200 << 20;
/// The largest colour difference that says "about this colour" of something drawn and shaded: above 10 the number loses its
/// meaning, and print's 2 to 3 are met by no drawn object.
const DELTA_E: f64 = 10.0;
/// A logo of a tenth by a tenth of the picture.
const SHARE_PPM: u32 = 10_000;
/// A model that answers in longer has no place between a picture and its client.
const TIMEOUT: Duration = Duration::from_secs(2);
const CONCURRENCY: usize = 4;
/// All of it, in parts per million.
const WHOLE_PPM: u32 = 1_000_000;
/// What a colour difference can be at most.
const MOST_DELTA_E: f64 = 100.0;

/// The gate of a route; `None` lets everything through. `size` is what a request asks for that names none.
pub(super) fn gate(
    checker: &mut Checker<'_>,
    written: Option<&file::RouteQuality>,
    at: NodePath<'_>,
    size: Option<Size>,
) -> Option<Arc<QualityGate>> {
    let gate = match written {
        // A value that could not be read is told elsewhere.
        None => QualityGate::decodes(),
        Some(file::RouteQuality::Switch(false)) => return None,
        Some(file::RouteQuality::Switch(true)) => self::written(checker, &file::QualityGate::default(), at, size),
        Some(file::RouteQuality::Gate(gate)) => self::written(checker, gate, at, size),
    };
    Some(Arc::new(gate))
}

fn written(
    checker: &mut Checker<'_>,
    written: &file::QualityGate,
    at: NodePath<'_>,
    size: Option<Size>,
) -> QualityGate {
    let file::QualityGate { reject, flag, ignore, thresholds, min_size, brand, deliver_best, judge } = written;
    let min_size = checker.read(at.key("min_size"), min_size.as_ref());
    let brand = brand.as_ref().map(|brand| Arc::new(self::brand(checker, brand, at.key("brand"))));
    let judge_at = at.key("judge");
    let has_judge = judge.is_some();
    let judge = judge.as_ref().and_then(|judge| self::judge(checker, judge, judge_at)).map(Arc::new);
    let settings = Settings { min_size: min_size.is_some(), brand: brand.is_some(), judge: has_judge };
    let rejects = checks(checker, reject.as_deref(), at.key("reject"), settings);
    let flags = checks(checker, flag.as_deref(), at.key("flag"), settings);
    let ignored = checks(checker, Some(ignore), at.key("ignore"), Settings::ALL).unwrap_or_default();
    contradictions(checker, at, [(rejects, flags), (rejects, Some(ignored)), (flags, Some(ignored))]);
    // A check that one list names is not in the other one by default.
    let reject = rejects.unwrap_or(QualityGate::REJECT.without(flags.unwrap_or_default())).without(ignored);
    let flag = flags.unwrap_or(QualityGate::FLAG).without(ignored).without(reject);
    for (name, check, is_set) in settings.each() {
        if is_set && !reject.and(flag).has(check) && !at.key(name).is_bad() {
            let help = format!("list `{}` in `reject` or `flag`, or delete `{name}`", check.as_str());
            checker.report(at.key(name), "no check uses this", help);
        }
    }
    if let (Some(least), Some(size)) = (min_size, size)
        && (size.width < least.width || size.height < least.height)
        && reject.has(QualityCheck::TooSmall)
    {
        let what = format!("every picture of {size}, the size of `defaults`, is rejected");
        checker.report(at.key("min_size"), what, "write a smaller size, or another `defaults.size`".to_owned());
    }
    if *deliver_best == Some(true) && reject.is_empty() {
        let help = "list checks in `reject`, or delete it".to_owned();
        checker.report(at.key("deliver_best"), "nothing is rejected here", help);
    }
    QualityGate {
        // What is not set cannot fail.
        reject: settings.possible(reject),
        flag: settings.possible(flag),
        named: rejects.unwrap_or_default().and(flags.unwrap_or_default()),
        thresholds: self::thresholds(checker, thresholds, at.key("thresholds")),
        min_size,
        brand,
        deliver_best: deliver_best.unwrap_or(false),
        judge,
    }
}

/// Which settings are there that a check needs.
#[derive(Clone, Copy)]
struct Settings {
    min_size: bool,
    brand: bool,
    judge: bool,
}

impl Settings {
    const ALL: Settings = Settings { min_size: true, brand: true, judge: true };

    fn each(self) -> [(&'static str, QualityCheck, bool); 3] {
        [
            ("min_size", QualityCheck::TooSmall, self.min_size),
            ("brand", QualityCheck::BrandColor, self.brand),
            ("judge", QualityCheck::Judge, self.judge),
        ]
    }

    fn possible(self, checks: CheckSet) -> CheckSet {
        let missing: Vec<QualityCheck> =
            self.each().into_iter().filter(|(_, _, is_set)| !is_set).map(|(_, check, _)| check).collect();
        checks.without(CheckSet::of(&missing))
    }
}

/// The checks of one list, each once and with what it needs.
fn checks(
    checker: &mut Checker<'_>,
    written: Option<&[file::QualityCheck]>,
    at: NodePath<'_>,
    settings: Settings,
) -> Option<CheckSet> {
    let mut set = CheckSet::default();
    for (index, word) in written?.iter().enumerate() {
        let place = at.item(index);
        let Some(check) = checker.read(place, Some(word)) else { continue };
        if set.has(check) {
            checker.report(place, format!("{} is there twice", place.shown()), "delete one".to_owned());
        }
        if let Some((name, ..)) = settings.each().into_iter().find(|(_, needed, is_set)| *needed == check && !is_set) {
            let what = format!("{} needs `{name}` beside this list", place.shown());
            checker.report(place, what, format!("add `{name}:`, or delete it here"));
        }
        set = set.and(CheckSet::of(&[check]));
    }
    Some(set)
}

/// No check may be in two of the lists.
fn contradictions(checker: &mut Checker<'_>, at: NodePath<'_>, pairs: [(Option<CheckSet>, Option<CheckSet>); 3]) {
    let places = [("reject", "flag"), ("reject", "ignore"), ("flag", "ignore")];
    for ((first, second), (one, other)) in pairs.into_iter().zip(places) {
        let (Some(first), Some(second)) = (first, second) else { continue };
        for check in first.iter().filter(|check| second.has(*check)) {
            let what = format!("`{}` is in `{one}` and in `{other}`", check.as_str());
            checker.report(at.key(other), what, "leave it in one of them".to_owned());
        }
    }
}

fn thresholds(checker: &mut Checker<'_>, written: &file::QualityThresholds, at: NodePath<'_>) -> QualityThresholds {
    let file::QualityThresholds {
        size_tolerance,
        odd_ratio,
        blank_deviation,
        blank_spread,
        uniform_share,
        low_information,
        dark,
        light,
        blur,
        noise,
        mosaic,
        duplicate_difference,
    } = written;
    let usual = QualityThresholds::default();
    QualityThresholds {
        size_tolerance: share(checker, at.key("size_tolerance"), size_tolerance.as_ref(), usual.size_tolerance),
        odd_ratio: number(checker, at.key("odd_ratio"), odd_ratio.as_ref(), 1.0, usual.odd_ratio),
        blank_deviation: number(
            checker,
            at.key("blank_deviation"),
            blank_deviation.as_ref(),
            128.0,
            usual.blank_deviation,
        ),
        blank_spread: number(checker, at.key("blank_spread"), blank_spread.as_ref(), 255.0, usual.blank_spread),
        uniform_share: share(checker, at.key("uniform_share"), uniform_share.as_ref(), usual.uniform_share),
        low_information: number(
            checker,
            at.key("low_information"),
            low_information.as_ref(),
            1.0,
            usual.low_information,
        ),
        dark: number(checker, at.key("dark"), dark.as_ref(), 1.0, usual.dark),
        light: number(checker, at.key("light"), light.as_ref(), 1.0, usual.light),
        blur: number(checker, at.key("blur"), blur.as_ref(), f64::MAX, usual.blur),
        noise: number(checker, at.key("noise"), noise.as_ref(), f64::MAX, usual.noise),
        mosaic: number(checker, at.key("mosaic"), mosaic.as_ref(), f64::MAX, usual.mosaic),
        duplicate_difference: share(
            checker,
            at.key("duplicate_difference"),
            duplicate_difference.as_ref(),
            usual.duplicate_difference,
        ),
    }
}

/// A number from 0 to `most`.
fn number(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    written: Option<&file::Decimal>,
    most: f64,
    default: f64,
) -> f64 {
    let Some(number) = checker.read(at, written) else { return default };
    if (0.0..=most).contains(&number) && number.is_finite() {
        return number;
    }
    let help = if most == f64::MAX { "write 0 or more".to_owned() } else { format!("write a number from 0 to {most}") };
    checker.report(at, format!("{} is no threshold", at.shown()), help);
    default
}

/// A share of the whole, as a fraction.
fn share(checker: &mut Checker<'_>, at: NodePath<'_>, written: Option<&file::Percent>, default: f64) -> f64 {
    let Some(ppm) = checker.read(at, written) else { return default };
    if ppm > WHOLE_PPM {
        checker.report(at, format!("{} is more than all of it", at.shown()), "write at most 100%".to_owned());
    }
    f64::from(ppm) / f64::from(WHOLE_PPM)
}

fn brand(checker: &mut Checker<'_>, written: &file::Brand, at: NodePath<'_>) -> Brand {
    let file::Brand { colors, delta_e, share } = written;
    let place = at.key("colors");
    if colors.is_empty() && !place.lost_items() && !place.is_bad() {
        checker.report(at, "this brand has no colours", "add `colors:`, like [\"#0a3d62\"]".to_owned());
    }
    let read = colors.iter().enumerate().filter_map(|(index, color)| checker.read(place.item(index), Some(color)));
    let colors: Vec<[u8; 3]> = read.collect();
    let share_at = at.key("share");
    let share_ppm = checker.read(share_at, share.as_ref()).unwrap_or(SHARE_PPM);
    let most = WHOLE_PPM / u32::try_from(colors.len()).unwrap_or(u32::MAX).max(1);
    if share_ppm == 0 {
        checker.report(share_at, "every picture has that much of every colour", "write more than 0%".to_owned());
    } else if share_ppm > most {
        let what = format!("no picture has {} of each of {} colours", share_at.shown(), colors.len());
        checker.report(share_at, what, "write less".to_owned());
    }
    Brand { colors, delta_e: number(checker, at.key("delta_e"), delta_e.as_ref(), MOST_DELTA_E, DELTA_E), share_ppm }
}

fn judge(checker: &mut Checker<'_>, written: &file::Judge, at: NodePath<'_>) -> Option<OutsideJudge> {
    let file::Judge { url, hmac_key, timeout, concurrency, on_error, send_prompt, send_picture, min_score } = written;
    if url.is_none() && !at.key("url").is_bad() {
        let help = "add `url:`, like http://127.0.0.1:8900/judge".to_owned();
        checker.report(at, "this judge has no address", help);
    }
    let hmac_key = checker.text(at.key("hmac_key"), hmac_key.as_ref().map(|key| key.0.reveal())).map(Secret::new);
    let timeout = checker.some_time(at.key("timeout"), timeout.as_ref(), TIMEOUT);
    let concurrency = checker.count(at.key("concurrency"), *concurrency, 1, CONCURRENCY);
    let min_score = min_score.as_ref().map(|score| number(checker, at.key("min_score"), Some(score), 1.0, 0.0));
    Some(OutsideJudge {
        url: checker.url(at.key("url"), url.as_deref())?,
        hmac_key,
        timeout,
        concurrency,
        on_error: match on_error {
            None | Some(file::OnJudgeError::Accept) => OnJudgeError::Accept,
            Some(file::OnJudgeError::Reject) => OnJudgeError::Reject,
        },
        send_prompt: send_prompt.unwrap_or(false),
        send_picture: send_picture.unwrap_or(true),
        min_score,
    })
}

/// How pictures are looked at, for all routes.
pub(super) fn pool(checker: &mut Checker<'_>, written: &file::QualityPool, at: NodePath<'_>) -> QualityPool {
    let file::QualityPool { threads, queue, max_pixels, keep_rejected } = written;
    let usual = available_parallelism().map_or(1, |cores| (usize::from(cores) / 2).max(1));
    let max_pixels = checker.count(at.key("max_pixels"), *max_pixels, 1, QualityPool::MAX_PIXELS);
    if max_pixels > MOST_PIXELS {
        let what = format!("{} pixels of one picture take more than a gibibyte", at.key("max_pixels").shown());
        checker.report(at.key("max_pixels"), what, format!("write at most {MOST_PIXELS}"));
    }
    let queue = checker.read(at.key("queue"), queue.as_ref()).unwrap_or(QUEUE);
    QualityPool {
        threads: checker.count(at.key("threads"), *threads, 1, usual),
        queue,
        max_pixels,
        keep_rejected: keep_rejected.as_ref().and_then(|keep| self::keep(checker, keep, at.key("keep_rejected"))),
    }
}

fn keep(checker: &mut Checker<'_>, written: &file::KeepRejected, at: NodePath<'_>) -> Option<KeepRejected> {
    let file::KeepRejected { dir, at_most } = written;
    if dir.is_none() && !at.key("dir").is_bad() {
        checker.report(at, "this does not say where", "add `dir:`, a directory of their own".to_owned());
    }
    let at_most = checker.read(at.key("at_most"), at_most.as_ref()).unwrap_or(AT_MOST);
    Some(KeepRejected { dir: checker.text(at.key("dir"), dir.as_deref())?.into(), at_most })
}
