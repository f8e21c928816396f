//! The quality gate of an attempt: its pictures are looked at before they are settled, cached or shown to anybody.
//!
//! What is found is decided in `quality`, on threads that serve no client. Somebody outside is asked only about pictures that
//! nothing else speaks against. Here each verdict becomes what the attempt reports.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use crate::capabilities::OutputSize;
use crate::config::plan::{CheckSet, OutsideJudge, QualityCheck, QualityGate};
use crate::failure::{Class, Failure};
use crate::gateway::attempt::attempt_result::{CollectedPicture, CollectedPictures, RejectedPicture};
use crate::gateway::attempt::context::Attempt;
use crate::gateway::outside_judge::{JudgeAnswer, JudgeQuestion, JudgeVerdict};
use crate::gateway::rejected_files::RejectedFile;
use crate::gateway::timeline::GateRecord;
use crate::image::Picture;
use crate::metrics::seconds;
use crate::quality::{self, Examination, Expected, PictureQuality, QualityFinding};
use crate::request::Background;

/// One picture, and all that is found against it.
struct LookedAt {
    picture: CollectedPicture,
    examination: Examination,
    /// What somebody outside said of it, where somebody was asked.
    judged: Option<JudgeAnswer>,
}

impl Attempt {
    /// Looks at the pictures that were collected, and moves those that the route does not accept to the rejected ones.
    pub(super) async fn hold_to_gate(
        self: &Arc<Self>,
        entry: i64,
        mut collected: CollectedPictures,
    ) -> CollectedPictures {
        let Some(gate) = self.gate.clone().filter(|gate| !gate.checks().is_empty()) else { return collected };
        self.arrived.store(true, Ordering::Release);
        let began = Instant::now();
        let pictures = std::mem::take(&mut collected.pictures);
        let looked_at = join_all(pictures.into_iter().map(|picture| self.look_at(entry, &gate, picture))).await;
        for LookedAt { picture, examination, judged } in looked_at {
            let verdict = examination.verdict(&gate);
            match verdict.rejected.first() {
                None => {
                    let (flagged, rejected) = (verdict.flagged, Vec::new());
                    let quality = PictureQuality { flagged, rejected, fingerprint: examination.fingerprint };
                    collected.pictures.push(CollectedPicture { quality: Some(Arc::new(quality)), ..picture });
                }
                Some(first) => {
                    log::warn!("{} drew a picture that is rejected: {}", self.offer.name, words(&examination, &gate));
                    self.keep_for_a_look(entry, &picture, *first, &examination, judged.as_ref());
                    let badness = verdict.badness.filter(|_| gate.deliver_best);
                    let quality = PictureQuality {
                        flagged: verdict.flagged,
                        rejected: verdict.rejected.clone(),
                        fingerprint: None,
                    };
                    let CollectedPicture { picture, at, .. } = picture;
                    collected.rejected.push(RejectedPicture {
                        size: Some(picture.size),
                        reason: first.as_str(),
                        best_effort: badness.map(|badness| {
                            (badness, CollectedPicture { picture, at, quality: Some(Arc::new(quality)) })
                        }),
                    });
                    collected.failure.get_or_insert(failure_of(*first));
                }
            }
        }
        collected.gate = Some(GateRecord {
            began,
            ended: Instant::now(),
            accepted: collected.pictures.len(),
            rejected: collected.rejected.iter().map(|rejected| rejected.reason).collect(),
        });
        // More than were asked for may have come, and then the rejected ones are nobody's loss.
        if collected.has_all(self.n, self.request.seed.is_some()) {
            collected.failure = None;
        }
        collected
    }

    /// Looks at one picture, and asks the route's judge about it where nothing else speaks against it.
    async fn look_at(self: &Arc<Self>, entry: i64, gate: &Arc<QualityGate>, picture: CollectedPicture) -> LookedAt {
        let began = Instant::now();
        let mut examination = self.examine(gate, &picture.picture).await;
        // Taken at once, so that of two equal pictures that come together one stays.
        self.flight.with_fingerprints(|known| {
            examination.compare(gate, &*known);
            if examination.verdict(gate).rejected.is_empty() {
                known.extend(examination.fingerprint.clone());
            }
        });
        let mut judged = None;
        if let Some(judge) = gate.judge.as_ref().filter(|_| gate.checks().has(QualityCheck::Judge))
            && examination.verdict(gate).rejected.is_empty()
        {
            let answer = self.ask_judge(entry, judge, &picture.picture, &examination).await;
            examination.findings.extend(finding(&answer, judge));
            judged = Some(answer);
            if !examination.verdict(gate).rejected.is_empty()
                && let Some(own) = &examination.fingerprint
            {
                self.flight.with_fingerprints(|known| known.retain(|other| other != own));
            }
        }
        self.shared.metrics.quality_seconds.observe(seconds(began.elapsed()));
        LookedAt { picture, examination, judged }
    }

