//! How a number and its unit are told apart.

/// A number and the letters after it, nothing between and nothing after.
pub(super) fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let plain = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
    (plain && unit.chars().all(char::is_alphabetic)).then_some((number, unit))
}
