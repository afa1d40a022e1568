//! A ring, with the memory that the kernel reads from and writes to: the one module of the crate with `unsafe` in it.
//!
//! A ring has lanes. Each has a buffer, a slot in the ring's own table of open files, and at most one operation under way,
//! whose completion is told. What the rest of the crate sees is safe, because of three rules that are kept here:
//!
//! - What an operation points to (path, way of opening, buffer, root) belongs to its lane, and is touched again only when its
//!   completion has come.
//! - A ring that is dropped waits for all operations that are under way, after it has asked for their end. If one never comes,
//!   its thread stays.
//! - A ring that can no longer be waited for lets its memory go to waste rather than to somebody else.
//!
//! Files that are open in a slot of the table are no descriptors of the process: no other thread can close them, nor sees
//! them in `/proc/self/fd`. They are listed in the ring's `fdinfo`.

#![expect(unsafe_code, reason = "the kernel is given pointers")]

use std::ffi::CString;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{DestinationSlot, Fixed, OpenHow, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, opcode, types};
use polyread_core::{Opening, Root};
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

/// The name of an operation whose completion nobody waits for: it is only told if it fails.
const UNASKED: u64 = u64::MAX;

/// Bytes that are asked for to see whether there are any: where a file ends.
const PROBE: u32 = 1;

/// A ring and its lanes.
pub(crate) struct Ring {
    ring: IoUring,
    memory: ManuallyDrop<Memory>,
    under_way: usize,
    is_broken: bool,
}

struct Memory {
    buffers: Vec<Box<[u8]>>,
    lanes: Vec<Lane>,
}

#[derive(Default)]
struct Lane {
    is_under_way: bool,
    path: CString,
    how: OpenHow,
    /// Kept while the kernel looks its descriptor up.
    root: Option<Arc<Root>>,
}

/// The flags that make a ring cheap where it is used by one thread only, each set with the kernel that has it.
const SETUPS: [fn(&mut io_uring::Builder); 3] = [
    // 6.1: what is done in the background is brought in when the thread waits, and not at any moment.
    |builder| _ = builder.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun(),
    // 5.19
    |builder| _ = builder.setup_coop_taskrun(),
    |_| {},
];

fn build(entries: u32) -> io::Result<IoUring> {
    let mut last = io::Error::from(io::ErrorKind::InvalidInput);
    for setup in SETUPS {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_submit_all();
        setup(&mut builder);
        match builder.build(entries) {
            // A flag that this kernel does not know.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => last = error,
            built => return built,
        }
    }
    Err(last)
}

/// What this kernel's io_uring lacks, or why there is none.
pub(crate) fn probe() -> io::Result<Option<&'static str>> {
    let ring = match build(1) {
        // Not even without any flag but one, which came with 5.18.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Some("IORING_SETUP_SUBMIT_ALL")),
        built => built?,
    };
    let mut probe = Probe::new();
    if ring.submitter().register_probe(&mut probe).is_err() {
        return Ok(Some("IORING_REGISTER_PROBE"));
    }
    let parts = [
        (probe.is_supported(opcode::OpenAt2::CODE), "IORING_OP_OPENAT2"),
        (probe.is_supported(opcode::Read::CODE), "IORING_OP_READ"),
        (probe.is_supported(opcode::Close::CODE), "IORING_OP_CLOSE"),
        (probe.is_supported(opcode::Fadvise::CODE), "IORING_OP_FADVISE"),
        (probe.is_supported(opcode::AsyncCancel::CODE), "IORING_OP_ASYNC_CANCEL"),
        (ring.params().is_feature_ext_arg(), "IORING_FEAT_EXT_ARG"),
        (ring.params().is_feature_nodrop(), "IORING_FEAT_NODROP"),
        (ring.params().is_feature_submit_stable(), "IORING_FEAT_SUBMIT_STABLE"),
        (ring.params().is_feature_skip_cqe_on_success(), "IORING_FEAT_CQE_SKIP"),
        (ring.submitter().register_files_sparse(1).is_ok(), "sparse tables of files"),
    ];
    Ok(parts.into_iter().find_map(|(has, what)| (!has).then_some(what)))
}

