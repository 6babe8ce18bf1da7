//! No certificate makes the reading of products panic or hang.
#![no_main]

use houndigrade::facts::certificates;
use houndigrade_fuzz::files::Fixed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| drop(certificates::read(&Fixed(&[("/etc/pki/product/69.pem", bytes)]))));
