//! What the fuzz targets share: disks and files made of a fuzzer's bytes. Checksums are made right, so that the fuzzer gets behind them.

pub mod checksums;
pub mod disk;
pub mod files;
