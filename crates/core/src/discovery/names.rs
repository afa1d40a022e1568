//! The names of directories that are still to be listed, packed: one directory may have a million of them.

/// Names in the order in which they were found; the last is taken first.
#[derive(Default)]
pub(super) struct Names(Vec<u8>);

/// What ends a name, and tells what it stands for. Neither can be in one.
const DIRECTORY: u8 = b'/';
const LINK: u8 = 0;

fn is_end(byte: u8) -> bool {
    byte == DIRECTORY || byte == LINK
}

impl Names {
    pub(super) fn push(&mut self, name: &[u8], is_link: bool) {
        self.0.extend_from_slice(name);
        self.0.push(if is_link { LINK } else { DIRECTORY });
    }

    /// Takes the last name out and appends it to `path`. Returns whether it is that of a link.
    pub(super) fn pop_onto(&mut self, path: &mut Vec<u8>) -> Option<bool> {
        let end = self.0.pop()?;
        let start = self.0.iter().rposition(|byte| is_end(*byte)).map_or(0, |before| before + 1);
        path.extend_from_slice(&self.0[start..]);
        self.0.truncate(start);
        Some(end == LINK)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is no more than one.
    pub(super) fn are_few(&self) -> bool {
        self.0.iter().filter(|byte| is_end(**byte)).nth(1).is_none()
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Takes out the first half of them, and the only one there is.
    pub(super) fn split_off_half(&mut self) -> Self {
        let middle = self.0.len() / 2;
        let cut = self.0[middle..].iter().position(|byte| is_end(*byte)).map_or(self.0.len(), |end| middle + end + 1);
        let rest = self.0.split_off(cut);
        Self(std::mem::replace(&mut self.0, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(mut names: Names) -> Vec<(Vec<u8>, bool)> {
        let mut next = || {
            let mut name = Vec::new();
            let is_link = names.pop_onto(&mut name)?;
            Some((name, is_link))
        };
        std::iter::from_fn(&mut next).collect()
    }

    #[test]
    fn what_is_put_in_comes_out_whole_or_in_halves() {
        for count in 0..20 {
            let given: Vec<_> = (0..count).map(|n| (vec![b'n'; n * 7 % 5 + 1], n % 3 == 0)).collect();
            let mut names = Names::default();
            given.iter().for_each(|(name, is_link)| names.push(name, *is_link));
            assert_eq!((names.is_empty(), names.are_few()), (count == 0, count < 2));
            let half = names.split_off_half();
            assert_eq!(half.is_empty(), count == 0);
            assert!(count < 4 || !names.is_empty());
            let all: Vec<_> = taken(half).into_iter().rev().chain(taken(names).into_iter().rev()).collect();
            assert_eq!(all, given);
        }
    }
}
