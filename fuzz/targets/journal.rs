//! libFuzzer's door to [`imprimatur_fuzz::journal`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imprimatur_fuzz::journal::run(data));
