//! No SQLite database, with or without a write-ahead log, makes the package database panic or hang.
#![no_main]

use houndigrade::rpmdb;
use houndigrade_fuzz::files::Fixed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // How much of the input is the log stands in front.
    let Some((log_bytes, rest)) = bytes.split_first_chunk() else { return };
    let log_bytes = (u32::from_le_bytes(*log_bytes) as usize).min(rest.len());
    let (log, database) = rest.split_at(log_bytes);
    let mut files = vec![("/var/lib/rpm/rpmdb.sqlite", database)];
    if !log.is_empty() {
        files.push(("/var/lib/rpm/rpmdb.sqlite-wal", log));
    }
    drop(rpmdb::find(&Fixed(&files)));
});
