//! Two prompts, a line feed between them: what they are read to, and what they differ in.

use std::sync::{Arc, LazyLock};

use easel_matcher::{WordLists, canonical, compare, distance, guards};

static LISTS: LazyLock<Arc<WordLists>> = LazyLock::new(WordLists::builtin);

/// Reads both, and compares them both ways.
pub fn prompts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (a, b) = text.split_once('\n').unwrap_or((&text, &text));
    let lists = &**LISTS;
    let (first, second) = (canonical(a, lists), canonical(b, lists));
    for (prompt, read) in [(a, &first), (b, &second)] {
        assert_eq!(read.canonical_bytes(), canonical(prompt, lists).canonical_bytes(), "read twice, two forms");
        assert_eq!(distance(&read.sketch(), &read.sketch()), 0);
        assert!(compare(read, read, lists).is_same_picture(), "{prompt:?} is not itself");
        let _ = (read.text(), read.is_english());
    }
    let (there, back) = (compare(&first, &second, lists), compare(&second, &first, lists));
    assert_eq!(there.is_same_picture(), back.is_same_picture(), "which one is first decides: {a:?} and {b:?}");
    assert_eq!(guards(&first, &second, lists).is_some(), guards(&second, &first, lists).is_some(), "{a:?} and {b:?}");
    if first.canonical_bytes() == second.canonical_bytes() {
        assert!(there.is_same_picture(), "{a:?} and {b:?} have one form and are two pictures");
    }
}
