//! libFuzzer's door to [`imprimatur_fuzz::policy`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imprimatur_fuzz::policy::run(data));
