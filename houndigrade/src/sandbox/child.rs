//! The child: takes a request, gives up what it does not need, inspects, answers, ends.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, RawFd};
use std::process::ExitCode;
use std::sync::Arc;

use cloudigrade_schemas::findings::ImageFindings;

use super::{CHILD_ARGUMENT, OpenDisk, Request, confine};
use crate::evidence;
use crate::limits::{DISKS_MAX, INSPECTION_OUTPUT_BYTES_MAX};
use crate::source::{FileSource, Served, Source};
use crate::volumes::Disk;

/// Descriptors that every process has.
const STANDARD: RawFd = 3;

/// Where this process was started to inspect an image for its parent, does that; else returns `None`. To be called first in `main`, before
/// any thread runs and any argument is looked at.
pub fn become_child_if_asked() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_none_or(|argument| argument != CHILD_ARGUMENT) {
        return None;
    }
    Some(match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

fn run() -> io::Result<()> {
    let mut request = Vec::new();
    io::stdin().take(INSPECTION_OUTPUT_BYTES_MAX as u64).read_to_end(&mut request)?;
    let request: Request = serde_json::from_slice(&request)?;
    let disks = disks_of(&request.disks)?;
    let served: Vec<RawFd> = request.disks.iter().filter(|disk| disk.served_bytes.is_some()).map(|disk| disk.descriptor).collect();
    let lacking = confine::confine(&request.allowance, request.parent, &served)?;
    let mut findings = crate::inspect(&request.image, disks);
    findings.caveats.extend(lacking);
    answer(findings, request.allowance.output_bytes)
}

/// The disks, which are already open. All other descriptors are closed: none of them is any business of an inspection.
fn disks_of(open: &[OpenDisk]) -> io::Result<Vec<Disk>> {
    let mut descriptors: Vec<RawFd> = open.iter().map(|disk| disk.descriptor).collect();
    descriptors.sort_unstable();
    let is_sound =
        descriptors.len() <= DISKS_MAX && descriptors.iter().all(|one| *one >= STANDARD) && descriptors.is_sorted_by(|a, b| a < b);
    if !is_sound {
        return Err(io::Error::other("a descriptor of a disk is none, or is named twice"));
    }
    close_all_but(&descriptors);
    let disks = open.iter().map(|disk| {
        // SAFETY: the parent has opened this descriptor for us, nothing else in this process knows it, and it occurs once.
        let file = unsafe { File::from_raw_fd(disk.descriptor) };
        let name = disk.name.clone();
        let source: Source = match disk.served_bytes {
            Some(len) => Arc::new(Served::new(file, name.as_str(), len)),
            None => Arc::new(FileSource::from_file(file, name.as_str()).map_err(io::Error::other)?),
        };
        Ok(Disk { name, source })
    });
    disks.collect()
}

/// Closes all descriptors from [`STANDARD`] on but these, which are sorted. Older kernels cannot; then what the parent left open stays so.
fn close_all_but(kept: &[RawFd]) {
    let mut from = STANDARD;
    for end in kept.iter().copied().chain([RawFd::MAX]) {
        if from < end {
            // SAFETY: no object of this process owns a descriptor in this range: `main` has only just begun.
            unsafe { libc::syscall(libc::SYS_close_range, from, end - 1, 0) };
        }
        from = end.saturating_add(1);
    }
}

fn answer(mut findings: ImageFindings, bytes_max: usize) -> io::Result<()> {
    evidence::fit(&mut findings, bytes_max);
    let text = serde_json::to_vec(&findings)?;
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}
