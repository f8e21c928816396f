//! Draws what a request to DashScope asks for, and words the answer to messages and the end of a task.
//!
//! Each model spells its usage in its own way. `mod.rs` charges and waits.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::sandbox::dashscope::errors::{WITHHELD, request_id};
use crate::sandbox::dashscope::input_and_parameters::DrawParameters;
use crate::sandbox::dashscope::models::Spelling;
use crate::sandbox::dashscope::requests::ParsedRequest;
use crate::sandbox::draw::Sketch;
use crate::sandbox::faults::Mode;
use crate::sandbox::settings::Name;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::VendorCall;

/// The vendor's clock, whatever the region.
const BEIJING: Duration = Duration::from_secs(8 * 60 * 60);

/// The time so long ago as the vendor writes it: without a zone, eight hours ahead of UTC.
pub(in crate::sandbox) fn timestamp(ago: Duration) -> String {
    let then = SystemTime::now() - ago + BEIJING;
    humantime::format_rfc3339_millis(then).to_string().replace('T', " ").replace('Z', "")
}

impl ParsedRequest {
    pub(in crate::sandbox) fn drawn(&self, call: &VendorCall) -> DeliveredPictures {
        let DrawParameters { prompt, size, count, seed, inputs, .. } = &self.asked;
        let seed = seed.unwrap_or(call.seed) ^ inputs;
        let withheld = u32::from(*count > 1 && prompt.to_lowercase().contains("withheld"));
        let count = if call.fault == Mode::NoPictures { 0 } else { count - withheld };
        DeliveredPictures { sketches: (0..count).map(|index| call.sketch(prompt, seed, index, *size)).collect() }
    }

    /// The answer to messages.
    pub(in crate::sandbox) fn answer(&self, links: &[String], seed: u64) -> Value {
        let content: Vec<Value> = links.iter().map(|link| json!({"image": link, "type": "image"})).collect();
        let message = json!({"role": "assistant", "content": content});
        let mut output = json!({"choices": [{"finish_reason": "stop", "message": message}]});
        match self.spelling {
            Spelling::Qwen | Spelling::Newest => output["task_metric"] = self.metrics(links.len()),
            Spelling::Wan => output["finished"] = json!(true),
        }
        json!({"output": output, "usage": self.usage(links.len()), "request_id": request_id(seed)})
    }

    /// What a task ends with.
    pub(in crate::sandbox) fn results(&self, links: &[String]) -> Value {
        let prompt = &self.asked.prompt;
        let mut results: Vec<Value> = links.iter().map(|link| json!({"orig_prompt": prompt, "url": link})).collect();
        if self.asked.extended {
            results.iter_mut().for_each(|result| result["actual_prompt"] = json!(format!("In detail: {prompt}")));
        }
        if !links.is_empty() {
            let (code, message) = WITHHELD;
            results.resize(self.asked.count as usize, json!({"code": code, "message": message}));
        }
        let output = json!({"task_status": "SUCCEEDED", "results": results, "task_metrics": self.metrics(links.len()),
            "end_time": timestamp(Duration::ZERO)});
        json!({"output": output, "usage": {"image_count": links.len()}})
    }

    fn metrics(&self, good: usize) -> Value {
        let total = self.asked.count as usize;
        json!({"TOTAL": total, "SUCCEEDED": good, "FAILED": total - good})
    }

    /// Only what is charged is counted.
    fn usage(&self, count: usize) -> Value {
        let (width, height) = (self.asked.size.width, self.asked.size.height);
        match self.spelling {
            Spelling::Qwen => json!({"image_count": count, "width": width, "height": height}),
            Spelling::Wan => json!({"image_count": count, "size": format!("{width}*{height}"),
                "input_tokens": 0, "output_tokens": 0, "total_tokens": 0}),
            Spelling::Newest => json!({"output_image_count": count, "output_width": width, "output_height": height}),
        }
    }
}

/// The pictures that are delivered, and so charged.
#[derive(Debug)]
pub(in crate::sandbox) struct DeliveredPictures {
    sketches: Vec<Sketch>,
}

impl DeliveredPictures {
    pub(in crate::sandbox) fn charged(&self) -> u32 {
        u32::try_from(self.sketches.len()).unwrap_or(u32::MAX)
    }

    /// Links to them; the files are drawn when they are fetched.
    pub(in crate::sandbox) fn put(self, shared: &SandboxState, origin: &str) -> Vec<String> {
        let put = |sketch| format!("{origin}{}", shared.picture_links.put(Name::DashScope, sketch));
        self.sketches.into_iter().map(put).collect()
    }
}
