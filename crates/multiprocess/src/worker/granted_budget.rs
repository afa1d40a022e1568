//! The bytes in flight of a run, as one of its worker processes sees them: the parent has them, and grants some.

use polyread_core::Analysis;
use polyread_core::reader::Run;
use polyread_core::reader::custom::Reservation;

/// The room in the bytes in flight that the parent has granted to this process.
///
/// The run in this process has as many bytes in flight as the whole run. Nearly all of them are reserved here, as *not
/// granted*: its worker finds free what the parent has granted, and no more.
#[derive(Debug)]
pub(super) struct GrantedBudget {
    not_granted: Reservation,
    capacity: u64,
}

impl GrantedBudget {
    /// Nothing is granted yet; `None` if the run has reserved bytes already.
    pub(super) fn new<A: Analysis>(run: &Run<A>) -> Option<Self> {
        let capacity = run.limits().bytes_held();
        Some(Self { not_granted: run.try_reserve(capacity)?, capacity })
    }

    /// Replaces the room that is left of earlier grants by `bytes`.
    pub(super) fn grant(&mut self, bytes: u64) {
        // Exactly the capacity: missing bytes are taken, and surplus ones dropped.
        let whole = self.not_granted.split(self.capacity);
        self.not_granted = whole;
        drop(self.not_granted.split(bytes));
    }

    /// Takes the room of a record that leaves this process, and returns how much it is. It is used up here: the parent
    /// holds it from now on.
    pub(super) fn use_up(&mut self, reservation: Reservation) -> u64 {
        let bytes = reservation.bytes();
        self.not_granted.absorb(reservation);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use polyread_core::{Contents, Job, Limits};

    use super::*;

    #[test]
    fn room_is_granted_used_up_and_replaced() {
        let job = Job::of_paths(Vec::<String>::new(), Contents::default());
        let run = job.limits(Limits::default().bytes_in_flight(100)).start();
        let mut granted = GrantedBudget::new(&run).unwrap();
        assert!(run.try_reserve(1).is_none());
        granted.grant(60);
        let record = run.try_reserve(40).unwrap();
        assert_eq!(granted.use_up(record), 40);
        assert!(run.try_reserve(21).is_none() && run.try_reserve(20).is_some());
        // A record that takes more than was granted.
        let mut record = run.try_reserve(0).unwrap();
        let record = record.split(70);
        assert_eq!(granted.use_up(record), 70);
        for bytes in [0, 30, 100, 0, 60] {
            granted.grant(bytes);
            assert!(run.try_reserve(bytes + 1).is_none() && run.try_reserve(bytes).is_some(), "{bytes}");
        }
        // The room of a record that was dropped is free again.
        drop(run.try_reserve(60).unwrap());
        assert!(run.try_reserve(60).is_some());
    }
}
