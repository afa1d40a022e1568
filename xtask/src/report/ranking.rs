//! One ranking as a table: its columns are chosen by whoever has room for them.

use super::figures;
use crate::bench::cold::Cache;
use crate::bench::contestant::Kind;
use crate::bench::results::{Cell, CorpusResult};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Place,
    Strategy,
    Kind,
    Median,
    Interval,
    /// How far the interval reaches from the median: a short form of it.
    Precision,
    ToFloor,
    ToTwin,
    SpeedUp,
    ToSequential,
    Cpu,
    Memory,
    Files,
    Bytes,
}

/// All but the short forms, in the order in which they stand.
pub(crate) const COLUMNS: [Column; 13] = [
    Column::Place,
    Column::Strategy,
    Column::Kind,
    Column::Median,
    Column::Interval,
    Column::ToFloor,
    Column::ToTwin,
    Column::SpeedUp,
    Column::ToSequential,
    Column::Cpu,
    Column::Memory,
    Column::Files,
    Column::Bytes,
];

impl Column {
    pub(crate) fn head(self) -> &'static str {
        match self {
            Self::Place => "",
            Self::Strategy => "strategy",
            Self::Kind => "kind",
            Self::Median => "median",
            Self::Interval => "95% interval",
            Self::Precision => "+/- 95%",
            Self::ToFloor => "time / floor",
            Self::ToTwin => "vs twin",
            Self::SpeedUp => "speed-up",
            Self::ToSequential => "vs sequential",
            Self::Cpu => "cpu time",
            Self::Memory => "memory",
            Self::Files => "files/s",
            Self::Bytes => "bytes/s",
        }
    }
}

/// Whoever was verified, the fastest first; strategies have a place, what is there for orientation has none.
#[derive(Debug)]
pub(crate) struct Ranking<'a> {
    pub(crate) rows: Vec<(Option<usize>, &'a Cell)>,
    corpus: &'a CorpusResult,
    floor: Option<&'a Cell>,
    sequential: Option<&'a Cell>,
    slowest_s: f64,
}

impl<'a> Ranking<'a> {
    pub(crate) fn new(corpus: &'a CorpusResult, cache: Cache) -> Self {
        let mut places = 1..;
        let rows = corpus.verified(cache).map(|cell| {
            let place = if cell.kind == Kind::Strategy { places.next() } else { None };
            (place, cell)
        });
        Self {
            rows: rows.collect(),
            corpus,
            floor: corpus.cell(cache, "floor"),
            sequential: corpus.cell(cache, "sequential"),
            slowest_s: corpus.ranked(cache).next_back().map_or(f64::NAN, |cell| cell.median_s),
        }
    }

    /// What stands there; a dash where there is nothing to be said.
    pub(crate) fn text(&self, (place, cell): (Option<usize>, &Cell), column: Column) -> String {
        let speed_up = |from: Option<&Cell>| from.map(|from| figures::times(from.median_s / cell.median_s));
        let text = match column {
            Column::Place => return place.map_or_else(String::new, |place| format!("{place}.")),
            Column::Strategy => Some(cell.strategy.clone()),
            Column::Kind => Some(cell.kind.name().to_owned()),
            Column::Median => Some(figures::duration(cell.median_s)),
            Column::Interval => figures::interval(cell),
            Column::Precision => cell.has_interval().then(|| {
                let reach = (cell.ci_high_s - cell.median_s).max(cell.median_s - cell.ci_low_s);
                figures::percent(reach / cell.median_s)
            }),
            Column::ToFloor => self.floor.map(|floor| format!("{:.2}", cell.median_s / floor.median_s)),
            Column::ToTwin => speed_up(self.corpus.twin(cell)),
            Column::SpeedUp => place.map(|_| figures::times(self.slowest_s / cell.median_s)),
            Column::ToSequential => speed_up(self.sequential),
            Column::Cpu => Some(figures::duration(cell.cpu_s)),
            Column::Memory => Some(figures::memory(cell.memory_bytes() as f64)),
            Column::Files => Some(figures::count(cell.files_per_s)),
            // A peer may count none.
            Column::Bytes => (cell.bytes_per_s > 0.0).then(|| figures::size(cell.bytes_per_s)),
        };
        text.unwrap_or_else(|| "-".to_owned())
    }
}
