//! libFuzzer's door to [`imprimatur_fuzz::topic`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imprimatur_fuzz::topic::run(data));
