//! What came of a run, and which of its promises it broke.

use std::collections::BTreeMap;
use std::time::Duration;

use easel::internals::ledger::SpendKind;
use easel::{Gateway, Usd};

use super::traffic::{Arrival, BATCH_JOBS, DEADLINE, PROVIDERS, VARIANTS};

/// The least share of admitted live requests that get all their pictures before their deadline.
const IN_TIME: f64 = 0.99;

/// How many of the pictures that live requests would get without a batch job they get beside one, at least. The job has a tenth
/// of the slots of its own; two in a hundred are for what is under way when it comes.
const BESIDE_BATCH: f64 = 0.88;

/// How much later the slowest hundredth of live answers may come beside a batch job.
const SLOWER_BESIDE_BATCH: f64 = 1.1;

/// What an answer may take on its way, over sockets of a busy machine, without being late. Easel itself keeps the deadline.
const SLACK: Duration = Duration::from_millis(250);

/// What a vendor counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct VendorFigures {
    pub calls: u64,
    /// Answered 429: one too many.
    pub refused: u64,
    pub most_in_flight: usize,
    pub pictures: u64,
    /// Those of them that were drawn for the batch, where that is known.
    pub for_batch: Option<u64>,
    pub charged: Usd,
}

/// What a client got.
pub struct Answered {
    pub status: u16,
    pub took: Duration,
    pub pictures: usize,
    /// The error's code; nothing with pictures.
    pub code: String,
    /// When it was told to come back.
    pub retry_after: Option<Duration>,
}

impl Answered {
    pub fn new(status: u16, took: Duration) -> Answered {
        Answered { status, took, pictures: 0, code: String::new(), retry_after: None }
    }
}

/// What the clients of one class got.
#[derive(Clone, Debug, Default)]
pub struct Class {
    pub asked: u64,
    /// Answered 429 with a time to come back.
    pub shed: u64,
    /// All pictures in time.
    pub in_time: u64,
    /// Some of them, at the deadline.
    pub partial: u64,
    /// None of them by the deadline, which is a 504.
    pub nothing: u64,
    /// Anything else, by status and code.
    pub errors: BTreeMap<String, u64>,
    pub pictures: u64,
    /// Milliseconds to each answer with pictures.
    took: Vec<u32>,
}

impl Class {
    fn note(&mut self, wanted: u8, deadline: Duration, answered: &Answered) {
        self.asked += 1;
        match answered {
            Answered { status: 429, retry_after: Some(_), .. } => self.shed += 1,
            Answered { status: 200, pictures, took, .. } => {
                self.pictures += *pictures as u64;
                self.took.push(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
                let in_time = *pictures == usize::from(wanted) && *took <= deadline + SLACK;
                *(if in_time { &mut self.in_time } else { &mut self.partial }) += 1;
            }
            Answered { status: 504, code, .. } if code == "deadline_exceeded" => self.nothing += 1,
            Answered { status, code, .. } => *self.errors.entry(format!("{status} {code}")).or_default() += 1,
        }
    }

    pub fn admitted(&self) -> u64 {
        self.asked - self.shed
    }

    /// Of the admitted, those that got everything in time.
    pub fn share_in_time(&self) -> f64 {
        share(self.in_time, self.admitted())
    }

    /// The time within which so many of a hundred answers came.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        let at = took.len().saturating_sub(1) * percent / 100;
        Duration::from_millis(took.get(at).copied().unwrap_or(0).into())
    }
}

/// What the clients of a run got.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub steady: Class,
    pub burst: Class,
    /// Each try of a job of the batch.
    pub batch: Class,
}

impl Tally {
    pub fn live(&mut self, arrival: Arrival, answered: &Answered) {
        let class = if arrival.in_burst { &mut self.burst } else { &mut self.steady };
        class.note(VARIANTS, DEADLINE, answered);
    }

    /// Nobody waits for a job's picture, so none is late.
    pub fn batch(&mut self, answered: &Answered) {
        self.batch.note(1, answered.took, answered);
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    pub tally: Tally,
    pub vendors: [VendorFigures; 3],
    /// What the ledger says was paid.
    pub paid: Usd,
    /// What may have been charged besides.
    pub uncertain: Usd,
    /// See [`Decisions`](super::decisions::Decisions); none where time was real.
    pub decisions: Vec<(u64, u64)>,
}

impl Report {
    /// Of a run that has come to its end.
    pub fn new(tally: Tally, vendors: [VendorFigures; 3], gateway: &Gateway, decisions: Vec<(u64, u64)>) -> Report {
        let ledger = &gateway.shared.ledger;
        let uncertain = ledger.totals().into_iter().filter(|(account, _)| account.kind == SpendKind::Uncertain);
        let uncertain = uncertain.fold(Usd::ZERO, |sum, (_, total)| sum.saturating_add(total.usd));
        Report { tally, vendors, paid: ledger.spent().unwrap_or_default(), uncertain, decisions }
    }

