//! Easel, a sidecar reverse proxy for image generation.
pub mod abilities;
pub mod canonical;
pub mod config;
pub mod error;
pub mod failure;
pub mod image;
pub mod money;
pub mod pricing;
pub mod request;
pub mod secret;
