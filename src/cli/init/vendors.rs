//! The vendors that a key alone opens: the variable that their own tools read, and a model at its price of November 2026.

/// One vendor.
pub(super) struct Vendor {
    /// What the provider is called in the config.
    pub(super) name: &'static str,
    /// The variables that hold its key in the vendor's own tools, the usual one first.
    pub(super) variables: &'static [&'static str],
    /// The lines of the provider, but for its key.
    pub(super) lines: &'static str,
    /// The model that the route asks.
    pub(super) model: &'static str,
    /// Its lines.
    price: &'static str,
}

impl Vendor {
    /// The provider as the config has it.
    pub(super) fn provider(&self, variable: &str) -> String {
        let Vendor { name, lines, model, price, .. } = self;
        let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
        format!("  {name}:\n{lines}    api_key: ${{{variable}}}\n    models:\n      {model}: {price}\n")
    }
}

/// Every one, in the order in which a route asks them.
pub(super) const VENDORS: &[Vendor] = &[
    Vendor {
        name: "openai",
        variables: &["OPENAI_API_KEY"],
        lines: "kind: openai\n",
        model: "gpt-image-2",
        price: "{price: [{quality: low, usd: 0.006}, {quality: medium, usd: 0.053}, {quality: high, usd: 0.211}]}   # each for 1024x1024",
    },
    Vendor {
        name: "google",
        variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        lines: "kind: google\n",
        model: "gemini-nano-banana-2.1",
        price: "{price: [{size: 1K, usd: 0.0336}, {size: 4K, usd: 0.1134}]}",
    },
    Vendor {
        name: "stability",
        variables: &["STABILITY_API_KEY"],
        lines: "kind: stability\n",
        model: "core",
        price: "{price: 0.03}",
    },
    Vendor {
        name: "bfl",
        variables: &["BFL_API_KEY"],
        lines: "kind: bfl\n",
        model: "flux-2-pro",
        price: "{price: {first_megapixel: 0.03, extra_megapixel: 0.015, input_megapixel: 0.015, round: nearest}}",
    },
    Vendor {
        name: "replicate",
        variables: &["REPLICATE_API_TOKEN"],
        lines: "kind: replicate\n",
        model: "black-forest-labs/flux-schnell",
        price: "{price: 0.003}",
    },
    Vendor {
        name: "fal",
        variables: &["FAL_KEY"],
        lines: "kind: fal\n",
        model: "fal-ai/flux/schnell",
        price: "{price: 0.003}",
    },
    Vendor {
        name: "openrouter",
        variables: &["OPENROUTER_API_KEY"],
        lines: "kind: openrouter\n",
        model: "openai/gpt-image-2",
        price: "{price: {reported: true, estimate: 0.211}}   # what a picture cost is in its answers",
    },
    Vendor {
        name: "dashscope",
        variables: &["DASHSCOPE_API_KEY"],
        lines: "kind: dashscope\n",
        model: "qwen-image",
        price: "{price: 0.035}",
    },
    Vendor {
        name: "together",
        variables: &["TOGETHER_API_KEY"],
        lines: "kind: openai_compatible\npreset: together\n",
        model: "black-forest-labs/FLUX.1-schnell",
        price: "{price: {per_megapixel: 0.0027}}",
    },
];
