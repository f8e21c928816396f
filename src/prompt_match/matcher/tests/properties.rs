//! What holds for every prompt, tried on drawn ones.

use crate::{WordLists, canonical, compare, guards};

use super::read;

/// splitmix64, so that a failure can be run again.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const THINGS: [&str; 12] =
    ["sofa", "dog", "lamp", "elephant", "vase", "bridge", "telescope", "piano", "rabbit", "window", "castle", "guitar"];
const QUALITIES: [&str; 8] = ["red", "wooden", "huge", "blue", "old", "striped", "smiling", "green"];
const PLACES: [&str; 6] = ["beside", "under", "behind", "in front of", "on", "near"];

fn sentence(rng: &mut Rng) -> Vec<&'static str> {
    let mut words = vec![rng.pick(&QUALITIES), rng.pick(&THINGS)];
    for _ in 0..1 + rng.below(3) {
        words.extend(rng.pick(&PLACES).split(' '));
        words.extend([rng.pick(&QUALITIES), rng.pick(&THINGS)]);
    }
    words
}

#[test]
fn comparing_is_the_same_from_both_sides_and_a_prompt_is_itself() {
    let (lists, mut rng) = (WordLists::builtin(), Rng(1));
    for _ in 0..3_000 {
        let (a, b) = (sentence(&mut rng).join(" "), sentence(&mut rng).join(" "));
        let (a, b) = (read(&a), read(&b));
        assert!(compare(&a, &a, &lists).is_same_picture());
        assert_eq!(guards(&a, &a, &lists), None);
        assert_eq!(compare(&a, &b, &lists).is_same_picture(), compare(&b, &a, &lists).is_same_picture());
        assert_eq!(compare(&a, &b, &lists).is_same_picture(), a.canonical_bytes() == b.canonical_bytes());
    }
}

#[test]
fn what_is_the_same_is_the_same_from_the_other_side() {
    let lists = WordLists::builtin();
    let lines = include_str!("same.txt").lines().chain(include_str!("differ.txt").lines());
    for (a, b) in lines.filter_map(|line| line.split_once(" <> ")) {
        let (a, b) = (read(a), read(b));
        let (there, back) = (compare(&a, &b, &lists), compare(&b, &a, &lists));
        assert_eq!(there.is_same_picture(), back.is_same_picture(), "{} <> {}", a.text(), b.text());
        // What is the same passes each guard, unless a slip is in it.
        if a.canonical_bytes() == b.canonical_bytes() {
            assert_eq!(guards(&a, &b, &lists), None);
        }
    }
}

#[test]
fn words_never_change_places() {
    let (lists, mut rng) = (WordLists::builtin(), Rng(2));
    for _ in 0..3_000 {
        let words = sentence(&mut rng);
        let (i, j) = (rng.below(words.len()), rng.below(words.len()));
        let mut swapped = words.clone();
        swapped.swap(i, j);
        if words[i] != words[j] {
            let (a, b) = (words.join(" "), swapped.join(" "));
            assert!(!compare(&read(&a), &read(&b), &lists).is_same_picture(), "{a} <> {b}");
            assert!(guards(&read(&a), &read(&b), &lists).is_some(), "{a} <> {b}");
        }
    }
}

#[test]
fn a_word_more_is_another_picture_wherever_it_stands() {
    let (lists, mut rng) = (WordLists::builtin(), Rng(3));
    const MORE: [&str; 10] = ["not", "no", "without", "two", "purple", "tiny", "marble", "zebra", "nike", "she"];
    for _ in 0..3_000 {
        let words = sentence(&mut rng);
        let mut longer = words.clone();
        longer.insert(rng.below(words.len() + 1), rng.pick(&MORE));
        let (a, b) = (words.join(" "), longer.join(" "));
        assert!(!compare(&read(&a), &read(&b), &lists).is_same_picture(), "{a} <> {b}");
    }
}

#[test]
fn a_canonical_form_read_again_is_itself() {
    let lists = WordLists::builtin();
    let prompts = include_str!("same.txt").lines().filter(|line| !line.starts_with('#'));
    for prompt in prompts.flat_map(|line| line.split(" <> ")) {
        let first = read(prompt);
        let again = canonical(&first.text().replace(" | ", ", "), &lists);
        assert_eq!(first.text(), again.text(), "{prompt}");
    }
}

/// No text may end a process, and none may look like another's encoding.
#[test]
fn a_hundred_thousand_drawn_texts_are_read_and_compared() {
    const PARTS: [&str; 60] = [
        "\"",
        "'",
        "\u{2019}",
        "\u{201c}",
        "\u{201d}",
        "\u{ab}",
        "-",
        "--ar",
        " - ",
        "\n",
        ",",
        ".",
        "...",
        ":",
        ";",
        "|",
        "!",
        "?",
        "(",
        ")",
        ":1.3",
        "[",
        "]",
        "<lora:x>",
        "#ff0000",
        "#",
        "\u{0}",
        "\u{1f}",
        "\u{301}",
        "\u{200d}",
        "\u{fe0f}",
        "😀",
        "a",
        "An",
        "one",
        "12",
        "1,000",
        "-5",
        "½",
        "f/1.8",
        "U.S.",
        "16:9",
        "says",
        "text",
        "grey",
        "é",
        "海",
        "İ",
        "ß",
        "two",
        "hundred",
        "dozen",
        "of",
        "photo",
        "please",
        "draw",
        "4k",
        "no",
        "no-one",
        "http://x.y/z",
    ];
    let (lists, mut rng) = (WordLists::builtin(), Rng(4));
    let mut before = read("");
    for _ in 0..100_000 {
        let mut prompt = String::new();
        for _ in 0..rng.below(12) {
            prompt.push_str(rng.pick(&PARTS));
            if rng.below(3) > 0 {
                prompt.push(' ');
            }
        }
        let read = canonical(&prompt, &lists);
        let same = compare(&read, &before, &lists).is_same_picture();
        assert!(!same || read.canonical_bytes() == before.canonical_bytes(), "{prompt:?}");
        read.sketch();
        before = read;
    }
}
