//! From which likeness on two prompts may be taken for one picture, decided by pairs that people have labelled, with a bound on
//! how often that is wrong.
//!
//! A rate of wrong hits that was never measured is worth nothing, and one measured on few pairs is worth little. So a threshold is
//! certified: of pairs that mean different pictures no more than the limit would hit, with 95% confidence ([`upper_bound()`]). The
//! config's loader reckons that again before it lets a threshold serve, and `easel calibrate` finds one ([`choose`]).

mod max_false_hit;
#[cfg(feature = "cli")]
mod threshold;
mod upper_bound;

pub use crate::calibration::max_false_hit::{MaxFalseHit, bound_percent};
#[cfg(feature = "cli")]
pub use crate::calibration::threshold::{Certified, CurveRow, LabelledPair, NotCertified, choose, curve};
pub use crate::calibration::upper_bound::{different_needed, upper_bound};
