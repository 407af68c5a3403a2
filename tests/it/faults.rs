//! Faults over the real programs: processes killed, wires cut, disks that fail or fill, power that goes, load that is too much.
//!
//! Keeps true: each run is judged by the oracle of the testkit, from the wire and from the disk,
//! and fails when it saw too little. Everything random comes from one printed seed; how long a run
//! is comes from [`sizes`]. Nothing here is skipped: a missing right fails with the command to type.
#![expect(clippy::print_stdout, reason = "a run tells its seed and what it saw")]

mod counts;
mod direct;
mod disk;
mod flood;
mod history;
mod io;
mod kills;
mod load;
mod network;
mod overload;
mod power;
mod report;
mod restart;
mod revocation;
mod sizes;