impl Ring {
    /// A ring of this many lanes, to be used by this thread alone.
    pub(crate) fn new(lanes: usize, buffer: usize) -> io::Result<Self> {
        let slots = u32::try_from(lanes).map_err(io::Error::other)?;
        // For each lane its operation, the closing of the file before, and a request to cancel.
        let ring = build(slots.saturating_mul(3))?;
        ring.submitter().register_files_sparse(slots)?;
        let memory = Memory {
            buffers: (0..lanes).map(|_| vec![0; buffer].into_boxed_slice()).collect(),
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
        };
        Ok(Self { ring, memory: ManuallyDrop::new(memory), under_way: 0, is_broken: false })
    }

    /// Opens a file into the lane's slot. With `stay` it must not lie beyond a mount point below the root.
    pub(crate) fn open(&mut self, lane: usize, opening: Opening<'_>, stay: bool) -> Result<(), Errno> {
        let root = opening.root.descriptor().ok_or(Errno::BADF)?.as_raw_fd();
        let path = CString::new(opening.path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        let slot = DestinationSlot::try_from_slot_target(slot(lane)).map_err(|_| Errno::INVAL)?;
        // What has no descriptor has none to be closed.
        let flags = opening.flags.difference(OFlags::CLOEXEC).bits();
        let resolve = opening.resolve.union(if stay { ResolveFlags::NO_XDEV } else { ResolveFlags::empty() });
        let memory = self.idle(lane);
        memory.how = OpenHow::new().flags(flags.into()).resolve(resolve.bits());
        (memory.path, memory.root) = (path, Some(Arc::clone(opening.root)));
        let entry = opcode::OpenAt2::new(types::Fd(root), memory.path.as_ptr(), &raw const memory.how);
        self.begin(lane, &entry.file_index(Some(slot)).build());
        Ok(())
    }

    /// Reads the beginning of the lane's file into its buffer.
    pub(crate) fn read(&mut self, lane: usize) {
        self.idle(lane);
        let buffer = &mut self.memory.buffers[lane];
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let entry = opcode::Read::new(Fixed(slot(lane)), buffer.as_mut_ptr(), length);
        self.begin(lane, &entry.offset(0).build());
    }

    /// Asks whether the lane's file has more than these bytes, which are in its buffer and stay there: what is read goes
    /// behind them.
    pub(crate) fn probe_end(&mut self, lane: usize, bytes: usize) {
        self.idle(lane);
        let behind = &mut self.memory.buffers[lane][bytes..];
        let length = PROBE.min(u32::try_from(behind.len()).unwrap_or(PROBE));
        let entry = opcode::Read::new(Fixed(slot(lane)), behind.as_mut_ptr(), length);
        self.begin(lane, &entry.offset(bytes as u64).build());
    }

    /// Gives the lane's file an advice that changes nothing; a FIFO takes none.
    pub(crate) fn probe_kind(&mut self, lane: usize) {
        self.idle(lane);
        // The advice is that of POSIX_FADV_NORMAL.
        self.begin(lane, &opcode::Fadvise::new(Fixed(slot(lane)), 0, 0).build());
    }

    /// Closes the lane's file with the next turn. The lane can be used at once: the kernel takes closings in turn.
    pub(crate) fn close(&mut self, lane: usize) {
        let entry = opcode::Close::new(Fixed(slot(lane))).build();
        // SAFETY: a closing points to nothing.
        unsafe { self.push(&entry.flags(Flags::SKIP_SUCCESS).user_data(UNASKED)) }
    }

    /// Asks for the end of the lane's operation. Its completion comes in any case, if it ever does.
    pub(crate) fn cancel(&mut self, lane: usize) {
        let entry = opcode::AsyncCancel::new(lane as u64).build();
        // SAFETY: a request to cancel points to nothing.
        unsafe { self.push(&entry.flags(Flags::SKIP_SUCCESS).user_data(UNASKED)) }
    }

    /// The first bytes of the lane's buffer; none while the kernel may write to it.
    pub(crate) fn content(&self, lane: usize, bytes: usize) -> &[u8] {
        if self.memory.lanes[lane].is_under_way {
            return &[];
        }
        self.memory.buffers[lane].get(..bytes).unwrap_or_default()
    }

    /// Submits what there is, and waits for a completion if anything is under way, for no longer than `time`.
    ///
    /// # Errors
    ///
    /// The ring is of no use any more.
    pub(crate) fn turn(&mut self, time: Duration) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("an operation was lost"));
        }
        let time = Timespec::from(time);
        let wanted = usize::from(self.under_way > 0);
        let result = self.ring.submitter().submit_with_args(wanted, &SubmitArgs::new().timespec(&time));
        match result.map_err(|error| (Errno::from_io_error(&error), error)) {
            // Nothing has come in time; a signal; or the kernel is short of memory, or of place for completions, for now.
            Ok(_) | Err((Some(Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY), _)) => Ok(()),
            Err((_, error)) => {
                self.is_broken = true;
                Err(error)
            }
        }
    }

    /// Completions that have come: of which lane, and what the operation says.
    pub(crate) fn completed(&mut self, completed: &mut Vec<(usize, Result<usize, Errno>)>) {
        for entry in self.ring.completion() {
            // One that nobody asked for: a file was closed already, or there was nothing left to cancel.
            let Ok(lane) = usize::try_from(entry.user_data()) else { continue };
            let Some(memory) = self.memory.lanes.get_mut(lane) else { continue };
            if !std::mem::take(&mut memory.is_under_way) {
                continue;
            }
            memory.root = None;
            self.under_way -= 1;
            let result = entry.result();
            completed
                .push((lane, usize::try_from(result).map_err(|_| Errno::from_raw_os_error(result.saturating_neg()))));
        }
    }

    /// The lane's memory, for the next operation.
    fn idle(&mut self, lane: usize) -> &mut Lane {
        let lane = &mut self.memory.lanes[lane];
        assert!(!lane.is_under_way, "a lane has one operation at a time");
        lane
    }

    fn begin(&mut self, lane: usize, entry: &Entry) {
        self.memory.lanes[lane].is_under_way = true;
        self.under_way += 1;
        // SAFETY: what the entry points to is the lane's own, see above: boxed, so that it stays where it is, and not touched
        // before its completion has come. That the memory outlives the operation is what `drop` sees to.
        unsafe { self.push(&entry.clone().user_data(lane as u64)) }
    }

    /// # Safety
    ///
    /// What the entry points to must be valid until its completion.
    unsafe fn push(&mut self, entry: &Entry) {
        // SAFETY: the caller's word.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            // There is place for all that lanes can ask for in one turn; closings on top of that may take one more.
            if self.ring.submit().is_err_and(|error| !is_passing(&error)) {
                // The entry is lost, and its lane with it. Whoever waits for it finds the ring broken.
                self.is_broken = true;
                return;
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        /// How often it is looked whether the kernel is done.
        const LOOK: Duration = Duration::from_millis(100);
        let lanes = 0..self.memory.lanes.len();
        for lane in lanes.filter(|lane| self.memory.lanes[*lane].is_under_way).collect::<Vec<_>>() {
            self.cancel(lane);
        }
        let mut completed = Vec::new();
        while self.under_way > 0 && !self.is_broken {
            drop(self.turn(LOOK));
            self.completed(&mut completed);
            completed.clear();
        }
        if self.under_way == 0 {
            // SAFETY: it is not used again, and the kernel has completed everything that points to it.
            unsafe { ManuallyDrop::drop(&mut self.memory) }
        }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}

fn slot(lane: usize) -> u32 {
    u32::try_from(lane).unwrap_or(u32::MAX)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INTR | Errno::AGAIN | Errno::BUSY))
}
