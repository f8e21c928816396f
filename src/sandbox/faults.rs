//! The faults that a vendor can have: one that every call meets (`Mode`), or several by chance (`Faults`).
//!
//! The caller gives the random number, so this file is as predictable as its caller's generator. `fault_injection.rs`
//! makes a call fail; the vendors word their errors.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use thiserror::Error;

use crate::sandbox::settings_serde::duration;

/// The fault that a call meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// An honest answer.
    #[default]
    Normal,
    /// 500.
    Down500,
    /// 429. Only a vendor that really says when to come back does so.
    RateLimited {
        /// When to come back.
        #[serde(deserialize_with = "duration")]
        retry_after: Duration,
    },
    /// The account has no money left.
    OutOfMoney,
    /// Every prompt is refused, as if it were forbidden.
    Refusing,
    /// No answer until the client leaves.
    Hang,
    /// A web page with status 200.
    Garbage,
    /// A good answer without pictures.
    NoPictures,
    /// Pictures that end too soon; words that reach the longest answer.
    Truncated,
    /// Whole pictures with half of what was asked on each side, reported as if they were right.
    OddSize,
    /// Whole pictures that are black from edge to edge, as a model's own safety filter or a numeric overflow makes them.
    Blank,
    /// Whole pictures without anything sharp in them.
    Blurred,
    /// 529, which only Anthropic has; 500 elsewhere.
    Overloaded,
    /// Does the work, charges it, and answers with the first half of a good answer.
    Unreadable,
    /// Does the work, charges it, and lets a gateway answer 504.
    GatewayTimeout,
    /// The same with 524, as a network in front of the vendor says it.
    CdnTimeout,
    /// Does the work, charges it, and answers 307.
    Redirect,
    /// Does the work, charges it, and breaks the connection off in the middle of the answer.
    Cut,
    /// Does the work, charges it, and never sends what its links lead to. Other answers are honest.
    HangingDownload,
}

impl Mode {
    /// Whether the work is done and charged before anything goes wrong.
    pub(super) fn comes_late(self) -> bool {
        matches!(
            self,
            Mode::Unreadable
                | Mode::GatewayTimeout
                | Mode::CdnTimeout
                | Mode::Redirect
                | Mode::Cut
                | Mode::HangingDownload
        )
    }
}

/// How often a call meets which fault. One random number decides, so the rates add up; past 100% in all, the later ones
/// in this list never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// 500.
    pub error_rate: Rate,
    /// 429.
    pub rate_limit_rate: Rate,
    /// When a 429 by chance says to come back.
    #[serde(deserialize_with = "duration")]
    pub retry_after: Duration,
    /// The vendor's refusal.
    pub refusal_rate: Rate,
    /// A web page with status 200.
    pub garbage_rate: Rate,
    /// A picture that ends too soon; it is charged.
    pub truncated_rate: Rate,
    /// A picture that is black from edge to edge; it is charged.
    pub blank_rate: Rate,
    /// A picture without anything sharp in it; it is charged.
    pub blurred_rate: Rate,
    /// 200 without pictures.
    pub empty_rate: Rate,
    /// No answer until the client leaves.
    pub hang_rate: Rate,
    /// 529, or 500 where there is no such status.
    pub overload_rate: Rate,
    /// Half an answer to work that is done and charged.
    pub unreadable_rate: Rate,
    /// A gateway's 504 to work that is done and charged.
    pub gateway_timeout_rate: Rate,
    /// A network's 524 to work that is done and charged.
    pub cdn_timeout_rate: Rate,
    /// A redirect to work that is done and charged.
    pub redirect_rate: Rate,
    /// A connection that breaks off in the middle of the answer to work that is done and charged.
    pub cut_rate: Rate,
    /// Links that lead to nothing that ever comes, of work that is done and charged.
    pub hanging_download_rate: Rate,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            error_rate: Rate::default(),
            rate_limit_rate: Rate::default(),
            retry_after: Duration::from_secs(1),
            refusal_rate: Rate::default(),
            garbage_rate: Rate::default(),
            truncated_rate: Rate::default(),
            blank_rate: Rate::default(),
            blurred_rate: Rate::default(),
            empty_rate: Rate::default(),
            hang_rate: Rate::default(),
            overload_rate: Rate::default(),
            unreadable_rate: Rate::default(),
            gateway_timeout_rate: Rate::default(),
            cdn_timeout_rate: Rate::default(),
            redirect_rate: Rate::default(),
            cut_rate: Rate::default(),
            hanging_download_rate: Rate::default(),
        }
    }
}

