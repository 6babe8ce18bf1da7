//! What the files of a system tell. Each fact is read by itself: one that cannot be read does not hide the others.

pub mod certificates;
