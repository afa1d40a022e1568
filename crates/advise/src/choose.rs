//! The rules, and what they say.

use std::fmt;

use crate::approach::Approach;
use crate::characteristics::Characteristics;
use crate::setup::Setup;

/// The first rule is for files below this many bytes on average,
const TINY_MEAN: u64 = 1_000;
/// and for more files than these.
const MANY_FILES: u64 = 1_000;

const CAVEAT: &str = "These are rules of thumb, not measurements: `cargo xtask bench PATH` finds the fastest on your files and your machine.";

/// What the rules say of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// The model to use, and its settings for the machine.
    pub setup: Setup,
    /// Which rule applies, with the figures that it applies to. Why the settings are what they are is told beside them.
    pub why: String,
    /// What else would do, the nearest first.
    pub alternatives: Vec<Alternative>,
    /// What this advice is worth, and how to know better.
    pub caveat: String,
}

/// Another strategy that would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alternative {
    /// Its stable name, which need not be that of an [`Approach`].
    pub strategy: &'static str,
    /// What speaks for it.
    pub why: &'static str,
}

/// Chooses a model for this machine; `None` if there is no file to choose it for.
///
/// The first of these rules that applies:
///
/// 1. less than 1,000 bytes on average, in more than 1,000 files: [`Approach::Tokio`];
/// 2. work that is [bound by the processor](Characteristics::cpu_bound): [`Approach::Multiprocess`];
/// 3. a [mixed workload](Characteristics::is_mixed_workload): [`Approach::Hybrid`];
/// 4. anything else: [`Approach::Rayon`].
///
/// See [the crate](crate#what-the-rules-are-worth) for what they are worth. The machine is told by the number of cores that
/// this process may use.
pub fn choose(characteristics: &Characteristics) -> Option<Advice> {
    choose_for(characteristics, std::thread::available_parallelism().map_or(1, usize::from))
}

/// Chooses as [`choose`] does, for a machine with this many cores, at least 1.
pub fn choose_for(characteristics: &Characteristics, cores: usize) -> Option<Advice> {
    let seen = characteristics;
    let mean = seen.mean_size()?;
    let (small, large) = (seen.small_files(), seen.files() - seen.small_files());
    let [files, small, large] = [seen.files(), small, large].map(Grouped);
    let all = format!("{} of {} bytes on average", count(seen.files(), "file"), Grouped(mean));
    let line = Grouped(Characteristics::SMALL);
    let (approach, why) = if mean < TINY_MEAN && seen.files() > MANY_FILES {
        let (many, tiny) = (Grouped(MANY_FILES), Grouped(TINY_MEAN));
        let why = format!(
            "{all}, which is more than {many} files and less than {tiny} bytes: such files are waited for rather than \
             read, and a task that waits costs next to nothing"
        );
        (Approach::Tokio, why)
    } else if seen.is_cpu_bound() {
        let why = format!(
            "{all}, and the work on the bytes was said to take longer than reading them: processes keep all cores busy \
             with it and share nothing"
        );
        (Approach::Multiprocess, why)
    } else if seen.is_mixed_workload() {
        let why = format!(
            "{small} of {files} files are below {line} bytes and {large} are not, at least one in {} on each side: small \
             ones go to tasks, the others to threads",
            Characteristics::MIXED_SHARE
        );
        (Approach::Hybrid, why)
    } else {
        let why = format!(
            "{all}, {small} of them below {line} bytes and {large} not: neither very many tiny files, nor small and large \
             ones mixed, nor work that was said to be bound by the processor, and threads suit everything else"
        );
        (Approach::Rayon, why)
    };
    let caveat = if seen.is_partial() {
        format!("Measuring was stopped early, and this is by what had been seen until then. {CAVEAT}")
    } else {
        CAVEAT.to_owned()
    };
    Some(Advice { setup: Setup::of(approach, cores), why, alternatives: alternatives(approach).to_vec(), caveat })
}

/// What else would do where the rules choose this model, the nearest first.
fn alternatives(approach: Approach) -> &'static [Alternative] {
    match approach {
        Approach::Tokio => &[
            Alternative { strategy: "async-std", why: "the same model on another runtime" },
            Alternative {
                strategy: "rayon",
                why: "a tie with tokio on 50,000 files of about 1 kB, in the run that is recorded",
            },
        ],
        Approach::Multiprocess => &[Alternative {
            strategy: "rayon",
            why: "threads keep all cores busy too; processes have the advantage that one may crash",
        }],
        Approach::Hybrid => {
            &[Alternative { strategy: "rayon", why: "one model for files of every size is simpler to live with" }]
        }
        Approach::Rayon => &[Alternative {
            strategy: "tokio",
            why: "where the program is async anyway; a tie with rayon in the run that is recorded",
        }],
    }
}

