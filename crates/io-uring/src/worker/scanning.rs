//! Files that are not for a lane: passed on to whoever has a moment for them, and read as every other reader does.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polyread_core::{Analysis, Colleagues, Division, Entry};

use super::{Crew, Worker};

/// Bytes and files that a thread reads again before it looks at its ring.
const AGAIN_BYTES: u64 = 512 * 1024;
const AGAIN_FILES: usize = 16;

impl<A: Analysis> Worker<A> {
    /// Gives a file to whichever thread has a moment for it.
    pub(super) fn put_again(&mut self, entry: Entry) {
        if let Err(entry) = self.crew.again.put(entry) {
            self.scan(entry);
        }
    }

    /// Reads some of the files that did not fit into a lane, while one of the files that may be open is not.
    pub(super) fn read_again(&mut self) {
        let open = self.flying + self.closing.len();
        if open > 0 && (self.context.is_split() || open >= self.lanes.len()) {
            return;
        }
        let (mut files, mut bytes) = (0, 0);
        while files < AGAIN_FILES
            && bytes < AGAIN_BYTES
            && let Some(entry) = self.crew.again.try_take()
        {
            bytes += self.scan(entry);
            files += 1;
        }
    }

    /// Reads a file as every other reader does, with the help of whoever has a moment. Returns its bytes.
    pub(super) fn scan(&mut self, entry: Entry) -> u64 {
        let begun = self.time_limit.map(|_| Instant::now());
        let (crew, done) = (&self.crew, &mut self.done);
        let mut before_waiting = |_| _ = crew.outlet.send(std::mem::take(done));
        let mut others = Others { crew, were_called: crew.plan.rings < 2 };
        let record = self.scanner.scan_with(entry, self.id, &mut before_waiting, Some(&mut others));
        self.away += begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let bytes = record.as_ref().map_or(0, |record| record.bytes);
        self.done.extend(record);
        bytes
    }
}

/// The other threads, for one that reads a large file.
struct Others<'a, A: Analysis> {
    crew: &'a Crew<A>,
    were_called: bool,
}

impl<A: Analysis> Colleagues<A> for Others<'_, A> {
    /// Calls them once, as soon as no batch waits for a ring.
    fn offer(&mut self, division: &Arc<Division<A>>) -> ControlFlow<()> {
        if !self.were_called && self.crew.batches.is_empty() {
            self.were_called = true;
            self.crew.call_for_help(division);
        }
        ControlFlow::Continue(())
    }
}
