//! No change to a sound disk, from its partition table to the packages on it, makes an inspection panic or hang.
#![no_main]

use houndigrade::inspect::inspect;
use houndigrade_fuzz::disk::{Base, disk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|changes: &[u8]| drop(inspect("ami-1", vec![disk(Base::load("whole").patched(changes))])));
