//! What each thing handed to the store does to the tables.
//!
//! Every change may be made twice without harm: after a commit of which nobody knows whether it reached the disk, it is
//! made again. A change that the tables cannot take is told from a disk that cannot be written.

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use crate::calendar::Moment;
use crate::ledger::entry::{Entry, Owner, Settlement, Verdict};
use crate::money::Usd;
use crate::store::columns::owner;
use crate::store::equivalence_rows;
use crate::store::idempotency_keys;
use crate::store::queue::QueueItem;
use crate::store::request_lines;
use crate::store::store_types::{VerdictEffect, VerdictWrite, Write};

/// Milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;

/// What became of one item of a batch that was committed.
#[derive(Debug)]
pub(super) enum ItemResult {
    /// It is in the tables.
    Written,
    /// It makes no sense to the tables and never will; why.
    Invalid(String),
    /// The verdict's answer.
    VerdictEffect(Option<VerdictEffect>),
}

/// Makes all changes in one transaction; on an error, none.
///
/// # Errors
/// What the disk says.
pub(super) fn batch(ledger: &mut Connection, items: &[QueueItem]) -> rusqlite::Result<Vec<ItemResult>> {
    let change = ledger.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut said = Vec::with_capacity(items.len());
    for item in items {
        let done = match item {
            QueueItem::Write { write, .. } => one(&change, write),
            QueueItem::Judge { ask, .. } => judge(&change, ask).map(ItemResult::VerdictEffect),
            QueueItem::Job(_) => Ok(ItemResult::Written),
        };
        said.push(match done {
            Err(error) if is_invalid(&error) => ItemResult::Invalid(error.to_string()),
            done => done?,
        });
    }
    if items.is_empty() {
        // Somebody wants to know whether the disk is there again.
        change.execute("INSERT INTO meta VALUES ('probes', 1) ON CONFLICT DO UPDATE SET value = value + 1", [])?;
    }
    change.commit()?;
    Ok(said)
}

/// Whether trying again can only fail again.
fn is_invalid(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => {
            matches!(code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::ParameterOutOfRange)
        }
        None => true,
    }
}

fn one(ledger: &Connection, write: &Write) -> rusqlite::Result<ItemResult> {
    match write {
        Write::Open(entry) => open(ledger, entry),
        Write::Settle { id, settlement } => settle(ledger, *id, settlement),
        Write::Release { id } => {
            ledger.prepare_cached("DELETE FROM attempts WHERE id = ?1 AND settled_at IS NULL")?.execute([id])?;
            Ok(ItemResult::Written)
        }
        Write::Saved { at, tenant, route, tier, pictures, usd } => {
            let mut add = ledger.prepare_cached(
                "INSERT INTO savings (day, tenant, route, tier, pictures, usd) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET pictures = pictures + excluded.pictures, usd = usd + excluded.usd",
            )?;
            let day = at.millis() - at.millis().rem_euclid(DAY);
            add.execute(params![day, tenant, route, tier, pictures, usd.nanos()])?;
            Ok(ItemResult::Written)
        }
        Write::Key(key) => idempotency_keys::write(ledger, key).map(|()| ItemResult::Written),
        Write::Request(told) => request_lines::write(ledger, told).map(|()| ItemResult::Written),
        Write::Equivalence(pair) => equivalence_rows::write(ledger, pair).map(|()| ItemResult::Written),
    }
}

