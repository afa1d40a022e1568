//! Operations that take too long: reads that are interrupted, files that are given up, and a ring that the system has taken
//! away.

use std::time::Duration;

use polyread_core::reader::Entry;
use polyread_core::{ErrorKind, Operation, ReadError};

use super::clock::Clock;
use super::slots::{InFlight, Slot, Slots, Step};

/// How long a read may take before its file is asked for its kind.
const SLOW_READ: Duration = Duration::from_millis(100);

/// A file that has been given up.
pub(crate) struct GivenUp {
    pub(crate) index: u64,
    pub(crate) error: ReadError,
    pub(crate) elapsed: Duration,
}

impl Slots {
    /// Cancels reads that take long, once each: the kernel lets a read of a FIFO wait for a writer, whatever the file's flags
    /// say. Reads of regular files are not cancelled by this; they go on.
    pub(crate) fn interrupt_slow_reads(&mut self) {
        let Some(ring) = &mut self.ring else { return };
        for (slot, state) in self.slots.iter_mut().enumerate() {
            if let Slot::InFlight(file) = state
                && matches!(file.step, Step::Read | Step::ProbeEnd { .. })
                && !file.was_interrupted
                && file.start.at.elapsed() > SLOW_READ
            {
                file.was_interrupted = true;
                ring.cancel(slot);
            }
        }
    }

    /// Gives up files that have exceeded the time limit, or all of them if the run is cancelled. The kernel keeps their
    /// slots until their operations complete.
    pub(crate) fn give_up_files(&mut self, clock: &Clock, is_cancelled: bool) -> Vec<GivenUp> {
        let mut given_up = Vec::new();
        if self.in_flight == 0 || !(is_cancelled || clock.limit.is_some()) {
            return given_up;
        }
        for (slot, state) in self.slots.iter_mut().enumerate() {
            let Slot::InFlight(file) = state else { continue };
            let exceeded = clock.exceeded(file.start);
            if !is_cancelled && exceeded.is_none() {
                continue;
            }
            let is_open = file.step != Step::Open;
            let abandoned = std::mem::replace(state, Slot::Abandoned { is_open });
            self.in_flight -= 1;
            self.abandoned += 1;
            self.ring.iter_mut().for_each(|ring| ring.cancel(slot));
            let Slot::InFlight(InFlight { entry: Entry { index, found: Ok(file), .. }, start, .. }) = abandoned else {
                continue;
            };
            let operation = if is_open { Operation::Read } else { Operation::Open };
            let error = match exceeded {
                Some(limit) => ReadError::new(ErrorKind::Timeout, operation, file.path())
                    .with_detail(format!("the limit is {limit:?} for each file")),
                None => ReadError::new(ErrorKind::Cancelled, operation, file.path()),
            };
            given_up.push(GivenUp { index, error, elapsed: start.at.elapsed() });
        }
        given_up
    }

    /// Gives up the ring, which the system takes no more calls from. Returns the files that were in flight.
    pub(crate) fn give_up_ring(&mut self) -> Vec<Entry> {
        self.ring = None;
        (self.in_flight, self.closing, self.abandoned) = (0, 0, 0);
        self.free.clear();
        let slots = std::mem::take(&mut self.slots).into_iter();
        slots.filter_map(|slot| if let Slot::InFlight(file) = slot { Some(file.entry) } else { None }).collect()
    }
}
