//! What the parent hands over to the child: files that it has opened, and connections over which it reads the other disks.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;

use super::OpenDisk;
use crate::source::{Source, serve};
use crate::volumes::Disk;

/// A disk, ready for a child that is not started yet.
pub(super) struct Handed {
    /// What the findings call it.
    pub(super) name: String,
    kind: Kind,
}

enum Kind {
    File(File),
    Served { source: Source, ours: UnixStream, theirs: UnixStream },
}

impl Handed {
    /// A file or block device that the child reads itself.
    pub(super) fn file(name: String, file: File) -> Self {
        Self { name, kind: Kind::File(file) }
    }

    /// A disk that this process reads for the child.
    ///
    /// # Errors
    /// Where this machine has no connection left.
    pub(super) fn served(disk: Disk) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok(Self { name: disk.name, kind: Kind::Served { source: disk.source, ours, theirs } })
    }

    /// The descriptor that the child gets.
    pub(super) fn descriptor(&self) -> RawFd {
        match &self.kind {
            Kind::File(file) => file.as_raw_fd(),
            Kind::Served { theirs, .. } => theirs.as_raw_fd(),
        }
    }

    /// How the child is told of it.
    pub(super) fn told(&self) -> OpenDisk {
        let served_bytes = match &self.kind {
            Kind::File(_) => None,
            Kind::Served { source, .. } => Some(source.len()),
        };
        OpenDisk { name: self.name.clone(), descriptor: self.descriptor(), served_bytes }
    }

    /// Now that the child has its descriptor: closes ours, and serves what is to be served. That ends with the child, which has the only
    /// other end; a read that is under way then ends by itself.
    pub(super) fn let_go(self) {
        if let Kind::Served { source, ours, theirs } = self.kind {
            drop(theirs);
            thread::spawn(move || serve(&*source, ours));
        }
    }
}
