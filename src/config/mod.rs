//! From YAML text to a [`plan::Plan`], or to a list of everything that is wrong with it.
pub mod plan;
