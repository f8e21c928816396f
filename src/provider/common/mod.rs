//! What several vendors' wire formats share: JSON and forms, addresses, headers, statuses and error texts, usage, resolutions,
//! tokens, and where a picture's bytes are.

pub(in crate::provider) mod addresses;
pub(in crate::provider) mod aspect_ratio;
pub mod chat;
#[cfg(test)]
pub(in crate::provider) mod fixture;
pub(in crate::provider) mod headers;
pub(in crate::provider) mod http_status;
pub(in crate::provider) mod json;
pub(in crate::provider) mod json_body;
pub(in crate::provider) mod key_hosts;
pub mod model_end;
pub(in crate::provider) mod multipart;
pub(in crate::provider) mod picture_source;
pub(in crate::provider) mod resolution_tiers;
pub(in crate::provider) mod retry_after;
pub mod token_source;
pub(in crate::provider) mod usage;
pub(in crate::provider) mod vendor_error;
pub(in crate::provider) mod waiting_words;
