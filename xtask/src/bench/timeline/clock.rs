//! An analysis that finds out nothing of a file but who reads it when.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use polyread_core::{Analysis, Combine, Parts};
use rustix::process::getpid;
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Looks at the clock whenever it is given bytes. As the other half of a pair it comes wherever the first half comes, to
/// worker processes too.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Clock {
    /// Which file it is on, among those that this process reads.
    #[serde(skip)]
    file: u64,
    stretches: Vec<Stretch>,
}

/// A thread of a process, by the ids that the system gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(super) struct Thread {
    pub(super) process: u32,
    pub(super) id: u32,
}

/// A time in which one thread read one file, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Stretch {
    pub(super) thread: Thread,
    /// When the thread had last done something for another file, as [`now_ns`] tells, like the next; 0 if it never had.
    pub(super) free_ns: u64,
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    pub(super) bytes: u64,
}

/// A thread that comes back to a file within this time has one stretch with it.
const SEAM_NS: u64 = 100_000;

/// Nanoseconds on a clock that is the same for all processes, and never goes back.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Threads of this process that had something to do with a file, with the names that they have.
static NAMES: Mutex<BTreeMap<u32, String>> = Mutex::new(BTreeMap::new());

/// The name of a thread of this process, if a [`Clock`] has ever been on it.
pub(super) fn name_of(thread: Thread) -> Option<String> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).get(&thread.id).cloned()
}

impl Thread {
    /// The one that runs this.
    pub(super) fn own() -> Self {
        thread_local!(static OWN: Cell<Option<Thread>> = const { Cell::new(None) });
        OWN.get().unwrap_or_else(|| {
            let id = |id: rustix::process::Pid| id.as_raw_nonzero().get().unsigned_abs();
            let own = Self { process: id(getpid()), id: id(gettid()) };
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            NAMES.lock().unwrap_or_else(PoisonError::into_inner).insert(own.id, name);
            OWN.set(Some(own));
            own
        })
    }
}

impl Clock {
    fn start(&mut self) {
        static FILES: AtomicU64 = AtomicU64::new(1);
        self.file = FILES.fetch_add(1, Ordering::Relaxed);
        self.tick(0);
    }

    fn tick(&mut self, bytes: u64) {
        thread_local! {
            /// Which file this thread has last done something for, and when.
            static LAST: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
        }
        let (thread, now) = (Thread::own(), now_ns());
        let (last_file, last_ns) = LAST.replace((self.file, now));
        let before = self.stretches.last_mut();
        let ended_ns = before.as_ref().map(|before| before.end_ns);
        // A ring has many files in flight, and comes to each when there are bytes of it.
        let is_back = |before: &&mut Stretch| {
            before.thread == thread && (last_file == self.file || last_ns.saturating_sub(before.end_ns) < SEAM_NS)
        };
        match before.filter(is_back) {
            Some(before) => {
                before.end_ns = now;
                before.bytes += bytes;
            }
            None => {
                // The time since it did something else was for this.
                let begin_ns = ended_ns.map_or(now, |ended_ns| ended_ns.max(last_ns));
                self.stretches.push(Stretch { thread, free_ns: last_ns, begin_ns, end_ns: now, bytes });
            }
        }
    }
}

impl Analysis for Clock {
    /// In the order of the bytes that were read in them.
    type Output = Vec<Stretch>;

    fn begin(&mut self, _size_hint: u64) {
        self.start();
    }

    fn update(&mut self, chunk: &[u8]) {
        self.tick(chunk.len() as u64);
    }

    fn finish(mut self) -> Vec<Stretch> {
        // Whoever finishes a file that several have read may have waited for the others, or is none of those who read it.
        match &self.stretches[..] {
            [] => self.tick(0),
            [only] if only.thread == Thread::own() => self.tick(0),
            _ => {}
        }
        self.stretches
    }

    fn parts() -> Option<Parts<Self>> {
        Some(Parts::of())
    }
}

impl Combine for Clock {
    fn begin_part(&mut self) {
        self.start();
    }

    fn combine(&mut self, later: Self) {
        for stretch in later.stretches {
            // Who reads a file together with others has every second range of it or so.
            let own = self.stretches.iter_mut().rfind(|known| known.thread == stretch.thread);
            match own.filter(|own| (own.end_ns..own.end_ns + SEAM_NS).contains(&stretch.begin_ns)) {
                Some(own) => {
                    own.end_ns = stretch.end_ns;
                    own.bytes += stretch.bytes;
                }
                None => self.stretches.push(stretch),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_reads_on_has_one_stretch() {
        let mut clock = Clock::default();
        clock.begin(5);
        clock.update(b"abc");
        clock.update(b"de");
        let [stretch] = clock.finish()[..] else { panic!("not one") };
        assert_eq!((stretch.thread, stretch.bytes), (Thread::own(), 5));
        assert!(stretch.begin_ns <= stretch.end_ns && stretch.end_ns <= now_ns());
        assert!(name_of(stretch.thread).is_some());
    }

    #[test]
    fn a_file_among_others_has_what_is_its_own() {
        let [mut large, mut small] = <[Clock; 2]>::default();
        large.begin(4);
        large.update(b"ab");
        let away = std::time::Duration::from_nanos(2 * SEAM_NS);
        std::thread::sleep(away);
        small.begin(1);
        std::thread::sleep(away);
        small.update(b"c");
        let small = small.finish();
        large.update(b"de");
        let ([only], [first, second]) = (&small[..], &large.finish()[..]) else { panic!("not so many") };
        assert_eq!((first.bytes, only.bytes, second.bytes), (2, 1, 2));
        assert!(first.end_ns <= only.begin_ns && only.free_ns == first.end_ns, "{first:?} {only:?}");
        // That it was finished only now is no reading.
        assert!(second.begin_ns > only.begin_ns && second.free_ns == second.begin_ns, "{only:?} {second:?}");
    }

    #[test]
    fn parts_keep_who_read_them_and_neighbours_in_time_are_one() {
        let stretch = |id, begin_ns, end_ns, bytes| {
            let thread = Thread { process: 1, id };
            Stretch { thread, free_ns: 0, begin_ns, end_ns, bytes }
        };
        let clock = |part| Clock { file: 0, stretches: vec![part] };
        let mut whole = clock(stretch(1, 10, 20, 2));
        assert_eq!(whole.clone().finish(), [stretch(1, 10, 20, 2)], "whoever finishes it has not read it");
        // Ranges of two threads, taken in turns; in the end one was away for long.
        let late = SEAM_NS + 31;
        for part in [stretch(2, 11, 19, 3), stretch(1, 20, 30, 5), stretch(1, late, late + 5, 7)] {
            whole.combine(clock(part));
        }
        assert_eq!(whole.finish(), [stretch(1, 10, 30, 7), stretch(2, 11, 19, 3), stretch(1, late, late + 5, 7)]);
    }

    #[test]
    fn it_is_combined_if_the_other_half_is() {
        assert!(<(polyread_core::TextStats, Clock)>::parts().is_some());
        assert!(<(polyread_core::Contents, Clock)>::parts().is_none());
    }
}
