//! Tests only: see `tests/fleet`.
