//! What a judge answers, read as a stranger's word: bounded, without control characters, and of no effect where it is none.

use std::fmt;

use serde::Deserialize;

use crate::config::plan::OnJudgeError;

/// Reasons that are kept of an answer.
const REASONS: usize = 8;
/// Characters of each.
const REASON: usize = 64;

/// What a judge says of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeAnswer {
    /// Its verdict.
    pub verdict: JudgeVerdict,
    /// From 0 to 1, where it gives one.
    pub score: Option<f64>,
    /// Its own words for it: for the log and beside rejected pictures, never for a metric.
    pub reasons: Vec<String>,
}

/// A judge's verdict, or why it gave none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgeVerdict {
    /// It wants the picture delivered.
    Accept,
    /// It does not.
    Reject,
    /// It has no opinion.
    Abstain,
    /// There is no verdict.
    Failed(JudgeFault),
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgeFault {
    /// It had a turn, and no answer came in time.
    Timeout,
    /// Others were before it for all of its time.
    Busy,
    /// No connection, or one that ended before the answer.
    Unreachable,
    /// An answer whose status is no success. Redirects are not followed.
    Status(u16),
    /// An answer that says nothing that can be acted on.
    Malformed(&'static str),
}

impl JudgeFault {
    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            JudgeFault::Timeout => "timeout",
            JudgeFault::Busy => "busy",
            JudgeFault::Unreachable => "unreachable",
            JudgeFault::Status(_) => "status",
            JudgeFault::Malformed(_) => "malformed",
        }
    }
}

impl fmt::Display for JudgeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JudgeFault::Timeout => f.write_str("it did not answer in time"),
            JudgeFault::Busy => f.write_str("it had no turn in time"),
            JudgeFault::Unreachable => f.write_str("it cannot be reached, or hung up"),
            JudgeFault::Status(status) => write!(f, "it answered {status}"),
            JudgeFault::Malformed(why) => write!(f, "its answer cannot be used: {why}"),
        }
    }
}

impl JudgeVerdict {
    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            JudgeVerdict::Accept => "accept",
            JudgeVerdict::Reject => "reject",
            JudgeVerdict::Abstain => "abstain",
            JudgeVerdict::Failed(fault) => fault.as_str(),
        }
    }

    /// Whether the picture is rejected for it.
    pub fn rejects(self, on_error: OnJudgeError) -> bool {
        match self {
            JudgeVerdict::Accept | JudgeVerdict::Abstain => false,
            JudgeVerdict::Reject => true,
            JudgeVerdict::Failed(_) => on_error == OnJudgeError::Reject,
        }
    }
}

impl From<JudgeFault> for JudgeAnswer {
    fn from(fault: JudgeFault) -> JudgeAnswer {
        JudgeAnswer { verdict: JudgeVerdict::Failed(fault), score: None, reasons: Vec::new() }
    }
}

/// An answer as it comes; what else is in it is ignored.
#[derive(Deserialize)]
struct WrittenAnswer {
    verdict: Option<WrittenVerdict>,
    score: Option<f64>,
    reasons: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenVerdict {
    Accept,
    Reject,
    Abstain,
}

/// Reads the body of an answer. A score under `min_score` rejects what the judge neither accepts nor rejects.
pub fn read(body: &[u8], min_score: Option<f64>) -> JudgeAnswer {
    match understood(body, min_score) {
        Ok(answer) => answer,
        Err(why) => JudgeFault::Malformed(why).into(),
    }
}

fn understood(body: &[u8], min_score: Option<f64>) -> Result<JudgeAnswer, &'static str> {
    let not_one = "it is no JSON object with `verdict`, `score` and `reasons` as they are written";
    let WrittenAnswer { verdict, score, reasons } = serde_json::from_slice(body).map_err(|_| not_one)?;
    if score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        return Err("its score is not between 0 and 1");
    }
    let is_under = score.zip(min_score).is_some_and(|(score, least)| score < least);
    let verdict = match verdict {
        Some(WrittenVerdict::Accept) => JudgeVerdict::Accept,
        Some(WrittenVerdict::Reject) => JudgeVerdict::Reject,
        None if score.is_none() => return Err("it has neither a verdict nor a score"),
        Some(WrittenVerdict::Abstain) | None if is_under => JudgeVerdict::Reject,
        Some(WrittenVerdict::Abstain) | None => JudgeVerdict::Abstain,
    };
    let reasons = reasons.unwrap_or_default().iter().filter_map(|reason| plain(reason)).take(REASONS).collect();
    Ok(JudgeAnswer { verdict, score, reasons })
}

