//! How fast text is counted, by script: `cargo bench -p polyread-core`. Every input fits the second-level cache.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use polyread_core::internals::Level;
use polyread_core::{Analysis, TextCounts, TextStats};

/// Bytes of each input: more blocks than a branch predictor learns by heart, and they stay in the second-level cache.
const SIZE: usize = 256 * 1024;

const ENGLISH: &[&str] =
    &["the ", "files ", "of ", "a ", "tree, ", "are ", "read ", "at ", "once. ", "however\n", "it "];
const RUSSIAN: &[&str] = &["все ", "файлы ", "в ", "дереве, ", "читаются ", "сразу. ", "однако\n", "это ", "не "];
const CHINESE: &[&str] = &["文件", "目录", "的", "读取", "，", "。\n", "统计", "并发", "“", "”", "　", "我们", "系统"];
/// What stands between the scripts in real text: dashes, no-break spaces, line ends of Windows, emoji.
const OTHER: &[&str] = &["— ", "\u{a0}", "naïve ", "\r\n", "😀 ", "0123456789 ", "\u{2009}", "{\"key\": \"value\"}, "];

/// The same numbers on every run and machine: a linear congruential generator is random enough to pick words by.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

fn words(vocabulary: &[&str], size: usize) -> Vec<u8> {
    let mut numbers = Numbers(1);
    let mut text = String::new();
    while text.len() < size {
        text.push_str(vocabulary[numbers.below(vocabulary.len())]);
    }
    text.into_bytes()
}

/// Runs of a few words of each script.
fn mixed(size: usize) -> Vec<u8> {
    let mut numbers = Numbers(2);
    let mut text = String::new();
    while text.len() < size {
        let vocabulary = [ENGLISH, RUSSIAN, CHINESE, OTHER][numbers.below(4)];
        for _ in 0..numbers.below(24) {
            text.push_str(vocabulary[numbers.below(vocabulary.len())]);
        }
    }
    text.into_bytes()
}

fn random(size: usize) -> Vec<u8> {
    let mut numbers = Numbers(3);
    (0..size).map(|_| u8::try_from(numbers.below(256)).unwrap_or(0)).collect()
}

fn count(prototype: &TextStats, level: Level, text: &[u8]) -> TextCounts {
    let mut stats = prototype.clone();
    level.update(&mut stats, text);
    stats.finish()
}

fn text_stats(criterion: &mut Criterion) {
    let inputs = [
        ("ascii", words(ENGLISH, SIZE)),
        ("russian", words(RUSSIAN, SIZE)),
        ("chinese", words(CHINESE, SIZE)),
        ("mixed", mixed(SIZE)),
        ("random bytes", random(SIZE)),
        ("a file of 1 kB", words(ENGLISH, 1000)),
    ];
    let levels = [("text_stats", Level::best as fn() -> Level), ("text_stats, portable", || Level::PORTABLE)];
    for (name, level) in levels {
        let mut group = criterion.benchmark_group(name);
        group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
        for (name, text) in &inputs {
            group.throughput(Throughput::Bytes(text.len() as u64));
            let prototype = TextStats::default();
            // The choice of the level is part of what is measured: it is made for each chunk.
            group.bench_function(*name, |bencher| bencher.iter(|| count(&prototype, level(), black_box(text))));
        }
    }
}

criterion_group!(benches, text_stats);
criterion_main!(benches);
