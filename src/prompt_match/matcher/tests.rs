//! Pairs of prompts that are one picture, and pairs that are two.

use crate::{
    CANDIDATE_DISTANCE, CanonicalPrompt, DiffersWhy, LearnedPairs, MoreWords, Origin, SameWhy, Verdict, WordLists,
    WordPair,
};
use crate::{canonical, compare, compare_with, distance, guards, near_miss};

mod languages;
mod properties;

fn read(prompt: &str) -> CanonicalPrompt {
    canonical(prompt, &WordLists::builtin())
}

fn pairs(list: &'static str) -> Vec<(String, String)> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let plain = |text: &str| text.replace("\\u{e9}", "\u{e9}").replace("\\u{301}", "\u{301}");
    lines.map(|line| line.split_once(" <> ").expect("a pair")).map(|(a, b)| (plain(a), plain(b))).collect()
}

#[test]
fn two_pictures_are_never_taken_for_one() {
    let lists = WordLists::builtin();
    let pairs = pairs(include_str!("tests/differ.txt"));
    assert!(pairs.len() >= 150, "{}", pairs.len());
    let merged = pairs.iter().filter(|(a, b)| compare(&read(a), &read(b), &lists).is_same_picture());
    let merged: Vec<String> =
        merged.map(|(a, b)| format!("{a} <> {b}\n    {}\n    {}\n", read(a).text(), read(b).text())).collect();
    assert!(merged.is_empty(), "{}", merged.concat());
}

#[test]
fn one_picture_in_other_words_is_found_and_known() {
    let lists = WordLists::builtin();
    let pairs = pairs(include_str!("tests/same.txt"));
    assert!(pairs.len() >= 100, "{}", pairs.len());
    let mut missed = Vec::new();
    for (a, b) in pairs {
        let (left, right) = (read(&a), read(&b));
        let far = distance(&left.sketch(), &right.sketch()) > CANDIDATE_DISTANCE;
        if far || !compare(&left, &right, &lists).is_same_picture() {
            missed.push(format!("{a} <> {b}\n    {}\n    {}\n", left.text(), right.text()));
        }
    }
    assert!(missed.is_empty(), "{}", missed.concat());
}

/// The verdict of the first difference.
fn why(a: &str, b: &str) -> Verdict {
    let comparison = compare(&read(a), &read(b), &WordLists::builtin());
    comparison.differences.first().expect("a difference").verdict
}

#[test]
fn a_difference_says_what_it_is_one_of() {
    let differs = [
        ("a red cat", "a blue cat", DiffersWhy::Color),
        ("two cats", "three cats", DiffersWhy::Number),
        ("a cat", "cats", DiffersWhy::Plural),
        ("a man with a hat", "a man without a hat", DiffersWhy::Negation),
        ("a sign saying \"A\"", "a sign saying \"B\"", DiffersWhy::Quoted),
        ("a wicker chair", "a plastic chair", DiffersWhy::Material),
        ("a huge cat", "a tiny cat", DiffersWhy::Size),
        ("a photo of a cat", "a painting of a cat", DiffersWhy::Style),
        ("a samsung phone", "a nokia phone", DiffersWhy::Brand),
        ("a cat under a table", "a cat behind a table", DiffersWhy::Relation),
        ("she and a cat", "he and a cat", DiffersWhy::Pronoun),
        ("a cat 😀", "a cat 😢", DiffersWhy::Mark),
        ("a dog chasing a cat", "a cat chasing a dog", DiffersWhy::Order),
        ("a red cat and a blue dog", "a blue cat and a red dog", DiffersWhy::Binding),
        ("ein Hund auf dem Tisch", "eine Katze auf dem Tisch", DiffersWhy::Language),
        ("a fox in a garden", "a wolf in a garden", DiffersWhy::Word),
    ];
    for (a, b, expected) in differs {
        assert_eq!(why(a, b), Verdict::Differs { why: expected }, "{a} <> {b}");
    }
    let origin = Origin::Builtin { list: "synonyms" };
    let same = [
        ("a couch in a room", "a sofa in a room", SameWhy::Synonym { origin }),
        ("a grey cat", "a gray cat", SameWhy::Spelling),
        ("two cats", "2 cats", SameWhy::Number),
        ("a cat", "cat", SameWhy::Article),
        ("a cat, 4k", "a cat", SameWhy::Booster),
        ("draw a cat", "a cat", SameWhy::Boilerplate),
        ("a graden with a fountain", "a garden with a fountain", SameWhy::Typo),
    ];
    for (a, b, expected) in same {
        assert_eq!(why(a, b), Verdict::Same { why: expected }, "{a} <> {b}");
        assert!(compare(&read(a), &read(b), &WordLists::builtin()).is_same_picture(), "{a} <> {b}");
    }
}

