//! Easel, a sidecar reverse proxy for image generation.
pub mod abilities;
pub mod admission;
pub mod breaker;
pub mod cache;
pub mod canonical;
pub mod config;
pub mod error;
pub mod failure;
pub mod image;
pub mod ledger;
pub mod money;
pub mod pricing;
pub mod provider;
pub mod request;
pub mod routing;
pub mod secret;
