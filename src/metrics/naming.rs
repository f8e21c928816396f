//! What every metric of Easel is called.

use prometheus::Opts;

pub(super) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("easel_{name}"), help)
}
