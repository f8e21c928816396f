//! Wishes that were changed to fit a model, or dropped.

use std::fmt;

/// A wish that was changed to fit, told in `x-easel-adjusted`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Adjustment {
    /// Asked for this, gets that.
    Changed(&'static str, String, String),
    /// Not taken by this model.
    Dropped(&'static str),
}

impl Adjustment {
    /// Whether it is this field of the request that was changed.
    pub fn is_of(&self, name: &str) -> bool {
        let (Adjustment::Changed(field, ..) | Adjustment::Dropped(field)) = self;
        *field == name
    }
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Adjustment::Changed(field, from, to) => write!(f, "{field} {from} -> {to}"),
            Adjustment::Dropped(field) => write!(f, "{field} dropped"),
        }
    }
}
