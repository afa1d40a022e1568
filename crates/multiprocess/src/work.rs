//! What is to be read, between the thread that finds it and those that look after a process each.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use polyread_core::{FileEntry, FilePart};

use crate::pool::lock;

/// How often somebody who waits looks whether the run was cancelled.
const POLL: Duration = Duration::from_millis(10);

/// A file on its way to its record.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) index: u64,
    pub(crate) file: FileEntry,
    /// How often it has been begun, by workers that were lost over it.
    pub(crate) tries: u32,
    /// Bytes of it that the run's progress has been told of.
    pub(crate) told: u64,
    /// If it is not the whole file.
    pub(crate) part: Option<FilePart>,
}

/// The files that wait, in a bounded number.
#[derive(Debug)]
pub(crate) struct Work {
    queue: Mutex<Queue>,
    changed: Condvar,
    most: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// Those that have been tried come first, alone: who dies over one has died over that one.
    again: VecDeque<Task>,
    waiting: VecDeque<Task>,
    /// Taken and not yet recorded: they may come back.
    out: usize,
    /// Nothing is added any more.
    closed: bool,
    /// Processes that are left.
    crew: usize,
}

impl Work {
    pub(crate) fn new(most: usize, crew: usize) -> Self {
        Self { queue: Mutex::new(Queue { crew, ..Queue::default() }), changed: Condvar::new(), most }
    }

    /// Adds files, waiting while as many are there as may be; gives them back when nobody is left to read them.
    pub(crate) fn add(&self, tasks: Vec<Task>, is_cancelled: &dyn Fn() -> bool) -> Vec<Task> {
        let mut queue = lock(&self.queue);
        while queue.waiting.len() >= self.most && queue.crew > 0 && !is_cancelled() {
            queue = self.wait(queue);
        }
        if queue.crew == 0 {
            return tasks;
        }
        queue.waiting.extend(tasks);
        drop(queue);
        self.changed.notify_all();
        Vec::new()
    }

    /// Nothing is added any more.
    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.changed.notify_all();
    }

    /// At most `most` files whose paths have no more than `most_bytes` together: what is there, or after waiting for it
    /// the first. Empty when there will be no more, or when the run is cancelled.
    pub(crate) fn take(&self, most: usize, most_bytes: usize, is_cancelled: &dyn Fn() -> bool) -> Vec<Task> {
        let mut queue = lock(&self.queue);
        loop {
            if is_cancelled() {
                return Vec::new();
            }
            if let Some(task) = queue.again.pop_front() {
                queue.out += 1;
                return vec![task];
            }
            if !queue.waiting.is_empty() {
                // Not all, if others wait for work too.
                let share = queue.waiting.len().div_ceil(queue.crew.max(1));
                return self.cut(&mut queue, most.min(share), most_bytes);
            }
            if queue.closed && queue.out == 0 {
                return Vec::new();
            }
            queue = self.wait(queue);
        }
    }

    /// The same, if there is so much that nobody else will go without.
    pub(crate) fn take_ahead(&self, most: usize, most_bytes: usize) -> Vec<Task> {
        let mut queue = lock(&self.queue);
        let is_part = queue.waiting.front().is_some_and(|task| task.part.is_some());
        let enough = if is_part { queue.crew } else { most * queue.crew };
        if queue.waiting.len() < enough || !queue.again.is_empty() {
            return Vec::new();
        }
        self.cut(&mut queue, most, most_bytes)
    }

    fn cut(&self, queue: &mut Queue, most: usize, most_bytes: usize) -> Vec<Task> {
        let mut bytes = 0;
        let fits = |task: &&Task| {
            bytes += task.file.path().as_os_str().len();
            bytes <= most_bytes
        };
        // A part is as much work as a batch of small files.
        let files = queue.waiting.iter().take_while(|task| task.part.is_none()).count();
        let count = queue.waiting.iter().take(most.min(files)).take_while(fits).count().max(1);
        let tasks: Vec<_> = queue.waiting.drain(..count.min(queue.waiting.len())).collect();
        queue.out += tasks.len();
        self.changed.notify_all();
        tasks
    }

    /// This many of those that were taken have their records.
    pub(crate) fn done(&self, count: usize) {
        let mut queue = lock(&self.queue);
        queue.out = queue.out.saturating_sub(count);
        if queue.out == 0 {
            self.changed.notify_all();
        }
    }

    /// A file that was taken has turned out to be these parts. They go behind what waits: it is not to wait for all of them.
    pub(crate) fn divide(&self, parts: impl Iterator<Item = Task>) {
        let mut queue = lock(&self.queue);
        queue.out = queue.out.saturating_sub(1);
        queue.waiting.extend(parts);
        drop(queue);
        self.changed.notify_all();
    }

    /// Files that were taken come back: those that a worker has died over to be tried alone, the others as before.
    pub(crate) fn put_back(&self, tasks: impl IntoIterator<Item = Task>) {
        let mut queue = lock(&self.queue);
        for task in tasks {
            queue.out = queue.out.saturating_sub(1);
            if task.tries > 0 { queue.again.push_back(task) } else { queue.waiting.push_front(task) }
        }
        self.changed.notify_all();
    }

    /// Somebody who had files in hand has panicked: nobody is to wait for those.
    pub(crate) fn break_off(&self) {
        let mut queue = lock(&self.queue);
        (queue.closed, queue.out) = (true, 0);
        drop(queue);
        self.changed.notify_all();
    }

    /// Whether there is nothing left to do, and will not be.
    pub(crate) fn is_over(&self) -> bool {
        let queue = lock(&self.queue);
        queue.closed && queue.out == 0 && queue.waiting.is_empty() && queue.again.is_empty()
    }

    /// A process has gone and is not replaced.
    pub(crate) fn leave(&self) {
        lock(&self.queue).crew -= 1;
        self.changed.notify_all();
    }

    /// What nobody has taken, when nobody is left.
    pub(crate) fn rest(&self) -> Vec<Task> {
        let queue = &mut *lock(&self.queue);
        queue.again.drain(..).chain(queue.waiting.drain(..)).collect()
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        // A time-out, not a plain wait: a raised token does not notify.
        self.changed.wait_timeout(queue, POLL).unwrap_or_else(std::sync::PoisonError::into_inner).0
    }
}