#[test]
fn a_slip_is_told_as_it_was_typed() {
    let asked = read("a small red sofa beside a wooden table, mornign light");
    let kept = read("A small red couch beside a wooden table, morning light");
    let comparison = compare(&asked, &kept, &WordLists::builtin());
    assert!(comparison.is_same_picture());
    let told: Vec<(&str, &str)> =
        comparison.differences.iter().map(|it| (it.left.as_str(), it.right.as_str())).collect();
    assert_eq!(told, [("mornign", "morning"), ("sofa", "couch")]);
}

#[test]
fn two_slips_need_twelve_words_and_three_are_too_many() {
    let lists = WordLists::builtin();
    let same = |a: &str, b: &str| compare(&read(a), &read(b), &lists).is_same_picture();
    let long = "a small elephant beside an umbrella in a beautiful garden with a fountain and a telescope at night";
    assert!(same(long, &long.replace("elephant", "elephnat").replace("garden", "gardenn")));
    let three = long.replace("elephant", "elephnat").replace("garden", "gardenn").replace("telescope", "telescpoe");
    assert!(!same(long, &three));
    assert!(!same("an elephant in a garden", "an elephnat in a gardenn"));
}

#[test]
fn a_config_adds_words_and_each_says_that_it_did() {
    let builtin = WordLists::builtin();
    let more = MoreWords {
        synonyms: vec![vec!["trainers".into(), "sneakers".into()], vec!["tote bag".into(), "carry-all".into()]],
        boosters: vec!["shot of the year".into()],
        brands: vec!["acmee".into()],
        ..MoreWords::default()
    };
    let lists = builtin.extended(&more);
    assert_ne!(lists.digest(), builtin.digest());
    let same = |a: &str, b: &str, lists: &WordLists| {
        compare(&canonical(a, lists), &canonical(b, lists), lists).is_same_picture()
    };
    for (a, b) in [
        ("red sneakers on a shelf", "red trainers on a shelf"),
        ("a red carry-all on a shelf", "a red tote bag on a shelf"),
        ("a red bag, shot of the year", "a red bag"),
    ] {
        assert!(same(a, b, &lists), "{a} <> {b}");
        assert!(!same(a, b, &builtin), "{a} <> {b}");
    }
    let told = compare(&canonical("red sneakers", &lists), &canonical("red trainers", &lists), &lists);
    assert_eq!(told.differences[0].verdict, Verdict::Same { why: SameWhy::Synonym { origin: Origin::Config } });
    assert!(!same("an acmee chair", "an acme chair", &lists));
}

#[test]
fn a_learned_pair_acts_where_prompts_are_compared_and_nowhere_else() {
    let lists = WordLists::builtin();
    let learned = |a: &str, b: &str| LearnedPairs::of([&WordPair::of(a, b)]);
    let (a, b) = (read("a bunny in a garden"), read("a rabbit in a garden"));
    assert_ne!(a.canonical_bytes(), b.canonical_bytes());
    let comparison = compare_with(&a, &b, &lists, &learned("Rabbit", "bunny"));
    assert!(comparison.is_same_picture());
    let why = Verdict::Same { why: SameWhy::Synonym { origin: Origin::Learned } };
    assert_eq!((comparison.differences[0].left.as_str(), comparison.differences[0].verdict), ("bunny", why));
    assert!(compare_with(&b, &a, &lists, &learned("bunny", "rabbit")).is_same_picture());
    assert!(!compare(&a, &b, &lists).is_same_picture());
    // What was approved once for a colour or a number is still another picture.
    for (left, right) in [("navy", "blue"), ("two", "3"), ("with", "without")] {
        let (a, b) = (format!("a wall {left} cats"), format!("a wall {right} cats"));
        assert!(!compare_with(&read(&a), &read(&b), &lists, &learned(left, right)).is_same_picture(), "{left} {right}");
    }
}

