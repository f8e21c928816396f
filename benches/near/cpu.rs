//! What a prompt costs on one core.

use std::hint::black_box;
use std::time::Instant;

use easel_matcher::{WordLists, canonical, compare, distance};

/// Thirty words.
const PROMPT: &str = "Please generate an image of two small grey ceramic mugs beside a wooden bedside table in a cosy living room, \
    a sleeping cat in the foreground, golden-hour light, low-angle view, 4k, highly detailed";
const TYPO: &str = "Please generate an image of two small grey ceramic mugs beside a wooden bedside table in a cosy living room, \
    a slepeing cat in the foreground, golden-hour light, low-angle view, 4k, highly detailed";
const OTHER: &str = "Please generate an image of two small grey ceramic vases beside a wooden bedside table in a cosy living room, \
    a sleeping dog in the foreground, golden-hour light, low-angle view, 4k, highly detailed";

/// The least time of one of several rounds: what else runs on the machine only ever adds.
fn microseconds<T>(work: impl Fn() -> T) -> f64 {
    const TIMES: u32 = 2_000;
    let round = || {
        let start = Instant::now();
        (0..TIMES).for_each(|_| {
            black_box(work());
        });
        start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
    };
    std::iter::repeat_with(round).take(9).fold(f64::INFINITY, f64::min)
}

pub fn print() -> Vec<String> {
    let lists = WordLists::builtin();
    let start = Instant::now();
    let prompt = canonical(PROMPT, &lists);
    println!("first prompt, with the vocabulary unpacked   {:>9.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let (typo, other) = (canonical(TYPO, &lists), canonical(OTHER, &lists));
    let rows = [
        ("canonical", microseconds(|| canonical(black_box(PROMPT), &lists))),
        ("sketch", microseconds(|| prompt.sketch())),
        ("canonical and sketch", microseconds(|| canonical(black_box(PROMPT), &lists).sketch())),
        ("compare: a typo", microseconds(|| compare(&typo, &prompt, &lists))),
        ("compare: another picture", microseconds(|| compare(&other, &prompt, &lists))),
    ];
    let (a, b) = (prompt.sketch(), other.sketch());
    println!("distance of two sketches                     {:>9.4} us", microseconds(|| distance(black_box(&a), &b)));
    let mut broken = Vec::new();
    for (name, time) in rows {
        println!("{name:<44} {time:>9.2} us");
        if time > 20.0 {
            broken.push(format!("{name} takes {time:.1} us"));
        }
    }
    let long = "a red cube, ".repeat(10_000);
    println!("canonical of 120,000 bytes, 10,000 commas    {:>9.2} ms", {
        let start = Instant::now();
        black_box(canonical(&long, &lists));
        start.elapsed().as_secs_f64() * 1e3
    });
    broken
}
