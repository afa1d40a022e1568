//! The queue between the thread that finds files and the supervisors, to which files can come back.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use polyread_core::reader::{Entry, Run};
use polyread_core::{Analysis, CancelToken, ErrorKind, FileEntry, Operation, ReadError};

use crate::lock::lock;
use crate::poll::POLL_INTERVAL;
use crate::protocol::{FilePart, MOST_PATH_BYTES};

/// A file, or a part of one, on its way to its record.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) index: u64,
    pub(crate) file: FileEntry,
    /// How many workers were lost after they had begun it.
    pub(crate) tries: u32,
    /// Bytes of it that the run's progress already counts.
    pub(crate) reported_bytes: u64,
    /// `None`: the whole file.
    pub(crate) part: Option<FilePart>,
}

impl Task {
    /// A file that has not been tried yet. An entry that is open is opened anew by its worker.
    ///
    /// # Errors
    ///
    /// The index of an entry that no worker can read, with its failure.
    pub(crate) fn new(entry: Entry) -> Result<Self, (u64, ReadError)> {
        let index = entry.index;
        let file = entry.found.map_err(|error| (index, error))?;
        if file.path().as_os_str().len() > MOST_PATH_BYTES {
            return Err((index, ReadError::new(ErrorKind::NameTooLong, Operation::Open, file.path())));
        }
        Ok(Self { index, file, tries: 0, reported_bytes: 0, part: None })
    }

    /// Tells the run's progress how many bytes of it have been read.
    pub(crate) fn report<A: Analysis>(&mut self, bytes: u64, run: &Run<A>) {
        run.has_read(bytes.saturating_sub(self.reported_bytes));
        self.reported_bytes = self.reported_bytes.max(bytes);
    }

    pub(crate) fn error(&self, kind: ErrorKind, operation: Operation) -> ReadError {
        ReadError::new(kind, operation, self.file.path())
    }
}

/// The tasks of a run that no process has. New files are added up to a bound; tasks that come back, and parts, beyond it.
#[derive(Debug)]
pub(crate) struct WorkQueue {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// The most tasks that wait before new ones are held back.
    most: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// Tasks that cost a worker. They come first and alone: if another worker is lost, this task is the reason.
    retries: VecDeque<Task>,
    waiting: VecDeque<Task>,
    /// Tasks that processes have: they may come back.
    in_hand: usize,
    /// No new file will be added.
    is_closed: bool,
    /// Processes that are left.
    processes: usize,
}

impl WorkQueue {
    pub(crate) fn new(most: usize, processes: usize) -> Self {
        Self { queue: Mutex::new(Queue { processes, ..Queue::default() }), changed: Condvar::new(), most }
    }

    /// Adds new files, waiting while the queue is full. Gives them back if no process is left.
    pub(crate) fn add(&self, tasks: Vec<Task>, cancel: &CancelToken) -> Vec<Task> {
        let mut queue = lock(&self.queue);
        while queue.waiting.len() >= self.most && queue.processes > 0 && !cancel.is_cancelled() {
            queue = self.wait(queue);
        }
        if queue.processes == 0 {
            return tasks;
        }
        queue.waiting.extend(tasks);
        drop(queue);
        self.changed.notify_all();
        Vec::new()
    }

    /// No new file will be added.
    pub(crate) fn close(&self) {
        lock(&self.queue).is_closed = true;
        self.changed.notify_all();
    }

    /// Takes a batch of at most `most` tasks, waiting for the first. Empty when there will be no more, and when the run is
    /// cancelled.
    pub(crate) fn take(&self, most: usize, cancel: &CancelToken) -> Vec<Task> {
        let mut queue = lock(&self.queue);
        loop {
            if cancel.is_cancelled() {
                return Vec::new();
            }
            if let Some(task) = queue.retries.pop_front() {
                queue.in_hand += 1;
                return vec![task];
            }
            if !queue.waiting.is_empty() {
                // An equal share for each process, since others may wait as well.
                let share = queue.waiting.len().div_ceil(queue.processes.max(1));
                return self.take_batch(&mut queue, most.min(share));
            }
            if queue.is_closed && queue.in_hand == 0 {
                return Vec::new();
            }
            queue = self.wait(queue);
        }
    }

