//! Two analyses over one reading.

use super::contract::{Analysis, Combine, Parts, Rejection};

/// Two analyses over one reading.
impl<A: Analysis, B: Analysis> Analysis for (A, B) {
    type Output = (A::Output, B::Output);

    fn update(&mut self, chunk: &[u8]) {
        // The one that is complete is spared the rest that the other still wants.
        if !self.0.is_complete() {
            self.0.update(chunk);
        }
        if !self.1.is_complete() {
            self.1.update(chunk);
        }
    }

    fn finish(self) -> Self::Output {
        (self.0.finish(), self.1.finish())
    }

    fn begin(&mut self, size_hint: u64) {
        self.0.begin(size_hint);
        self.1.begin(size_hint);
    }

    fn is_complete(&self) -> bool {
        (self.0.is_complete() && self.1.is_complete()) || has_failed(&self.0) || has_failed(&self.1)
    }

    fn retains(&self, size: u64) -> u64 {
        self.0.retains(size).saturating_add(self.1.retains(size))
    }

    fn verdict(&self) -> Result<(), Rejection> {
        self.0.verdict().and_then(|()| self.1.verdict())
    }

    fn parts() -> Option<Parts<Self>> {
        Parts::of_pair()
    }
}

/// Whether one half has stopped without a result: then the pair has none either, whatever the other would find.
fn has_failed<A: Analysis>(analysis: &A) -> bool {
    analysis.is_complete() && analysis.verdict().is_err()
}

impl<A: Combine, B: Combine> Combine for (A, B) {
    fn begin_part(&mut self) {
        self.0.begin_part();
        self.1.begin_part();
    }

    fn combine(&mut self, later: Self) {
        self.0.combine(later.0);
        self.1.combine(later.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteCount, Contents, InvalidUtf8, Text, TextStats};

    /// Wants the first `n` bytes only.
    #[derive(Clone)]
    struct First(usize, Vec<u8>);

    impl Analysis for First {
        type Output = Vec<u8>;
        fn update(&mut self, chunk: &[u8]) {
            assert!(!self.is_complete(), "fed although complete");
            self.1.extend(chunk.iter().take(self.0 - self.1.len()));
        }
        fn finish(self) -> Vec<u8> {
            self.1
        }
        fn is_complete(&self) -> bool {
            self.1.len() == self.0
        }
    }

    #[test]
    fn a_pair_goes_on_until_both_are_complete() {
        let mut pair = (First(2, vec![]), First(4, vec![]));
        pair.update(b"abc");
        assert!(!pair.is_complete());
        pair.update(b"def");
        assert!(pair.is_complete());
        assert_eq!(pair.finish(), (b"ab".to_vec(), b"abcd".to_vec()));
    }

    #[test]
    fn a_pair_stops_and_fails_with_either_half() {
        let mut pair = (Text::new(InvalidUtf8::Strict), ByteCount::default());
        pair.update(b"ab\xff");
        assert!(pair.is_complete());
        assert_eq!(pair.verdict(), Err(Rejection::InvalidUtf8 { offset: 2 }));
        assert_eq!(pair.retains(10), 10);
    }

    #[test]
    fn a_pair_has_parts_if_both_halves_have() {
        assert!(<(ByteCount, Contents)>::parts().is_none());
        assert!(<(Contents, ByteCount)>::parts().is_none());
        assert!(Contents::parts().is_none());
        let parts = <(TextStats, (ByteCount, ByteCount))>::parts().unwrap();

        let prototype = (TextStats::default(), (ByteCount::default(), ByteCount::default()));
        let (mut early, mut late) = (prototype.clone(), prototype);
        early.begin(7);
        early.update(b"ab \xe2");
        parts.begin(&mut late);
        late.update(b"\x82\xacc");
        parts.combine(&mut early, late);
        let (counts, sizes) = early.finish();
        assert_eq!((counts.words, counts.chars, counts.invalid_bytes), (2, 5, 0));
        assert_eq!(sizes, (7, 7));
    }

    #[test]
    fn the_trait_and_the_parts_of_a_pair_do_the_same() {
        let (mut early, mut late) = <(ByteCount, ByteCount)>::default();
        early.update(b"abc");
        late.begin_part();
        late.update(b"de");
        early.combine(late);
        assert_eq!(early.finish(), 5);
        let mut early = (ByteCount::default(), TextStats::default());
        let mut late = early.clone();
        late.begin_part();
        late.update(b" x");
        early.update(b"y");
        early.combine(late);
        assert_eq!((early.0.finish(), early.1.finish().words), (3, 2));
    }
}
