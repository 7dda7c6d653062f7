//! The way from libFuzzer into [`check::body`].
#![no_main]

use libfuzzer_sys::fuzz_target;

use pointsman_testkit::check;

fuzz_target!(|data: &[u8]| check::body(data));
