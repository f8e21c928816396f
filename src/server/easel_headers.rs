//! The `x-easel-*` response headers: their names, and values that fit into a header.
//!
//! A value has only characters that a header may have, and a bounded length, however many offers a config has and
//! however long their names are.

use http::HeaderName;

/// The route that matched.
pub const ROUTE: HeaderName = HeaderName::from_static("x-easel-route");
/// What the cache had.
pub const CACHE: HeaderName = HeaderName::from_static("x-easel-cache");
/// Words of the request that differ from those that the pictures were drawn for.
pub const NEAR: HeaderName = HeaderName::from_static("x-easel-near");
/// How alike the words are of pictures that were found by an embedding.
pub const SIMILARITY: HeaderName = HeaderName::from_static("x-easel-similarity");
/// How the request's idempotency key took part.
pub const IDEMPOTENCY: HeaderName = HeaderName::from_static("x-easel-idempotency");
/// What the request cost, in dollars.
pub const COST: HeaderName = HeaderName::from_static("x-easel-cost-usd");
/// The same under the name that LiteLLM's users read it by.
pub const LITELLM_COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
/// Calls to providers.
pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-easel-attempts");
/// Which model worked the prompt out, or why none did.
pub const ENRICHED: HeaderName = HeaderName::from_static("x-easel-enriched");
/// Offers that were not asked, and why.
pub const SKIPPED: HeaderName = HeaderName::from_static("x-easel-skipped");
/// Offers that were asked and failed, and how.
pub const FAILED: HeaderName = HeaderName::from_static("x-easel-failed");
/// What was drawn other than asked for.
pub const ADJUSTED: HeaderName = HeaderName::from_static("x-easel-adjusted");
/// Which offers drew how many pictures.
pub const SERVED_BY: HeaderName = HeaderName::from_static("x-easel-served-by");
/// The pictures' ids, which feedback is given by.
pub const IMAGE_IDS: HeaderName = HeaderName::from_static("x-easel-image-ids");
/// The size of all pictures, where it is one.
pub const SIZE: HeaderName = HeaderName::from_static("x-easel-size");
/// How many pictures of those wanted there are, where some are missing.
pub const PARTIAL: HeaderName = HeaderName::from_static("x-easel-partial");

/// What the quality gate says of pictures that it accepted, by their places in the answer.
pub const FLAGGED: HeaderName = HeaderName::from_static("x-easel-flagged");
/// Pictures that the quality gate rejected and that are delivered because nothing better came, and why.
pub const REJECTED: HeaderName = HeaderName::from_static("x-easel-rejected");

/// All of them.
pub static ALL: [HeaderName; 18] = [
    ROUTE,
    CACHE,
    NEAR,
    SIMILARITY,
    IDEMPOTENCY,
    COST,
    LITELLM_COST,
    ATTEMPTS,
    ENRICHED,
    SKIPPED,
    FAILED,
    ADJUSTED,
    SERVED_BY,
    IMAGE_IDS,
    SIZE,
    PARTIAL,
    FLAGGED,
    REJECTED,
];

/// The longest list in a header, in bytes. Clients and proxies take 8 KiB of headers at the least.
pub const LONGEST: usize = 1024;

/// The longest name, and the longest item of a list but for its word.
const LONGEST_NAME: usize = 160;

/// What the word for the items that are left out takes at most.
const MORE: usize = 24;

/// What stands at the end of a name that was cut.
const CUT: &str = "...";

/// A name. The config may write any character there, and a header's value may not have it; a comma would end an item.
pub fn name(text: &str) -> String {
    let fits = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b',';
    if text.len() <= LONGEST_NAME && text.bytes().all(fits) {
        return text.to_owned();
    }
    let plain = |c: char| if u8::try_from(c).is_ok_and(fits) { c } else { '?' };
    let mut name: String = text.chars().take(LONGEST_NAME + 1).map(plain).collect();
    if name.len() > LONGEST_NAME {
        name.truncate(LONGEST_NAME - CUT.len());
        name.push_str(CUT);
    }
    name
}

/// What is said of a name: `stability/core=over_price`.
pub fn about(text: &str, word: &str) -> String {
    format!("{}={word}", name(text))
}

/// Items with commas between them. Those that do not fit are counted: `a=size,b=size,+7 more`.
pub fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut list = String::new();
    let mut items = items.into_iter();
    while let Some(item) = items.next() {
        if list.len() + item.len() + 1 > LONGEST - MORE {
            let more = format!("+{} more", items.count() + 1);
            return if list.is_empty() { more } else { list + "," + &more };
        }
        if list.is_empty() {
            list = item;
        } else {
            list.push(',');
            list.push_str(&item);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_all_that_are_named_here() {
        let source = include_str!("easel_headers.rs");
        let named: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split_once("from_static(\"")?.1.split('"').next())
            .collect();
        assert_eq!(ALL.iter().map(HeaderName::as_str).collect::<Vec<_>>(), named);
    }

    #[test]
    fn a_list_is_cut_behind_a_whole_item_and_the_others_are_counted() {
        let items = |count: usize| (0..count).map(|nth| about(&format!("provider/model-{nth:04}"), "over_price"));
        let short = list(items(3));
        assert_eq!(
            short,
            "provider/model-0000=over_price,provider/model-0001=over_price,provider/model-0002=over_price"
        );
        for count in [32, 33, 34, 100, 10_000] {
            let told = list(items(count));
            assert!(told.len() <= LONGEST, "{} bytes", told.len());
            let (whole, cut): (Vec<&str>, Vec<&str>) = told.split(',').partition(|item| item.ends_with("=over_price"));
            let more = cut.first().map_or(0, |more| more[1..].trim_end_matches(" more").parse().unwrap());
            assert_eq!(whole.len() + more, count, "{told}");
            assert!(whole.len() >= 30 && cut.len() <= 1, "{told}");
        }
        assert_eq!(list([]), "");
        assert_eq!(list(["x".repeat(2000), "y".to_owned()]), "+2 more");
    }

    #[test]
    fn names_are_of_characters_that_a_header_has_and_end_no_item() {
        assert_eq!(about("p\u{e4}/m,\r\nx: y=\u{7f}", "size"), "p?/m???x: y=?=size");
        let long = about(&"m\u{f6}".repeat(500), "size");
        assert_eq!(long.len(), LONGEST_NAME + "=size".len());
        assert!(long.ends_with("...=size"), "{long}");
        assert_eq!(name(&"m".repeat(LONGEST_NAME)).len(), LONGEST_NAME);
    }
}
