//! One thread of a walk: a directory at a time, the last found first, so that what is still to be done stays small.

use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::listing::{Buffer, Listing};
use super::names::Names;
use super::shared::{Found, Identity, Share, Walked};
use crate::error::{ErrorKind, Operation, ReadError};
use crate::escape::Escaped;
use crate::file::{FileEntry, Links, when_free};

/// Entries sent at once, at most. A walker starts with one and doubles, so that the first come without delay.
const BATCH: usize = 128;
/// Bytes of names of directories after which a listing is left for later: those are walked first.
const MANY_NAMES: usize = 256 * 1024;
/// Descriptors of directories above the one at hand that a walk keeps, together for all of its threads.
const MOST_HELD: usize = 16;

const TO_LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory that has been listed, with those in it that have not.
struct Frame {
    /// Bytes of its path, in the path of the walker.
    path: usize,
    depth: usize,
    names: Names,
    /// Open as long as it is one of the last. What is in others is opened from the root.
    listing: Option<Listing>,
    /// Its listing was left for later and is open.
    is_left: bool,
}

pub(super) struct Walker<'a> {
    walked: &'a Walked<'a>,
    /// Of what is at hand, with the root's in front. Those of the frames are its beginnings.
    path: Vec<u8>,
    frames: Vec<Frame>,
    /// When links are followed: the directories from the root to the one at hand, and the lengths of their paths.
    above: Vec<(Identity, usize)>,
    /// Frames whose descriptor is kept, and as many more listings may be left for later.
    most_held: usize,
    left: usize,
    buffer: Buffer,
    batch: Vec<Found>,
    batch_size: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(walked: &'a Walked<'a>) -> Self {
        // Readers need theirs: where there are few in all, hardly any is kept.
        let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let few = usize::try_from(soft / 32).unwrap_or(usize::MAX);
        Self {
            walked,
            path: Vec::new(),
            frames: Vec::new(),
            above: Vec::new(),
            most_held: (MOST_HELD / 2 / walked.options.threads).min(few).max(1),
            left: 0,
            buffer: Buffer::default(),
            batch: Vec::new(),
            batch_size: 1,
        }
    }

    /// Walks the root, together with the threads that come to help. `before_each` is called before each directory.
    pub(super) fn lead(mut self, mut before_each: impl FnMut()) {
        let mut member = self.walked.queue.join(true);
        self.path.extend_from_slice(self.walked.root.path().as_os_str().as_bytes());
        if self.walked.options.max_depth != Some(0) {
            self.descend(None, None, 0);
        }
        loop {
            self.work(&mut before_each);
            match member.next() {
                Some(share) => self.take(share),
                None => return,
            }
        }
    }

    /// Takes what others have to give, to the end of the walk.
    pub(super) fn help(mut self) {
        let mut member = self.walked.queue.join(false);
        while let Some(share) = member.next() {
            self.take(share);
            self.work(|| {});
        }
    }

    fn take(&mut self, Share { path, depth, names, above }: Share) {
        self.frames.push(Frame { path: path.len(), depth, names, listing: None, is_left: false });
        (self.path, self.above) = (path, above);
    }

    /// Gives away half of what is left to do in the uppermost directory, if there is more to do than that.
    fn share(&mut self) {
        let [upper, lower @ ..] = &mut *self.frames else { return };
        if upper.names.is_empty() || (lower.is_empty() && upper.names.are_few()) {
            return;
        }
        let names = upper.names.split_off_half();
        let above = self.above.get(..=upper.depth).unwrap_or_default().to_vec();
        self.walked.queue.give(Share { path: self.path[..upper.path].to_vec(), depth: upper.depth, names, above });
    }

    /// Walks what the frames have, to the end.
    fn work(&mut self, mut before_each: impl FnMut()) {
        while let Some(mut frame) = self.frames.pop() {
            if self.walked.options.cancel.is_cancelled() {
                break;
            }
            before_each();
            self.path.truncate(frame.path);
            if !frame.names.is_empty() {
                let depth = frame.depth + 1;
                self.end_in_slash();
                let name = self.path.len();
                let is_link = frame.names.pop_onto(&mut self.path);
                let mut parent = Some(frame);
                // What has nothing left in it is out of the way before what is below comes.
                if let Some(frame) = parent.take_if(|frame| frame.is_left || !frame.names.is_empty()) {
                    self.frames.push(frame);
                }
                self.descend(parent, is_link.map(|is_link| (name, is_link)), depth);
            } else if let Some(listing) = frame.listing.take_if(|_| frame.is_left) {
                self.left -= 1;
                self.list(Frame { listing: Some(listing), is_left: false, ..frame });
            }
            if self.walked.queue.is_short() {
                self.share();
            }
        }
        self.frames.clear();
        self.left = 0;
        self.flush();
    }

    /// Opens and lists the directory at the path at hand. `parent` is the frame that it is in, unless that is the last of
    /// those kept; `name` is where its name starts and whether it is that of a link, and nothing for the root.
    fn descend(&mut self, parent: Option<Frame>, name: Option<(usize, bool)>, depth: usize) {
        let is_link = name.is_some_and(|(_, is_link)| is_link);
        match self.open(parent, name) {
            Ok(directory) => match self.enter(&directory, is_link, depth) {
                Ok(()) => {
                    let (path, names) = (self.path.len(), Names::default());
                    self.list(Frame { path, depth, names, listing: Some(directory), is_left: false });
                }
                Err(error) => self.push(Err(error)),
            },
            Err(error) => {
                let error = ReadError::from_io(error.into(), Operation::ReadDirectory, self.path());
                let kind = match error.kind() {
                    // A link stands where a directory was listed.
                    ErrorKind::Loop if !self.walked.options.follow_links => ErrorKind::SymbolicLink,
                    // Followed and found missing: it is the target that is not there.
                    ErrorKind::Vanished if is_link => ErrorKind::Dangling,
                    kind => kind,
                };
                self.push(Err(error.with_kind(kind)));
            }
        }
    }

    /// From the directory that it was found in, if that is still open, or else from the root: never along a link that was
    /// not found there, nor out of the root unless links are followed wherever they lead.
    fn open(&mut self, parent: Option<Frame>, name: Option<(usize, bool)>) -> rustix::io::Result<Listing> {
        let found_in = parent.as_ref().or(self.frames.last()).and_then(|frame| frame.listing.as_ref());
        // A link that must stay below the root can only be judged from there.
        let step = match (found_in, name) {
            (Some(parent), Some((name, is_link))) if !is_link || self.walked.root.links() == Links::Followed => {
                Some((parent, name, if is_link { OFlags::empty() } else { OFlags::NOFOLLOW }))
            }
            _ => None,
        };
        let opened = match step {
            Some((parent, name, follow)) => {
                rustix::fs::openat(parent.descriptor()?, &self.path[name..], TO_LIST | follow, Mode::empty())
            }
            None => self.open_from_root(),
        };
        let opened = match opened {
            Err(Errno::MFILE | Errno::NFILE) => {
                // Readers have the rest and give theirs back, if they have anything to read.
                self.flush();
                drop(parent);
                for frame in self.frames.iter_mut().filter(|frame| !frame.is_left) {
                    frame.listing = None;
                }
                when_free(&self.walked.options.cancel, None, || self.open_from_root())?
            }
            opened => opened?,
        };
        Listing::new(opened)
    }

    fn open_from_root(&self) -> rustix::io::Result<OwnedFd> {
        self.walked.root.open_below(self.relative(), TO_LIST)
    }

    /// Notes which directory this is when links are followed; an error if one led back to a directory above it.
    fn enter(&mut self, directory: &Listing, is_link: bool, depth: usize) -> Result<(), ReadError> {
        if !self.walked.options.follow_links {
            return Ok(());
        }
        self.above.truncate(depth);
        let stat = directory.descriptor().and_then(rustix::fs::fstat);
        let stat = stat.map_err(|error| ReadError::from_io(error.into(), Operation::ReadDirectory, self.path()))?;
        if is_link && let Some(error) = self.leads_back(&stat) {
            return Err(error);
        }
        self.above.push(((stat.st_dev, stat.st_ino), self.path.len()));
        Ok(())
    }

    /// The error that a link to this directory is, if the directory is one of those above.
    fn leads_back(&self, stat: &Stat) -> Option<ReadError> {
        let (_, path) = self.above.iter().rfind(|(identity, _)| *identity == (stat.st_dev, stat.st_ino))?;
        let detail = format!("leads back to {}", Escaped(OsStr::from_bytes(&self.path[..*path])));
        Some(ReadError::new(ErrorKind::Loop, Operation::ReadDirectory, self.path()).with_detail(detail))
    }

    /// Lists a directory, from where its listing stands. Where it has very many directories, the rest is left for later.
    fn list(&mut self, mut frame: Frame) {
        let Some(listing) = &mut frame.listing else { return };
        self.path.truncate(frame.path);
        self.above.truncate(frame.depth + 1);
        self.end_in_slash();
        let start = self.path.len();
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let more = listing.next_part(&mut buffer, |directory, name, kind| {
                if !matches!(name.to_bytes(), b"." | b"..") {
                    self.path.truncate(start);
                    self.path.extend_from_slice(name.to_bytes());
                    self.see(directory, name, kind, frame.depth + 1, &mut frame.names);
                }
            });
            match more {
                Ok(true) if self.walked.options.cancel.is_cancelled() => break,
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.path.truncate(frame.path);
                    self.fail(error);
                    break;
                }
            }
            if frame.names.bytes() >= MANY_NAMES && self.left < self.most_held {
                self.left += 1;
                frame.is_left = true;
                break;
            }
        }
        self.buffer = buffer;
        if !frame.names.is_empty() {
            self.frames.push(frame);
            // What is far above is opened from the root when it is come back to: a deep tree takes no more than a flat one.
            if let Some(far) = self.frames.len().checked_sub(self.most_held + 1)
                && !self.frames[far].is_left
            {
                self.frames[far].listing = None;
            }
        }
    }

    /// Decides what becomes of the entry at the path at hand.
    fn see(&mut self, directory: BorrowedFd<'_>, name: &CStr, kind: FileType, depth: usize, names: &mut Names) {
        let Walked { options, filter, rules, .. } = self.walked;
        if options.skip_hidden && rules.is_none() && name.to_bytes().starts_with(b".") {
            return;
        }
        let stat = |follow: bool| {
            let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
            rustix::fs::statat(directory, name, flags)
        };
        let mut entry = Seen { kind, is_link: false, stat: None };
        let known = entry.look(options.follow_links, stat);
        let is_directory = entry.kind == FileType::Directory;
        if rules.as_ref().is_some_and(|rules| rules.exclude(self.relative(), is_directory)) {
            return;
        }
        // The file filters do not apply to an entry that may be a directory.
        let wanted = match known {
            Err(_) if !entry.is_link => filter.wants_directory(self.relative()),
            Ok(()) if is_directory => filter.wants_directory(self.relative()),
            _ => filter.wants_file(self.relative()),
        };
        if !wanted {
            return;
        }
        if let Err(error) = known {
            let error = ReadError::from_io(error.into(), Operation::ReadDirectory, self.path());
            let is_dangling = entry.is_link && error.kind() == ErrorKind::Vanished;
            let kind = if is_dangling { ErrorKind::Dangling } else { error.kind() };
            self.push(Err(error.with_kind(kind)));
        } else if is_directory {
            match self.judge_directory(&mut entry, stat) {
                Ok(()) if options.max_depth.is_none_or(|most| depth < most) => {
                    names.push(name.to_bytes(), entry.is_link);
                }
                Ok(()) => {}
                // The file filters also apply to links that form a loop.
                Err(error) if error.kind() == ErrorKind::Loop && !filter.wants_file(self.relative()) => {}
                Err(error) => self.push(Err(error)),
            }
        } else {
            let found = self.judge_file(&mut entry, stat);
            let root = &self.walked.root;
            let found = found.map(|size| FileEntry::below(Arc::clone(root), self.path(), size));
            self.push(found);
        }
    }

    /// Why a directory is not walked into, if it is not.
    fn judge_directory(
        &self,
        entry: &mut Seen,
        stat: impl Fn(bool) -> rustix::io::Result<Stat>,
    ) -> Result<(), ReadError> {
        let Walked { options, root, device, .. } = self.walked;
        if let Some(stat) = entry.stat.as_ref().filter(|_| entry.is_link) {
            if let Some(error) = self.leads_back(stat) {
                return Err(error);
            }
            if root.is_left_by(Path::new(OsStr::from_bytes(&self.path))) {
                return Err(self.skip(ErrorKind::EscapesRoot));
            }
        }
        if options.same_file_system && self.stat(entry, stat)?.st_dev != *device {
            return Err(self.skip(ErrorKind::OtherFileSystem));
        }
        Ok(())
    }

    /// The size of what is to be read, where it was asked for; or why it is left out.
    fn judge_file(
        &self,
        entry: &mut Seen,
        stat: impl Fn(bool) -> rustix::io::Result<Stat>,
    ) -> Result<Option<u64>, ReadError> {
        let options = self.walked.options;
        match entry.kind {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(self.skip(why_link_is_skipped(stat(true)))),
            _ => return Err(self.skip(ErrorKind::NotRegular)),
        }
        if !options.sizes && options.min_size.is_none() && options.max_size.is_none() {
            // The common case: the type came with the listing, and no system call is spent on the file.
            return Ok(None);
        }
        let size = u64::try_from(self.stat(entry, stat)?.st_size).unwrap_or(0);
        let too_small = options.min_size.is_some_and(|min| size < min);
        let too_large = options.max_size.is_some_and(|max| size > max);
        if too_small || too_large {
            return Err(self.skip(ErrorKind::FilteredBySize).with_detail(format!("{size} bytes")));
        }
        Ok(Some(size))
    }

    /// What the system tells of an entry, asked for if it was not yet.
    fn stat<'e>(
        &self,
        entry: &'e mut Seen,
        stat: impl Fn(bool) -> rustix::io::Result<Stat>,
    ) -> Result<&'e Stat, ReadError> {
        let asked = match entry.stat.take() {
            Some(stat) => Ok(stat),
            None => stat(false),
        };
        let asked = asked.map_err(|error| ReadError::from_io(error.into(), Operation::ReadDirectory, self.path()))?;
        Ok(entry.stat.insert(asked))
    }

    fn skip(&self, kind: ErrorKind) -> ReadError {
        ReadError::new(kind, Operation::Stat, self.path())
    }

    fn fail(&mut self, error: Errno) {
        let error = ReadError::from_io(error.into(), Operation::ReadDirectory, self.path());
        self.push(Err(error));
    }

    fn end_in_slash(&mut self) {
        if self.path.last() != Some(&b'/') {
            self.path.push(b'/');
        }
    }

    /// The path at hand, in the one allocation that the record will have it in.
    fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.path.clone()))
    }

    /// The path at hand below the root.
    fn relative(&self) -> &Path {
        self.walked.root.relative(Path::new(OsStr::from_bytes(&self.path)))
    }

    fn push(&mut self, found: Found) {
        self.batch.push(found);
        if self.batch.len() >= self.batch_size {
            self.batch_size = (self.batch_size * 2).min(BATCH);
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.batch.is_empty() {
            let full = std::mem::replace(&mut self.batch, Vec::with_capacity(self.batch_size));
            if !self.walked.outlet.send(full) {
                // Nobody receives any more: the walk was dropped.
                self.walked.options.cancel.cancel();
            }
        }
    }
}