    /// Takes a batch without waiting, if there are enough tasks for a batch of every process.
    pub(crate) fn take_ahead(&self, most: usize) -> Vec<Task> {
        let mut queue = lock(&self.queue);
        let is_part = queue.waiting.front().is_some_and(|task| task.part.is_some());
        let enough = if is_part { queue.processes } else { most * queue.processes };
        if queue.waiting.len() < enough || !queue.retries.is_empty() {
            return Vec::new();
        }
        self.take_batch(&mut queue, most)
    }

    fn take_batch(&self, queue: &mut Queue, most: usize) -> Vec<Task> {
        let mut bytes = 0;
        let fits = |task: &&Task| {
            bytes += task.file.path().as_os_str().len();
            bytes <= MOST_PATH_BYTES
        };
        // A part is as much work as a batch of small files, and travels alone.
        let files = queue.waiting.iter().take_while(|task| task.part.is_none()).count();
        let count = queue.waiting.iter().take(most.min(files)).take_while(fits).count().max(1);
        let tasks: Vec<_> = queue.waiting.drain(..count.min(queue.waiting.len())).collect();
        queue.in_hand += tasks.len();
        self.changed.notify_all();
        tasks
    }

    /// So many tasks that processes had are done.
    pub(crate) fn done(&self, count: usize) {
        let mut queue = lock(&self.queue);
        queue.in_hand = queue.in_hand.saturating_sub(count);
        if queue.in_hand == 0 {
            self.changed.notify_all();
        }
    }

    /// Adds the parts of a file that a process has. Other files do not wait for them: they go to the end of the queue.
    pub(crate) fn add_parts(&self, parts: Vec<Task>) {
        lock(&self.queue).waiting.extend(parts);
        self.changed.notify_all();
    }

    /// Takes tasks back, in their order in the queue. Those that cost a worker will be tried alone; the others, which were
    /// not begun, go to the front of the queue.
    pub(crate) fn put_back(&self, tasks: Vec<Task>) {
        let mut queue = lock(&self.queue);
        for task in tasks.into_iter().rev() {
            queue.in_hand = queue.in_hand.saturating_sub(1);
            if task.tries > 0 { queue.retries.push_back(task) } else { queue.waiting.push_front(task) }
        }
        self.changed.notify_all();
    }

    /// A process has gone and is not replaced.
    pub(crate) fn remove_process(&self) {
        lock(&self.queue).processes -= 1;
        self.changed.notify_all();
    }

    /// A supervisor has panicked. Its tasks will not come back: no other thread may wait for them.
    pub(crate) fn abort(&self) {
        let mut queue = lock(&self.queue);
        (queue.is_closed, queue.in_hand) = (true, 0);
        queue.processes = queue.processes.saturating_sub(1);
        drop(queue);
        self.changed.notify_all();
    }

    /// Whether there is no task left, and none can come any more.
    pub(crate) fn is_over(&self) -> bool {
        let queue = lock(&self.queue);
        queue.is_closed && queue.in_hand == 0 && queue.waiting.is_empty() && queue.retries.is_empty()
    }

    /// Takes all tasks that no process has read, when no process is left.
    pub(crate) fn take_unread(&self) -> Vec<Task> {
        let queue = &mut *lock(&self.queue);
        queue.retries.drain(..).chain(queue.waiting.drain(..)).collect()
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        // A time-out, not a plain wait: a raised token does not notify.
        self.changed.wait_timeout(queue, POLL_INTERVAL).unwrap_or_else(PoisonError::into_inner).0
    }
}
