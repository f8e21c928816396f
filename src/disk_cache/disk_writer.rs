//! The one thread that writes: pictures first, their records when these are on disk, all that waits in one transaction.
//!
//! It makes room before it writes, so that the bound holds at every moment. When the disk does not take something, pictures
//! are left out and removals tried again.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;

use crate::calendar::Moment;
use crate::disk_cache::disk_room::DiskRoom;
use crate::disk_cache::outcomes::{GoneReason, SkipReason};
use crate::disk_cache::picture_index::{PictureLife, on_disk};
use crate::disk_cache::picture_record::{ContentHash, Record};
use crate::disk_cache::record_database::{DatabaseChange, RecordDatabase};
use crate::disk_cache::shared_state::SharedState;
use crate::disk_cache::write_queue::WriteItem;

/// What of the bound one picture may take: a fourth. A larger one would cost too many others.
pub const PARTS_FOR_ONE: u64 = 4;

/// Uses that are noted in one transaction. Those of pictures that nobody writes beside are noted at the next look.
const USES: usize = 1024;

/// What the thread owns.
pub(super) struct DiskWriter {
    shared: Arc<SharedState>,
    database: RecordDatabase,
    /// Keeps other processes out for as long as it lives.
    _lock: Connection,
    room: DiskRoom,
}

/// What a transaction did, to be made known when it is on disk.
#[derive(Default)]
struct Committed {
    /// Until when the pictures live whose records changed.
    lives: Vec<(ContentHash, PictureLife)>,
    added: u64,
    removed: u64,
}

impl DiskWriter {
    /// Takes over the opened database; the rows of `dropped` are still to be removed.
    pub(super) fn new(
        shared: Arc<SharedState>,
        database: RecordDatabase,
        lock: Connection,
        dropped: HashSet<ContentHash>,
    ) -> DiskWriter {
        let room = DiskRoom::new(shared.clone(), dropped);
        DiskWriter { shared, database, _lock: lock, room }
    }

    /// Writes until the queue is closed and empty, or what is left is given up.
    pub(super) fn run(mut self) {
        loop {
            let paused = !self.shared.write_health.may_try(self.shared.clock.now());
            let Some(items) = self.shared.queue.next(paused) else { break };
            if !self.turn(items) {
                break;
            }
        }
        self.note_last_uses();
        if let Err(why) = self.database.close() {
            log::warn!("the cache's database was not closed well: {why}");
        }
    }

