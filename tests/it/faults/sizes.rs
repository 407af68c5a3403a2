//! How much each run does: small in continuous integration, large by night; read from the environment here alone.

use std::time::Duration;

/// The size `name` from the environment, else this one.
#[expect(clippy::disallowed_methods, reason = "the one look at the environment in these tests")]
fn size(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() {
        return otherwise;
    }
    text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
}

/// The seed of everything random; printed, so that a run can be had again.
pub(crate) fn seed() -> u64 {
    let seed = size("IMPRIMATUR_SEED", 20_261_122);
    println!("seed {seed}: IMPRIMATUR_SEED={seed}");
    seed
}

/// Processes killed under load.
pub(crate) fn kills() -> u64 {
    size("IMPRIMATUR_KILLS", 20)
}

/// Faults of the network under load.
pub(crate) fn cuts() -> u64 {
    size("IMPRIMATUR_NETWORK_FAULTS", 8)
}

/// Places a kind of system call is failed at, spread over all its calls; 0 for every one.
pub(crate) fn places() -> u64 {
    size("IMPRIMATUR_IO_PLACES", 4)
}

/// Power cuts.
pub(crate) fn power_cuts() -> u64 {
    size("IMPRIMATUR_POWER_CUTS", 3)
}

/// Withdrawals while others flood.
pub(crate) fn withdrawals() -> u64 {
    size("IMPRIMATUR_WITHDRAWALS", 200)
}

/// How long more is offered than can be taken.
pub(crate) fn overload() -> Duration {
    Duration::from_secs(size("IMPRIMATUR_OVERLOAD_SECONDS", 20))
}

/// How long the steady state before is looked at: in a long run until files were merged and caches are full.
pub(crate) fn steady() -> Duration {
    Duration::from_secs(if judges_memory() { 300 } else { 6 })
}

/// Whether memory is judged and not only told: only a long run has a steady state.
pub(crate) fn judges_memory() -> bool {
    overload() >= Duration::from_mins(5)
}

/// Rounds of stopping and starting each part in turn.
pub(crate) fn rounds() -> u64 {
    size("IMPRIMATUR_RESTARTS", 3)
}
