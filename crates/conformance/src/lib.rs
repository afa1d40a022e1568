//! The one test suite that every reader of polyread passes.
//!
//! From the top: [`suite!`] makes a test of each function in [`checks`], for a reader given as an expression. The checks
//! know readers only as `dyn FileReader<A>` ([`Subject`]), the trees they read are made in [`tree`], and the analysis
//! that misbehaves on request is [`Scripted`].

#![forbid(unsafe_code)]

pub mod checks;
mod privileges;
mod processes;
mod scripted;
pub mod tree;
mod watch;

use polyread_core::{Contents, FileReader, Text, TextStats};

pub use privileges::run_unprivileged;
pub use processes::children_of;
pub use scripted::{Held, Scripted, Seen};
pub use watch::{run, run_alone};

/// One reader under test, for each analysis that the suite uses.
#[expect(missing_debug_implementations, reason = "readers need not be Debug")]
pub struct Subject {
    /// Counts words.
    pub text_stats: Box<dyn FileReader<TextStats>>,
    /// Keeps bytes.
    pub contents: Box<dyn FileReader<Contents>>,
    /// Refuses what is not UTF-8.
    pub text: Box<dyn FileReader<Text>>,
    /// Does what the file says.
    pub scripted: Box<dyn FileReader<Scripted>>,
    /// Counts what its outputs hold.
    pub held: Box<dyn FileReader<Held>>,
}

/// Makes a `#[test]` of each check, for one reader.
///
/// `reader` is an expression for a value that reads under any analysis; it is evaluated several times. `half_way`
/// starts the reader's stream or iterator for a job, takes a record and drops it; a second reader of a kind may leave it out.
/// `abandons_what_hangs` is for models that can give up a call that does not return.
#[macro_export]
macro_rules! suite {
    (reader: $reader:expr, half_way: |$job:ident| $half_way:expr, abandons_what_hangs $(,)?) => {
        $crate::suite! { reader: $reader, half_way: |$job| $half_way }
        $crate::suite! { @run a_file_that_hangs_is_abandoned }
    };
    (reader: $reader:expr, half_way: |$job:ident| $half_way:expr $(,)?) => {
        $crate::suite! { reader: $reader }

        #[test]
        fn dropping_half_way_leaks_nothing() {
            $crate::run_alone(|| $crate::checks::dropping_half_way_leaks_nothing(|$job| $half_way));
        }
    };
    (reader: $reader:expr $(,)?) => {
        fn subject() -> $crate::Subject {
            $crate::Subject {
                text_stats: Box::new($reader),
                contents: Box::new($reader),
                text: Box::new($reader),
                scripted: Box::new($reader),
                held: Box::new($reader),
            }
        }

        $crate::suite! { @run_unprivileged
            same_records_as_the_sequential_reader
            same_records_when_links_are_followed
        }
        $crate::suite! { @run
            contents_come_across_byte_for_byte
            large_files_count_alike_wherever_they_are_cut
            strict_text_names_the_offset
            every_entry_ends_in_exactly_one_record
            parts_of_a_run_are_read_to_their_end
            no_files_at_all
            a_break_from_the_sink_stops_the_run
            cancelling_stops_the_run_and_accounts_for_what_was_begun
            cancelling_ends_a_file_that_never_would
            a_panicking_analysis_costs_its_file_alone
            files_that_change_while_they_are_read_fail_as_changed
            files_that_change_before_they_are_opened_are_told_apart
            files_without_an_honest_size_are_read_to_their_end
            the_largest_file_size_holds
            the_time_limit_holds
            bytes_in_flight_hold_with_a_slow_sink
            waiting_for_room_does_not_count_against_the_time_limit
            entries_do_not_wait_for_others
            limits_beyond_all_bounds_are_none
            a_slow_sink_holds_the_workers_back
            a_panic_of_the_files_iterator_passes_through
        }
        $crate::suite! { @run_alone
            open_files_stay_within_the_limit
            a_panicking_sink_leaks_nothing
            finished_runs_leak_nothing
        }
    };
    (@run_unprivileged $($check:ident)*) => {
        $(
            #[test]
            fn $check() {
                let test = concat!(module_path!(), "::", stringify!($check));
                $crate::run_unprivileged(test, || $crate::checks::$check(&subject()));
            }
        )*
    };
    (@$how:ident $($check:ident)*) => {
        $(
            #[test]
            fn $check() {
                $crate::$how(|| $crate::checks::$check(&subject()));
            }
        )*
    };
}

/// The workspace's README, whose example is compiled and run here: this package alone may look outside of its folder,
/// because it is not published.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;

/// The same for the chapter on choosing.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/choosing.md")]
struct Choosing;

/// The same for the chapter for those who come from Python.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-python.md")]
struct FromPython;

/// The same for the chapter on writing a reader.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-a-reader.md")]
struct WritingAReader;
