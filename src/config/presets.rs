//! What is known of OpenAI-compatible vendors, as YAML: the beginnings of a provider's entry, by name.
//!
//! A preset is what its user would write, no more: `fill_presets_and_model_defaults` puts it under the user's own keys.
//! Each file says where its facts are from and how sure they are. Prices are in none of them, because lists drift.

/// Every preset, by the word after `preset:`.
pub(super) const ALL: [(&str, &str); 8] = [
    ("janus", include_str!("presets/janus.yaml")),
    ("janus_hosted", include_str!("presets/janus_hosted.yaml")),
    ("litellm", include_str!("presets/litellm.yaml")),
    ("localai", include_str!("presets/localai.yaml")),
    ("siliconflow", include_str!("presets/siliconflow.yaml")),
    ("together", include_str!("presets/together.yaml")),
    ("tokenmix", include_str!("presets/tokenmix.yaml")),
    ("vllm", include_str!("presets/vllm.yaml")),
];

/// The preset of this name.
pub(super) fn text(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
