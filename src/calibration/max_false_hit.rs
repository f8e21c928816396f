//! How many prompts that mean different pictures may be taken for the same.

use std::fmt;

/// A share, in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxFalseHit(u32);

impl MaxFalseHit {
    /// One of a hundred.
    pub const DEFAULT: MaxFalseHit = MaxFalseHit(10_000);

    /// A share of so many parts per million; `None` where it is nothing or all.
    pub fn from_ppm(ppm: u32) -> Option<MaxFalseHit> {
        (1..1_000_000).contains(&ppm).then_some(MaxFalseHit(ppm))
    }

    /// In parts per million.
    #[cfg(feature = "cli")]
    pub fn ppm(self) -> u32 {
        self.0
    }

    /// As a part of one.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

/// As the config has it: `1%`, `0.1%`.
impl fmt::Display for MaxFalseHit {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, format!("{:04}", self.0 % 10_000));
        match rest.trim_end_matches('0') {
            "" => write!(to, "{whole}%"),
            rest => write!(to, "{whole}.{rest}%"),
        }
    }
}

/// A bound in percent, with three digits, rounded up: what is shown is never less than what was found.
pub fn bound_percent(bound: f64) -> String {
    format!("{:.3}%", (bound * 100_000.0).ceil() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_as_the_config_reads_them_and_bounds_never_too_low() {
        for (ppm, text) in [(10_000, "1%"), (1_000, "0.1%"), (12_345, "1.2345%"), (500_000, "50%"), (1, "0.0001%")] {
            assert_eq!(MaxFalseHit::from_ppm(ppm).unwrap().to_string(), text);
        }
        assert_eq!((MaxFalseHit::from_ppm(0), MaxFalseHit::from_ppm(1_000_000)), (None, None));
        assert_eq!((bound_percent(0.009_961), bound_percent(0.005)), ("0.997%".to_owned(), "0.500%".to_owned()));
    }
}
