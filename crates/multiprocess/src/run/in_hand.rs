//! The tasks that one process has.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::work_queue::Task;
use crate::protocol::{ChannelError, Position};

/// The batches that a process has, with the tasks that have no record yet.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    batches: VecDeque<BatchInHand>,
    /// The number of the last batch.
    last: u32,
}

#[derive(Debug)]
struct BatchInHand {
    number: u32,
    /// By their places in the batch; `None` once it is recorded.
    tasks: Vec<Option<Task>>,
}

/// A task that a process had without a record when it ended.
#[derive(Debug)]
pub(crate) struct Unrecorded {
    pub(crate) task: Task,
    pub(crate) is_begun: bool,
    /// If the process was at this very file: how many bytes of it had been read.
    pub(crate) bytes_at_hand: Option<u64>,
}

impl InHand {
    /// How many batches there are.
    pub(crate) fn batches(&self) -> usize {
        self.batches.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Adds a batch, and returns its number with its tasks.
    pub(crate) fn add(&mut self, tasks: Vec<Task>) -> (u32, impl Iterator<Item = &Task>) {
        self.last += 1;
        self.batches.push_back(BatchInHand { number: self.last, tasks: tasks.into_iter().map(Some).collect() });
        (self.last, self.batches.back().into_iter().flat_map(|batch| batch.tasks.iter().flatten()))
    }

    fn slot(&mut self, batch: u32, place: u32) -> Option<&mut Option<Task>> {
        let batch = self.batches.iter_mut().find(|in_hand| in_hand.number == batch)?;
        batch.tasks.get_mut(usize::try_from(place).ok()?)
    }

    /// The task at this place, if it is not recorded.
    pub(crate) fn get(&mut self, batch: u32, place: u32) -> Option<&mut Task> {
        self.slot(batch, place)?.as_mut()
    }

    /// Takes the task at this place out: it is recorded.
    pub(crate) fn take(&mut self, batch: u32, place: u32) -> Option<Task> {
        self.slot(batch, place)?.take()
    }

    /// The task that a process at this position is at, if it is not recorded.
    pub(crate) fn at(&mut self, position: Position) -> Option<&mut Task> {
        self.get(position.batch, position.begun.checked_sub(1)?)
    }

    /// Ends the oldest batch, of which the process has read the first `taken` files. Returns the unread ones.
    pub(crate) fn finish(&mut self, batch: u32, taken: u32) -> Result<Vec<Task>, ChannelError> {
        let in_hand = self.batches.front().filter(|in_hand| in_hand.number == batch);
        let in_hand = in_hand.ok_or_else(|| ChannelError::invalid("it is done with what it was not given"))?;
        if in_hand.tasks.iter().take(count(taken)).any(Option::is_some) {
            return Err(ChannelError::invalid("it is done without a record of each file"));
        }
        let finished = self.batches.pop_front().map(|in_hand| in_hand.tasks).unwrap_or_default();
        Ok(finished.into_iter().flatten().collect())
    }

    /// All tasks, after the process has ended at this position with so many bytes of its file read.
    pub(crate) fn into_unrecorded(self, (position, bytes): (Position, u64)) -> Vec<Unrecorded> {
        let mut unrecorded = Vec::new();
        for BatchInHand { number, tasks } in self.batches {
            // How many of the batch have been begun; the last of them is the file at hand.
            let begun = match position.batch.cmp(&number) {
                Ordering::Greater => usize::MAX,
                Ordering::Equal => count(position.begun),
                Ordering::Less => 0,
            };
            for (place, task) in tasks.into_iter().enumerate() {
                let Some(task) = task else { continue };
                let bytes_at_hand = (place + 1 == begun).then_some(bytes);
                unrecorded.push(Unrecorded { task, is_begun: place < begun, bytes_at_hand });
            }
        }
        unrecorded
    }
}

fn count(begun: u32) -> usize {
    usize::try_from(begun).unwrap_or(usize::MAX)
}