    /// Asks somebody outside about a picture.
    async fn ask_judge(
        &self,
        entry: i64,
        judge: &OutsideJudge,
        picture: &Picture,
        examination: &Examination,
    ) -> JudgeAnswer {
        let metrics: Vec<(&str, f64)> = examination.metrics.named().collect();
        let failed: Vec<QualityCheck> = examination.findings.iter().map(|finding| finding.check).collect();
        let question = JudgeQuestion {
            request: &self.request_id,
            attempt: u64::try_from(entry).unwrap_or_default(),
            route: &self.route,
            provider: &self.offer.provider.name,
            model: &self.offer.model.name,
            prompt: &self.request.prompt,
            picture,
            metrics: &metrics,
            failed: &failed,
        };
        let answer = self.shared.outside_judges.ask(&self.shared.transport, judge, &question).await;
        if answer.verdict == JudgeVerdict::Reject {
            log::info!(
                "route {}: the judge rejects a picture of {}: {:?}",
                self.route,
                self.offer.name,
                answer.reasons
            );
        }
        answer
    }

    /// Decodes and measures a picture where that takes nobody's time. A gate that only asks somebody else looks at nothing.
    async fn examine(&self, gate: &Arc<QualityGate>, picture: &Picture) -> Examination {
        if gate.checks() == CheckSet::of(&[QualityCheck::Judge]) {
            return Examination::default();
        }
        let (expected, most) = (self.expected(), self.max_pixels);
        let (held, gate) = (picture.clone(), gate.clone());
        let work = move || quality::examine(&held.raw(), held.format, &gate, &expected, most);
        let examined = self.shared.quality_workers.run(picture.weight(), work).await;
        examined.unwrap_or_else(|_| {
            let finding = QualityFinding { check: QualityCheck::Undecodable, measured: 0.0, limit: 0.0 };
            Examination { findings: vec![finding], ..Examination::default() }
        })
    }

    /// Keeps a rejected picture in the directory for a look, where there is one. The prompt is not written down, but what a judge said is.
    fn keep_for_a_look(
        &self,
        entry: i64,
        picture: &CollectedPicture,
        reason: QualityCheck,
        examination: &Examination,
        judged: Option<&JudgeAnswer>,
    ) {
        if !self.shared.rejected_files.is_on() {
            return;
        }
        let at = self.shared.clock.now();
        let (route, offer, reason) = (&self.route, &self.offer.name, reason.as_str());
        let found = examination.findings.iter().map(|finding| {
            let QualityFinding { check, measured, limit } = finding;
            json!({"check": check.as_str(), "measured": measured, "limit": limit})
        });
        let record = json!({
            "at": at.to_string(),
            "request_id": *self.request_id,
            "attempt_id": entry,
            "route": **route,
            "offer": offer,
            "reason": reason,
            "findings": found.collect::<Vec<_>>(),
            "judge": judged.map(|answer| {
                json!({"verdict": answer.verdict.as_str(), "score": answer.score, "reasons": answer.reasons})
            }),
        });
        let about = format!("{route}-{offer}-{reason}-{}-{}-{}", self.request_id, entry, picture.at);
        self.shared.rejected_files.keep(RejectedFile { at, about, picture: picture.picture.clone(), record });
    }

    /// What was agreed with the vendor. A request that names no size and no shape takes what comes.
    fn expected(&self) -> Expected {
        let transparent = self.request.background == Some(Background::Transparent);
        let (size, ratio) = match self.candidate.fitted.output_size {
            OutputSize::Default => (None, None),
            OutputSize::Pixels(size) => (Some(size), Some((size.width, size.height))),
            OutputSize::Ratio { across, down, .. } => (None, Some((across, down))),
        };
        Expected { size, ratio, transparent }
    }
}

/// What a judge's answer is as a finding, where it speaks against the picture.
fn finding(answer: &JudgeAnswer, judge: &OutsideJudge) -> Option<QualityFinding> {
    let (measured, limit) = (answer.score.unwrap_or(0.0), judge.min_score.unwrap_or(1.0));
    answer.verdict.rejects(judge.on_error).then_some(QualityFinding { check: QualityCheck::Judge, measured, limit })
}

/// What a rejection means for the call. A file that cannot be read is as good as none; any other picture is one that the
/// vendor drew well enough to be paid.
fn failure_of(check: QualityCheck) -> Failure {
    let class = match check {
        QualityCheck::Undecodable => Class::Malformed,
        _ => Class::Rejected,
    };
    Failure::new(class, format!("the picture is rejected: {}", check.as_str()))
}

/// Every finding, with what was measured and where the line is.
fn words(examination: &Examination, gate: &QualityGate) -> String {
    let told = examination.findings.iter().filter(|finding| gate.reject.has(finding.check));
    let told: Vec<String> = told
        .map(|QualityFinding { check, measured, limit }| format!("{} ({measured:.4}, limit {limit})", check.as_str()))
        .collect();
    told.join(", ")
}
