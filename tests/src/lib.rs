//! Nothing: this crate is its tests, in `it`. They run the programs that `cargo build --bins` made.
