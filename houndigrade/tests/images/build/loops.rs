//! Loop devices and mounts of them, for what only the kernel makes or judges. Needs root and a kernel that allows both.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::image::Image;
use crate::tools;

/// A loop device over an image, detached when the value is dropped.
pub struct Loop(PathBuf);

impl Loop {
    /// Attaches an image; `None` where that is not permitted.
    pub fn attach(image: &Image) -> Option<Self> {
        let output = tools::command("losetup").args(["--find", "--show"]).arg(image.path()).stderr(Stdio::null()).output().ok()?;
        let device = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| Self(PathBuf::from(device.trim())))
    }

    /// The device node.
    pub fn device(&self) -> &Path {
        &self.0
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        drop(tools::command("losetup").arg("--detach").arg(&self.0).status());
    }
}

/// A mounted image, unmounted when the value is dropped.
pub struct Mount {
    folder: tempfile::TempDir,
    mounted: bool,
}

impl Mount {
    /// Mounts an image of a file system; says that it is skipped and gives `None` where the kernel refuses.
    pub fn new(image: &Image, options: &str) -> Option<Self> {
        let mut mount = Self { folder: tempfile::tempdir().unwrap(), mounted: false };
        let output = tools::command("mount").arg("-o").arg(format!("loop,{options}")).arg(image.path()).arg(mount.path()).output().ok()?;
        if !output.status.success() {
            tools::skipped(&format!("no loop mount: {}", String::from_utf8_lossy(&output.stderr).trim()));
            return None;
        }
        mount.mounted = true;
        Some(mount)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            drop(tools::command("umount").arg(self.folder.path()).status());
        }
    }
}
