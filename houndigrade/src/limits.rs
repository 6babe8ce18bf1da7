//! What one disk may cost. Each limit has its unit in its name; what is beyond is a finding, never cut silently.

/// Bytes of a symbolic link's target, as in Linux.
pub const SYMLINK_BYTES_MAX: usize = 4096;
/// Links that are followed for one path, as in Linux.
pub const SYMLINKS_MAX: usize = 40;