    /// Does what can be done; `false` when the thread is to end with removals that the disk does not take.
    pub(super) fn turn(&mut self, mut items: Vec<WriteItem>) -> bool {
        let now = self.shared.clock.now();
        let is_tried = self.shared.write_health.may_try(now);
        let is_written = is_tried && self.write(&mut items, now);
        if !is_written {
            skip(&mut items, if is_tried { SkipReason::WriteFailed } else { SkipReason::Paused }, |_| true);
        }
        self.shared.queue.done(&items);
        let (mut held, mut flushes) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                WriteItem::Put { record, skipped: Some(why), .. } => self.tell_skipped(&record, why),
                WriteItem::Put { skipped: None, .. } | WriteItem::Resize => {}
                WriteItem::Flush(tell) => flushes.push(tell),
                removal if !is_written => held.push(removal),
                _ => {}
            }
        }
        let removals = held.len();
        let goes_on = removals == 0 || self.shared.queue.give_back(held);
        if !goes_on {
            log::error!(
                "{removals} removals from the cache's disk were not made; what was to be removed is still there"
            );
        }
        // Who waits for one of these may have left.
        for tell in flushes {
            let _ = tell.send(());
        }
        goes_on
    }

    /// Whoever handed in a picture believes that it is here.
    fn tell_skipped(&self, record: &Record, why: SkipReason) {
        self.shared.counters.skipped(why);
        let is_here = self.shared.index().length(&record.picture).is_some();
        if !is_here {
            self.shared.gone(&record.picture, GoneReason::NotWritten);
        }
    }

    /// Whether all but what was skipped is on disk.
    fn write(&mut self, items: &mut [WriteItem], now: Moment) -> bool {
        let idle = items.iter().all(|item| matches!(item, WriteItem::Flush(_) | WriteItem::Resize));
        if let Some(why) = self.shared.database_file.is_lost() {
            // Where nothing was to be written, nothing failed.
            if !idle {
                self.failed(now, &why);
            }
            return false;
        }
        let expired = self.room.remove_expired(now);
        let mut is_well = expired.is_ok();
        if let Err(why) = expired {
            self.failed(now, &why);
        }
        let written = self.write_pictures(items, now, &mut is_well);
        if let Err(why) = self.room.make_room(0) {
            self.failed(now, &why);
            is_well = false;
        }
        let uses = self.shared.index().take_touched(USES);
        if idle && uses.is_empty() && self.room.dropped.is_empty() && !self.database.has_expired(now).unwrap_or(false) {
            self.room.look();
            return is_well;
        }
        match self.commit(items, &uses, now) {
            Ok(committed) => {
                self.shared.counters.written.fetch_add(written.len() as u64, Ordering::Relaxed);
                self.settle(committed, now);
                if is_well && self.shared.write_health.succeeded() {
                    log::info!("the cache's directory '{}' is written again", self.shared.files.dir().display());
                }
                true
            }
            Err(why) => {
                self.failed(now, &why);
                self.undo(written);
                false
            }
        }
    }

    /// The disk failed once more.
    fn failed(&self, now: Moment, why: &dyn std::fmt::Display) {
        if self.shared.write_health.failed(now) {
            let dir = self.shared.files.dir().display();
            log::error!("the cache's directory '{dir}' cannot be written: {why}; it is tried again twice a minute");
        }
    }

    /// Writes the pictures that are not here yet; which. A disk that does not take one of them is not well.
    fn write_pictures(&mut self, items: &mut [WriteItem], now: Moment, is_well: &mut bool) -> Vec<ContentHash> {
        let mut written = Vec::new();
        for item in &mut *items {
            let WriteItem::Put { record, bytes, skipped } = item else { continue };
            let is_here = self.shared.index().length(&record.picture).is_some();
            let done = match bytes {
                _ if record.expires <= now => Err(SkipReason::Expired),
                _ if is_here => Ok(()),
                _ if !self.shared.write_health.may_try(now) => Err(SkipReason::Paused),
                None => Err(SkipReason::PictureGone),
                Some(bytes) => match self.write_picture(record, bytes, now) {
                    Ok(true) => {
                        written.push(record.picture);
                        Ok(())
                    }
                    Ok(false) => Err(SkipReason::TooLarge),
                    Err(why) => {
                        *is_well = false;
                        self.failed(now, &why);
                        Err(SkipReason::WriteFailed)
                    }
                },
            };
            *skipped = done.err();
        }
        if !written.is_empty()
            && let Err(why) = self.shared.files.sync()
        {
            *is_well = false;
            self.failed(now, &why);
            skip(items, SkipReason::WriteFailed, |picture| written.contains(picture));
            self.undo(std::mem::take(&mut written));
        }
        written
    }

    /// Whether there is room for it.
    fn write_picture(&mut self, record: &Record, bytes: &[u8], now: Moment) -> io::Result<bool> {
        let needed = on_disk(bytes.len() as u64);
        if needed > self.shared.size() / PARTS_FOR_ONE || !self.room.make_room(needed + on_disk(record.len() as u64))? {
            return Ok(false);
        }
        self.shared.files.write(&record.picture, bytes)?;
        let life = PictureLife::NONE.and(record.kind, record.expires);
        // It takes the place of a file of the same name that could not be removed before.
        self.room.leftover.remove(&record.picture);
        self.shared.index().insert(record.picture, bytes.len() as u64, life, now);
        Ok(true)
    }

    /// Pictures whose records did not reach the disk are not here.
    fn undo(&mut self, written: Vec<ContentHash>) {
        for picture in written {
            let bytes = self.shared.index().remove(&picture);
            self.room.dropped.insert(picture);
            // A disk that is ill may keep it; the next start removes it.
            let _ = self.room.remove_file(picture, bytes.unwrap_or(0));
        }
    }

    fn commit(
        &mut self,
        items: &mut [WriteItem],
        uses: &[(ContentHash, u64)],
        now: Moment,
    ) -> rusqlite::Result<Committed> {
        let (shared, dropped) = (&self.shared, &self.room.dropped);
        self.database.change(|change| {
            let (mut committed, mut changed) = (Committed::default(), HashSet::new());
            for picture in dropped {
                committed.removed += change.remove_picture(picture)? as u64;
            }
            for item in items {
                apply(shared, change, item, &mut committed, &mut changed)?;
            }
            for (picture, used) in uses {
                change.set_used(picture, *used)?;
            }
            committed.removed += change.remove_expired(now)? as u64;
            for picture in changed {
                let life = change.life(&picture)?;
                if life == PictureLife::NONE {
                    change.remove_picture(&picture)?;
                }
                committed.lives.push((picture, life));
            }
            Ok(committed)
        })
    }

    /// Makes known what is on disk now.
    fn settle(&mut self, committed: Committed, now: Moment) {
        self.room.dropped.clear();
        let mut removed = false;
        for (picture, life) in committed.lives {
            if life != PictureLife::NONE {
                self.shared.index().set_life(&picture, life, now);
                continue;
            }
            // A file that is no picture of the index was found damaged, and is still there.
            let known = self.shared.index().remove(&picture);
            if let Err(why) = self.room.remove_file(picture, known.unwrap_or(0)) {
                self.failed(now, &why);
            }
            removed = true;
            if known.is_some() {
                self.shared.gone(&picture, GoneReason::Removed);
            }
        }
        // What somebody had removed does not come back with the power.
        if removed && let Err(why) = self.shared.files.sync() {
            self.failed(now, &why);
        }
        self.room.retry_leftover();
        let records = &self.shared.counters.records;
        records.fetch_add(committed.added, Ordering::Relaxed);
        records.fetch_sub(committed.removed, Ordering::Relaxed);
        self.room.look();
    }

    /// Notes at the end what was used last, so that the order survives a restart.
    fn note_last_uses(&mut self) {
        loop {
            let uses = self.shared.index().take_touched(USES);
            if uses.is_empty() || self.commit(&mut [], &uses, self.shared.clock.now()).is_err() {
                break;
            }
        }
    }

    /// The database, for a test that makes its disk small.
    #[cfg(test)]
    pub(super) fn database(&self) -> &RecordDatabase {
        &self.database
    }
}

