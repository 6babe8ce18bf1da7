//! What the allocator keeps of memory that was freed. Only glibc's keeps so much that something must be done.

/// Heaps that the allocator may keep.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS_MAX: i32 = 2;

/// glibc gives threads heaps of their own, and keeps in each what was freed there: with many threads that come and go, memory grew to a
/// multiple of what was ever in use at once. To be called before another thread runs.
pub fn bound() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes two integers, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS_MAX);
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
