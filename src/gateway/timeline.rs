//! What a request waited for besides its calls, and for how long: for who traces it.
//!
//! These are facts that are told after the fact. They are written down only where the config in force has
//! `server.tracing`, so that a request costs nothing more without it, and nothing is held open while a request waits.

use tokio::time::Instant;

/// Steps of one request that are told; what comes after them is not. One that is asked of twenty calls waits for as many
/// slots.
pub const MOST_STEPS: usize = 32;

/// What a request did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// It was looked up in the cache, an embedding of its words included where one is asked for.
    CacheLookup,
    /// It waited for the flight of another that asks the same.
    Follow,
    /// Its prompt was rewritten.
    Rewrite,
    /// It waited for a slot at one or several providers.
    Queue,
}

impl StepKind {
    /// The name of its span.
    pub fn as_str(self) -> &'static str {
        match self {
            StepKind::CacheLookup => "cache",
            StepKind::Follow => "follow",
            StepKind::Rewrite => "rewrite",
            StepKind::Queue => "queue",
        }
    }
}

/// One step, which has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done.
    pub kind: StepKind,
    /// What came of it, in the words of the metrics.
    pub result: &'static str,
    /// The offers whose slots were waited for.
    pub offers: Vec<String>,
    /// When it began.
    pub began: Instant,
    /// When it ended.
    pub ended: Instant,
}

impl Step {
    /// A step that ends now.
    pub fn ends(kind: StepKind, result: &'static str, began: Instant) -> Step {
        Step { kind, result, offers: Vec::new(), began, ended: Instant::now() }
    }
}

/// How the pictures of a call were held to the quality gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRecord {
    /// When the first was looked at.
    pub began: Instant,
    /// When the last verdict was there.
    pub ended: Instant,
    /// Pictures that were accepted.
    pub accepted: usize,
    /// The first reason against each of the others. A call brings ten pictures at most.
    pub rejected: Vec<&'static str>,
}

/// The steps of a request and those of the flight that it led, as many as are told.
pub fn both(own: &[Step], of_flight: Vec<Step>) -> Vec<Step> {
    own.iter().cloned().chain(of_flight).take(MOST_STEPS).collect()
}

/// Appends a step where there is room for it.
pub fn note(steps: &mut Vec<Step>, step: Step) {
    if steps.len() < MOST_STEPS {
        steps.push(step);
    }
}
