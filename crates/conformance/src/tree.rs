//! The trees that the checks read.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use tempfile::TempDir;

/// A directory of `files` small files, a hundred in each directory, each with a content of its own.
pub fn many(files: usize) -> TempDir {
    let tree = TempDir::new().unwrap();
    for index in 0..files {
        let directory = tree.path().join(format!("{:03}", index / 100));
        if index % 100 == 0 {
            fs::create_dir(&directory).unwrap();
        }
        fs::write(directory.join(format!("{index:05}.txt")), format!("file number {index}\n")).unwrap();
    }
    tree
}

/// A directory with one file of each content.
pub fn of(files: &[(&str, &[u8])]) -> TempDir {
    let tree = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(tree.path().join(name), content).unwrap();
    }
    tree
}

/// Files so large that several workers may read each, with something to stumble over at every two megabytes: a code point,
/// a line end or an ill-formed sequence of which a part lies before and the rest behind.
pub fn large() -> TempDir {
    const EVERY: usize = 2 << 20;
    const SEAMS: [(&[u8], &[u8]); 9] = [
        (b"\xc3", b"\xa4"),
        (b"\r", b"\n"),
        (b"\xe4\xb8", b"\xad"),
        (b"\xe4", b"\xb8\xad"),
        (b"a \xe4\xb8", b"x"),
        (b"\xf0\x9f", b"\x98\x80"),
        (b"\r\xe4", b"\xb8\n"),
        (b"\xe2\x80", b"\x83word"),
        (b"in a w", b"ord"),
    ];
    let text = "Wörter, слова, 單詞　and\r\n words\u{2028}".as_bytes();
    let tree = TempDir::new().unwrap();
    // The first ends where a part does, and so does none of the others.
    for (number, size) in [16 << 20, (16 << 20) + 1, (18 << 20) - 1].into_iter().enumerate() {
        let mut content: Vec<_> = text.iter().copied().cycle().take(size).collect();
        for (seam, at) in (EVERY..size).step_by(EVERY).enumerate() {
            let (before, after) = SEAMS[(seam + 4 * number) % SEAMS.len()];
            content[at - before.len()..at].copy_from_slice(before);
            let end = size.min(at + after.len());
            content[at..end].copy_from_slice(&after[..end - at]);
        }
        fs::write(tree.path().join(format!("large-{number}.txt")), content).unwrap();
    }
    tree
}

/// Everything that a file system can hold against a reader.
pub fn hostile() -> TempDir {
    let tree = TempDir::new().unwrap();
    let root = tree.path();
    let write = |name: &[u8], content: &[u8]| fs::write(root.join(OsStr::from_bytes(name)), content).unwrap();

    // Contents.
    write(b"empty.txt", b"");
    write(b"ascii.txt", b"one two\r\nthree\rfour\n\n  five\x1csix\x0bseven");
    write(b"scripts.txt", "文字 слово\u{a0}λέξη\u{3000}\u{1f600}\u{2028}x\u{85}y".as_bytes());
    write(b"ill-formed.txt", b"a\xff\xc3\xa9 \xe2\x82 \xed\xa0\x80\xf0\x9f\x98 b\r\xff\n\xc0\x80");
    write(b"cut-short.txt", b"ends in the middle \xe2\x82");
    write(b"bom.txt", b"\xef\xbb\xbfbyte order mark");
    write(b"utf-16.txt", b"\xff\xfea\0b\0 \0c\0\n\0");
    write(b"nul.txt", b"\0\0a\0 b\0");
    write(b"large.txt", "a line of text that is repeated\r\n".repeat(100_000).as_bytes());
    write(b"chunk.txt", &vec![b'x'; 256 * 1024]);
    File::create(root.join("sparse.txt")).unwrap().set_len(50 << 20).unwrap();

    // Names.
    write(b"not utf-8 \xff\xfe.txt", b"bytes in the name");
    write(b"new\nline \x1b[31m \xe2\x80\xae <b>.txt", b"signs in the name");
    write(&[b'n'; 255], b"the longest name");
    write(b".hidden", b"a file without an extension");
    let nested = (0..40).fold(root.to_path_buf(), |path, depth| path.join(format!("d{depth}")));
    fs::create_dir_all(&nested).unwrap();
    fs::write(nested.join("deep.txt"), b"forty levels down").unwrap();
    fs::create_dir(root.join("directory.txt")).unwrap();
    fs::write(root.join("directory.txt/inside.txt"), b"in a directory with an extension").unwrap();
    too_deep(root);

    // What is no file.
    fs::hard_link(root.join("ascii.txt"), root.join("hard-link.txt")).unwrap();
    symlink("ascii.txt", root.join("link.txt")).unwrap();
    symlink("nowhere", root.join("dangling.txt")).unwrap();
    symlink("itself.txt", root.join("itself.txt")).unwrap();
    symlink(".", root.join("loop")).unwrap();
    symlink("directory.txt", root.join("linked-directory")).unwrap();
    symlink("/dev/zero", root.join("endless.txt")).unwrap();
    rustix::fs::mknodat(CWD, root.join("fifo.txt"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    drop(UnixListener::bind(root.join("socket.txt")).unwrap());

    // What is refused.
    write(b"unreadable.txt", b"nobody may read this");
    fs::set_permissions(root.join("unreadable.txt"), Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(root.join("closed")).unwrap();
    fs::write(root.join("closed/file.txt"), b"in a closed directory").unwrap();
    fs::set_permissions(root.join("closed"), Permissions::from_mode(0o000)).unwrap();
    tree
}

/// Directories below `root` that no path reaches, with a file in the last: longer together than the system takes.
fn too_deep(root: &Path) {
    let name = "z".repeat(250);
    let mut directory = rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..18 {
        rustix::fs::mkdirat(&directory, &name, Mode::RWXU).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        directory = rustix::fs::openat(&directory, &name, flags, Mode::empty()).unwrap();
    }
    let flags = OFlags::WRONLY | OFlags::CREATE;
    let file = rustix::fs::openat(&directory, "out-of-reach.txt", flags, Mode::RUSR | Mode::WUSR).unwrap();
    File::from(file).write_all(b"beyond the longest path").unwrap();
}
