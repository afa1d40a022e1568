//! Tests with fake workers that break the protocol: the parent survives each of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use polyread_conformance::{run_alone, tree};
use polyread_core::{Discovery, ErrorKind, FileReader, Job, Limits, TextStats};

use crate::config::Config;
use crate::protocol::{
    Answer, Bytes, Hello, MOST_BYTES, Order, Outcome, Packet, Payload, Position, ProgressPage, SOCKET, SentRecord,
    SharedMemory, VERSION, is_worker, receive, send,
};
use crate::reader::MultiprocessReader;

/// Descriptors of this process that are sockets.
fn sockets() -> BTreeSet<i32> {
    let is_socket = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    let sockets = std::fs::read_dir("/proc/self/fd").unwrap().flatten().filter(is_socket);
    sockets.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// A worker that has said hello.
struct Fake {
    orders: IpcReceiver<Packet>,
    answers: IpcSender<Packet>,
    /// The socket behind `answers`.
    socket: i32,
    page: ProgressPage,
    /// In the batch that it was given.
    files: u32,
}

impl Fake {
    /// Behaves until it has been given its first batch; `None` in a process that is no worker.
    fn until_first_batch() -> Option<Self> {
        let mut fake = Self::until_hello(VERSION)?;
        loop {
            match receive(&fake.orders, None).unwrap().unwrap().0 {
                Order::Begin(_) => send(&fake.answers, &Answer::Ready, SharedMemory::default()).unwrap(),
                Order::Batch(batch) => {
                    // It claims to have begun with all of them.
                    let begun = u32::try_from(batch.files.len()).unwrap();
                    fake.page.begin(Position { batch: batch.number, begun });
                    fake.files = begun;
                    return Some(fake);
                }
                Order::Room(_) => {}
            }
        }
    }

    fn until_hello(version: u32) -> Option<Self> {
        if !is_worker() {
            return None;
        }
        let (to_orders, orders) = ipc::channel().unwrap();
        let before = sockets();
        let (answers, from_answers) = ipc::channel().unwrap();
        // The sender's is the first of the pair.
        let socket = *sockets().difference(&before).min().unwrap();
        let (page, memory) = ProgressPage::new().unwrap();
        let hello = Hello { version, orders: to_orders, answers: from_answers, page: memory };
        IpcSender::connect(std::env::var(SOCKET).unwrap()).unwrap().send(hello).unwrap();
        Some(Self { orders, answers, socket, page, files: 0 })
    }

    /// Sends a packet of these bytes, whatever the channel would have made of them.
    #[expect(unsafe_code, reason = "the channel does not give its descriptor away")]
    fn send_raw(&self, bytes: &[u8]) {
        // SAFETY: the descriptor is that of `answers`, which is open as long as `self`.
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket) };
        assert_eq!(rustix::io::write(socket, bytes).unwrap(), bytes.len());
    }

    fn answer(&self, answer: &Answer) {
        send(&self.answers, answer, SharedMemory::default()).unwrap();
    }
}

/// Keeps the process alive: the parent must notice the garbage, not the end of the process.
fn live_on() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Reads a few files with such workers, and returns the kinds of their errors.
fn kinds(worker: &str) -> BTreeSet<ErrorKind> {
    let config = Config::default().in_tests(&format!("fake_worker::{worker}")).respawns(8);
    let tree = tree::many(3);
    let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
    let mut kinds = Vec::new();
    let summary =
        MultiprocessReader::with_config(config).read(job.limits(Limits::default().workers(2)), &mut |record| {
            kinds.push(record.outcome.unwrap_err().kind());
            ControlFlow::Continue(())
        });
    assert_eq!((summary.unwrap().failed(), kinds.len()), (3, 3));
    kinds.into_iter().collect()
}

/// A fake worker and the test that it is survived.
macro_rules! survived {
    ($($worker:ident: $kind:ident, |$fake:ident| $misbehave:block)*) => {
        $(
            mod $worker {
                use super::*;

                #[test]
                fn worker() {
                    let Some($fake) = Fake::until_first_batch() else { return };
                    $misbehave
                    live_on();
                }

                #[test]
                fn is_survived() {
                    run_alone(|| {
                        let kinds = kinds(concat!(stringify!($worker), "::worker"));
                        assert_eq!(kinds, BTreeSet::from([ErrorKind::$kind]));
                    });
                }
            }
        )*
    };
}

