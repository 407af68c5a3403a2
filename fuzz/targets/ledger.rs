//! libFuzzer's door to [`imprimatur_fuzz::ledger`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imprimatur_fuzz::ledger::run(data));