impl Faults {
    /// The fault that a random number from 0 to 999 picks.
    pub(super) fn pick(&self, roll: u16) -> Mode {
        let odds = [
            (self.error_rate, Mode::Down500),
            (self.rate_limit_rate, Mode::RateLimited { retry_after: self.retry_after }),
            (self.refusal_rate, Mode::Refusing),
            (self.garbage_rate, Mode::Garbage),
            (self.truncated_rate, Mode::Truncated),
            (self.blank_rate, Mode::Blank),
            (self.blurred_rate, Mode::Blurred),
            (self.empty_rate, Mode::NoPictures),
            (self.hang_rate, Mode::Hang),
            (self.overload_rate, Mode::Overloaded),
            (self.unreadable_rate, Mode::Unreadable),
            (self.gateway_timeout_rate, Mode::GatewayTimeout),
            (self.cdn_timeout_rate, Mode::CdnTimeout),
            (self.redirect_rate, Mode::Redirect),
            (self.cut_rate, Mode::Cut),
            (self.hanging_download_rate, Mode::HangingDownload),
        ];
        let mut edge = 0;
        for (rate, mode) in odds {
            edge += rate.0;
            if roll < edge {
                return mode;
            }
        }
        Mode::Normal
    }
}

/// A share in tenths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u16);

/// The text is not a share.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a rate is a percentage from 0% to 100% with at most one digit after the point, like 10% or 2.5%")]
pub struct BadRate;

impl Rate {
    /// `parts` in a thousand; more than a thousand counts as all.
    pub const fn per_mille(parts: u16) -> Rate {
        Rate(if parts > 1000 { 1000 } else { parts })
    }

    /// `parts` in a hundred; more than a hundred counts as all.
    pub const fn percent(parts: u16) -> Rate {
        Rate::per_mille(parts.saturating_mul(10))
    }
}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Rate, BadRate> {
        let number = text.trim().strip_suffix('%').ok_or(BadRate)?;
        let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
        let all_digits = whole.bytes().chain(tenth.bytes()).all(|b| b.is_ascii_digit());
        if !all_digits || tenth.len() != 1 {
            return Err(BadRate);
        }
        let parts = format!("{whole}{tenth}").parse::<u16>().map_err(|_| BadRate)?;
        if parts <= 1000 && !whole.is_empty() { Ok(Rate(parts)) } else { Err(BadRate) }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Rate, D::Error> {
        String::deserialize(input)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_percentage_with_at_most_one_decimal() {
        assert_eq!("10%".parse(), Ok(Rate::percent(10)));
        assert_eq!("2.5%".parse(), Ok(Rate::per_mille(25)));
        assert_eq!("100%".parse(), Ok(Rate::percent(100)));
        for text in ["10", "0.1", "101%", "2.55%", "-1%", "%", ".5%", "many%"] {
            assert_eq!(text.parse::<Rate>(), Err(BadRate), "{text}");
        }
    }

    #[test]
    fn each_fault_happens_exactly_as_often_as_its_rate_says() {
        let faults = Faults {
            error_rate: Rate::percent(10),
            refusal_rate: Rate::per_mille(5),
            hang_rate: Rate::percent(1),
            ..Faults::default()
        };
        let met: Vec<Mode> = (0..1000).map(|roll| faults.pick(roll)).collect();
        let count = |mode| met.iter().filter(|met| **met == mode).count();
        assert_eq!([count(Mode::Down500), count(Mode::Refusing), count(Mode::Hang)], [100, 5, 10]);
        assert_eq!(count(Mode::Normal), 885);
    }
}
