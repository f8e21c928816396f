//! What calls of Stability's v1 and v2beta share: seeds, and options as a form writes them.

use serde_json::Value;

/// An option as a form writes it: strings without quotes.
pub fn form_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A seed that draws the same again. Zero means "random" to Stability and the largest number is one too large for
/// v2beta, so those two borrow seeds that nobody is likely to ask for.
pub fn fixed_seed(seed: u32) -> u32 {
    match seed {
        0 => u32::MAX - 2,
        u32::MAX => u32::MAX - 1,
        seed => seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_that_means_random_is_replaced_by_one_that_does_not() {
        assert_eq!([0, 1, u32::MAX].map(fixed_seed), [u32::MAX - 2, 1, u32::MAX - 1]);
    }
}
