//! Any byte of evidence, log or keys that changes is found, and nothing makes the verifier panic.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::states;
use super::world::{World, values};
use crate::{Trust, verify_ledger_now};

/// All files below these folders, by their paths in the data.
fn files(data: &Path, folders: &[&str]) -> Vec<PathBuf> {
    fn collect(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { collect(&path, all) } else { all.push(path) }
        }
    }
    let mut all = Vec::new();
    for folder in folders {
        collect(&data.join(folder), &mut all);
    }
    all.sort();
    all
}

fn passes(world: &World) -> bool {
    let trust = Trust { log_key: Some(world.manifest.log_key.0), ..Trust::default() };
    values(world.data(), &trust).is_ok_and(|report| report.holds)
}

/// Whether a change that passes changed what anything is proven from. These parts of the manifest
/// may change: white space; answers, when more are told than in the log; the newest published
/// commit, when it is beyond the newest there is; first kept dates of no table, or before which there
/// is nothing; and whose key signs answers, on which no evidence rests.
fn matters(world: &World, path: &Path) -> bool {
    let Ok(manifest) = imprimatur_ledger::segments::Manifest::load(&world.path("evidence")) else {
        return true;
    };
    let mut like = manifest.clone();
    like.collector_key = world.manifest.collector_key;
    like.counts.clone_from(&world.manifest.counts);
    like.published = like.published.min(world.manifest.published);
    like.kept_since.clone_from(&world.manifest.kept_since);
    for (table, since) in &mut like.kept_since {
        *since = manifest.kept_since.get(table).copied().unwrap_or(*since).max(*since);
    }
    path != world.path("evidence/manifest.json") || like != world.manifest
}

#[test]
fn every_changed_byte_of_evidence_and_log_is_found_or_means_nothing() {
    let world = World::of(states::restored);
    world.without_book();
    assert!(passes(&world));
    let (mut tried, mut meant_nothing) = (0, 0);
    for file in files(world.data(), &["evidence", "log"]) {
        let honest = fs::read(&file).unwrap();
        let step = (honest.len() / 16).max(1);
        for at in (0..honest.len()).step_by(step) {
            for bit in [0x01, 0x20] {
                let mut changed = honest.clone();
                changed[at] ^= bit;
                fs::write(&file, &changed).unwrap();
                tried += 1;
                if passes(&world) {
                    assert!(!matters(&world, &file), "{} byte {at}", file.display());
                    meant_nothing += 1;
                }
            }
        }
        fs::write(&file, &honest).unwrap();
    }
    assert!(passes(&world));
    assert!(meant_nothing * 20 < tried, "{meant_nothing} of {tried}");
}

#[test]
fn every_missing_truncated_or_longer_file_is_found() {
    let world = World::of(states::erased);
    for file in files(world.data(), &["evidence", "log", "keys", "lake"]) {
        let honest = fs::read(&file).unwrap();
        let half = &honest[..honest.len() / 2];
        for changed in [&honest[..honest.len() - 1], half, &[]] {
            fs::write(&file, changed).unwrap();
            assert!(!passes(&world), "{} of {} bytes", file.display(), changed.len());
        }
        fs::remove_file(&file).unwrap();
        // A partial tile may be missing once there is a wider one (C2SP tlog-tiles).
        let width = file.file_name().and_then(|name| name.to_str()?.parse().ok());
        let older = width.is_some_and(|width: u64| width < world.manifest.log_size);
        assert_eq!(passes(&world), older, "{} is missing", file.display());
        fs::write(&file, &honest).unwrap();
    }
    assert!(passes(&world));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever lies in a file, the verifier answers: it never panics, and never passes.
    #[test]
    fn arbitrary_bytes_never_pass_and_never_panic(
        which in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
    ) {
        let world = World::of(states::restored);
        let all = files(world.data(), &["evidence", "log", "keys", "lake"]);
        let file = &all[which.index(all.len())];
        let honest = fs::read(file).unwrap();
        fs::write(file, &bytes).unwrap();
        prop_assert!(!passes(&world));
        prop_assert!(
            !verify_ledger_now(world.data(), &Trust::default()).is_ok_and(|report| report.holds)
                || file.starts_with(world.path("lake"))
        );
        // Arbitrary bytes in the middle of true ones.
        let at = at.index(honest.len());
        let mut spliced = honest[..at].to_vec();
        spliced.extend(&bytes);
        spliced.extend(honest.iter().skip(at + bytes.len()));
        fs::write(file, &spliced).unwrap();
        let same = spliced == honest || bytes.is_empty();
        // A slot that no evidence names is a pepper or a secret of marks, which prove nothing.
        let unused = file.ends_with("keys/keyring") && {
            let mut slots = (at / 32)..=((at + bytes.len().max(1) - 1) / 32);
            slots.all(|slot| slot > 0 && !world.slots().contains(&u64::try_from(slot).unwrap()))
        };
        let fine = same || unused || !passes(&world) || !matters(&world, file);
        prop_assert!(fine, "{} byte {at}", file.display());
    }

    /// Numbers at their limits, well sealed and well committed, are judged and never overflow.
    #[test]
    fn numbers_at_their_limits_are_judged(
        date in prop_oneof![Just(0), Just(u32::MAX), any::<u32>()],
        recorded in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        leaf in prop_oneof![Just(u64::MAX), any::<u64>()],
        slot in prop_oneof![Just(u64::MAX), Just(0)],
    ) {
        let mut world = World::honest();
        world.change_commit(3, |proof, _| proof.records[0].date.0 = date);
        world.commit(4).recorded.0 = recorded;
        world.event(1).recorded.0 = recorded;
        world.event(2).leaf = leaf;
        world.event(7).slot = slot;
        world.catalogue.published.0 = recorded;
        world.manifest.published = leaf;
        world.manifest.kept_since.insert("day".to_owned(), imprimatur_runtime::UtcDate(date));
        prop_assert!(!world.forged().holds);
    }
}