survived! {
    answers_noise: Protocol, |fake| {
        fake.send_raw(&[0xa5; 333]);
    }
    answers_a_few_bytes: Protocol, |fake| {
        fake.send_raw(&[1, 2, 3]);
    }
    claims_a_length_without_end: Protocol, |fake| {
        // The channel's own header: bytes in this packet, bytes in the whole message.
        let mut packet = [0; 64];
        packet[..8].copy_from_slice(&64u64.to_ne_bytes());
        packet[8..16].copy_from_slice(&(1u64 << 60).to_ne_bytes());
        fake.send_raw(&packet);
    }
    sends_half_a_message: Protocol, |fake| {
        let mut packet = [0; 64];
        packet[..8].copy_from_slice(&128u64.to_ne_bytes());
        packet[8..16].copy_from_slice(&112u64.to_ne_bytes());
        fake.send_raw(&packet);
    }
    dies_in_the_middle_of_a_message: Protocol, |fake| {
        let mut packet = [0; 64];
        packet[..8].copy_from_slice(&128u64.to_ne_bytes());
        fake.send_raw(&packet);
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    }
    answers_in_another_protocol: Protocol, |fake| {
        // A message that is whole, of a type that the parent does not know.
        let other: IpcSender<(u64, String)> = fake.answers.clone().to_opaque().to();
        other.send((u64::MAX, "what is this?".to_owned())).unwrap();
    }
    records_what_it_was_not_given: Protocol, |fake| {
        let record = read_as(4711, Payload::Inline(Bytes(Vec::new())));
        fake.answer(&Answer::Records { batch: 1, records: vec![record] });
    }
    outputs_that_are_none: Protocol, |fake| {
        for place in 0..fake.files {
            let record = read_as(place, Payload::Inline(Bytes(vec![0xff; 5])));
            fake.answer(&Answer::Records { batch: 1, records: vec![record] });
        }
        fake.answer(&Answer::Done { batch: 1, taken: fake.files });
        // Others of them may be in another batch.
        let Some((Order::Batch(batch), _)) = receive(&fake.orders, None).unwrap() else { return };
        for place in 0..u32::try_from(batch.files.len()).unwrap() {
            let record = read_as(place, Payload::Inline(Bytes(vec![0xff; 5])));
            fake.answer(&Answer::Records { batch: batch.number, records: vec![record] });
        }
        fake.answer(&Answer::Done { batch: batch.number, taken: u32::try_from(batch.files.len()).unwrap() });
    }
    claims_more_room_than_there_is: Protocol, |fake| {
        let record =
            SentRecord { bytes: u64::MAX, room: u64::MAX, ..read_as(0, Payload::Inline(Bytes(Vec::new()))) };
        fake.answer(&Answer::Records { batch: 1, records: vec![record] });
    }
    asks_for_room_without_end: Protocol, |fake| {
        for _ in 0..1_000_000 {
            fake.answer(&Answer::NeedsRoom(1));
        }
    }
    names_memory_that_it_did_not_send: Protocol, |fake| {
        fake.answer(&Answer::Records { batch: 1, records: vec![read_as(0, Payload::Shared(3))] });
    }
    is_done_without_records: Protocol, |fake| {
        fake.answer(&Answer::Done { batch: 1, taken: 1 });
    }
    is_done_with_what_it_was_not_given: Protocol, |fake| {
        fake.answer(&Answer::Done { batch: 77, taken: 0 });
    }
    asks_for_more_room_than_there_is: Protocol, |fake| {
        fake.answer(&Answer::NeedsRoom(u64::MAX));
    }
    answers_what_it_was_not_asked: Protocol, |fake| {
        fake.answer(&Answer::Ready);
    }
}

/// A worker built from another version of this crate.
#[test]
fn speaks_another_version() {
    if Fake::until_hello(VERSION + 1).is_some() {
        live_on();
    }
}

/// A worker that connects and then sends a hello that cannot be decoded.
#[test]
fn says_hello_in_nonsense() {
    if !is_worker() {
        return;
    }
    let hello: IpcSender<String> = IpcSender::connect(std::env::var(SOCKET).unwrap()).unwrap();
    hello.send("good morning".to_owned()).unwrap();
    live_on();
}

/// The record of a file that was read, to this.
fn read_as(place: u32, payload: Payload) -> SentRecord {
    SentRecord { place, outcome: Ok(Outcome::Read(payload)), bytes: 0, elapsed: Duration::ZERO, room: 0 }
}

#[test]
fn workers_that_cannot_be_understood_are_refused() {
    run_alone(|| {
        for (worker, said) in [("speaks_another_version", "version"), ("says_hello_in_nonsense", "hello")] {
            let config = Config::default().in_tests(&format!("fake_worker::{worker}"));
            let job = Job::of_paths(["/proc/version"], TextStats::default());
            let read = MultiprocessReader::with_config(config).read(job, &mut |_| ControlFlow::Continue(()));
            let error = read.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    });
}

/// A message may be as large as it is limited to, and a stopped worker does not keep its parent waiting: two of the
/// largest fit into a socket that nobody reads.
#[test]
fn two_messages_of_the_largest_size_do_not_block() {
    run_alone(|| {
        let (sender, _receiver) = ipc::channel().unwrap();
        for _ in 0..2 {
            let payload = Payload::Inline(Bytes(vec![1; usize::try_from(MOST_BYTES).unwrap() - 100]));
            let record = read_as(0, payload);
            send(&sender, &Answer::Records { batch: 1, records: vec![record] }, SharedMemory::default()).unwrap();
        }
    });
}

/// Shared memory arrives at its full length, and the sender refuses a message that is too long.
#[test]
fn messages_are_limited() {
    let (sender, receiver) = ipc::channel().unwrap();
    let mut shared = SharedMemory::default();
    let payload = shared.payload(&vec![7; 1 << 20]);
    let record = read_as(0, payload);
    send(&sender, &Answer::Records { batch: 1, records: vec![record] }, shared).unwrap();
    let Some((Answer::Records { records, .. }, shared)) = receive(&receiver, None).unwrap() else {
        panic!("no records")
    };
    let Ok(Outcome::Read(payload)) = &records[0].outcome else { panic!("no payload") };
    assert_eq!(shared.bytes(payload).unwrap(), vec![7; 1 << 20]);
    let too_long = Answer::Refused("x".repeat(usize::try_from(MOST_BYTES).unwrap()));
    assert!(send(&sender, &too_long, SharedMemory::default()).is_err());
}