/// `1 file`, `2,000 files`.
fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", Grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with a comma before each three digits, as people read it.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{TASK_MEMORY, optimal_async_config, optimal_process_config, optimal_thread_config};

    fn files(count: u64, size: u64) -> Characteristics {
        Characteristics::new().with_files(count, size)
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        use Approach::{Hybrid, Multiprocess, Rayon, Tokio};
        let mixed = || files(100, 5_000).with_files(100, 20_000);
        for (case, seen, expected) in [
            ("many tiny files", files(1_001, 999), Tokio),
            ("just not many", files(1_000, 999), Rayon),
            ("just not tiny", files(1_001, 1_000), Rayon),
            ("tiny by a single byte", files(2_000, 1_000).with_files(1, 999), Tokio),
            ("empty ones", files(5_000, 0), Tokio),
            ("many tiny files under a slow analysis", files(1_001, 999).cpu_bound(true), Tokio),
            ("few tiny files under a slow analysis", files(1_000, 999).cpu_bound(true), Multiprocess),
            ("mixed under a slow analysis", mixed().cpu_bound(true), Multiprocess),
            ("mixed", mixed(), Hybrid),
            ("one in ten large", files(9, 9_999).with_files(1, 10_000), Hybrid),
            ("one in eleven large", files(10, 9_999).with_files(1, 10_000), Rayon),
            // The nearest that a mixed workload comes to a tiny one: no tree is both.
            ("one in ten large, the others empty", files(9_000, 0).with_files(1_000, 10_000), Hybrid),
            ("a few large, the others empty", files(9_001, 0).with_files(999, 10_000), Tokio),
            ("large ones", files(16, 64 << 20), Rayon),
            ("one file", files(1, 1), Rayon),
        ] {
            let advice = choose_for(&seen, 2).unwrap();
            assert_eq!(advice.setup.approach, expected, "{case}");
        }
    }

    #[test]
    fn no_file_no_advice() {
        assert_eq!(choose(&Characteristics::new()), None);
        assert_eq!(choose(&Characteristics::new().cpu_bound(true)), None);
    }

    #[test]
    fn each_model_comes_with_its_settings_and_alternatives() {
        let setup = |seen: &Characteristics, cores| choose_for(seen, cores).unwrap().setup;
        let (tiny, slow) = (files(2_000, 10), files(10, 10).cpu_bound(true));
        let (mixed, other) = (files(10, 10).with_files(10, 1 << 20), files(10, 10));
        for cores in [0, 1, 2, 64] {
            assert_eq!(setup(&tiny, cores), optimal_async_config(cores, TASK_MEMORY));
            assert_eq!(setup(&slow, cores), optimal_process_config(cores));
            assert_eq!(setup(&mixed, cores), Setup::of(Approach::Hybrid, cores));
            assert_eq!(setup(&other, cores), optimal_thread_config(cores));
        }
        for seen in [&tiny, &slow, &mixed, &other] {
            let advice = choose(seen).unwrap();
            let name = advice.setup.approach.as_str();
            assert_eq!(advice.setup.approach.package(), format!("polyread-{name}"));
            assert!(!advice.alternatives.is_empty());
            assert!(advice.alternatives.iter().all(|other| other.strategy != name));
        }
        assert_eq!(choose(&tiny).unwrap().alternatives[0].strategy, "async-std");
    }

    #[test]
    fn reasons_tell_the_figures_and_what_they_are_worth() {
        let why = |seen: &Characteristics| choose_for(seen, 2).unwrap().why;
        assert!(why(&files(12_345, 678)).starts_with("12,345 files of 678 bytes on average"));
        let mixed = why(&files(2_000, 5_000).with_files(1_000, 20_000));
        assert!(mixed.starts_with("2,000 of 3,000 files are below 10,000 bytes and 1,000 are not"), "{mixed}");
        assert!(
            why(&files(1, 5)).starts_with("1 file of 5 bytes on average, 1 of them below"),
            "{}",
            why(&files(1, 5))
        );
        assert!(choose(&files(1, 1)).unwrap().caveat.contains("cargo xtask bench PATH"));
    }

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, shown) in [(0, "0"), (999, "999"), (1_000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")] {
            assert_eq!(Grouped(number).to_string(), shown);
        }
    }
}
