//! The verbs with which people ask for a picture.

/// A request for whatever follows: "generate a cat". The rest of them begin captions and names, too, and need "me", an image or an
/// article: "draw poker", "imagine dragons", "show jumping", "make a wish".
pub(crate) fn asks(word: &str) -> bool {
    matches!(word, "generate" | "create" | "visualize")
}

/// What asks before an article, a number or a colour.
pub(crate) fn asks_for_a_thing(word: &str) -> bool {
    matches!(word, "draw" | "render" | "produce" | "imagine")
}

/// What asks with "me", a medium or a question before it.
pub(crate) fn asks_for_me(word: &str) -> bool {
    matches!(
        word,
        "make"
            | "show"
            | "give"
            | "design"
            | "build"
            | "paint"
            | "sketch"
            | "illustrate"
            | "do"
            | "get"
            | "send"
            | "find"
            | "prepare"
            | "compose"
            | "write"
            | "provide"
    )
}

/// Any of them.
pub(crate) fn is_request(word: &str) -> bool {
    asks(word) || asks_for_a_thing(word) || asks_for_me(word)
}
