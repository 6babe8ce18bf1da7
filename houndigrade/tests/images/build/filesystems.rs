//! File systems with files in them, made by the mkfs of each without mounting anything.

use std::fmt::Write as _;
use std::path::Path;

use super::files::Files;
use super::image::Image;
use crate::tools;

/// ext4 as RHEL 6 made it.
pub const EXT4_OF_EL6: [&str; 4] = ["-t", "ext4", "-O", "^64bit,^metadata_csum"];
/// XFS version 4 without file types in directories, as RHEL 7 before 7.3 made it.
pub const XFS_V4: [&str; 4] = ["-m", "crc=0,finobt=0", "-n", "ftype=0"];
/// XFS as RHEL 7 made it from 7.3 on.
pub const XFS_OF_EL7: [&str; 4] = ["-m", "crc=1,finobt=0,rmapbt=0,reflink=0,bigtime=0,inobtcount=0", "-i", "sparse=0"];
/// XFS as RHEL 8 makes it.
pub const XFS_OF_EL8: [&str; 4] = ["-m", "crc=1,finobt=1,rmapbt=0,reflink=1,bigtime=0,inobtcount=0", "-i", "sparse=1"];
/// XFS as RHEL 9 makes it.
pub const XFS_OF_EL9: [&str; 4] = ["-m", "crc=1,finobt=1,rmapbt=0,reflink=1,bigtime=1,inobtcount=1", "-i", "sparse=1"];
/// XFS as RHEL 10 makes it.
pub const XFS_OF_EL10: [&str; 4] = ["-m", "crc=1,finobt=1,rmapbt=1,reflink=1,bigtime=1,inobtcount=1", "-i", "sparse=1,nrext64=1"];

/// ext2, ext3 or ext4 of `mkfs.ext4` with further options, such as `-t ext3`.
pub fn ext(files: &Files, bytes: u64, options: &[&str]) -> Image {
    let image = Image::blank(bytes);
    let folder = written(files, &image);
    tools::succeed(tools::command("mke2fs").args(["-q", "-F", "-d"]).arg(folder).args(options).arg(image.path()));
    image
}

/// XFS with further options; sizes from 20 MiB on.
pub fn xfs(files: &Files, bytes: u64, options: &[&str]) -> Image {
    let image = Image::blank(bytes);
    let folder = written(files, &image);
    let prototype = image.scratch().join("prototype");
    std::fs::write(&prototype, xfs_prototype(&folder)).unwrap();
    // --unsupported allows for less than the 300 MiB that mkfs.xfs otherwise insists on.
    tools::succeed(tools::command("mkfs.xfs").args(["-q", "--unsupported"]).args(options).arg("-p").arg(prototype).arg(image.path()));
    image
}

/// btrfs with further options; sizes from 110 MiB on.
pub fn btrfs(files: &Files, bytes: u64, options: &[&str]) -> Image {
    let image = Image::blank(bytes);
    let folder = written(files, &image);
    tools::succeed(tools::command("mkfs.btrfs").args(["-q", "--rootdir"]).arg(folder).args(options).arg(image.path()));
    image
}

/// Runs commands of debugfs that change an ext file system.
pub fn debugfs(image: &Image, commands: &str) {
    let script = image.scratch().join("debugfs-script");
    std::fs::write(&script, commands).unwrap();
    tools::succeed(tools::command("debugfs").arg("-w").arg("-f").arg(script).arg(image.path()));
}

/// What debugfs prints for one command.
pub fn debugfs_says(image: &Image, command: &str) -> String {
    String::from_utf8(tools::run("debugfs", ["-R".as_ref(), command.as_ref(), image.path().as_os_str()])).unwrap()
}

fn written(files: &Files, image: &Image) -> std::path::PathBuf {
    let folder = image.scratch().join("root");
    files.write_to(&folder);
    folder
}

/// A prototype file for mkfs.xfs: what a folder holds. Names with blanks cannot be stated in one.
fn xfs_prototype(folder: &Path) -> String {
    let mut prototype = "/dev/null\n0 0\nd--755 0 0\n".to_owned();
    prototype_of_folder(folder, &mut prototype);
    prototype
}

fn prototype_of_folder(folder: &Path, prototype: &mut String) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            writeln!(prototype, "{name} d--755 0 0").unwrap();
            prototype_of_folder(&path, prototype);
        } else if kind.is_symlink() {
            writeln!(prototype, "{name} l--777 0 0 {}", std::fs::read_link(&path).unwrap().display()).unwrap();
        } else if kind.is_file() {
            writeln!(prototype, "{name} ---644 0 0 {}", path.display()).unwrap();
        } else {
            writeln!(prototype, "{name} p--644 0 0").unwrap();
        }
    }
    prototype.push_str("$\n");
}
