//! A ring, with the memory that the kernel reads from and writes to: the one module of the crate with `unsafe` in it.
//!
//! A ring has slots. Each slot has a buffer, a place in the ring's own table of open files, and at most one operation in
//! flight. The rest of the crate sees a safe interface, because this module keeps three rules:
//!
//! - The memory that an operation points to (path, way of opening, buffer, root) belongs to its slot. It is not touched
//!   before the operation's completion has come.
//! - A ring that is dropped cancels all operations in flight and waits for their completions. If one never comes, the thread
//!   never ends.
//! - A broken ring, whose completions can no longer be waited for, leaks its memory: the allocator must not give it to
//!   anything else.
//!
//! A file that is open in the ring's table is no descriptor of the process: no other thread can close it, and
//! `/proc/self/fd` does not list it. The ring's `fdinfo` does.

#![expect(unsafe_code, reason = "the kernel is given pointers")]

use std::ffi::CString;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{DestinationSlot, Fd, Fixed, OpenHow, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use polyread_core::reader::custom::{Links, ReadBuffer, Root};
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

/// The `user_data` of an operation whose success has no completion.
const NO_COMPLETION: u64 = u64::MAX;

/// Bytes that are asked for behind a file's content, to see whether the file ends there.
const PROBE: u32 = 1;

/// How every file is opened. `NONBLOCK` so that a FIFO that took a file's place cannot block the open, `NOCTTY` so that a
/// terminal cannot become the program's own. `CLOEXEC` is for descriptors, which these files do not have.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// The path of a file must not lead out of its root.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// How often a ring that is dropped looks for the completions that it waits for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// An operation that has ended: its slot, and its result.
pub(crate) type Completion = (usize, Result<usize, Errno>);

/// A ring and the memory of its slots. To be used by the thread that made it.
pub(super) struct Ring {
    ring: IoUring,
    memory: ManuallyDrop<Memory>,
    in_flight: usize,
    is_broken: bool,
}

struct Memory {
    buffers: Vec<ReadBuffer>,
    slots: Vec<SlotMemory>,
}

#[derive(Default)]
struct SlotMemory {
    is_in_flight: bool,
    path: CString,
    how: OpenHow,
    /// Kept while the kernel looks its descriptor up.
    root: Option<Arc<Root>>,
}

/// The flags that make a ring cheaper if one thread uses it, by the kernel that brought them.
const SETUPS: [fn(&mut io_uring::Builder); 3] = [
    // 6.1: work that the kernel has done in the background is handled when the thread waits, and not at any moment.
    |builder| _ = builder.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun(),
    // 5.19
    |builder| _ = builder.setup_coop_taskrun(),
    |_| {},
];

/// A bare ring that takes so many submissions at once.
pub(super) fn build(entries: u32) -> io::Result<IoUring> {
    let mut last = io::Error::from(io::ErrorKind::InvalidInput);
    for setup in SETUPS {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_submit_all();
        setup(&mut builder);
        match builder.build(entries) {
            // This kernel does not know one of the flags.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => last = error,
            built => return built,
        }
    }
    Err(last)
}

impl Ring {
    /// A ring of so many slots, with a buffer of so many bytes each.
    pub(super) fn new(slots: usize, buffer: usize) -> io::Result<Self> {
        let files = u32::try_from(slots).map_err(io::Error::other)?;
        // For each slot its operation, the close of the file before, and a cancellation.
        let ring = build(files.saturating_mul(3))?;
        ring.submitter().register_files_sparse(files)?;
        let memory = Memory {
            buffers: (0..slots).map(|_| ReadBuffer::new(buffer)).collect(),
            slots: (0..slots).map(|_| SlotMemory::default()).collect(),
        };
        Ok(Self { ring, memory: ManuallyDrop::new(memory), in_flight: 0, is_broken: false })
    }

    /// Opens the file at `path`, which is relative to the root, into the slot.
    ///
    /// On a paged root it must not lie beyond a mount point: [`Root::is_end`] holds for the root's own file system.
    pub(super) fn open(&mut self, slot: usize, root: &Arc<Root>, path: &Path) -> Result<(), Errno> {
        let descriptor = root.descriptor().ok_or(Errno::BADF)?.as_raw_fd();
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        let destination = DestinationSlot::try_from_slot_target(index(slot)).map_err(|_| Errno::INVAL)?;
        let flags = if root.links() == Links::NotFollowed { FLAGS | OFlags::NOFOLLOW } else { FLAGS };
        let resolve = if root.is_paged() { RESOLVE | ResolveFlags::NO_XDEV } else { RESOLVE };
        let memory = self.idle(slot);
        memory.how = OpenHow::new().flags(flags.bits().into()).resolve(resolve.bits());
        (memory.path, memory.root) = (path, Some(Arc::clone(root)));
        let entry = opcode::OpenAt2::new(Fd(descriptor), memory.path.as_ptr(), &raw const memory.how);
        self.begin(slot, &entry.file_index(Some(destination)).build());
        Ok(())
    }

    /// Reads the beginning of the slot's file into its buffer.
    pub(super) fn read(&mut self, slot: usize) {
        self.idle(slot);
        let buffer = &mut self.memory.buffers[slot];
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let entry = opcode::Read::new(Fixed(index(slot)), buffer.as_mut_ptr(), length);
        self.begin(slot, &entry.offset(0).build());
    }

    /// Asks whether the slot's file has more than these bytes, which stay in its buffer: the read goes behind them.
    pub(super) fn probe_end(&mut self, slot: usize, bytes: usize) {
        self.idle(slot);
        let behind = &mut self.memory.buffers[slot][bytes..];
        let length = PROBE.min(u32::try_from(behind.len()).unwrap_or(PROBE));
        let entry = opcode::Read::new(Fixed(index(slot)), behind.as_mut_ptr(), length);
        self.begin(slot, &entry.offset(bytes as u64).build());
    }

    /// Gives an advice for the slot's file that changes nothing. A FIFO takes none.
    pub(super) fn probe_kind(&mut self, slot: usize) {
        self.idle(slot);
        // 0 is POSIX_FADV_NORMAL.
        self.begin(slot, &opcode::Fadvise::new(Fixed(index(slot)), 0, 0).build());
    }

    /// Closes the slot's file with the next turn. The slot can be used at once: the kernel closes before it opens.
    pub(super) fn close(&mut self, slot: usize) {
        let entry = opcode::Close::new(Fixed(index(slot))).build();
        // SAFETY: a close points to nothing.
        unsafe { self.push(&entry.flags(Flags::SKIP_SUCCESS).user_data(NO_COMPLETION)) }
    }

    /// Cancels the slot's operation. Its completion comes in any case, unless the operation hangs.
    pub(super) fn cancel(&mut self, slot: usize) {
        let entry = opcode::AsyncCancel::new(slot as u64).build();
        // SAFETY: a cancellation points to nothing.
        unsafe { self.push(&entry.flags(Flags::SKIP_SUCCESS).user_data(NO_COMPLETION)) }
    }

    /// The first bytes of the slot's buffer; none while the kernel may write to it.
    pub(super) fn content(&self, slot: usize, bytes: usize) -> &[u8] {
        if self.memory.slots[slot].is_in_flight {
            return &[];
        }
        self.memory.buffers[slot].get(..bytes).unwrap_or_default()
    }

    /// Submits all new operations, and waits for a completion if any operation is in flight, for no longer than `time`.
    ///
    /// # Errors
    ///
    /// The ring is of no use any more.
    pub(super) fn turn(&mut self, time: Duration) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("an operation was lost"));
        }
        let time = Timespec::from(time);
        let wanted = usize::from(self.in_flight > 0);
        let result = self.ring.submitter().submit_with_args(wanted, &SubmitArgs::new().timespec(&time));
        match result.map_err(|error| (Errno::from_io_error(&error), error)) {
            // The time is over; a signal came; or the kernel is short of memory, or of place for completions, for now.
            Ok(_) | Err((Some(Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY), _)) => Ok(()),
            Err((_, error)) => {
                self.is_broken = true;
                Err(error)
            }
        }
    }

    /// Appends the completions that have come.
    pub(super) fn take_completions(&mut self, completions: &mut Vec<Completion>) {
        for entry in self.ring.completion() {
            // A failed close or cancellation: the file was closed already, or there was nothing left to cancel.
            let Ok(slot) = usize::try_from(entry.user_data()) else { continue };
            let Some(memory) = self.memory.slots.get_mut(slot) else { continue };
            if !std::mem::take(&mut memory.is_in_flight) {
                continue;
            }
            memory.root = None;
            self.in_flight -= 1;
            let result = entry.result();
            let result = usize::try_from(result).map_err(|_| Errno::from_raw_os_error(result.saturating_neg()));
            completions.push((slot, result));
        }
    }

    /// The slot's memory, for its next operation.
    fn idle(&mut self, slot: usize) -> &mut SlotMemory {
        let slot = &mut self.memory.slots[slot];
        assert!(!slot.is_in_flight, "a slot has one operation at a time");
        slot
    }

    fn begin(&mut self, slot: usize, entry: &Entry) {
        self.memory.slots[slot].is_in_flight = true;
        self.in_flight += 1;
        // SAFETY: the entry points to memory of its slot, which is on the heap or in a `Vec` that never grows, so that it stays where
        // it is. `idle` keeps it from being touched before the completion has come; `drop` keeps it until then.
        unsafe { self.push(&entry.clone().user_data(slot as u64)) }
    }

    /// # Safety
    ///
    /// The memory that the entry points to must be valid until its completion.
    unsafe fn push(&mut self, entry: &Entry) {
        // SAFETY: the caller's promise.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            // The queue has place for all that its slots submit in one turn; further closes may fill it.
            if self.ring.submit().is_err_and(|error| !is_passing(&error)) {
                // The entry is lost, and its slot with it. The next turn finds the ring broken.
                self.is_broken = true;
                return;
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let slots = 0..self.memory.slots.len();
        for slot in slots.filter(|slot| self.memory.slots[*slot].is_in_flight).collect::<Vec<_>>() {
            self.cancel(slot);
        }
        let mut completions = Vec::new();
        while self.in_flight > 0 && !self.is_broken {
            drop(self.turn(POLL_INTERVAL));
            self.take_completions(&mut completions);
            completions.clear();
        }
        if self.in_flight == 0 {
            // SAFETY: it is not used again, and the kernel has completed every operation that points to it.
            unsafe { ManuallyDrop::drop(&mut self.memory) }
        }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

/// The slot's place in the table of open files.
fn index(slot: usize) -> u32 {
    u32::try_from(slot).unwrap_or(u32::MAX)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INTR | Errno::AGAIN | Errno::BUSY))
}
