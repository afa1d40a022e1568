//! Files whose bytes came by another way than the scanner's own calls: a worker that opens and reads several at once hands
//! each to its scanner when it is there, and the scanner takes it to its record.

use super::{Arc, AssertUnwindSafe, Duration, FileScanner, Instant, catch_unwind, lock, panicked, rejected};
use crate::split::Place;
use crate::{Analysis, Context, Entry, FileResult, Limits, ReadError, WorkerId};

/// Files that one worker has open at the most, on the small side of a split run: with all of them together half of what the
/// two sides may have, so that files find a place on their way over.
const OPEN_IN_A_SPLIT_RUN: usize = 8;

/// Leave to have one file open; dropping gives it back. Outside of a [split](crate::Split) run everybody has it.
///
/// For those who write a reader.
#[derive(Debug)]
pub struct Leave(#[expect(dead_code, reason = "held for its drop")] Option<Place>);

impl<A: Analysis> Context<A> {
    /// Whether this run is one side of a [split](crate::Split) one. There, a worker that has several files open at once ends
    /// them all, and [rests](FileScanner::rest), before it waits for anything or lets its scanner open one.
    pub fn is_split(&self) -> bool {
        self.shared.gate.is_some()
    }

    /// Files that each of `workers` may have open at once.
    pub fn open_files_of_each(&self, limits: &Limits, workers: usize) -> usize {
        let most = if self.is_split() { OPEN_IN_A_SPLIT_RUN } else { usize::MAX };
        (limits.open_files() / workers.max(1)).clamp(1, most)
    }
}

impl<A: Analysis> FileScanner<A> {
    /// Leave to open one more file beside the scanner, if there is any at once.
    pub fn try_leave(&mut self) -> Option<Leave> {
        let Some(gate) = &self.shared.gate else { return Some(Leave(None)) };
        let mut held = lock(&self.watch.held);
        let place = match held.place.take() {
            Some(place) => Some(place),
            None if held.seat.is_some() => gate.try_place(),
            None => {
                let (seat, place) = gate.try_both()?;
                held.seat = Some(seat);
                Some(place)
            }
        };
        place.map(|place| Leave(Some(place)))
    }

    /// The same after waiting, for a worker that has no file open; `None` when the run is cancelled meanwhile. Records that
    /// the worker still keeps to itself must have been handed over before.
    pub fn leave_after_waiting(&mut self) -> Option<Leave> {
        if let Some(leave) = self.try_leave() {
            return Some(leave);
        }
        let gate = Arc::clone(self.shared.gate.as_ref()?);
        // Who waits for both has neither.
        self.rest();
        let (seat, place) = gate.both(&self.shared.cancel)?;
        lock(&self.watch.held).seat = Some(seat);
        Some(Leave(Some(place)))
    }

    /// Takes a file to its record whose whole content has been read elsewhere, begun at `since`. The entry comes back if
    /// there is more to say of it than its content tells: it is larger than some limit, the run was cancelled, or it belongs
    /// to the other side of a [split](crate::Split) run. Then it is to be [scanned](Self::scan).
    ///
    /// `before_waiting` is called as by [`scan`](Self::scan).
    ///
    /// # Errors
    ///
    /// The entry, unread.
    pub fn scan_content(
        &mut self,
        entry: Entry,
        content: &[u8],
        since: Instant,
        worker: WorkerId,
        before_waiting: &mut dyn FnMut(u64),
    ) -> Result<FileResult<A::Output>, Entry> {
        let Entry { index, found: Ok(file) } = entry else { return Err(entry) };
        let shared = &*self.shared;
        let size = content.len() as u64;
        let is_too_large = shared.max_file_size.is_some_and(|limit| size > limit);
        let leads_over = shared.route.as_ref().is_some_and(|route| route.leads_over(size));
        if is_too_large || leads_over || shared.cancel.is_cancelled() {
            return Err(Entry { index, found: Ok(file) });
        }
        let (mut bytes, mut room) = (0, None);
        let mut analyse = || {
            let prototype = self.analysis.get_or_insert_with(|| lock(&self.prototype).clone());
            let retained = prototype.retains(size);
            if retained > shared.budget.capacity() {
                return None;
            }
            if retained > 0 {
                room = Some(shared.budget.try_acquire(retained).or_else(|| {
                    before_waiting(retained);
                    shared.budget.acquire(retained, &shared.cancel)
                })?);
            }
            let mut analysis = prototype.clone();
            analysis.begin(size);
            if size > 0 && !analysis.is_complete() {
                bytes = size;
                shared.progress.bytes(size);
                analysis.update(content);
            }
            Some(analysis.verdict().map_err(|rejection| rejected(file.path(), rejection)).map(|()| analysis.finish()))
        };
        // As for any other file: what panics costs this one alone.
        let outcome = catch_unwind(AssertUnwindSafe(&mut analyse));
        let outcome = match outcome.unwrap_or_else(|panic| Some(Err(panicked(file.path(), &*panic)))) {
            Some(outcome) => outcome.map_err(|error: ReadError| error.with_bytes_read(bytes)),
            None => return Err(Entry { index, found: Ok(file) }),
        };
        Ok(FileResult {
            bytes,
            reservation: room.filter(|_| outcome.is_ok()),
            elapsed: since.elapsed().max(Duration::from_nanos(1)),
            ..FileResult::new(index, file.into_path(), outcome, worker, None)
        })
    }
}
