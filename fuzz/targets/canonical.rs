//! libFuzzer's door to [`imprimatur_fuzz::canonical`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imprimatur_fuzz::canonical::run(data));
