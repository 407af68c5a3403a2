//! What tests share: real peers as guarded processes, played printers, wire taps, tripwires and a search for planted secrets.
//!
//! Keeps true: a peer is the real program with the configuration that is shipped; whatever was
//! started is gone when its handle is dropped; nothing waits for a duration, only for a condition.
//! Never used outside tests; never reaches a network beyond the loopback.

pub mod chance;
pub mod gcode;
pub mod mqtt;
pub mod obligations;
pub mod oracle;
pub mod peers;
pub mod ports;
pub mod printers;
pub mod process;
pub mod search;
pub mod stl;
pub mod tap;
pub mod tripwire;
pub mod wait;
pub mod web;
