//! What a breaker is for: an account, a model of it, or an operation of that model.

use crate::failure::FailureScope;

/// What a model is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelOperation {
    /// To draw from words.
    Generate,
    /// To change a picture.
    Edit,
    /// To write, or to turn words into vectors.
    Write,
}

impl ModelOperation {
    /// The word for log and page.
    pub fn as_str(self) -> &'static str {
        match self {
            ModelOperation::Generate => "generate",
            ModelOperation::Edit => "edit",
            ModelOperation::Write => "write",
        }
    }
}

/// What a call is for, as the breakers distinguish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerTarget<'a> {
    /// The provider's name in the config.
    pub provider: &'a str,
    /// The fingerprint of the account that the call is sent with. What happens to an old key does not count against
    /// a new one.
    pub account: u64,
    /// The model, as the vendor knows it.
    pub model: &'a str,
    /// What it is to do.
    pub operation: ModelOperation,
}

impl BreakerTarget<'_> {
    /// The names of its breakers: the account's, the model's, the operation's.
    pub fn names(&self) -> [CircuitName; 3] {
        let account =
            CircuitName { provider: self.provider.to_owned(), account: self.account, model: None, operation: None };
        let model = CircuitName { model: Some(self.model.to_owned()), ..account.clone() };
        let operation = CircuitName { operation: Some(self.operation), ..model.clone() };
        [account, model, operation]
    }
}

/// What a breaker is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CircuitName {
    /// The provider's name in the config.
    pub provider: String,
    /// The account's fingerprint.
    pub account: u64,
    /// None for the breaker of the whole account.
    model: Option<String>,
    /// None for the breaker of a whole model.
    operation: Option<ModelOperation>,
}

impl std::fmt::Display for CircuitName {
    /// `stability`, `stability/core`, `stability/core (edit)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.provider)?;
        if let Some(model) = &self.model {
            write!(f, "/{model}")?;
        }
        self.operation.map_or(Ok(()), |operation| write!(f, " ({})", operation.as_str()))
    }
}

/// The place of a scope's breaker among the three.
pub fn place(scope: FailureScope) -> usize {
    match scope {
        FailureScope::Account => 0,
        FailureScope::Model => 1,
        FailureScope::Operation => 2,
    }
}
