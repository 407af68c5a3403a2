//! Nothing: this crate is its tests, in `console`. They run the programs that `cargo build --bins` made.