/// A reason on one line; `None` where nothing is left of it.
fn plain(reason: &str) -> Option<String> {
    // What turns the direction of a line makes a log tell something else than it holds.
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown: String = reason.chars().filter(|c| !c.is_control() && !turns(*c)).take(REASON).collect();
    (!shown.trim().is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(body: &str, min_score: Option<f64>) -> &'static str {
        read(body.as_bytes(), min_score).verdict.as_str()
    }

    #[test]
    fn a_verdict_is_what_the_judge_says_whatever_else_it_says() {
        let answer = read(br#"{"verdict":"reject","score":0.25,"reasons":["missing text: SALE"],"took":3}"#, None);
        let reasons = vec!["missing text: SALE".to_owned()];
        assert_eq!(answer, JudgeAnswer { verdict: JudgeVerdict::Reject, score: Some(0.25), reasons });
        assert_eq!(verdict(r#"{"verdict":"accept"}"#, None), "accept");
        assert_eq!(verdict(r#"{"verdict":"abstain","score":null,"reasons":null}"#, None), "abstain");
    }

    #[test]
    fn a_score_under_the_least_one_rejects_an_abstention_and_what_has_no_verdict_and_nothing_else() {
        for (body, least, expected) in [
            (r#"{"verdict":"abstain","score":0.49}"#, Some(0.5), "reject"),
            (r#"{"verdict":"abstain","score":0.5}"#, Some(0.5), "abstain"),
            (r#"{"verdict":"abstain","score":0.49}"#, None, "abstain"),
            (r#"{"verdict":"abstain"}"#, Some(0.5), "abstain"),
            (r#"{"score":0.49}"#, Some(0.5), "reject"),
            (r#"{"score":0.5}"#, Some(0.5), "abstain"),
            (r#"{"score":0.49}"#, None, "abstain"),
            (r#"{"verdict":"accept","score":0.0}"#, Some(0.5), "accept"),
            (r#"{"verdict":"reject","score":1.0}"#, Some(0.5), "reject"),
        ] {
            assert_eq!(verdict(body, least), expected, "{body} {least:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"verdict":null,"reasons":["x"]}"#,
            r#"{"verdict":"maybe"}"#,
            r#"{"verdict":"Accept"}"#,
            r#"{"verdict":true}"#,
            r#"{"verdict":"accept","score":1.01}"#,
            r#"{"verdict":"accept","score":-0.1}"#,
            r#"{"verdict":"accept","score":"1"}"#,
            r#"{"verdict":"accept","score":1e999}"#,
            r#"{"verdict":"accept","reasons":"a"}"#,
            r#"{"verdict":"accept","reasons":[1]}"#,
            r#"{"verdict":"accept","verdict":"reject"}"#,
            r#"{"verdict":"accept"}{"#,
        ] {
            assert_eq!(verdict(body, Some(0.5)), "malformed", "{body}");
        }
    }

    #[test]
    fn reasons_are_few_short_and_on_one_line() {
        let many: Vec<String> = (0..20).map(|nth| format!("{nth}{}", "\u{e9}".repeat(100))).collect();
        let body = serde_json::json!({"verdict": "reject", "reasons": many}).to_string();
        let reasons = read(body.as_bytes(), None).reasons;
        assert_eq!(reasons.len(), REASONS);
        assert!(reasons.iter().all(|reason| reason.chars().count() == REASON), "{reasons:?}");
        let odd = ["a\r\nb\u{1b}[2J\0\u{85}", " \t", "", "x\u{202e}y\u{2028}"];
        let body = serde_json::json!({"verdict": "reject", "reasons": odd}).to_string();
        assert_eq!(read(body.as_bytes(), None).reasons, ["ab[2J", "xy"]);
    }

    #[test]
    fn without_a_verdict_the_config_decides_and_with_one_the_judge() {
        let faults = [
            JudgeFault::Timeout,
            JudgeFault::Busy,
            JudgeFault::Unreachable,
            JudgeFault::Status(500),
            JudgeFault::Malformed("x"),
        ];
        for on_error in [OnJudgeError::Accept, OnJudgeError::Reject] {
            for fault in faults {
                assert_eq!(JudgeVerdict::Failed(fault).rejects(on_error), on_error == OnJudgeError::Reject, "{fault}");
            }
            assert!(!JudgeVerdict::Accept.rejects(on_error) && !JudgeVerdict::Abstain.rejects(on_error));
            assert!(JudgeVerdict::Reject.rejects(on_error));
        }
    }
}
