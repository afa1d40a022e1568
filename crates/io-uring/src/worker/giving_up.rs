//! What does not come back: reads that let a thread wait, files whose time is over, a ring that the system took away.

use std::time::Duration;

use polyread_core::{Analysis, Entry, ErrorKind, FileResult, Operation, ReadError};

use super::{Flight, Lane, Step, Worker};

/// How long a read may take before somebody looks what it reads from.
const PATIENCE: Duration = Duration::from_millis(100);

impl<A: Analysis> Worker<A> {
    /// Reads that take long are called back, once each: the kernel lets a read of a FIFO wait for a writer, whatever its flags
    /// say. Others go on.
    pub(super) fn call_back(&mut self) {
        let Some(ring) = &mut self.ring else { return };
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if let Lane::Flying(Flight {
                step: Step::Reading | Step::ProbingEnd { .. }, was_called_back, since, ..
            }) = lane
                && !*was_called_back
                && since.elapsed() > PATIENCE
            {
                *was_called_back = true;
                ring.cancel(number);
            }
        }
    }

    /// Files in lanes whose time is over, or all of them when the run is, have their records now, whatever the kernel does.
    pub(super) fn give_up_files(&mut self) {
        let is_over = self.context.is_cancelled();
        if self.flying == 0 || !(is_over || self.time_limit.is_some()) {
            return;
        }
        for lane in 0..self.lanes.len() {
            let Lane::Flying(flight) = &self.lanes[lane] else { continue };
            let time = flight.since.elapsed().saturating_sub(self.away - flight.away);
            let limit = self.time_limit.filter(|limit| time > *limit);
            if !is_over && limit.is_none() {
                continue;
            }
            let is_open = !matches!(flight.step, Step::Opening);
            let lost = std::mem::replace(&mut self.lanes[lane], Lane::Lost { is_open });
            let Lane::Flying(Flight { entry: Entry { index, found: Ok(file) }, since, .. }) = lost else { continue };
            let operation = if is_open { Operation::Read } else { Operation::Open };
            let error = match limit {
                Some(limit) => ReadError::new(ErrorKind::Timeout, operation, file.path())
                    .with_detail(format!("the limit is {limit:?} for each file")),
                None => ReadError::new(ErrorKind::Cancelled, operation, file.path()),
            };
            let mut record = FileResult::failed(index, error, self.id);
            record.elapsed = since.elapsed();
            self.done.push(record);
            self.flying -= 1;
            self.lost += 1;
            self.ring.iter_mut().for_each(|ring| ring.cancel(lane));
        }
    }

    /// The system takes no more calls from this ring. Its files are read again, without one.
    pub(super) fn lose_ring(&mut self) {
        self.ring = None;
        (self.flying, self.lost) = (0, 0);
        self.closing.clear();
        self.free.clear();
        for lane in std::mem::take(&mut self.lanes) {
            if let Lane::Flying(flight) = lane {
                self.put_again(flight.entry);
            }
        }
    }
}
