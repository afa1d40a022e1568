//! The hops of one run: their shared state, and the work inside each.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use polyread_core::reader::{AdaptiveLimit, Entry, PermitChange, Run, Worker};
use polyread_core::{Analysis, FileResult, WorkerId};

use crate::config::Config;
use crate::queue::TaskSender;
use crate::stream::RecordStream;
use crate::watch::{HopWatch, WatchedHop};

/// Bytes after which a hop comes back, whatever files it still carries: they go on in other hops.
const HOP_BYTES: u64 = 8 * 1024 * 1024;

/// Time after which a hop comes back if there are permits for others and no batches: the files that it still carries are
/// read at the same time then, and not one after the other. Files in the cache never take that long.
const HOP_TIME: Duration = Duration::from_millis(1);

/// Of hops with fewer files than this, only one in so many is measured: asking twice what a thread has used takes as long as
/// opening a file.
const MEASURED: usize = 8;

/// A run whose files are read in hops. It ends when this is dropped; a hop that hangs does not keep it.
pub struct Hops<A: Analysis> {
    run: Run<A>,
    shared: Arc<Shared<A>>,
    in_flight: usize,
    files_per_hop: usize,
    time_limit: Option<Duration>,
    /// The way to the stream, if the records go there.
    stream: Option<TaskSender<FileResult<A::Output>>>,
}

/// The end of a hop, as its task sees it.
#[derive(Debug)]
pub struct Hopped<T> {
    records: Vec<FileResult<T>>,
    /// The entries that the hop did not get to, in halves, each for a hop of its own.
    unread: Vec<Vec<Entry>>,
}

impl<T> Default for Hopped<T> {
    fn default() -> Self {
        Self { records: Vec::new(), unread: Vec::new() }
    }
}

/// State that the hops share, without the run.
#[derive(Debug)]
struct Shared<A: Analysis> {
    /// Workers that no hop is using: as many as hops were under way at once.
    idle: Mutex<Vec<Worker<A>>>,
    /// `None` where the number of hops is set.
    limit: Option<AdaptiveLimit>,
    /// Batches that no thread has begun.
    queued: AtomicUsize,
    under_way: AtomicUsize,
    begun: AtomicUsize,
}

impl<A: Analysis> Hops<A> {
    /// The hops of a run whose consumer is a stream: tasks hand the records over, so that a consumer that is behind keeps no
    /// thread of the runtime's waiting.
    pub fn streaming(run: Run<A>, config: &Config) -> (Self, RecordStream<A::Output>) {
        let (run, tasks, stream) = RecordStream::of(run);
        (Self { stream: Some(tasks), ..Self::new(run, config) }, stream)
    }

    /// The hops of a run whose consumer is a thread: hops hand the records over.
    pub fn new(run: Run<A>, config: &Config) -> Self {
        let limits = run.limits();
        let shared = Shared {
            idle: Mutex::default(),
            limit: config.adaptive_limit_under(limits),
            queued: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
        };
        Self {
            in_flight: config.hops_under(limits),
            files_per_hop: config.files_under(limits),
            time_limit: limits.time_limit(),
            shared: Arc::new(shared),
            stream: None,
            run,
        }
    }

    /// Hops that may be under way at the same time, to begin with: the permits that there are.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Starts the thread that takes entries from discovery and sends them on in batches, each for a [hop](Self::hop), until
    /// there are no more or `send` returns `false`. Discovery blocks: not in a task, and not in a runtime's blocking pool, whose
    /// threads may be few.
    ///
    /// # Errors
    ///
    /// The thread could not be started.
    pub fn start_feeder(
        &self,
        mut send: impl FnMut(Vec<Entry>) -> bool + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let (mut batches, most) = (self.run.batches(), self.files_per_hop);
        let shared = Arc::downgrade(&self.shared);
        std::thread::Builder::new().name("polyread-feeder".to_owned()).spawn(move || {
            while let Some(batch) = batches(most) {
                // The run is over: no task receives batches.
                let Some(shared) = shared.upgrade() else { return };
                shared.queued.fetch_add(1, Ordering::Relaxed);
                drop(shared);
                if !send(batch) {
                    return;
                }
            }
        })
    }

    /// Reads all entries on this thread: for a run whose feeder could not be started.
    pub fn read_here(&self, worker: WorkerId) {
        let mut worker = self.run.worker(worker);
        while let Some(batch) = self.run.next_batch(self.files_per_hop) {
            worker.read(batch);
        }
    }

