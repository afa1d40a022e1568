//! What a scanner does in a [split](crate::Split) run beside reading: it asks for leave, and sends large files over.

use std::io::Seek;
use std::time::Instant;

use super::FileScanner;
use super::hold::Fate;
use crate::budget::lock;
use crate::split::Opened;
use crate::{Analysis, Entry, FileEntry};

impl<A: Analysis> FileScanner<A> {
    /// Takes what a split run asks for before the next file, unless the scanner has it still. It goes without only when the
    /// run was cancelled.
    pub(super) fn pass(&mut self, is_open: bool, before_waiting: &mut dyn FnMut(u64)) {
        let Some(gate) = &self.shared.gate else { return };
        let mut held = lock(&self.watch.held);
        held.fate = None;
        match (held.seat.is_some(), is_open || held.place.is_some()) {
            (true, true) => return,
            (true, false) => held.place = gate.try_place(),
            (false, true) => held.seat = gate.try_seat(),
            (false, false) => (held.seat, held.place) = gate.try_both().unzip(),
        }
        if held.seat.is_some() && (is_open || held.place.is_some()) {
            return;
        }
        held.leave();
        drop(held);
        // The time is not the file's: neither its limit nor what is told of it runs on.
        *lock(&self.watch.reading_since) = None;
        let (seat, place) = self.waited.during(|| {
            before_waiting(0);
            match is_open {
                true => (gate.seat_after_waiting(&self.shared.cancel), None),
                false => gate.both(&self.shared.cancel).unzip(),
            }
        });
        let mut held = lock(&self.watch.held);
        (held.seat, held.place) = (seat, place);
    }

    /// Sends a file that is large to the other side of a split run, with its place. Gives it back if it is to be read here.
    pub(super) fn send_over(
        &self,
        index: u64,
        file: FileEntry,
        mut opened: Opened,
        started: Instant,
    ) -> Option<(FileEntry, Opened)> {
        let size = opened.promised.size;
        let Some(route) = self.shared.route.as_ref().filter(|route| route.leads_over(size)) else {
            return Some((file, opened));
        };
        let place = {
            let mut held = lock(&self.watch.held);
            if held.fate == Some(Fate::Abandoned) {
                // It hung while it was opened, and was given up then: it has had its record.
                return None;
            }
            held.fate = Some(Fate::Crossed);
            held.place.take()
        };
        if opened.ahead.take().is_some() {
            // What has been read is in this scanner's buffer. Files that are open here can be read from their beginning.
            let _ = opened.file.rewind();
        }
        let here = started.elapsed();
        let file = file.with_opened(Opened { place, spent: opened.spent + here, ..opened });
        let Entry { found, .. } = route.send(Entry { index, found: Ok(file) }, size).err()?;
        // The large side has gone.
        let mut file = found.ok()?;
        let mut opened = file.take_opened()?;
        let mut held = lock(&self.watch.held);
        (held.place, held.fate) = (opened.place.take(), None);
        // What it took here is counted by whoever reads it: this scanner.
        opened.spent = opened.spent.saturating_sub(here);
        Some((file, opened))
    }
}