fn open(ledger: &Connection, entry: &Entry) -> rusqlite::Result<ItemResult> {
    let mut insert = ledger.prepare_cached(
        "INSERT INTO attempts
             (id, opened_at, request, tenant, route, provider, model, purpose, asked, estimate, chosen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
    )?;
    let Owner { tenant, route, provider, model } = &entry.owner;
    let new = insert.execute(params![
        entry.id,
        entry.at.millis(),
        entry.request,
        tenant,
        route,
        provider,
        model,
        entry.purpose.as_str(),
        entry.pictures,
        entry.estimate.nanos(),
        entry.chosen,
    ])?;
    if new == 1 {
        return Ok(ItemResult::Written);
    }
    let whose: String =
        ledger.prepare_cached("SELECT request FROM attempts WHERE id = ?1")?.query_row([entry.id], |row| row.get(0))?;
    Ok(match *whose == *entry.request {
        true => ItemResult::Written,
        false => ItemResult::Invalid(format!("attempt {} is request {whose}'s", entry.id)),
    })
}

fn settle(ledger: &Connection, id: i64, settlement: &Settlement) -> rusqlite::Result<ItemResult> {
    let mut update = ledger.prepare_cached(
        "UPDATE attempts SET settled_at = ?2, usd = ?3, prepaid = ?4, lost = ?5, uncertain = ?6, source = ?7,
             billed = ?8, accepted = ?9, rejected = ?10, reason = ?11, refused = ?12, outcome = ?13, latency_us = ?14
         WHERE id = ?1 AND settled_at IS NULL",
    )?;
    let Settlement { at, usd, prepaid, lost, uncertain, source, billed, refused, rejections, outcome, took, pictures } =
        settlement;
    let changed = update.execute(params![
        id,
        at.millis(),
        usd.nanos(),
        prepaid.nanos(),
        lost.nanos(),
        uncertain.nanos(),
        source.as_str(),
        billed,
        i64::try_from(pictures.len()).unwrap_or(i64::MAX),
        rejections.count(),
        rejections.reasons(),
        refused,
        outcome,
        i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
    ])?;
    if changed == 0 {
        let known = ledger.prepare_cached("SELECT 1 FROM attempts WHERE id = ?1")?.exists([id])?;
        return Ok(if known {
            ItemResult::Written
        } else {
            ItemResult::Invalid(format!("attempt {id} was never opened"))
        });
    }
    let mut insert = ledger.prepare_cached(
        "INSERT INTO pictures (attempt, nth, image, tenant, usd) SELECT id, ?2, ?3, tenant, ?4 FROM attempts WHERE id = ?1",
    )?;
    for (nth, picture) in (0i64..).zip(pictures) {
        insert.execute(params![id, nth, picture.image, picture.usd.nanos()])?;
    }
    Ok(ItemResult::Written)
}

/// Takes a verdict on the newest delivery of a picture to a tenant.
fn judge(ledger: &Connection, ask: &VerdictWrite) -> rusqlite::Result<Option<VerdictEffect>> {
    let mut find = ledger.prepare_cached(
        "SELECT p.nth, a.id, a.settled_at, p.usd, p.verdict, a.tenant, a.route, a.provider, a.model
         FROM pictures p JOIN attempts a ON a.id = p.attempt
         WHERE p.image = ?1 AND p.tenant = ?2 ORDER BY p.attempt DESC LIMIT 1",
    )?;
    let found = find
        .query_row(params![ask.image, ask.tenant], |row| {
            let before = match row.get_ref(4)?.as_str()? {
                "rejected" => Verdict::Rejected,
                _ => Verdict::Accepted,
            };
            let judged = VerdictEffect {
                owner: owner(row, 5)?,
                entry_at: Moment::from_millis(row.get(2)?),
                usd: Usd::from_nanos(row.get(3)?),
                before,
                changed: before != ask.verdict,
            };
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, judged))
        })
        .optional()?;
    let Some((nth, attempt, judged)) = found else { return Ok(None) };
    if judged.changed {
        let mut mark = ledger.prepare_cached(
            "UPDATE pictures SET verdict = ?3, reason = ?4, judged_at = ?5 WHERE attempt = ?1 AND nth = ?2",
        )?;
        mark.execute(params![attempt, nth, ask.verdict.as_str(), ask.reason, ask.now.millis()])?;
        let up = match ask.verdict {
            Verdict::Accepted => 1,
            Verdict::Rejected => -1,
        };
        let mut count = ledger
            .prepare_cached("UPDATE attempts SET accepted = accepted + ?2, rejected = rejected - ?2 WHERE id = ?1")?;
        count.execute(params![attempt, up])?;
    }
    Ok(Some(judged))
}
