//! Reading in another process: what the run keeps here, and what it lends to whoever reads there.
//!
//! Room in the bytes in flight is taken here and granted to the other process, which spends it file by file and sends it
//! back with its records. There, nothing is free but what has been granted.

use std::sync::{Arc, Mutex};

use crate::budget::{Budget, Reservation, lock};
use crate::scan::Shared;
use crate::{Analysis, CancelToken, Context, Limits, Progress};

impl<A: Analysis> Context<A> {
    /// A clone of the run's analysis, to be sent elsewhere.
    pub fn analysis(&self) -> A {
        lock(&self.analysis).clone()
    }

    /// The most bytes that all results together may hold.
    pub fn bytes_in_flight(&self) -> u64 {
        self.shared.budget.capacity()
    }

    /// Counts bytes that were read elsewhere, where the run's progress is not at hand.
    pub fn has_read(&self, bytes: u64) {
        self.shared.progress.bytes(bytes);
    }

    /// Takes room for a result that comes from elsewhere, waiting for others to give theirs back; `None` when the run is
    /// cancelled meanwhile, or the room is more than there is.
    pub fn take_room(&self, bytes: u64) -> Option<Room> {
        let budget = &self.shared.budget;
        (bytes <= budget.capacity()).then(|| budget.acquire(bytes, &self.shared.cancel).map(Room)).flatten()
    }

    /// Takes room for what has been read already, and so beyond what there is if need be.
    pub fn take_room_at_once(&self, bytes: u64) -> Room {
        let mut room = self.shared.budget.none();
        room.grow_to(bytes);
        Room(room)
    }

    /// Takes room if it is free at once.
    pub fn try_take_room(&self, bytes: u64) -> Option<Room> {
        self.shared.budget.try_acquire(bytes).map(Room)
    }
}

/// Room taken in a run's bytes in flight; dropping gives it back.
///
/// For those who write a reader.
#[derive(Debug)]
pub struct Room(pub(crate) Reservation);

impl Room {
    /// How much it is.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// A part of it for a record of its own. What is missing is taken as well: it has been read already.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Self {
        Self(self.0.split(bytes))
    }
}

/// The part of a run that is done in another process: there, the room in the bytes in flight is somebody else's, who
/// grants it.
///
/// For those who write a reader.
#[derive(Debug)]
pub struct Allowance(Arc<Budget>);

impl Allowance {
    /// A context to read in under these limits, with nothing granted yet.
    pub fn start<A: Analysis>(analysis: A, limits: &Limits) -> (Context<A>, Self) {
        let budget = Budget::on_allowance(limits.bytes_in_flight);
        let shared = Arc::new(Shared {
            cancel: CancelToken::new(),
            progress: Progress::new(),
            budget: Arc::clone(&budget),
            max_file_size: limits.max_file_size,
            timeout: limits.timeout,
            gate: None,
            route: None,
        });
        (Context { analysis: Arc::new(Mutex::new(analysis)), shared }, Self(budget))
    }

    /// Replaces what is left of it by `bytes`.
    pub fn grant(&self, bytes: u64) {
        self.0.grant(bytes);
    }
}