    /// What is never to happen and did, in a sentence each: too many calls at once, an answer that is an error and neither an
    /// invitation to come back nor the end of a deadline, a ledger that is not what was charged.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (vendor, provider) in self.vendors.iter().zip(PROVIDERS) {
            if vendor.most_in_flight > provider.cap {
                broken.push(format!("{} had {} calls at once", provider.name, vendor.most_in_flight));
            }
        }
        let Tally { steady, burst, batch } = &self.tally;
        for (name, class) in [("steady", steady), ("burst", burst), ("batch", batch)] {
            for (error, times) in &class.errors {
                broken.push(format!("{name}: {times} requests were answered {error}"));
            }
        }
        let charged = self.vendors.iter().fold(Usd::ZERO, |sum, vendor| sum.saturating_add(vendor.charged));
        if self.paid != charged {
            broken.push(format!("the vendors charged {charged}, and the ledger has {}", self.paid));
        }
        broken
    }

    /// Where too few of the admitted live requests had all their pictures in time.
    pub fn late(&self) -> Vec<String> {
        let classes = [("steady", &self.tally.steady), ("burst", &self.tally.burst)].into_iter();
        let late = classes.filter(|(_, class)| class.admitted() > 0 && class.share_in_time() < IN_TIME);
        late.map(|(name, class)| {
            format!("{name}: {} of the admitted had all pictures in time", percent(class.share_in_time()))
        })
        .collect()
    }

    /// What a batch job did to live requests, where it should have done nothing to them.
    pub fn harmed_by_batch(&self, without: &Report) -> Vec<String> {
        let (with, without) = (&self.tally.burst, &without.tally.burst);
        let mut harmed = Vec::new();
        if (with.pictures as f64) < BESIDE_BATCH * without.pictures as f64 {
            harmed.push(format!(
                "beside the batch live requests got {} pictures, else {}",
                with.pictures, without.pictures
            ));
        }
        let (slow, else_) = (with.percentile(99), without.percentile(99));
        if slow > else_.mul_f64(SLOWER_BESIDE_BATCH) {
            harmed.push(format!("beside the batch 99 of 100 live answers came within {slow:?}, else within {else_:?}"));
        }
        harmed
    }

    /// The tables.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:<8}{:>9}{:>10}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}",
            "", "asked", "admitted", "shed", "in time", "partial", "nothing", "p50 s", "p99 s", "errors"
        )];
        let Tally { steady, burst, batch } = &self.tally;
        lines.extend([("steady", steady), ("burst", burst), ("batch", batch)].map(|(name, class)| {
            format!(
                "{name:<8}{:>9}{:>10}{:>8}{:>9}{:>9}{:>9}{:>9.2}{:>9.2}{:>8}",
                class.asked,
                class.admitted(),
                percent(share(class.shed, class.asked)),
                percent(class.share_in_time()),
                class.partial,
                class.nothing,
                class.percentile(50).as_secs_f64(),
                class.percentile(99).as_secs_f64(),
                class.errors.values().sum::<u64>(),
            )
        }));
        lines.push(format!("batch: {} of {BATCH_JOBS} jobs done; each try counts above", batch.in_time));
        lines.push(format!(
            "{:<10}{:>6}{:>9}{:>10}{:>9}{:>11}{:>11}{:>12}",
            "provider", "cap", "most", "calls", "refused", "pictures", "for batch", "dollars"
        ));
        lines.extend(self.vendors.iter().zip(PROVIDERS).map(|(vendor, provider)| {
            let VendorFigures { calls, refused, most_in_flight, pictures, for_batch, charged } = vendor;
            let (name, cap) = (provider.name, provider.cap);
            let (charged, for_batch) = (charged.to_string(), for_batch.map_or("-".to_owned(), |n| n.to_string()));
            format!(
                "{name:<10}{cap:>6}{most_in_flight:>9}{calls:>10}{refused:>9}{pictures:>11}{for_batch:>11}{charged:>12}"
            )
        }));
        lines.push(format!("ledger: {} paid, {} may be charged besides", self.paid, self.uncertain));
        lines
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}
