//! The attempts of one request, and who drew a picture: what tells why a request cost what it did.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::calendar::Moment;
use crate::ledger::entry::Owner;
use crate::money::Usd;
use crate::store::columns::{count, owner, usd};
use crate::store::request_lines;
use crate::store::store_types::StoreError;

/// Attempts of one request that are told: a request for ten pictures through two offers that fail has twenty, and each may be
/// repeated.
const MOST: usize = 64;

/// One attempt as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub owner: Owner,
    /// What for: `draw`, `enrich` and so on.
    pub purpose: String,
    /// Why its offer was asked.
    pub chosen: String,
    /// When it was written down, before it was sent.
    pub opened_at: Moment,
    /// When it ended; `None` while it is under way.
    pub settled_at: Option<Moment>,
    /// Pictures asked for.
    pub asked: u64,
    /// What it was expected to cost.
    pub estimate: Usd,
    /// What is on the invoice.
    pub usd: Usd,
    /// What a commitment paid.
    pub prepaid: Usd,
    /// The part of both that bought nothing.
    pub lost: Usd,
    /// What may be charged besides.
    pub uncertain: Usd,
    /// How the cost is known.
    pub source: String,
    /// Pictures charged.
    pub billed: u64,
    /// Pictures delivered and not rejected.
    pub accepted: u64,
    /// Pictures rejected.
    pub rejected: u64,
    /// Why, where they were rejected before they were delivered.
    pub reason: String,
    /// Pictures refused by the vendor.
    pub refused: u64,
    /// `ok`, or the failure's word; nothing while it is under way.
    pub outcome: String,
    /// Microseconds that it took.
    pub latency_us: u64,
    /// What it delivered.
    pub pictures: Vec<PictureRow>,
}

/// A picture that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureRow {
    /// Its id.
    pub image: String,
    /// Its part of the cost.
    pub usd: Usd,
    /// `accepted` or `rejected`, as its viewers say.
    pub verdict: String,
    /// Their reason.
    pub reason: Option<String>,
}

/// Who drew a picture first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureOrigin {
    /// The picture's id.
    pub image: String,
    /// The request that it was drawn for.
    pub request: String,
    /// `provider/model`.
    pub offer: String,
    /// When.
    pub at: Option<Moment>,
    /// What it cost.
    pub usd: Usd,
}

/// What the ledger has of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestRows {
    /// The access log's line, where it is kept.
    pub line: Option<String>,
    /// Its attempts, in the order in which they were begun.
    pub attempts: Vec<AttemptRow>,
    /// Where the pictures are from that were asked about.
    pub origins: Vec<PictureOrigin>,
}

/// What is known of the request `id`. `images` are pictures that it delivered, as far as the caller knows.
pub(super) fn read(ledger: &Connection, id: &str, images: &[String]) -> Result<RequestRows, StoreError> {
    let line = request_lines::find(ledger, id)?;
    let mut find = ledger.prepare_cached(
        "SELECT tenant, route, provider, model, id, purpose, chosen, opened_at, settled_at, asked, estimate, usd, prepaid,
                lost, uncertain, source, billed, accepted, rejected, reason, refused, outcome, latency_us
         FROM attempts WHERE request = ?1 ORDER BY id LIMIT ?2",
    )?;
    let most = i64::try_from(MOST).unwrap_or(i64::MAX);
    let mut attempts = find.query_map((id, most), attempt)?.collect::<rusqlite::Result<Vec<AttemptRow>>>()?;
    for attempt in &mut attempts {
        attempt.pictures = pictures(ledger, attempt.id)?;
    }
    let origins = images.iter().filter_map(|image| origin(ledger, image).transpose()).collect::<Result<_, _>>()?;
    Ok(RequestRows { line, attempts, origins })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        owner: owner(row, 0)?,
        id: row.get(4)?,
        purpose: row.get(5)?,
        chosen: row.get(6)?,
        opened_at: Moment::from_millis(row.get(7)?),
        settled_at: row.get::<_, Option<i64>>(8)?.map(Moment::from_millis),
        asked: count(row, 9)?,
        estimate: usd(row, 10)?,
        usd: usd(row, 11)?,
        prepaid: usd(row, 12)?,
        lost: usd(row, 13)?,
        uncertain: usd(row, 14)?,
        source: row.get(15)?,
        billed: count(row, 16)?,
        accepted: count(row, 17)?,
        rejected: count(row, 18)?,
        reason: row.get(19)?,
        refused: count(row, 20)?,
        outcome: row.get(21)?,
        latency_us: count(row, 22)?,
        pictures: Vec::new(),
    })
}

fn pictures(ledger: &Connection, attempt: i64) -> rusqlite::Result<Vec<PictureRow>> {
    let mut find =
        ledger.prepare_cached("SELECT image, usd, verdict, reason FROM pictures WHERE attempt = ?1 ORDER BY nth")?;
    let picture = |row: &Row<'_>| {
        Ok(PictureRow { image: row.get(0)?, usd: usd(row, 1)?, verdict: row.get(2)?, reason: row.get(3)? })
    };
    find.query_map([attempt], picture)?.collect()
}

/// The attempt that delivered a picture first.
fn origin(ledger: &Connection, image: &str) -> rusqlite::Result<Option<PictureOrigin>> {
    let mut find = ledger.prepare_cached(
        "SELECT a.request, a.provider || '/' || a.model, a.settled_at, p.usd
         FROM pictures p JOIN attempts a ON a.id = p.attempt WHERE p.image = ?1 ORDER BY p.attempt LIMIT 1",
    )?;
    let origin = |row: &Row<'_>| {
        Ok(PictureOrigin {
            image: image.to_owned(),
            request: row.get(0)?,
            offer: row.get(1)?,
            at: row.get::<_, Option<i64>>(2)?.map(Moment::from_millis),
            usd: usd(row, 3)?,
        })
    };
    find.query_row([image], origin).optional()
}
