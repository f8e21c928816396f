//! `POST {base}/embeddings`: texts become vectors, so that alike texts are near each other.

use serde::Deserialize;
use serde_json::{Map, json};

use crate::config::plan::{Account, TextModel};
use crate::failure::{Class, Failure};
use crate::pricing::TextTokens;
use crate::provider::adapter::{Call, Reply};
use crate::provider::common::json::Json;
use crate::provider::openai_text::endpoint;

/// Texts of one call, as OpenAI limits them. Servers of one's own may take fewer, such as TEI's 32.
const MOST_INPUTS: usize = 2048;

/// Numbers of one vector. OpenAI's largest has 3,072, the largest of open models 4,096.
const MOST_DIMENSIONS: usize = 4096;

/// Bytes of one number as servers print it, a comma and a space included.
const NUMBER_BYTES: usize = 26;

/// Bytes of an answer besides its numbers: usage, names, an error's text.
const BESIDES: usize = 64 * 1024;

/// Texts that are to become vectors.
#[derive(Clone, Copy, Debug)]
pub struct EmbedRequest<'a> {
    /// Where to call and with which key.
    pub account: &'a Account,
    /// The model and its fixed options, `dimensions` among them.
    pub model: &'a TextModel,
    /// The texts; at least one, none of them empty.
    pub inputs: &'a [&'a str],
}

impl EmbedRequest<'_> {
    /// Bytes of the longest answer that is read.
    pub fn longest_reply(&self) -> usize {
        self.inputs.len().min(MOST_INPUTS).saturating_mul(MOST_DIMENSIONS * NUMBER_BYTES).saturating_add(BESIDES)
    }
}

/// Vectors that were given and are paid for.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedReply {
    /// One for each text, in their order, all of one length, every number finite.
    pub vectors: Vec<Vec<f32>>,
    /// What the texts took; `None` where a server does not say.
    pub tokens: Option<TextTokens>,
}

/// An answer as written. [`Json`] would refuse so many numbers.
#[derive(Deserialize)]
struct Written {
    data: Vec<WrittenVector>,
    #[serde(default)]
    usage: Option<WrittenUsage>,
}

#[derive(Deserialize)]
struct WrittenVector {
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct WrittenUsage {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// The call that asks for `wish`.
///
/// # Errors
/// When the account's address or key cannot be used, or a call does not take so many texts.
pub fn embed(wish: &EmbedRequest<'_>) -> Result<Call, Failure> {
    if wish.inputs.is_empty() || wish.inputs.len() > MOST_INPUTS {
        let what = format!("{} texts, where one call takes 1 to {MOST_INPUTS}", wish.inputs.len());
        return Err(Failure::new(Class::AdapterBug, what));
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(wish.model.name));
    body.insert("input".to_owned(), json!(wish.inputs));
    body.insert("encoding_format".to_owned(), json!("float"));
    endpoint::call(wish.account, wish.model, ["embeddings"], body)
}

/// What `reply` to that call means.
///
/// # Errors
/// When there is not one good vector for each text. Whether something is charged all the same, the failure tells by its
/// class.
pub fn read_embeddings(wish: &EmbedRequest<'_>, reply: &Reply) -> Result<EmbedReply, Failure> {
    if let Some(failure) = endpoint::refused(wish.account, reply) {
        return Err(failure);
    }
    let malformed = |what: &str| endpoint::malformed(wish.account, reply, what);
    let Ok(Written { data, usage }) = serde_json::from_slice(&reply.body) else {
        let json = Json::read(&reply.body).map_err(|_| malformed("is not JSON with vectors"))?;
        let hidden = endpoint::hidden_error(wish.account, reply, &json);
        return Err(hidden.unwrap_or_else(|| malformed("has no vectors")));
    };
    let vectors = in_order(data, wish.inputs.len()).ok_or_else(|| malformed("has not one vector for each text"))?;
    let dimensions = vectors.first().map_or(0, Vec::len);
    let good = |vector: &Vec<f32>| vector.len() == dimensions && vector.iter().all(|number| number.is_finite());
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) || !vectors.iter().all(good) {
        return Err(malformed("has vectors of no use"));
    }
    Ok(EmbedReply { vectors, tokens: usage.and_then(|usage| tokens(&usage)) })
}

/// The vectors by the index that each tells, or as they stand where none does.
fn in_order(data: Vec<WrittenVector>, count: usize) -> Option<Vec<Vec<f32>>> {
    if data.len() != count {
        return None;
    }
    let mut places: Vec<Option<Vec<f32>>> = vec![None; count];
    for (nth, WrittenVector { index, embedding }) in data.into_iter().enumerate() {
        let place = places.get_mut(index.unwrap_or(nth))?;
        if place.replace(embedding).is_some() {
            return None;
        }
    }
    places.into_iter().collect()
}

/// Nothing is written, so all that is counted was read.
fn tokens(usage: &WrittenUsage) -> Option<TextTokens> {
    let input = usage.prompt_tokens.or(usage.total_tokens)?;
    Some(TextTokens { input, ..TextTokens::default() })
}
