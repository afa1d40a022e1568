//! File names as they may be shown: nothing in them moves a cursor, colours a terminal or turns text around.

use std::ffi::OsStr;
use std::fmt;

/// Shows a name with everything that does not print written out.
///
/// That is `\n`, `\u{1b}`, `\u{202e}`, and `\xff` for a byte that is not UTF-8. Letters of any script, spaces and quotes stay as
/// they are; a backslash is doubled, so that the text is unambiguous.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a OsStr);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_encoded_bytes().utf8_chunks() {
            // `escape_debug` knows what prints (bidi marks, zero-width and separators do not); it would also escape
            // quotes, which are harmless here.
            for piece in chunk.valid().split_inclusive(['\'', '"']) {
                let quote = piece.chars().next_back().filter(|last| matches!(last, '\'' | '"'));
                let rest = &piece[..piece.len() - quote.map_or(0, char::len_utf8)];
                write!(f, "{}", rest.escape_debug())?;
                if let Some(quote) = quote {
                    write!(f, "{quote}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn shown(name: &[u8]) -> String {
        Escaped(OsStr::from_bytes(name)).to_string()
    }

    #[test]
    fn names_that_print_stay_as_they_are() {
        for name in ["plain.txt", "with space", "it's \"quoted\"", "文件.txt", "e\u{301}tude"] {
            assert_eq!(shown(name.as_bytes()), name);
        }
    }

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        assert_eq!(shown(b"a\nb\x1b[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(shown("x\u{202e}txt.exe".as_bytes()), "x\\u{202e}txt.exe");
        assert_eq!(shown("\u{200b}\u{2028}".as_bytes()), "\\u{200b}\\u{2028}");
        assert_eq!(shown(b"\xff'\\"), "\\xff'\\\\");
    }
}
