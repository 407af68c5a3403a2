//! The testkit against the real programs: each starts, does one real thing, and leaves nothing behind.

#[cfg(test)]
mod broker;
#[cfg(test)]
mod peers;
