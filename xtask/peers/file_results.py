"""What the four readers share: which files there are, what is kept of each, and the line of JSON at the end.

All four are written after the document that polyread grew out of: the whole file in one `read()`, decoded as UTF-8 without
what is invalid, words by `split()`, a result for each file on a stack. Two things are left out, in their favour: nobody
prints a line for each file, and nobody keeps the contents once they are counted.
"""

import fcntl
import json
import os
import select
import stat
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class FileResult:
    """One for each file. Lines are not counted: `open` turns a lone CR into an LF, and then they look alike."""

    file_path: Path
    worker: str
    read_time: float
    byte_count: int = 0
    word_count: int = 0
    char_count: int = 0
    error: str | None = None


def files_below(directory):
    """Every regular file; links are not followed. The document asks for extensions here; this is all of them."""
    root = Path(directory)
    paths = [root] if root.is_file() else root.rglob("*")
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def size_of(file):
    """In bytes, which the decoded text does not tell any more."""
    return os.fstat(file.fileno()).st_size


def totals(results):
    read = [result for result in results if result.error is None]
    return {
        "files": len(read),
        "bytes": sum(result.byte_count for result in read),
        "words": sum(result.word_count for result in read),
        "chars": sum(result.char_count for result in read),
        "failed": len(results) - len(read),
    }


def end_with_parent():
    """Has the kernel end this process when whoever holds the other end of standard input is gone: a comparison that is
    killed must not leave a reader behind. Only where it is a pipe: a terminal would send the signal for each key."""
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
        # It may be gone already. Nobody writes there, so that only an end can be read.
        if select.select([0], [], [], 0)[0]:
            sys.exit("whoever started this reader is gone")


def main(read):
    """`read` takes a directory and gives the results of all its files."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} DIRECTORY")
    end_with_parent()
    print(json.dumps(totals(read(sys.argv[1]))))
