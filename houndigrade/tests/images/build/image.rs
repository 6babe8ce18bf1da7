//! An image file in a folder of its own, both gone when the value is dropped.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::tools;

/// Bytes of a MiB.
pub const MIB: u64 = 1 << 20;

/// A sparse file that serves as a disk, a partition or a volume.
pub struct Image {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Image {
    /// An image of zeros.
    pub fn blank(bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        File::create(&path).unwrap().set_len(bytes).unwrap();
        Self { folder, path }
    }

    /// The image file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder for what the image is made of.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        std::fs::metadata(&self.path).unwrap().len()
    }

    /// Sets the length in bytes.
    pub fn truncate(&self, bytes: u64) {
        self.open().set_len(bytes).unwrap();
    }

    /// Writes bytes at an offset.
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        self.open().write_all_at(bytes, offset).unwrap();
    }

    /// Reads bytes at an offset.
    pub fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.open().read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    /// Copies a range of another image to an offset of this one; holes stay holes.
    pub fn place(&self, offset: u64, other: &Image, from: u64, count: u64) {
        const CHUNK: u64 = 64 << 10;
        let (to, source) = (self.open(), other.open());
        let mut buffer = vec![0; CHUNK as usize];
        let mut done = 0;
        while done < count {
            let Some(data) = next_data(&source, from + done) else { break };
            done = done.max((data - from) / CHUNK * CHUNK);
            if done >= count {
                break;
            }
            let part = &mut buffer[..(count - done).min(CHUNK) as usize];
            source.read_exact_at(part, from + done).unwrap();
            to.write_all_at(part, offset + done).unwrap();
            done += part.len() as u64;
        }
    }

    /// Copies all of another image to an offset of this one.
    pub fn place_all(&self, offset: u64, other: &Image) {
        self.place(offset, other, 0, other.len());
    }

    /// A second image with the same bytes, for judges that may write.
    pub fn copy(&self) -> Self {
        let copy = Self::blank(self.len());
        copy.place_all(0, self);
        copy
    }

    /// The SHA-256 of the whole image.
    pub fn sha256(&self) -> String {
        tools::sha256(&self.path)
    }

    /// An image that `fixtures/record` has recorded.
    pub fn recorded(name: &str) -> Self {
        Self::unpacked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/fixtures").join(format!("{name}.tar.gz")))
    }

    /// The image in an archive that `fixtures/record` has made.
    pub fn unpacked(archive: &Path) -> Self {
        let image = Self::blank(0);
        tools::succeed(tools::command("tar").args(["--sparse", "-xzf"]).arg(archive).arg("-C").arg(image.scratch()).stdin(Stdio::null()));
        let name = archive.file_name().unwrap().to_str().unwrap().replace(".tar.gz", ".img");
        std::fs::rename(image.scratch().join(name), &image.path).unwrap();
        image
    }

    fn open(&self) -> File {
        OpenOptions::new().read(true).write(true).open(&self.path).unwrap()
    }
}

/// Where the next bytes that are not a hole begin.
fn next_data(file: &File, from: u64) -> Option<u64> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open as long as `file` lives, and no memory is passed.
    let at = unsafe { libc::lseek(file.as_raw_fd(), i64::try_from(from).unwrap(), libc::SEEK_DATA) };
    u64::try_from(at).ok()
}
