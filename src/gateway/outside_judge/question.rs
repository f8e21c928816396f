//! What a judge is asked: the JSON that goes to it (docs/reference/judge.md).

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::config::plan::{OutsideJudge, QualityCheck};
use crate::gateway::outside_judge::signature::{hex, prompt_hash, sign};
use crate::image::{BodyChunks, Picture};
use crate::upstream::offload::offload;

/// What is told of a picture, beside how it is told.
const AROUND_THE_PICTURE: usize = 256;
/// How much longer a byte takes here than in the work that `offload` is made for: file and body are hashed, in about 5 ms a
/// megabyte. So a picture of half a megabyte goes to another thread.
const HASHED: usize = 8;

/// A picture that a judge is asked about, and where it is from.
#[derive(Clone, Copy, Debug)]
pub struct JudgeQuestion<'a> {
    /// The request's id, as in the log.
    pub request: &'a str,
    /// The call's number in the ledger.
    pub attempt: u64,
    /// The route.
    pub route: &'a str,
    /// The provider that drew it.
    pub provider: &'a str,
    /// The model that drew it.
    pub model: &'a str,
    /// The prompt that it was drawn for. Sent only with `send_prompt`; its keyed hash always.
    pub prompt: &'a str,
    /// The picture. Its bytes are sent only with `send_picture`.
    pub picture: &'a Picture,
    /// What was measured of it.
    pub metrics: &'a [(&'static str, f64)],
    /// The checks that it failed so far.
    pub failed: &'a [QualityCheck],
}

/// A question as it is sent.
pub struct SealedQuestion {
    /// The JSON.
    pub body: Bytes,
    /// Its signature, where the judge has a key.
    pub signature: Option<HeaderValue>,
}

impl JudgeQuestion<'_> {
    /// The question as it is sent to `judge` at `now` (Unix seconds). Of a large picture it is made on another thread.
    pub async fn sealed(&self, judge: &OutsideJudge, hash_seed: u64, now: i64) -> SealedQuestion {
        let (head, picture) = (self.head(judge, hash_seed), self.picture.clone());
        let (key, with_picture) = (judge.hmac_key.clone(), judge.send_picture);
        offload(picture.weight().saturating_mul(HASHED), move || {
            let body = body(head, &picture, with_picture);
            let signature = key.and_then(|key| sign(&key, now, &body));
            SealedQuestion { body, signature }
        })
        .await
    }

    /// All of it but the picture, without the bracket at its end.
    fn head(&self, judge: &OutsideJudge, hash_seed: u64) -> String {
        let finite = self.metrics.iter().filter(|(_, value)| value.is_finite());
        let metrics: Map<String, Value> = finite.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let mut told = json!({
            "request_id": self.request,
            "attempt_id": self.attempt,
            "route": self.route,
            "provider": self.provider,
            "model": self.model,
            "prompt_hash": prompt_hash(hash_seed, self.prompt),
            "metrics": metrics,
            "failed_checks": self.failed.iter().map(|check| check.as_str()).collect::<Vec<_>>(),
        });
        if judge.send_prompt {
            told["prompt"] = json!(self.prompt);
        }
        let mut text = told.to_string();
        text.pop();
        text
    }
}

/// The whole text in one buffer of its own length: the picture goes into it piece by piece, and is copied nowhere else.
fn body(head: String, picture: &Picture, with_picture: bool) -> Bytes {
    let mut file = picture.as_file();
    let length = file.len();
    let mut hash = Sha256::new();
    while !file.is_empty() {
        hash.update(file.next(usize::MAX));
    }
    let mut base64 = if with_picture { picture.as_base64() } else { BodyChunks::Held(Bytes::new()) };
    let mut text = head.into_bytes();
    text.reserve_exact(AROUND_THE_PICTURE + base64.len());
    let (media_type, sha256) = (picture.format.media_type(), hex(&hash.finalize()));
    let (width, height) = (picture.size.width, picture.size.height);
    let told = format!(
        r#","image":{{"sha256":"{sha256}","media_type":"{media_type}","width":{width},"height":{height},"bytes":{length}"#
    );
    text.extend_from_slice(told.as_bytes());
    if with_picture {
        text.extend_from_slice(br#","base64":""#);
        while !base64.is_empty() {
            text.extend_from_slice(&base64.next(usize::MAX));
        }
        text.push(b'"');
    }
    text.extend_from_slice(b"}}");
    text.into()
}
