//! Fields of requests and of the bodies that are made of them.

use serde_json::{Map, Value};

use crate::capabilities::OutputSize;
use crate::image::Size;
use crate::request::ImageRequest;

/// Whether the caller's request has this field, by our name. What it never sent cannot be its mistake, and neither can
/// what the route put there.
pub fn caller_sent(request: &ImageRequest, field: &str) -> bool {
    let filled = request.filled;
    match field {
        "prompt" => !filled.prompt,
        "n" => request.n > 1,
        "size" => request.size.is_some() && !filled.size,
        "quality" => request.quality.is_some() && !filled.quality,
        "output_format" => request.output_format.is_some() && !filled.output_format,
        "output_compression" => request.output_compression.is_some(),
        "background" => request.background.is_some(),
        "moderation" => request.moderation.is_some(),
        "style" => request.style.is_some(),
        "complexity" => request.complexity.is_some(),
        "seed" => request.seed.is_some(),
        "negative_prompt" => request.negative_prompt.is_some(),
        "user" => request.user.is_some(),
        "image" => request.edit.is_some(),
        "mask" => request.edit.as_ref().is_some_and(|edit| edit.mask.is_some()),
        "input_fidelity" => request.edit.as_ref().is_some_and(|edit| edit.fidelity.is_some()),
        _ => false,
    }
}

/// The frame as `across:down`; pixels are reduced to their shape.
pub fn ratio(output_size: OutputSize) -> Option<String> {
    let (across, down) = match output_size {
        OutputSize::Default => return None,
        OutputSize::Ratio { across, down, .. } => (across, down),
        OutputSize::Pixels(Size { width, height }) => {
            let divisor = greatest_common_divisor(width, height).max(1);
            (width / divisor, height / divisor)
        }
    };
    Some(format!("{across}:{down}"))
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// A JSON field of a body, left out when there is nothing to say.
pub fn put(body: &mut Map<String, Value>, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(field.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_told_as_a_shape() {
        assert_eq!(ratio(OutputSize::Default), None);
        assert_eq!(ratio(OutputSize::Pixels(Size::new(1536, 1024))).as_deref(), Some("3:2"));
        let asked = Size::new(1792, 1024);
        assert_eq!(ratio(OutputSize::Ratio { across: 16, down: 9, asked, pixels: 1 }).as_deref(), Some("16:9"));
    }
}
