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
//! thread spawns a task for each of the others, and whoever steals one takes ranges of the file as long as there are any.
//!
//! Everything waits for the consumer: a full channel stops the threads, busy threads stop the feeder, and a feeder that
//! does not pull stops the walk.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use polyread_core::{
    Analysis, Colleagues, Division, Entries, Entry, FileReader, FileResult, FileScanner, Job, Outlet, Producer,
    ReaderError, Records, Sink, Summary, WorkerId,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Config;

const NAME: &str = "rayon";

/// Batches in the pool for each thread: one that is worked on, one that waits so that the thread need not.
const BATCHES_PER_THREAD: usize = 2;

/// Leaves that may wait for the consumer, for each thread.
const LEAVES_AHEAD: usize = 4;

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
        let threads = run.limits.effective_workers();
        let (pool, handles) = start_pool(threads)?;
        let Config { batch, leaf } = self.config;
        Records::of(NAME, run, LEAVES_AHEAD * threads, move |Producer { entries, context, outlet }| {
            let crew = Arc::new(Crew {
                scanners: (0..threads).map(|_| Mutex::new(context.scanner())).collect(),
                put_off: Mutex::default(),
                outlet,
                leaf,
                waiting: AtomicUsize::new(0),
            });
            feed(entries, batch, &pool, BATCHES_PER_THREAD * threads, &crew);
            // In this order: the pool's threads first, then, with the crew, the last way to the consumer, who takes
            // that for the end of the run.
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

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        Ok(self.records(job)?.deliver(sink))
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
/// A thread outside of the pool does this, because discovery blocks and may be anybody's iterator: one that itself used
/// rayon would, on a pool thread, be interrupted by the very tasks that wait for it.
fn feed<A: Analysis>(mut entries: Entries, batch: usize, pool: &ThreadPool, most: usize, crew: &Arc<Crew<A>>) {
    // Each batch in the pool has a place in this channel. That it is full is the back-pressure.
    let (places, free): (Sender<()>, Receiver<()>) = bounded(most);
    loop {
        let batch = entries.next_batch(batch);
        if batch.is_empty() || places.send(()).is_err() {
            break;
        }
        let (crew, free) = (Arc::clone(crew), free.clone());
        crew.waiting.fetch_add(1, Ordering::Relaxed);
        pool.spawn(move || {
            crew.waiting.fetch_sub(1, Ordering::Relaxed);
            crew.share_out(batch, crew.leaf);
            // Its own place or another's, they are all the same. There is one, so that this does not wait.
            let _ = free.recv();
        });
    }
    // Taking every place means that no batch has one any more.
    for _ in 0..most {
        let _ = places.send(());
    }
}

/// What the threads of one run share.
#[derive(Debug)]
struct Crew<A: Analysis> {
    /// One for each thread, so that a thread always comes back to the buffer that is in its core's cache.
    scanners: Vec<Mutex<FileScanner<A>>>,
    /// Leaves that were stolen by a thread in the middle of a file.
    put_off: Mutex<Vec<Vec<Entry>>>,
    outlet: Outlet<FileResult<A::Output>>,
    leaf: usize,
    /// Batches in the pool that no thread has begun with.
    waiting: AtomicUsize,
}

impl<A: Analysis> Crew<A> {
    /// Splits the entries in halves down to leaves. The second half of each lies open to be stolen while the first is
    /// worked on; if nobody comes, this thread does both, and the split cost some nanoseconds.
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
    /// An analysis may itself use rayon, and its thread, while it waits, steal a leaf of ours. That one is put off until
    /// the file at hand is done: read on top of it, it could wait for room that the file below it holds.
    fn read_leaf(self: &Arc<Self>, entries: Vec<Entry>) {
        let thread = rayon::current_thread_index().unwrap_or_default();
        let Some(mut scanner) = self.scanner_of(thread) else { return self.lock_put_off().push(entries) };
        let mut entries = entries.into_iter();
        let mut done = Vec::with_capacity(entries.len());
        let mut bytes = 0;
        while bytes < LEAF_BYTES
            && let Some(entry) = entries.next()
        {
            let mut hand_over = |_| _ = self.outlet.send(std::mem::take(&mut done));
            let mut others = Others { crew: self, helping: Arc::default() };
            let record = scanner.scan_with(entry, WorkerId::Thread(thread), &mut hand_over, Some(&mut others));
            if let Some(record) = record {
                bytes += record.bytes;
                done.push(record);
            }
        }
        scanner.rest();
        drop(scanner);
        self.outlet.send(done);
        // The files turn out to be large: half of what is left is offered to thieves.
        let rest = entries.collect::<Vec<_>>();
        if !rest.is_empty() {
            let half = rest.len().div_ceil(2);
            self.share_out(rest, half);
        }
        self.catch_up();
    }

    /// Reads the leaves that were put off. Whoever puts one off is in the middle of a file, and comes by here when it is
    /// done with it: none is forgotten.
    fn catch_up(self: &Arc<Self>) {
        loop {
            let Some(stolen) = self.lock_put_off().pop() else { break };
            self.share_out(stolen, self.leaf);
        }
    }

    /// Reads ranges of another thread's file, until there is something else to read.
    fn help(self: &Arc<Self>, division: &Division<A>) {
        // A thread in the middle of a file has other work to do.
        if let Some(mut scanner) = self.scanner_of(rayon::current_thread_index().unwrap_or_default()) {
            scanner.help(division, &mut || !self.has_more());
            scanner.rest();
            drop(scanner);
            self.catch_up();
        }
    }

    /// Whether batches wait for a thread.
    fn has_more(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// The scanner of the current thread, unless this one is in the middle of a file: nobody but the thread itself takes it.
    fn scanner_of(&self, thread: usize) -> Option<MutexGuard<'_, FileScanner<A>>> {
        match self.scanners[thread].try_lock() {
            Ok(scanner) => Some(scanner),
            Err(TryLockError::Poisoned(scanner)) => Some(scanner.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lock_put_off(&self) -> MutexGuard<'_, Vec<Vec<Entry>>> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other threads, for one that reads a large file.
struct Others<'a, A: Analysis> {
    crew: &'a Arc<Crew<A>>,
    /// Those that were called and have not left.
    helping: Arc<AtomicUsize>,
}

impl<A: Analysis> Colleagues<A> for Others<'_, A> {
    /// Lets each of the others have a task with which it helps, when no batch waits for a thread. Weak, so that the file is
    /// closed when it has been read, and not when the last of them has found that out.
    fn offer(&mut self, division: &Arc<Division<A>>) -> ControlFlow<()> {
        if !self.crew.has_more() {
            for _ in self.helping.load(Ordering::Relaxed) + 1..self.crew.scanners.len() {
                self.helping.fetch_add(1, Ordering::Relaxed);
                let (crew, division) = (Arc::clone(self.crew), Arc::downgrade(division));
                let helping = Arc::clone(&self.helping);
                rayon::spawn(move || {
                    division.upgrade().iter().for_each(|division| crew.help(division));
                    helping.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
        ControlFlow::Continue(())
    }

    /// An analysis that uses rayon may wait for this very thread to do its share.
    fn meanwhile(&self) {
        rayon::yield_now();
    }
}
