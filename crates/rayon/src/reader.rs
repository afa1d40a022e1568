//! The model: batches of entries enter a pool, are split in halves, and idle threads steal the halves.
//!
//! ```text
//!  discovery ──► feeder thread ──► pool: [batch of 128]
//!                (waits while       join: [64]      [64] ◄─ stolen by an idle thread
//!                 the pool is               │
//!                 full)                     │ leaf: read one after the other, one buffer for each thread
//!                                           ▼
//!  consumer ◄── bounded channel ◄── records, a leaf at a time
//! ```
//!
//! A file so large that one thread would still be reading it when the others have nothing left to do is read in ranges: its
//! thread spawns a task for each of the others, and a thread that steals one takes ranges of the file as long as there are
//! any.
//!
//! Everything waits for the consumer: a full channel stops the threads, busy threads stop the feeder, and a feeder that
//! does not pull stops the walk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use polyread_core::reader::{Entry, LargeFile, Run, Scanned, SharedFile, Worker};
use polyread_core::{Analysis, FileReader, FileResult, Job, ReaderError, Records, WorkerId};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Config;

const NAME: &str = "rayon";

/// Batches in the pool for each thread: one that is worked on, one that waits so that the thread need not.
const BATCHES_PER_THREAD: usize = 2;

/// Bytes after which a leaf offers the rest of its entries to thieves: about what takes a tenth of a millisecond to
/// read, a hundred times what a steal costs.
const LEAF_BYTES: u64 = 512 * 1024;

/// Reads files on the threads of its own work-stealing pool.
///
/// A record's worker is the thread that read it, `thread-0` to `thread-N`, for
/// [`Limits::workers`](polyread_core::Limits::workers) threads or fewer if fewer files may be open. A read that hangs in
/// the kernel cannot be abandoned: it keeps its thread until it returns, while the others go on. A large file is read by
/// all threads that have nothing else to do, unless there is a [time limit](polyread_core::Limits::timeout); its record's
/// worker is the one that opened it.
#[derive(Clone, Debug, Default)]
pub struct RayonReader {
    config: Config,
}

impl RayonReader {
    /// A reader with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with settings of one's own.
    pub fn with_config(config: Config) -> Self {
        Self { config }
    }

    /// The records of a run as an iterator. Reading starts at once, on other threads, and goes on ahead of the consumer
    /// by a bounded amount. Dropping the iterator ends it.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Start`] if the threads cannot be started.
    pub fn records<A: Analysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        let run = job.start();
        let threads = run.limits().effective_workers();
        let (pool, handles) = start_pool(threads)?;
        let Config { batch, leaf } = self.config;
        run.records(NAME, move |run| {
            let state = Arc::new(RunState {
                workers: (0..threads as u64).map(|n| Mutex::new(run.worker(WorkerId::new("thread", n)))).collect(),
                deferred: Mutex::default(),
                leaf,
                queued: AtomicUsize::new(0),
            });
            feed(&run, batch, &pool, BATCHES_PER_THREAD * threads, &state);
            // The threads end before the run does.
            drop(pool);
            for handle in handles {
                // A pool thread passes no panic on: the pool itself would have ended the program.
                drop(handle.join());
            }
        })
    }
}

impl<A: Analysis> FileReader<A> for RayonReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Self::records(self, job)
    }
}

/// A pool whose threads can be waited for. Rayon by itself lets them end some time after the pool.
fn start_pool(threads: usize) -> Result<(ThreadPool, Vec<JoinHandle<()>>), ReaderError> {
    let mut handles = Vec::with_capacity(threads);
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .spawn_handler(|thread| {
            let name = format!("polyread-rayon-{}", thread.index());
            handles.push(std::thread::Builder::new().name(name).spawn(|| thread.run())?);
            Ok(())
        })
        .build()
        .map_err(|error| ReaderError::Start { strategy: NAME, reason: error.to_string() })?;
    Ok((pool, handles))
}

/// Feeds batches to the pool as it takes them, and returns when all have been read.
///
/// A thread outside of the pool does this, because discovery blocks and may be the caller's iterator. If that used rayon,
/// on a pool thread it would be interrupted by the very tasks that wait for it.
fn feed<A: Analysis>(run: &Run<A>, batch: usize, pool: &ThreadPool, most: usize, state: &Arc<RunState<A>>) {
    // Each batch in the pool has a permit in this channel. That it is full is the back-pressure.
    let (permits, free): (Sender<()>, Receiver<()>) = bounded(most);
    while let Some(batch) = run.next_batch(batch) {
        if permits.send(()).is_err() {
            break;
        }
        let (state, free) = (Arc::clone(state), free.clone());
        state.queued.fetch_add(1, Ordering::Relaxed);
        pool.spawn(move || {
            state.queued.fetch_sub(1, Ordering::Relaxed);
            state.share_out(batch, state.leaf);
            // Its own permit or another's, they are all the same. There is one, so that this does not wait.
            let _ = free.recv();
        });
    }
    // Taking every permit means that no batch has one any more.
    for _ in 0..most {
        let _ = permits.send(());
    }
}

