//! The way from libFuzzer into the target `redis`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    pointsman_fuzz::run("redis", data);
});
