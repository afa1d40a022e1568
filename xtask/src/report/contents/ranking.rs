//! One tree in one state of the cache: the answer, who is how fast, and what it costs.

use crate::bench::cold::Cache;
use crate::bench::results::{Cell, CorpusResult, Results};
use crate::report::document::{self, Answer, Block, Code, Pair, Part, Section, Table};
use crate::report::ranking::{COLUMNS, Column, Ranking};
use crate::report::{figures, remarks};

pub(super) struct Place<'a> {
    pub(super) results: &'a Results,
    pub(super) corpus: &'a CorpusResult,
    pub(super) cache: Cache,
    pub(super) id: String,
    /// How many there are on the whole page.
    pub(super) timelines: usize,
}

impl Place<'_> {
    pub(super) fn title(&self) -> String {
        format!("{}, {} cache", figures::printable(&self.corpus.name), self.cache.name())
    }

    pub(super) fn answer(&self) -> Option<Answer> {
        let fastest = self.corpus.ranked(self.cache).next()?;
        let advice = remarks::advice(self.results, self.corpus, self.cache);
        let strategy = advice.map_or(&fastest.strategy, |advice| &advice.strategy);
        let cell = self.corpus.cell(self.cache, strategy).unwrap_or(fastest);
        let ties = self.corpus.ties(self.cache, strategy);
        let ties = match ties.as_slice() {
            _ if !cell.has_interval() => "too few samples to tell it from the others".to_owned(),
            [] => String::new(),
            ties => format!("tied with {}", figures::listed(ties)),
        };
        let derived = || {
            let mut others = self.corpus.ranked(self.cache).filter(|other| !std::ptr::eq(*other, cell));
            let next = others.find(|other| other.has_interval() && !other.median().ties_with(&cell.median()))?;
            Some(format!("{} takes {} as long", next.strategy, figures::times_within(&next.to_fastest?)))
        };
        let next = advice.and_then(remarks::next).or_else(derived).filter(|_| cell.has_interval()).unwrap_or_default();
        let (section, strategy, time) = (self.id.clone(), strategy.clone(), figures::duration(cell.median_s));
        Some(Answer { section, about: self.title(), strategy, time, ties, next })
    }

    pub(super) fn section(&self) -> Section {
        let mut about = remarks::tree(self.corpus, self.cache, self.results);
        if let Some(file_system) = &self.corpus.file_system {
            about += &format!(", on {}", figures::printable(file_system));
        }
        let (corpus, cache) = (self.corpus, self.cache);
        let mut blocks: Vec<_> = remarks::notices(corpus, cache).into_iter().map(Block::Notice).collect();
        blocks.extend(remarks::fewer_samples(corpus, cache, self.results.runs).map(|it| Block::Text(format!("{it}."))));
        let mut parts: Vec<_> = self.advice().into_iter().collect();
        if parts.is_empty() {
            blocks.extend(remarks::fastest(corpus, cache).map(|fastest| Block::Text(format!("{fastest}."))));
        }
        if corpus.verified(cache).next().is_some() {
            parts.push(self.part(
                "time",
                "Who is how fast",
                vec![Block::Figure(self.times()), Block::Table(self.ranking())],
            ));
            parts.push(self.part("samples", "Every sample", self.samples()));
            parts.push(self.part("memory", "Memory", vec![Block::Figure(self.memory())]));
            parts.push(self.part(
                "cost",
                "Processor time and what else it costs",
                vec![Block::Figure(self.processor()), Block::Table(self.costs())],
            ));
        }
        parts.extend(self.timelines());
        Section { id: self.id.clone(), title: self.title(), about, blocks, parts }
    }

    pub(super) fn part(&self, id: &str, title: &str, blocks: Vec<Block>) -> Part {
        Part { id: self.id_of(id), title: title.to_owned(), blocks }
    }

    /// Those that found something else than the sequential reader.
    pub(super) fn wrong(&self) -> impl Iterator<Item = &Cell> {
        self.corpus.cells.iter().filter(|cell| !cell.verified && cell.cache == self.cache)
    }

    pub(super) fn id_of(&self, part: &str) -> String {
        format!("{}-{part}", self.id)
    }

    fn advice(&self) -> Option<Part> {
        let advice = remarks::advice(self.results, self.corpus, self.cache)?;
        let mut pairs = vec![Pair { why: advice.why.clone(), ..Pair::new("Strategy", &advice.strategy) }];
        if !advice.ties.is_empty() {
            pairs.push(Pair::new("Ties with it", figures::listed(&advice.ties)));
        }
        pairs.extend(remarks::next(advice).map(|next| Pair::new("Next", next)));
        pairs.extend(advice.settings.iter().map(|setting| Pair {
            why: setting.why.clone(),
            ..Pair::new(&setting.name, figures::printable(&setting.value))
        }));
        pairs.extend(remarks::seed(advice).map(|seed| {
            let why = advice.seed.as_ref().map_or_else(String::new, |seed| seed.why.clone());
            Pair { why, ..Pair::new("The seed's rule", seed) }
        }));
        let code = |label: &str, language, text: &str, is_long| {
            Block::Code(Code { label: label.to_owned(), language, text: text.to_owned(), is_long })
        };
        let mut blocks = vec![Block::Pairs { is_advice: true, pairs }];
        if !advice.dependency.is_empty() {
            blocks.push(code("The line for Cargo.toml", "toml", &advice.dependency, false));
        }
        if !advice.code.is_empty() {
            blocks.push(code("A program to start from", "rust", &advice.code, true));
        }
        Some(self.part("advice", "What to use", blocks))
    }

    fn ranking(&self) -> Table {
        let ranking = Ranking::new(self.corpus, self.cache);
        let mut table = Table::new("The ranking", &COLUMNS.map(Column::head), 3);
        table.names_at = 1;
        table.rows.extend(ranking.rows.iter().map(|row| document::Row {
            is_main: row.0.is_some(),
            cells: COLUMNS.map(|column| ranking.text(*row, column)).into(),
        }));
        // Without figures: they would invite to compare.
        table.rows.extend(self.wrong().map(|cell| {
            let mut cells = vec!["-".to_owned(); COLUMNS.len()];
            cells[..4].clone_from_slice(&["".into(), cell.strategy.clone(), cell.kind.name().into(), "WRONG".into()]);
            document::Row { is_main: false, cells }
        }));
        table
    }
}
