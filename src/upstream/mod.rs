//! How vendors are reached: one HTTP exchange ([`transport`]), access tokens ([`token`]), and which addresses a
//! vendor's links may lead to (`allowed_address`). Nothing here knows routes, caches or money.

pub(crate) mod allowed_address;
pub(crate) mod offload;
pub mod token;
pub mod transport;
