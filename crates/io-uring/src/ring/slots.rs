//! The slots of a ring, and the files in them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use polyread_core::reader::Entry;
use polyread_core::reader::custom::{Links, Root};

use super::clock::Start;
use super::queue::{Completion, Ring};

/// The slots of one thread's ring. Each takes a file from its opening to its close.
pub(crate) struct Slots {
    /// `None` where the system gives no ring, or took it back: then no file is for a slot.
    pub(super) ring: Option<Ring>,
    pub(super) slots: Vec<Slot>,
    pub(super) free: Vec<usize>,
    pub(super) in_flight: usize,
    /// Files that are closed with the next turn.
    pub(super) closing: usize,
    pub(super) abandoned: usize,
    buffer: usize,
}

pub(super) enum Slot {
    Free,
    InFlight(InFlight),
    /// Its file was given up while the kernel has an operation of it.
    Abandoned {
        is_open: bool,
    },
}

/// A file in a slot.
pub(crate) struct InFlight {
    pub(crate) entry: Entry,
    pub(crate) start: Start,
    pub(crate) step: Step,
    /// Whether its read was cancelled because it took long.
    pub(crate) was_interrupted: bool,
}

/// The operation of a file that the kernel has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    Read,
    /// Reads behind so many bytes of content.
    ProbeEnd {
        bytes: usize,
    },
    /// Asks whether the file is a FIFO: its read brought nothing, or took long.
    ProbeKind {
        is_empty: bool,
    },
}

impl InFlight {
    /// Whether a read that brought so many of the bytes it was `asked` for has come to the end of the file.
    pub(crate) fn is_end(&self, bytes: usize, asked: usize) -> bool {
        self.root().is_some_and(|root| root.is_end(bytes, asked))
    }

    /// Whether short reads tell the end of this file.
    pub(crate) fn is_paged(&self) -> bool {
        self.root().is_some_and(|root| root.is_paged())
    }

    fn root(&self) -> Option<&Arc<Root>> {
        self.entry.found.as_ref().ok()?.root()
    }
}

impl Slots {
    /// So many slots, with a buffer of so many bytes each.
    pub(crate) fn new(slots: usize, buffer: usize) -> Self {
        let ring = Ring::new(slots, buffer).ok();
        let free = if ring.is_some() { (0..slots).rev().collect() } else { Vec::new() };
        let slots = (0..slots).map(|_| Slot::Free).collect();
        Self { ring, slots, free, in_flight: 0, closing: 0, abandoned: 0, buffer }
    }

    /// The number of free slots.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// The number of files in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a turn would do nothing.
    pub(crate) fn are_idle(&self) -> bool {
        self.ring.is_none() || self.in_flight + self.closing + self.abandoned == 0
    }

    /// Whether any file is open or being opened.
    pub(crate) fn has_open(&self) -> bool {
        self.in_flight + self.closing > 0
    }

    /// Whether as many files are in flight as there are slots: the next turn closes none of them.
    pub(crate) fn are_all_in_flight(&self) -> bool {
        self.in_flight >= self.slots.len()
    }

    /// Whether as many files are open as there are slots.
    pub(crate) fn are_all_open(&self) -> bool {
        self.has_open() && self.in_flight + self.closing >= self.slots.len()
    }

    /// Whether a file is for a slot: listed as a regular one that fits into the buffer, and to be opened beneath its root.
    pub(crate) fn suits(&self, entry: &Entry) -> bool {
        let fits = |size| size < self.buffer as u64;
        let is_small = entry.found.as_ref().is_ok_and(|file| file.size_hint().is_none_or(fits));
        let has_slots = self.ring.is_some() && self.abandoned < self.slots.len();
        is_small && has_slots && below_root(entry).is_some()
    }

