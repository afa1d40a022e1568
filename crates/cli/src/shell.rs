//! Words for a command line that is shown: to be copied into a shell, and harmless on a terminal.

use std::ffi::OsStr;
use std::fmt::{self, Write};

/// Shows a word so that a shell takes it for what it is. Nothing in it moves a cursor: what does not print is written as
/// octal escapes in `$'…'`, which bash, zsh and ksh know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a>(pub(crate) &'a OsStr);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_str();
        match text {
            Some(text) if is_bare(text) => f.write_str(text),
            Some(text) if text.chars().all(prints) => write!(f, "'{}'", text.replace('\'', r"'\''")),
            _ => self.escaped(f),
        }
    }
}

impl Quoted<'_> {
    fn escaped(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$'")?;
        for chunk in self.0.as_encoded_bytes().utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\'' | '\\' => write!(f, "\\{char}")?,
                    char if prints(char) => f.write_char(char)?,
                    char => char.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "\\{byte:03o}"))?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\{byte:03o}"))?;
        }
        f.write_str("'")
    }
}

/// Whether no shell sees anything in it but a word.
fn is_bare(text: &str) -> bool {
    // A `~` would be another directory, and a leading `=` is zsh's.
    let harmless = |char: char| char.is_ascii_alphanumeric() || "-_./,:@%+=".contains(char);
    !text.is_empty() && !text.starts_with('=') && text.chars().all(harmless)
}

/// Whether a character may be shown as it is: what the standard library's escapes leave alone, and what they escape only
/// because of what surrounds it.
fn prints(char: char) -> bool {
    matches!(char, '\'' | '"' | '\\') || char.escape_debug().eq([char])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    const WORDS: [(&[u8], &str); 12] = [
        (b"./docs/a-b_c.md", "./docs/a-b_c.md"),
        (b"", "''"),
        (b"two words", "'two words'"),
        (b"it's", r"'it'\''s'"),
        (b"$HOME `x` \\ *", r"'$HOME `x` \ *'"),
        (b"~", "'~'"),
        (b"=ls", "'=ls'"),
        (b"#x", "'#x'"),
        ("gr\u{f6}\u{df}e".as_bytes(), "'gr\u{f6}\u{df}e'"),
        (b"a\x1b[2J\n1", r"$'a\033[2J\0121'"),
        (b"it's \\ \xff7", r"$'it\'s \\ \3777'"),
        ("\u{202e}txt".as_bytes(), r"$'\342\200\256txt'"),
    ];

    #[test]
    fn words_are_quoted_as_far_as_they_need_it() {
        for (word, shown) in WORDS {
            assert_eq!(Quoted(OsStr::from_bytes(word)).to_string(), shown);
        }
    }

    #[test]
    fn a_shell_reads_them_back() {
        for (word, _) in WORDS {
            let script = format!("printf %s {}", Quoted(OsStr::from_bytes(word)));
            let Ok(output) = Command::new("bash").args(["-c", &script]).output() else {
                println!("skipped: there is no bash");
                return;
            };
            assert_eq!(output.stdout, word, "{script}");
        }
    }
}
