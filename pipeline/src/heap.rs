//! What the allocator keeps of memory that was freed. Only glibc's keeps so much that something must be done.

/// Heaps that the allocator may keep. With two the threads of an ingest waited for each other, which took a seventh of its time; more than three
/// only hold more memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS_MAX: i32 = 3;
/// Bytes from which on an allocation is a mapping of its own, which the system has to clear anew each time. The most that glibc takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM_BYTES: i32 = 32 << 20;
/// Free bytes at the end of a heap that are kept for what comes next: a report needs some tens of MiB, and the next report the same.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 128 << 20;

/// Bounds the heaps, and how often their memory goes back to the system. To be called before another thread runs.
///
/// glibc gives threads heaps of their own, and keeps in each what was freed there: with many threads that come and go, memory grew to a
/// multiple of what was ever in use at once. Within a heap it gives back at once what it might need again at once: a report spent a quarter of
/// its time on pages that it had had before.
pub fn bound() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes two integers, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS_MAX);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
    }
}

/// Gives pages that hold nothing back to the system, also those between others: by itself glibc gives back only what lies at the end of a
/// heap, and as long as something small lives behind them, the pages of each burst of work stay.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes an integer, and may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
