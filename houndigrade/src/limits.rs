//! What one disk may cost. Each limit has its unit in its name; what is beyond is a finding, never cut silently.

/// Bytes of a symbolic link's target, as in Linux.
pub const SYMLINK_BYTES_MAX: usize = 4096;
/// Links that are followed for one path, as in Linux.
pub const SYMLINKS_MAX: usize = 40;

// The RPM database and certificates.

/// Bytes of an RPM database, its write-ahead log apart. A full desktop has 300 MB.
pub const RPMDB_BYTES_MAX: u64 = 512 << 20;
/// Bytes of a write-ahead log. SQLite empties it at 4 MB, unless a reader holds it.
pub const RPMDB_LOG_BYTES_MAX: u64 = 256 << 20;
/// Bytes that are read at once of an RPM database, a multiple of every page size.
pub const RPMDB_READ_BYTES: usize = 64 << 10;
/// Reads of [`RPMDB_READ_BYTES`] that are kept for pages nearby.
pub const RPMDB_READS_KEPT: usize = 32;
/// Levels of a b-tree of SQLite; 512 MiB in pages of 512 bytes need fewer than ten.
pub const SQLITE_DEPTH_MAX: usize = 20;
/// Rows of SQLite's schema; that of rpm has 60.
pub const SQLITE_SCHEMA_ROWS_MAX: u64 = 1_000;
/// Bytes of one row of SQLite's schema.
pub const SQLITE_SCHEMA_ROW_BYTES_MAX: usize = 64 << 10;
/// Installed packages. A full desktop has 5 000.
pub const PACKAGES_MAX: u64 = 200_000;
/// Bytes of a package's header; that of a kernel with its modules has 2 MB.
pub const RPM_HEADER_BYTES_MAX: usize = 64 << 20;
/// Entries of a package's header, as in rpm.
pub const RPM_HEADER_ENTRIES_MAX: usize = 65_535;
/// Bytes of a package's name, version, release, architecture or vendor.
pub const RPM_STRING_BYTES_MAX: usize = 1024;
/// Signatures of one package.
pub const RPM_SIGNATURES_MAX: usize = 16;
/// Bytes of one signature; post-quantum ones have 5 KB.
pub const RPM_SIGNATURE_BYTES_MAX: usize = 64 << 10;
/// Different keys that a database's packages are signed with.
pub const RPM_SIGNERS_MAX: usize = 256;
/// Packages named `*-release` that are told one by one.
pub const RELEASE_PACKAGES_MAX: usize = 64;
/// Damaged entries of a database that are told one by one; those beyond are only counted.
pub const DAMAGE_TOLD_MAX: usize = 8;
/// Packets of one OpenPGP signature blob.
pub const OPENPGP_PACKETS_MAX: usize = 16;
/// Subpackets of one area of a signature.
pub const OPENPGP_SUBPACKETS_MAX: usize = 64;
/// Names in a directory of product certificates.
pub const CERTIFICATES_MAX: usize = 1_000;
/// Bytes of a file with product certificates; real ones have 2 KB.
pub const CERTIFICATE_BYTES_MAX: usize = 64 << 10;
/// Products in one file of certificates.
pub const CERTIFICATE_PRODUCTS_MAX: usize = 100;
