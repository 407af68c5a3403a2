//! Everything that reads bytes from outside, under arbitrary bytes: no panic, and what is taken is what was meant.
//!
//! Each room is one target: what it begins with, and what must hold for any bytes. libFuzzer drives them through
//! the small programs in `targets/` (`cargo xtask fuzz`); the inputs that were kept in `corpus/` are run by the
//! tests as well.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a target says by panicking that something does not hold"
)]

pub mod batch;
pub mod canonical;
#[path = "../../services/verifier/src/tests/collector.rs"]
#[expect(dead_code, reason = "the verifier's tests use more of it")]
mod collector;
pub mod edits;
pub mod gcode;
pub mod journal;
pub mod ledger;
pub mod policy;
pub mod topic;
mod world;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name; the program is `fuzz-NAME`, the kept inputs are in `corpus/NAME`.
    pub name: &'static str,
    /// What it begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Takes any bytes; panics when something does not hold.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 7] = [
    Target { name: "batch", seeds: batch::seeds, run: batch::run },
    Target { name: "canonical", seeds: canonical::seeds, run: canonical::run },
    Target { name: "policy", seeds: policy::seeds, run: policy::run },
    Target { name: "gcode", seeds: gcode::seeds, run: gcode::run },
    Target { name: "topic", seeds: topic::seeds, run: topic::run },
    Target { name: "journal", seeds: journal::seeds, run: journal::run },
    Target { name: "ledger", seeds: ledger::seeds, run: ledger::run },
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn seeds_and_kept_inputs_hold() {
        for target in TARGETS {
            let mut inputs = (target.seeds)();
            assert!(inputs.len() > 1, "{} begins with nothing", target.name);
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
            let files = fs::read_dir(&kept).expect("each target keeps inputs");
            inputs.extend(files.map(|file| fs::read(file.unwrap().path()).unwrap()));
            for input in inputs {
                (target.run)(&input);
            }
        }
    }
}