    /// Opens a file in a free slot.
    ///
    /// # Errors
    ///
    /// The entry, if it cannot be opened in a slot, or no slot is free.
    pub(crate) fn open(&mut self, entry: Entry, start: Start) -> Result<(), Entry> {
        let (Some(ring), Some(slot), Some((root, path))) =
            (&mut self.ring, self.free.last().copied(), below_root(&entry))
        else {
            return Err(entry);
        };
        if ring.open(slot, root, path).is_err() {
            return Err(entry);
        }
        self.free.pop();
        self.in_flight += 1;
        self.slots[slot] = Slot::InFlight(InFlight { entry, start, step: Step::Open, was_interrupted: false });
        Ok(())
    }

    /// The file in this slot, if it is in flight.
    pub(crate) fn file(&self, slot: usize) -> Option<&InFlight> {
        match self.slots.get(slot) {
            Some(Slot::InFlight(file)) => Some(file),
            _ => None,
        }
    }

    /// Takes the slot's file to its next step.
    pub(crate) fn submit(&mut self, slot: usize, step: Step) {
        let (Some(ring), Some(Slot::InFlight(file))) = (&mut self.ring, self.slots.get_mut(slot)) else { return };
        file.step = step;
        match step {
            // `open` has submitted it.
            Step::Open => {}
            Step::Read => ring.read(slot),
            Step::ProbeEnd { bytes } => ring.probe_end(slot, bytes),
            Step::ProbeKind { .. } => ring.probe_kind(slot),
        }
    }

    /// One call into the kernel: submits all new steps, and waits for a completion, if any is to come, for no longer than
    /// `time`. Appends the completions of files in flight.
    ///
    /// # Errors
    ///
    /// The ring is of no use any more.
    pub(crate) fn turn(&mut self, time: Duration, completions: &mut Vec<Completion>) -> io::Result<()> {
        let Some(ring) = &mut self.ring else { return Ok(()) };
        ring.turn(time)?;
        self.closing = 0;
        ring.take_completions(completions);
        if self.abandoned > 0 {
            completions.retain(|(slot, result)| !self.reclaim(*slot, result.is_ok()));
        }
        Ok(())
    }

    /// Frees the slot, and closes its file with the next turn. The content in its buffer stays until then.
    pub(crate) fn release(&mut self, slot: usize) -> Option<InFlight> {
        let file = self.slots.get_mut(slot)?;
        let file = match std::mem::replace(file, Slot::Free) {
            Slot::InFlight(released) => released,
            other => {
                *file = other;
                return None;
            }
        };
        if let Some(ring) = self.ring.as_mut().filter(|_| file.step != Step::Open) {
            ring.close(slot);
            self.closing += 1;
        }
        self.in_flight -= 1;
        self.free.push(slot);
        Some(file)
    }

    /// Closes the file of an abandoned slot, whose operation has completed, and frees the slot. `false` for any other slot.
    fn reclaim(&mut self, slot: usize, succeeded: bool) -> bool {
        let Some(Slot::Abandoned { is_open }) = self.slots.get(slot) else { return false };
        if let Some(ring) = self.ring.as_mut().filter(|_| *is_open || succeeded) {
            ring.close(slot);
        }
        self.slots[slot] = Slot::Free;
        self.abandoned -= 1;
        self.free.push(slot);
        true
    }

    /// The first bytes of the slot's buffer.
    pub(crate) fn content(&self, slot: usize, bytes: usize) -> &[u8] {
        self.ring.as_ref().map_or(&[], |ring| ring.content(slot, bytes))
    }
}

/// The root to open an entry from, and its path relative to that; `None` if it must be opened in another way: it was not
/// listed as a regular file but named, or may be reached through links that lead anywhere, its root is not held open, or it
/// is open already.
fn below_root(entry: &Entry) -> Option<(&Arc<Root>, &Path)> {
    let file = entry.found.as_ref().ok().filter(|_| !entry.is_open())?;
    let root = file.root().filter(|root| root.descriptor().is_some() && root.links() != Links::Followed)?;
    let path = root.relative(file.path());
    (!path.as_os_str().is_empty()).then_some((root, path))
}
