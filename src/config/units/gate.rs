//! What the quality gate is told in: checks, colours, and numbers that may have a point.

use crate::config::file;
use crate::config::plan::QualityCheck;
use crate::config::suggest::nearest;
use crate::config::units::number_and_unit::number_and_unit;
use crate::config::units::{ConfigUnit, UnitError, instead};

impl ConfigUnit for file::QualityCheck {
    type Value = QualityCheck;
    const RULE: &'static str = "write a check, like blank or blurred; docs/guides/quality.md lists them";

    fn read(&self) -> Result<QualityCheck, UnitError> {
        QualityCheck::from_word(&self.0).ok_or_else(|| {
            let plain = self.0.trim().to_lowercase().replace(['-', ' '], "_");
            let near = nearest(&plain, QualityCheck::ALL.map(QualityCheck::as_str));
            UnitError::new("is not a check", near.map(str::to_owned))
        })
    }
}

impl ConfigUnit for file::Color {
    /// Red, green and blue.
    type Value = [u8; 3];
    const RULE: &'static str = "write a colour as \"#\" and six hex digits, like \"#0a3d62\"";

    fn read(&self) -> Result<[u8; 3], UnitError> {
        let hex = |text: &str| -> Option<[u8; 3]> {
            let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
            let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
            digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| Some([part(0)?, part(2)?, part(4)?]))?
        };
        hex(&self.0).ok_or_else(|| {
            let digits = self.0.trim().trim_start_matches('#').trim_start_matches("0x");
            let long = match digits.len() {
                3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
                _ => digits.to_owned(),
            };
            let instead = format!("#{long}");
            UnitError::new("is not a colour", hex(&instead).map(|_| format!("\"{instead}\"")))
        })
    }
}

impl ConfigUnit for file::Decimal {
    type Value = f64;
    const RULE: &'static str = "write a plain number, like 0.5";

    fn read(&self) -> Result<f64, UnitError> {
        let plain = |text: &str| -> Option<f64> {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let (number, unit) = number_and_unit(digits)?;
            text.parse().ok().filter(|_| unit.is_empty() && number.len() == digits.len())
        };
        plain(&self.0).ok_or_else(|| {
            let instead =
                instead::decimals(&self.0).into_iter().filter(|text| *text != self.0 && plain(text).is_some());
            UnitError::new("is not a number", instead)
        })
    }
}
