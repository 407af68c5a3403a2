//! libFuzzer's door to [`imprimatur_fuzz::batch`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imprimatur_fuzz::batch::run(data));
