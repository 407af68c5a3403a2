//! libFuzzer's door to [`imprimatur_fuzz::gcode`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imprimatur_fuzz::gcode::run(data));