/// An entry as far as it is known.
struct Seen {
    kind: FileType,
    is_link: bool,
    stat: Option<Stat>,
}

impl Seen {
    /// Finds out what it is, where the listing does not say or where it is a link that is followed.
    fn look(&mut self, follow: bool, stat: impl Fn(bool) -> rustix::io::Result<Stat>) -> rustix::io::Result<()> {
        if self.kind == FileType::Unknown {
            self.tell(stat(false)?);
        }
        if self.kind == FileType::Symlink && follow {
            self.is_link = true;
            self.tell(stat(true)?);
        }
        Ok(())
    }

    fn tell(&mut self, stat: Stat) {
        self.kind = FileType::from_raw_mode(stat.st_mode);
        self.stat = Some(stat);
    }
}

/// A link that is not followed, told apart by what it leads to: only this costs a system call, and links are rare.
fn why_link_is_skipped(target: rustix::io::Result<Stat>) -> ErrorKind {
    match target.map(|target| FileType::from_raw_mode(target.st_mode)) {
        Ok(FileType::RegularFile | FileType::Directory) => ErrorKind::SymbolicLink,
        Ok(_) => ErrorKind::NotRegular,
        Err(Errno::NOENT | Errno::NOTDIR) => ErrorKind::Dangling,
        Err(_) => ErrorKind::SymbolicLink,
    }
}
