//! What can be seen from outside: wire formats against golden samples.

mod golden;
