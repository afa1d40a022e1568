//! Who takes part: the strategies, the naive twin of each, and the floor in its two forms.

use polyread_cli::Strategy;
use serde::{Deserialize, Serialize};

use super::floor::Loop;
use super::naive;

/// One line of the table: everything that can read a tree in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// A reader of polyread.
    Strategy(Strategy),
    /// What a competent user's first version of the same model would be: [`naive`].
    Naive(Strategy),
    /// Open, read, close on all cores, and nothing counted.
    Floor(Loop),
}

/// What a line of the table stands for. Only strategies are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Strategy,
    Naive,
    Floor,
}

impl Kind {
    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Strategy, Self::Naive, Self::Floor].into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::Naive => "naive",
            Self::Floor => "floor",
        }
    }
}

impl Contestant {
    /// The stable name. A strategy without a twin has none as its twin's name either.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strategy(strategy) => strategy.name(),
            Self::Naive(strategy) => naive::name(strategy).unwrap_or("naive"),
            Self::Floor(Loop::Bare) => "floor",
            Self::Floor(Loop::Tuned) => "floor-tuned",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Strategy(_) => Kind::Strategy,
            Self::Naive(_) => Kind::Naive,
            Self::Floor(_) => Kind::Floor,
        }
    }

    /// The contestant of that name, for the process of a sample.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let (party, _) = party(&Strategy::ALL, true);
        party.into_iter().find(|it| it.name() == name).ok_or_else(|| format!("nobody here is called '{name}'"))
    }
}

/// Who takes part when these strategies do, and what is to be said about who does not.
///
/// This is the one place where somebody is left out.
pub(crate) fn party(strategies: &[Strategy], twins: bool) -> (Vec<Contestant>, Vec<String>) {
    let mut notes = Vec::new();
    let is_here = |strategy: &&Strategy| match strategy.available() {
        Ok(()) => true,
        Err(reason) => {
            notes.push(format!("{} takes no part: {reason}.", strategy.name()));
            false
        }
    };
    let strategies: Vec<_> = strategies.iter().filter(is_here).copied().collect();
    let mut party: Vec<_> = strategies.iter().copied().map(Contestant::Strategy).collect();
    if twins {
        party.extend(strategies.iter().copied().filter(|it| naive::name(*it).is_some()).map(Contestant::Naive));
    } else {
        notes.push(
            "The naive twins were left out: what each crate saves over a first version does not show.".to_owned(),
        );
    }
    party.extend([Loop::Bare, Loop::Tuned].map(Contestant::Floor));
    (party, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_brings_its_twin_and_the_floor_is_always_there() {
        let names = |strategies: &[Strategy], twins| {
            party(strategies, twins).0.into_iter().map(Contestant::name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[Strategy::Tokio], true), ["tokio", "naive-tokio", "floor", "floor-tuned"]);
        assert_eq!(names(&[Strategy::Tokio, Strategy::Rayon], false), ["tokio", "rayon", "floor", "floor-tuned"]);
    }

    #[test]
    fn everybody_is_found_by_name() {
        let (party, _) = party(&Strategy::ALL, true);
        for contestant in party {
            assert_eq!(Contestant::named(contestant.name()), Ok(contestant));
        }
        assert!(Contestant::named("naive").is_err());
    }
}
