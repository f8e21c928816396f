//! The word that was probably meant.
//!
//! One measure for keys, kinds, providers, models and units, so that every suggestion is equally bold.

/// The candidate nearest to `word`, when it is near enough to be a slip of the pen: about one change in three letters,
/// letter case and `-` for `_` not counted.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let length = word.chars().count();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (length.max(candidate.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or the whole choice when nothing is near.
pub fn instead<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str, IntoIter: Clone>,
    of: &str,
) -> Option<String> {
    let candidates = candidates.into_iter();
    match nearest(word, candidates.clone()) {
        Some(candidate) => Some(format!("did you mean `{candidate}`?")),
        None => {
            let all = listed(candidates);
            (!all.is_empty()).then(|| format!("{of}: {all}"))
        }
    }
}

/// `a, b, c`, cut after a dozen.
pub(super) fn listed<'c>(words: impl Iterator<Item = &'c str>) -> String {
    let mut seen = std::collections::HashSet::new();
    let mut words: Vec<&str> = words.filter(|word| seen.insert(*word)).collect();
    let more = words.len() > 12;
    words.truncate(12);
    let list = words.join(", ");
    if more { format!("{list}, ...") } else { list }
}

#[cfg(test)]
mod tests {
    use super::{instead, nearest};

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_another_word_is_not() {
        let keys = ["base_url", "api_key", "timeout"];
        assert_eq!(nearest("api_kye", keys), Some("api_key"));
        assert_eq!(nearest("api-key", keys), Some("api_key"));
        assert_eq!(nearest("Timeout", keys), Some("timeout"));
        assert_eq!(nearest("retries", keys), None);
        assert_eq!(nearest("a", ["b"]), Some("b"));
    }

    #[test]
    fn without_a_near_word_the_choice_is_listed() {
        assert_eq!(instead("zebra", ["one", "two"], "known words").as_deref(), Some("known words: one, two"));
        assert_eq!(instead("zebra", [], "known words"), None);
    }
}