    /// A hop, to be run on a thread that may block: it reads the batch. Its task [finishes](Self::finish) it. Under a time limit
    /// there is a watch over it too.
    pub fn hop(
        &self,
        mut batch: Vec<Entry>,
        id: WorkerId,
    ) -> (impl FnOnce() -> Hopped<A::Output> + Send + 'static, Option<HopWatch>) {
        let mut worker = self.shared.lock_idle().pop().unwrap_or_else(|| self.run.worker(id));
        worker.set_id(id);
        // Batches of one entry, see `Config::files_per_hop`.
        let watched = self.time_limit.zip(batch.pop_if(|_| self.time_limit.is_some()));
        let watched = watched.map(|(limit, entry)| {
            let hop = WatchedHop::new(entry);
            let watch = hop.watch(limit, id);
            (hop, watch)
        });
        let (watched, watch) = watched.unzip();
        let (shared, is_streaming) = (Arc::clone(&self.shared), self.stream.is_some());
        let hop = move || {
            shared.queued.fetch_sub(1, Ordering::Relaxed);
            let unread = match watched {
                Some(hop) => shared.read_watched(&mut worker, &hop),
                None => shared.read(&mut worker, batch),
            };
            let records = if is_streaming { worker.take_records() } else { Vec::new() };
            worker.deliver();
            shared.lock_idle().push(worker);
            Hopped { records, unread }
        };
        (hop, watch)
    }

    /// Hands the records of a hop to the stream, if there is one, waiting while its consumer is behind. Returns the entries that
    /// the hop did not get to, in halves, each for a hop of its own.
    pub async fn finish(&self, Hopped { records, unread }: Hopped<A::Output>) -> Vec<Vec<Entry>> {
        if let Some(stream) = self.stream.as_ref().filter(|_| !records.is_empty()) {
            stream.send(records).await;
        }
        unread
    }

    /// What to do with the permit of a hop that has come back: the number of permits follows what hops wait for, unless it
    /// was [set](Config::hops_in_flight).
    pub fn settle(&self) -> PermitChange {
        self.shared.limit.as_ref().map_or(PermitChange::Same, AdaptiveLimit::settle)
    }

    /// The end of a hop that was given up, with the record of its file. Where records do not go to a stream, a thread of its own
    /// hands it over: a task must not wait for the consumer. If no thread can be started, the task delivers it and waits.
    pub fn give_up(self: &Arc<Self>, record: FileResult<A::Output>) -> Hopped<A::Output> {
        if self.stream.is_some() {
            return Hopped { records: vec![record], unread: Vec::new() };
        }
        let (hops, record) = (Arc::clone(self), Arc::new(Mutex::new(Some(record))));
        let deliver = {
            let record = Arc::clone(&record);
            move || hops.run.deliver(lock(&record).take().into_iter().collect())
        };
        let spawned = std::thread::Builder::new().name("polyread-late".to_owned()).spawn(deliver);
        if spawned.is_err() {
            self.run.deliver(lock(&record).take().into_iter().collect());
        }
        Hopped::default()
    }
}

impl<A: Analysis> fmt::Debug for Hops<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hops").field("run", &self.run).field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

impl<A: Analysis> Shared<A> {
    /// Reads the entry of a hop under a time limit.
    fn read_watched(&self, worker: &mut Worker<A>, hop: &WatchedHop) -> Vec<Vec<Entry>> {
        if let Some(entry) = hop.begin(worker.watch()) {
            // A large file too is read by one hop: another could not be given up with it.
            let record = worker.read_one(entry);
            // The other way round a file that has just been given up would have two.
            if hop.end() {
                worker.put(record);
            }
        }
        Vec::new()
    }

    /// Reads a batch and, unless the number of hops is set, sees what that costs.
    fn read(&self, worker: &mut Worker<A>, batch: Vec<Entry>) -> Vec<Vec<Entry>> {
        let turn = self.begun.fetch_add(1, Ordering::Relaxed);
        let is_measured = batch.len() >= MEASURED || turn.is_multiple_of(MEASURED);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let entries = batch.len();
        let mut batch = batch.into_iter();
        match self.limit.as_ref().filter(|_| is_measured) {
            Some(limit) => limit.measure(worker, |worker| {
                self.read_files(worker, &mut batch);
                entries - batch.len()
            }),
            None => self.read_files(worker, &mut batch),
        }
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut first: Vec<_> = batch.collect();
        let second = first.split_off(first.len().div_ceil(2));
        let unread: Vec<_> = [first, second].into_iter().filter(|half| !half.is_empty()).collect();
        self.queued.fetch_add(unread.len(), Ordering::Relaxed);
        unread
    }

    fn read_files(&self, worker: &mut Worker<A>, batch: &mut std::vec::IntoIter<Entry>) {
        let (started, entries, mut bytes) = (Instant::now(), batch.len(), 0);
        while bytes < HOP_BYTES
            && (batch.len() == entries || started.elapsed() < HOP_TIME || !self.is_waited_for())
            && let Some(entry) = batch.next()
        {
            let record = worker.read_one(entry);
            bytes += record.bytes;
            worker.put(record);
        }
    }

    /// Whether other threads have nothing to do, and permits to do it.
    fn is_waited_for(&self) -> bool {
        let under_way = self.under_way.load(Ordering::Relaxed);
        self.queued.load(Ordering::Relaxed) == 0
            && self.limit.as_ref().is_some_and(|limit| limit.has_more_than(under_way))
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<Worker<A>>> {
        lock(&self.idle)
    }
}

/// The data behind a lock here stays whole when a holder panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
