//! Learned pairs of words for operators: what a judge approved and refused, and what is struck by hand.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::equivalences::Equivalence;
use crate::error::{Error, ErrorKind};
use crate::gateway::Gateway;
use crate::prompt_match::WordPair;

/// The longest word or phrase of a pair, and the longest name of a tenant, in bytes: ten thousand pairs then take 6 MB.
const LONGEST: usize = 200;

/// What is to become of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Its words do not mean the same, for good.
    Strike,
    /// Nothing is known of it: a judge may be asked.
    Forget,
}

/// The body of a change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    tenant: String,
    words: [String; 2],
    action: Action,
}

/// All pairs.
pub fn list(gateway: &Gateway) -> Value {
    let pairs: Vec<Value> = gateway.shared.equivalences.all().iter().map(told).collect();
    json!({ "equivalences": pairs })
}

fn told(known: &Equivalence) -> Value {
    let Equivalence { tenant, pair, state, by, since, until } = known;
    json!({
        "tenant": &**tenant, "words": pair.words(), "state": state.as_str(), "by": &**by,
        "since": since.to_string(), "until": until.map(|until| until.to_string()),
    })
}

/// Makes the change that the body says.
///
/// # Errors
/// When the body means nothing, there is no room, or the change cannot be written down.
pub async fn change(gateway: &Arc<Gateway>, body: &[u8]) -> Result<Value, Error> {
    let Change { tenant, words: [a, b], action } = read(body)?;
    let (pair, record) = (WordPair::of(&a, &b), &gateway.shared.equivalences);
    let done = match action {
        Action::Strike => record.strike(&tenant, &pair).await,
        Action::Forget => record.forget(&tenant, &pair).await,
    };
    let done =
        done.map_err(|_| Error::new(ErrorKind::Internal, "the ledger cannot be written, so this may be forgotten"))?;
    if action == Action::Strike && !done {
        let message = "as many pairs are known as are kept: forget some, or wait until they expire";
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    log::info!("an operator changed what is known of a pair of words of tenant {tenant}: {action:?}");
    Ok(json!({"tenant": tenant, "words": pair.words(), "changed": done}))
}

fn read(body: &[u8]) -> Result<Change, Error> {
    let change: Change = serde_json::from_slice(body).map_err(|error| {
        let shape = r#"{"tenant": "web", "words": ["sofa", "settee"], "action": "strike"} or "forget""#;
        Error::new(ErrorKind::InvalidRequest, format!("the body is no change of a pair: {error}; send {shape}"))
    })?;
    if change.tenant.len() > LONGEST {
        return Err(Error::invalid("tenant", format!("'tenant' is a client's name of at most {LONGEST} bytes")));
    }
    let [a, b] = &change.words;
    let pair = WordPair::of(a, b);
    let [lesser, greater] = pair.words();
    if lesser.is_empty() || lesser == greater || a.len().max(b.len()) > LONGEST {
        let message = format!("'words' are two different words or phrases of at most {LONGEST} bytes");
        return Err(Error::invalid("words", message));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_whose_pair_it_is_and_what_is_to_become_of_it() {
        let read = |body: Value| read(body.to_string().as_bytes());
        let change = read(json!({"tenant": "web", "words": ["Sofa", "settee"], "action": "strike"})).unwrap();
        assert_eq!((change.tenant.as_str(), change.action), ("web", Action::Strike));
        for (body, word) in [
            (json!({"tenant": "web", "words": ["sofa"], "action": "strike"}), "invalid length"),
            (json!({"tenant": "web", "words": ["sofa", "settee"], "action": "approve"}), "unknown variant"),
            (json!({"tenant": "web", "words": ["sofa", "settee"], "action": "forget", "all": true}), "unknown field"),
            (json!({"words": ["sofa", "settee"], "action": "forget"}), "missing field `tenant`"),
            (json!({"tenant": "web", "words": ["sofa", " SOFA "], "action": "forget"}), "two different words"),
            (json!({"tenant": "web", "words": ["sofa", ""], "action": "forget"}), "two different words"),
            (json!({"tenant": "web", "words": ["sofa", "x".repeat(201)], "action": "forget"}), "at most 200 bytes"),
            (json!({"tenant": "x".repeat(201), "words": ["sofa", "settee"], "action": "strike"}), "a client's name"),
        ] {
            let error = read(body.clone()).err().unwrap_or_else(|| panic!("{body}"));
            assert!(error.message.contains(word), "{body}: {}", error.message);
        }
    }
}
