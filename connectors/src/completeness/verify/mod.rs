//! Whether log files and digests are what CloudTrail wrote.
//!
//! A digest names the hash of each log file, and names hash and signature of the digest before it; its own signature lies beside it, in the
//! metadata of the S3 object. So a log file is proven by its digest's signature, and that is checked with a public key of CloudTrail.
//!
//! A copy of a bucket has lost the metadata. The signature of a digest is then taken from the digest after it, which is as good: what was
//! signed is the same. Only of the newest digest of each chain no signature is left. For it, a file beside it with `.signature` behind its
//! name may hold the signature, in hexadecimal digits.
//!
//! * [`Archive`]: where the objects are
//! * [`Keys`]: public keys, from a file or from CloudTrail
//! * [`survey`], [`verify`]: reading all digests, then judging them and their log files
//! * [`VerifyReport`]: what came of it

mod archive;
mod content;
mod keys;
mod online;
mod report;
mod survey;
mod walk;

pub use archive::{Archive, ArchiveError, BucketArchive, FolderArchive, Stored, open};
pub use keys::{Keys, KeysError};
pub use online::{KeysNotListed, list_keys};
pub use report::{Beginning, FileCounts, FileKind, FileResult, FileVerdict, Pause, Verdict, VerifyReport};
pub use survey::{Survey, survey};
pub use walk::verify;

#[cfg(test)]
mod tests;
