//! What routes in shadow mode would have served by embeddings, for people to label: `GET /admin/cache/shadow`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::calendar::Moment;
use crate::similarity::Similarity;

/// How many are known, the last ones.
pub const MOST: usize = 200;

/// The longest two prompts of one in bytes, so that all of them take 13 MB at the most.
const LONGEST: usize = 64 * 1024;

/// Two requests of which one would have been served the other's picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowHit {
    /// What was asked.
    pub a: String,
    /// What the picture was drawn for.
    pub b: String,
    /// How alike they are.
    pub similarity: Similarity,
    /// `provider/model` by which.
    pub embedder: String,
    /// How many numbers its embeddings have.
    pub dimensions: usize,
    /// When.
    pub at: Moment,
    /// On which route.
    pub route: String,
}

/// The last ones.
#[derive(Default)]
pub struct ShadowHits(Mutex<VecDeque<ShadowHit>>);

impl ShadowHits {
    /// Adds one, for which the oldest goes.
    pub fn add(&self, hit: ShadowHit) {
        if hit.a.len() + hit.b.len() > LONGEST {
            return;
        }
        let mut hits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hits.push_back(hit);
        while hits.len() > MOST {
            hits.pop_front();
        }
    }

    /// A line of JSON for each, the oldest first, as `easel calibrate --pairs` reads them once somebody has said of each
    /// whether both are the same.
    pub fn lines(&self) -> String {
        let hits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hits.iter().map(|hit| format!("{}\n", told(hit))).collect()
    }
}

fn told(hit: &ShadowHit) -> Value {
    let ShadowHit { a, b, similarity, embedder, dimensions, at, route } = hit;
    json!({
        "a": a, "b": b, "same": null, "similarity": similarity.number(), "embedder": embedder, "dimensions": dimensions,
        "at": at.to_string(), "route": route,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(a: String) -> ShadowHit {
        let similarity = Similarity::thousandths(950);
        let (b, embedder, route) = ("a fox".to_owned(), "words/small".to_owned(), "r".to_owned());
        ShadowHit { a, b, similarity, embedder, dimensions: 256, at: Moment::from_millis(7), route }
    }

    #[test]
    fn the_last_ones_are_told_a_line_each_and_what_is_too_long_is_not() {
        let hits = ShadowHits::default();
        (0..MOST + 5).for_each(|number| hits.add(hit(format!("fox {number}"))));
        hits.add(hit("x".repeat(LONGEST)));
        let lines = hits.lines();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]["a"], &lines[MOST - 1]["a"]), (MOST, &json!("fox 5"), &json!("fox 204")));
        assert_eq!((&lines[0]["similarity"], &lines[0]["same"]), (&json!(0.95), &json!(null)));
    }
}
