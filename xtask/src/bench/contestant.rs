//! Who takes part: the strategies, the naive twin of each, the floor in its two forms, and the peers.

use polyread_cli::Strategy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::floor::Loop;
use super::naive;
use super::peers::Peer;
use super::sample::Totals;

/// One line of the table: everything that can read a tree in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// A reader of polyread.
    Strategy(Strategy),
    /// What a competent user's first version of the same model would be: [`naive`].
    Naive(Strategy),
    /// Open, read, close on all cores, and nothing counted.
    Floor(Loop),
    /// Somebody else's program.
    Peer(Peer),
}

/// What a line of the table stands for. Only strategies are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Strategy,
    Naive,
    Floor,
    Peer,
}

impl Kind {
    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Strategy, Self::Naive, Self::Floor, Self::Peer].into_iter().find(|kind| kind.name() == name)
    }

    /// The strategies and the floor: those that are sampled until they are settled, and before anybody else.
    pub(crate) fn comes_first(self) -> bool {
        matches!(self, Self::Strategy | Self::Floor)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::Naive => "naive",
            Self::Floor => "floor",
            Self::Peer => "peer",
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
            Self::Peer(peer) => peer.name(),
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Strategy(_) => Kind::Strategy,
            Self::Naive(_) => Kind::Naive,
            Self::Floor(_) => Kind::Floor,
            Self::Peer(_) => Kind::Peer,
        }
    }

    /// The bytes that its rate is made of. A peer that reads every file does not always count their bytes.
    pub(crate) fn bytes_read(self, found: Totals, reference: Totals) -> u64 {
        match self {
            Self::Peer(peer) if peer.comparable(reference).files > 0 => reference.bytes,
            _ => found.bytes,
        }
    }

    /// The contestant of that name, for the process of a sample.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let (party, _) = party(&Strategy::ALL, true, false);
        // Without asking what is installed, which would start programs.
        let mut everybody = party.into_iter().chain(Peer::ALL.map(Self::Peer));
        everybody.find(|it| it.name() == name).ok_or_else(|| format!("nobody here is called '{name}'"))
    }
}

/// Who takes part when these strategies do, and what is to be said about who does not.
///
/// This is the one place where somebody is left out.
pub(crate) fn party(strategies: &[Strategy], twins: bool, peers: bool) -> (Vec<Contestant>, Vec<String>) {
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
    for peer in Peer::ALL.into_iter().filter(|_| peers) {
        match peer.available() {
            Ok(()) => party.push(Contestant::Peer(peer)),
            Err(missing) => notes.push(format!("{} takes no part: {missing}.", peer.name())),
        }
    }
    (party, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_brings_its_twin_and_the_floor_is_always_there() {
        let names = |strategies: &[Strategy], twins| {
            party(strategies, twins, false).0.into_iter().map(Contestant::name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[Strategy::Tokio], true), ["tokio", "naive-tokio", "floor", "floor-tuned"]);
        assert_eq!(names(&[Strategy::Tokio, Strategy::Rayon], false), ["tokio", "rayon", "floor", "floor-tuned"]);
    }

    #[test]
    fn everybody_is_found_by_name() {
        let (party, _) = party(&Strategy::ALL, true, false);
        for contestant in party.into_iter().chain(Peer::ALL.map(Contestant::Peer)) {
            assert_eq!(Contestant::named(contestant.name()), Ok(contestant));
        }
        assert!(Contestant::named("naive").is_err());
    }
}
