//! Which of the counting loops the processor can run: the one place in this crate that needs `unsafe`.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::kernel::Seen;
use super::portable;

/// A set of instructions that the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Instructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// What every processor of the architecture has.
    pub const PORTABLE: Self = Self(Instructions::Portable);

    /// The best that this processor has. Costs a few loads: the standard library remembers.
    #[inline]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
        {
            return Self(Instructions::Avx2);
        }
        Self::PORTABLE
    }

    /// Counts `chunk`, which continues what was seen.
    #[inline]
    pub(super) fn count(self, seen: &mut Seen, chunk: &[u8]) {
        match self.0 {
            Instructions::Portable => seen.count(chunk, portable::count_blocks),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => seen.count(chunk, |seen, windows, open| {
                #[expect(unsafe_code, reason = "the compiler cannot know what `best` has found out")]
                // SAFETY: only `best` makes this value, and only where the processor has all that the function enables.
                unsafe {
                    avx2::count_blocks(seen, windows, open)
                }
            }),
        }
    }
}