/// Makes one change; `changed` takes the pictures whose records are others now.
fn apply(
    shared: &SharedState,
    change: &DatabaseChange<'_>,
    item: &mut WriteItem,
    committed: &mut Committed,
    changed: &mut HashSet<ContentHash>,
) -> rusqlite::Result<()> {
    match item {
        WriteItem::Put { record, skipped, .. } if skipped.is_none() => {
            let known = shared.index().length_and_use(&record.picture);
            match known {
                Some((bytes, used)) => {
                    committed.added += u64::from(change.put(record, bytes, used)?);
                    changed.insert(record.picture);
                }
                // It had to make room for another of the same batch.
                None => *skipped = Some(SkipReason::PictureGone),
            }
        }
        WriteItem::Remove { kind, key, picture } => {
            committed.removed += change.remove(*kind, key, picture)? as u64;
            changed.insert(*picture);
        }
        WriteItem::RemovePicture(picture) | WriteItem::Lost(picture) => {
            committed.removed += change.remove_picture(picture)? as u64;
            changed.insert(*picture);
        }
        WriteItem::RemoveWhere(matches) => {
            let pictures = change.remove_where(matches)?;
            committed.removed += pictures.len() as u64;
            changed.extend(pictures);
        }
        WriteItem::Clear => {
            committed.removed += change.clear()? as u64;
            changed.extend(shared.index().all());
        }
        WriteItem::Put { .. } | WriteItem::Flush(_) | WriteItem::Resize => {}
    }
    Ok(())
}

/// Notes of those pictures and records that are not left out yet why they are.
fn skip(items: &mut [WriteItem], why: SkipReason, which: impl Fn(&ContentHash) -> bool) {
    for item in items {
        if let WriteItem::Put { record, skipped, .. } = item
            && which(&record.picture)
        {
            skipped.get_or_insert(why);
        }
    }
}
