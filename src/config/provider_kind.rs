//! What the config may name without knowing the provider room.

/// What the config may name without knowing the provider room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderKind {
    /// The word after `kind:`.
    pub name: &'static str,
    /// Where the vendor lives when the config does not say; `None` makes `base_url` required.
    pub default_base_url: Option<&'static str>,
    /// Whether calls without an `api_key` are pointless.
    pub needs_key: bool,
    /// Model names worth suggesting. Others are just as welcome.
    pub known_models: &'static [&'static str],
}
