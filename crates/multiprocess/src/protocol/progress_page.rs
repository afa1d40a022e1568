//! The progress page: memory that a worker writes and its parent reads, at any moment and without a message. It says which
//! file the worker has begun and how many bytes of it are read, also after the worker was killed.
//!
//! This is the one module of the crate with `unsafe` in it.

#![expect(unsafe_code, reason = "memory that two processes share can only be looked at as atomics")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_channel::ipc::IpcSharedMemory;

/// Cells of the page.
const CELLS: usize = 2;
const SIZE: usize = CELLS * size_of::<AtomicU64>();

/// How far a worker has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The number of the batch, and how many of its files have been begun.
    pub(crate) batch: u32,
    pub(crate) begun: u32,
}

impl Position {
    fn to_bits(self) -> u64 {
        u64::from(self.batch) << 32 | u64::from(self.begun)
    }

    fn from_bits(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
        Self { batch: half(bits >> 32), begun: half(bits) }
    }
}

/// The page, as either process sees it.
#[derive(Debug)]
pub(crate) struct ProgressPage {
    /// Keeps the cells mapped.
    _memory: IpcSharedMemory,
    cells: NonNull<AtomicU64>,
}

// SAFETY: the cells are atomics, in memory that lives and stays where it is as long as the page.
unsafe impl Send for ProgressPage {}
// SAFETY: as above; there is no other access than by atomic operations.
unsafe impl Sync for ProgressPage {}

impl ProgressPage {
    /// A page for a worker, and the memory to be sent to its parent.
    pub(crate) fn new() -> Option<(Self, IpcSharedMemory)> {
        let memory = IpcSharedMemory::from_byte(0, SIZE);
        Some((Self::of(memory.clone())?, memory))
    }

    /// The page in memory that the other process has sent; `None` if it is too small.
    pub(crate) fn of(mut memory: IpcSharedMemory) -> Option<Self> {
        // SAFETY: no reference into the memory exists: it was just received, or is a mapping of its own.
        let bytes = unsafe { memory.deref_mut() };
        let cells = bytes.as_mut_ptr().cast::<AtomicU64>();
        let fits = bytes.len() >= SIZE && cells.is_aligned();
        let cells = NonNull::new(cells).filter(|_| fits)?;
        Some(Self { _memory: memory, cells })
    }

    fn cell(&self, index: usize) -> &AtomicU64 {
        assert!(index < CELLS);
        // SAFETY: within the memory, which was found large enough and aligned; any bits are a valid integer; and both
        // processes only use atomic operations on it.
        unsafe { self.cells.add(index).as_ref() }
    }

    /// The worker begins a file.
    pub(crate) fn begin(&self, position: Position) {
        // In this order: the bytes are never those of the previous file.
        self.cell(1).store(0, Ordering::Release);
        self.cell(0).store(position.to_bits(), Ordering::Release);
    }

    /// The worker has read more of the file.
    pub(crate) fn has_read(&self, bytes: u64) {
        self.cell(1).fetch_add(bytes, Ordering::Release);
    }

    /// Where the worker is, and how many bytes of that file it has read.
    pub(crate) fn position(&self) -> (Position, u64) {
        loop {
            let before = self.cell(0).load(Ordering::Acquire);
            let bytes = self.cell(1).load(Ordering::Acquire);
            if before == self.cell(0).load(Ordering::Acquire) {
                return (Position::from_bits(before), bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same() {
        let (here, memory) = ProgressPage::new().unwrap();
        let there = ProgressPage::of(memory).unwrap();
        let position = Position { batch: 7, begun: u32::MAX };
        here.begin(position);
        here.has_read(1000);
        here.has_read(24);
        assert_eq!(there.position(), (position, 1024));
        here.begin(Position { batch: 8, begun: 1 });
        assert_eq!(there.position(), (Position { batch: 8, begun: 1 }, 0));
    }

    #[test]
    fn memory_that_is_too_small_is_no_page() {
        assert!(ProgressPage::of(IpcSharedMemory::from_byte(1, SIZE - 1)).is_none());
        assert!(ProgressPage::of(IpcSharedMemory::from_bytes(&[])).is_none());
    }
}