#[test]
fn a_near_miss_is_what_one_pair_of_words_would_make_the_same_picture() {
    let lists = WordLists::builtin();
    let miss = |a: &str, b: &str| near_miss(&read(a), &read(b), &lists, &LearnedPairs::default());
    let found = miss("A photo of a red bunny in a garden", "a photo of a red rabbit in the garden").unwrap();
    assert_eq!(found.pair, WordPair::of("rabbit", "bunny"));
    assert_eq!(found.around, ["photo of red bunny in garden", "photo of red rabbit in garden"]);
    let turned = miss("a photo of a red rabbit in a garden", "a photo of a red bunny in a garden").unwrap();
    assert_eq!(turned, found, "the order of the prompts is nothing");
    let phrase = miss("a movie theater at night", "a picture palace at night").unwrap();
    assert_eq!(phrase.pair.words(), ["movie theater", "picture palace"]);
    for (a, b) in [
        ("a bunny in a garden", "a bunny in a garden"),
        ("a sofa in a garden", "a couch in a garden"),
        ("a red bunny in a garden", "a blue bunny in a garden"),
        ("a bunny in a garden", "bunnies in a garden"),
        ("a bunny in a garden", "a rabbit in a meadow"),
        ("a bunny on a table", "a rabbit under a table"),
        ("a bunny in a garden", "a Totoro in a garden"),
        ("a bunny in a garden", "a qwxzt in a garden"),
        ("two bunnies in a garden", "three bunnies in a garden"),
        ("a bunny in a garden", "a garden"),
        ("a dog chasing a cat", "a cat chasing a dog"),
        ("a sign that says \"bunny\"", "a sign that says \"rabbit\""),
        ("ein Hase im Garten", "ein Kaninchen im Garten"),
    ] {
        assert_eq!(miss(a, b), None, "{a} <> {b}");
    }
}

#[test]
fn what_is_learned_already_is_no_near_miss_and_helps_to_find_the_next() {
    let lists = WordLists::builtin();
    let known = LearnedPairs::of([&WordPair::of("bunny", "rabbit")]);
    let (a, b) = (
        "a bunny on a lawn beside the old stone wall of a farm under tall trees in autumn",
        "a rabbit on a meadow beside the old stone wall of a farm under tall trees in autumn",
    );
    let miss = |a: &str, b: &str, pairs: &LearnedPairs| near_miss(&read(a), &read(b), &lists, pairs);
    assert_eq!(miss("a bunny", "a rabbit", &known), None);
    assert_eq!(miss(a, b, &LearnedPairs::default()), None, "two pairs are open");
    assert_eq!(miss(a, b, &known).map(|miss| miss.pair), Some(WordPair::of("lawn", "meadow")));
}

#[test]
fn guards_find_what_an_embedding_does_not() {
    let lists = WordLists::builtin();
    let guard = |a: &str, b: &str| guards(&read(a), &read(b), &lists);
    assert_eq!(guard("a red cube on a table", "a cube that is red on a table"), Some(DiffersWhy::Binding));
    assert_eq!(guard("a fox in a garden at night", "a vixen in a garden at night"), None);
    assert_eq!(guard("a red car and a blue bus", "a blue car and a red bus"), Some(DiffersWhy::Binding));
    assert_eq!(guard("a dog chasing a cat", "a cat chasing a dog"), Some(DiffersWhy::Order));
    assert_eq!(guard("two dogs", "three dogs"), Some(DiffersWhy::Number));
    assert_eq!(guard("a dog in a garden", "dogs in a garden"), Some(DiffersWhy::Plural));
    assert_eq!(guard("a man with a hat", "a man without a hat"), Some(DiffersWhy::Negation));
    assert_eq!(guard("an oil painting of a fox", "a photo of a fox"), Some(DiffersWhy::Style));
}

#[test]
fn praise_alone_and_a_request_alone_keep_their_words() {
    assert_eq!(read("4k, masterpiece").text(), "4k, masterpiece");
    assert_eq!(read("please").text(), "please");
    assert_eq!(read("please generate an image").text(), read("generate an image").text());
    assert!(!read("an image of").text().is_empty());
}

#[test]
fn prompts_of_any_length_are_read_in_bounded_time() {
    let lists = WordLists::builtin();
    for long in [
        "a red cube, ".repeat(10_000),
        ",".repeat(100_000),
        "((((".repeat(20_000),
        "very ".repeat(20_000),
        "a".repeat(120_000),
        "\"".repeat(100_000),
        "two hundred and ".repeat(8_000),
        "'a ".repeat(30_000),
        "x".repeat(crate::MAX_BYTES + 1),
        "elephnat ".repeat(10_000),
    ] {
        let prompt = canonical(&long, &lists);
        let other = canonical(&format!("{long} dog"), &lists);
        assert!(compare(&prompt, &prompt, &lists).is_same_picture());
        assert!(!compare(&prompt, &other, &lists).is_same_picture(), "{}", &long[..20]);
        assert!(prompt.canonical_bytes().len() < 4 * long.len() + 100);
    }
}
