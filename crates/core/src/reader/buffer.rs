//! Memory that files are read into.

use std::ops::{Deref, DerefMut};

/// The size of a cache line in bytes, on all processors that were looked at.
///
/// The kernel copies into a buffer with one string instruction, whose fast form some processors have for aligned buffers only:
/// reading a cached file in chunks of 256 KiB came to 7 GB/s on an AMD EPYC with buffers that started at a multiple of 32 or
/// more bytes, and to 2 GB/s with those of the allocator, which start 16 bytes behind a page's beginning.
const ALIGNMENT: usize = 64;

/// A buffer of zeros that starts at the beginning of a cache line, and stays where it is.
#[derive(Debug)]
pub struct ReadBuffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl ReadBuffer {
    /// A buffer of so many bytes. Memory that is not written to takes none of the machine's.
    pub fn new(length: usize) -> Self {
        if length == 0 {
            return Self { memory: Vec::new(), start: 0, length };
        }
        let memory = vec![0; length + ALIGNMENT - 1];
        // Never more, but where a constant evaluator has no addresses.
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT - 1);
        Self { memory, start, length }
    }
}

impl Deref for ReadBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl DerefMut for ReadBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_at_a_cache_line_and_have_their_length() {
        for length in [0, 1, 63, 64, 4096, 262_144] {
            let mut buffer = ReadBuffer::new(length);
            assert_eq!(buffer.len(), length);
            assert!(length == 0 || buffer.as_ptr().addr().is_multiple_of(ALIGNMENT));
            buffer.fill(7);
            assert!(buffer.iter().all(|byte| *byte == 7));
        }
    }
}