/// What the threads of one run share.
#[derive(Debug)]
struct RunState<A: Analysis> {
    /// One for each thread, so that a thread always comes back to the buffer that is in its core's cache.
    workers: Vec<Mutex<Worker<A>>>,
    /// Leaves that were stolen by a thread in the middle of a file.
    deferred: Mutex<Vec<Vec<Entry>>>,
    leaf: usize,
    /// Batches in the pool that no thread has begun.
    queued: AtomicUsize,
}

impl<A: Analysis> RunState<A> {
    /// Splits the entries in halves down to leaves. The second half of each lies open to be stolen while the first is
    /// worked on; if no thread steals it, this thread does both, and the split cost some nanoseconds.
    fn share_out(self: &Arc<Self>, mut entries: Vec<Entry>, leaf: usize) {
        if entries.len() > leaf {
            let other = entries.split_off(entries.len() / 2);
            rayon::join(|| self.share_out(entries, leaf), || self.share_out(other, leaf));
        } else {
            self.read_leaf(entries);
        }
    }

    /// Reads entries one after the other and hands their records over together.
    ///
    /// An analysis may itself use rayon, and its thread, while it waits, steal a leaf of ours. That leaf is deferred until
    /// the file at hand is done: read on top of it, it could wait for room that the file below it holds.
    fn read_leaf(self: &Arc<Self>, entries: Vec<Entry>) {
        let Some(mut worker) = self.own_worker() else { return self.lock_deferred().push(entries) };
        let mut entries = entries.into_iter();
        let mut bytes = 0;
        while bytes < LEAF_BYTES
            && let Some(entry) = entries.next()
        {
            let record = match worker.scan(entry) {
                Scanned::Done(record) => record,
                Scanned::Large(file) => self.read_large(&mut worker, file),
            };
            bytes += record.bytes;
            worker.put(record);
        }
        worker.deliver();
        drop(worker);
        // The files turn out to be large: half of the remaining ones are offered to thieves.
        let remaining = entries.collect::<Vec<_>>();
        if !remaining.is_empty() {
            let half = remaining.len().div_ceil(2);
            self.share_out(remaining, half);
        }
        self.catch_up();
    }

    /// Reads a large file in ranges, together with the threads that have nothing else to do.
    fn read_large(self: &Arc<Self>, worker: &mut Worker<A>, file: LargeFile) -> FileResult<A::Output> {
        let file = match worker.share(file) {
            Ok(shared) => shared,
            Err(file) => return worker.read_large(file),
        };
        let helpers = Arc::new(AtomicUsize::new(0));
        worker.read_ranges(&file, &mut || {
            self.call_helpers(&file, &helpers);
            true
        });
        // An analysis that uses rayon may wait for this very thread to do its share.
        worker.conclude(&file, &|| _ = rayon::yield_now())
    }

    /// Spawns a task for each of the other threads, unless a batch waits for them. Whichever thread steals it helps.
    fn call_helpers(self: &Arc<Self>, file: &Arc<SharedFile<A>>, helpers: &Arc<AtomicUsize>) {
        if self.has_queued() {
            return;
        }
        for _ in helpers.load(Ordering::Relaxed) + 1..self.workers.len() {
            helpers.fetch_add(1, Ordering::Relaxed);
            // Weak, so that the file is closed when it has been read, and not when the last task has found that out.
            let (state, file, helpers) = (Arc::clone(self), Arc::downgrade(file), Arc::clone(helpers));
            rayon::spawn(move || {
                file.upgrade().iter().for_each(|file| state.help(file));
                helpers.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    /// Reads ranges of another thread's file, until a batch waits for a thread.
    fn help(self: &Arc<Self>, file: &SharedFile<A>) {
        // A thread in the middle of a file has other work to do.
        if let Some(mut worker) = self.own_worker() {
            worker.read_ranges(file, &mut || !self.has_queued());
            drop(worker);
            self.catch_up();
        }
    }

    /// Reads the leaves that were deferred. A thread that defers one is in the middle of a file, and comes by here when it
    /// is done with it: none is forgotten.
    fn catch_up(self: &Arc<Self>) {
        loop {
            let Some(stolen) = self.lock_deferred().pop() else { break };
            self.share_out(stolen, self.leaf);
        }
    }

    fn has_queued(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }

    /// The worker of the current thread, unless this one is in the middle of a file: no other thread takes it.
    fn own_worker(&self) -> Option<MutexGuard<'_, Worker<A>>> {
        match self.workers[rayon::current_thread_index().unwrap_or_default()].try_lock() {
            Ok(worker) => Some(worker),
            Err(TryLockError::Poisoned(worker)) => Some(worker.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lock_deferred(&self) -> MutexGuard<'_, Vec<Vec<Entry>>> {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
