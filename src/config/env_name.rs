//! What the name of an environment variable looks like.

/// Whether `name` can be an environment variable: letters, digits and `_`, not beginning with a digit.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
