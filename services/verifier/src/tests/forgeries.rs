//! Forgeries of the ledger, planted by whoever owns the disk; each beside a world that passes.

use std::fs;

use imprimatur_consent::event::{Acting, LedgerEvent, Public, What};
use imprimatur_consent::{Digest, Invariant};
use imprimatur_ledger::segments::Manifest;
use imprimatur_ledger::{ConsentEvidence, Keyring};
use imprimatur_log::note::LogKey;
use imprimatur_log::{Checkpoint, MemoryLog, Origin, entry, tree};
use imprimatur_proto::rights::v1::Verb;
use imprimatur_runtime::UtcDate;

use super::collector::{TODAY, owner};
use super::world::{World, withdrawal};
use super::{caught, caught_alone, proven, states};
use crate::Trust;

const FIRST: Invariant = Invariant::EvidenceFirst;
const ERASED: Invariant = Invariant::ErasureProvable;

/// A world that passes, and the checkpoint that somebody kept of it.
fn kept() -> (World, Trust) {
    let world = World::honest();
    let trust = Trust { anchor: Some(world.checkpoint()), ..Trust::default() };
    proven(&world.verify_ledger(&trust));
    (world, trust)
}

#[test]
fn a_log_whose_tail_was_cut_is_found() {
    let (mut world, _) = kept();
    world.entries.truncate(5);
    world.write_log(&world.log_key());
    let report = world.verify_ledger(&Trust::default());
    caught(&report, FIRST, "its tail was cut");
    caught(&report, FIRST, "is not what the log committed to");
}

#[test]
fn log_and_evidence_that_were_cut_together_are_found_by_an_anchor() {
    let (mut world, trust) = kept();
    world.entries.truncate(5);
    world.drop_event(7);
    world.drop_commits(8);
    world.manifest.published = 6;
    world.manifest.counts.insert("stored".to_owned(), 4);
    proven(&world.forged());
    caught_alone(&world.verify_ledger(&trust), FIRST, "the log has 5 entries, 8 were seen earlier");
}

#[test]
fn a_log_that_was_written_again_is_found_by_an_anchor() {
    let (mut world, trust) = kept();
    // The withdrawal becomes one of another category, which the owner never signed: a complaint.
    world.change_event(7, |event, _| {
        event.what = What::Complained { topic: 5, by: Acting::Operator {} };
    });
    proven(&world.forged());
    let found = world.verify_ledger(&trust);
    caught_alone(&found, FIRST, "the first 8 entries are not those that were seen earlier");
}

#[test]
fn an_event_that_was_changed_and_sealed_again_is_found() {
    let mut world = World::honest();
    world.change_event(7, |event, _| {
        event.what = What::Complained { topic: 5, by: Acting::Operator {} };
    });
    world.write();
    let report = world.verify_ledger(&Trust::default());
    caught(&report, FIRST, "is not what the log committed to");
    caught(&report, FIRST, "the log does not know this evidence");
}

#[test]
fn a_seal_that_was_broken_or_moved_is_found() {
    let mut world = World::honest();
    world.event(7).sealed[30] ^= 1;
    caught(&world.forged(), FIRST, "was changed: its seal does not open");
    let mut world = World::honest();
    world.event(7).slot = 1;
    caught(&world.forged(), FIRST, "was changed: its seal does not open");
    let mut world = World::honest();
    world.commit(8).sealed[30] ^= 1;
    caught(&world.forged(), FIRST, "was changed: its seal does not open");
}

#[test]
fn what_stands_beside_a_seal_is_found_when_it_was_changed() {
    let mut world = World::honest();
    world.event(7).recorded.0 += 86_400;
    world.write();
    caught_alone(&world.verify(), FIRST, "the log does not know this evidence");
    let mut world = World::honest();
    world.commit(8).recorded.0 += 60;
    world.write();
    caught_alone(&world.verify(), FIRST, "the log does not know this evidence");
}

#[test]
fn an_entry_that_was_changed_in_its_bundle_is_found() {
    let world = World::honest();
    let bundle = world.path("log/tile/entries/000.p/8");
    let mut bytes = fs::read(&bundle).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    caught(&world.verify_ledger(&Trust::default()), FIRST, "was changed");
}

#[test]
fn the_hashes_of_a_node_are_no_entry_of_the_log() {
    let mut world = World::honest();
    let hash = |at: usize| tree::leaf_hash(&world.entries[at]).0;
    // Without the prefixes, one leaf of these bytes would have the root of the first two entries.
    let pair = [hash(0), hash(1)].concat();
    let mut log = MemoryLog::new();
    world.entries.iter().for_each(|entry| log.push(entry.clone()));
    let key = world.log_key();
    let root = tree::root(2, &log).unwrap();
    let forged = Checkpoint { origin: Origin::of(&key.public()), size: 1, root };
    world.entries.truncate(1);
    world.write_log(&key);
    fs::write(world.path("log/checkpoint"), forged.sign(&key)).unwrap();
    fs::write(world.path("log/tile/0/000.p/1"), root.0).unwrap();
    fs::write(world.path("log/tile/entries/000.p/1"), [&[0, 64][..], &pair].concat()).unwrap();
    caught(&world.verify_ledger(&Trust::default()), FIRST, "is no entry");
}

#[test]
fn an_entry_that_two_events_claim_is_found() {
    let mut world = World::honest();
    world.change_event(2, |_, evidence| evidence.leaf = 1);
    world.entries[2] = entry::blinded(&[9; 32], b"");
    let report = world.forged();
    caught(&report, FIRST, "another event has the same log entry");
    caught(&report, FIRST, "the evidence of one is missing");
    // The same commitment twice in the log.
    let mut world = World::honest();
    let first = world.opened(1);
    world.change_event(2, |event, _| *event = first);
    caught(&world.forged(), FIRST, "are the same commitment");
}

#[test]
fn an_event_whose_evidence_was_removed_is_found() {
    for position in [2, 7] {
        let mut world = World::honest();
        world.drop_event(position);
        caught(&world.forged(), FIRST, "the evidence of one is missing");
    }
    // Saying that the evidence ends before it does not help.
    let mut world = World::honest();
    world.drop_event(7);
    world.write();
    world.manifest.log_size = 5;
    world.manifest.store(&world.path("evidence")).unwrap();
    caught(&world.verify(), FIRST, "goes on after the evidence");
}

#[test]
fn a_segment_of_commits_that_was_removed_or_replaced_is_found() {
    let mut world = World::honest();
    world.drop_commits(8);
    world.manifest.published = 6;
    world.write();
    caught_alone(&world.verify(), FIRST, "the log knows this evidence, and it is missing");
    let mut world = World::honest();
    world.change_commit(8, |proof, _| proof.sequence = 9);
    world.write();
    let report = world.verify();
    caught_alone(&report, FIRST, "the log does not know this evidence");
    caught(&report, FIRST, "the log knows this evidence, and it is missing");
}

#[test]
fn a_checkpoint_of_another_key_is_found() {
    let world = World::honest();
    let other = LogKey::from_seed(&[8; 32]);
    world.write_log(&other);
    caught(&world.verify_ledger(&Trust::default()), FIRST, "is not this log's checkpoint");
    let forged = world.checkpoint_by(&other);
    let mut world = World::honest();
    world.write_log(&world.log_key());
    fs::write(world.path("log/checkpoint"), forged).unwrap();
    caught(&world.verify_ledger(&Trust::default()), FIRST, "is not this log's checkpoint");
    world.write_all();
    proven(&world.verify());
}

#[test]
fn a_log_that_was_replaced_with_its_key_is_found_by_who_knows_the_key() {
    let world = World::honest();
    let trust = Trust { log_key: Some(world.manifest.log_key.0), ..Trust::default() };
    proven(&world.verify_ledger(&trust));
    let other = LogKey::from_seed(&[8; 32]);
    world.write_log(&other);
    let forged = Manifest { log_key: Digest(other.public()), ..world.manifest.clone() };
    forged.store(&world.path("evidence")).unwrap();
    proven(&world.verify_ledger(&Trust::default()));
    let report = world.verify_ledger(&trust);
    caught(&report, FIRST, "names another key of the log than the one that is trusted");
    caught(&report, FIRST, "is not this log's checkpoint");
}

#[test]
fn a_key_that_was_destroyed_in_silence_is_found() {
    let world = World::honest();
    Keyring::open(&world.path("keys")).unwrap().destroy(&[1]).unwrap();
    let report = world.verify_ledger(&Trust::default());
    caught(&report, ERASED, "the log knows of no erasure");
    // Other bytes in its place destroy as much, and say so.
    let world = World::honest();
    let mut keys = fs::read(world.path("keys/keyring")).unwrap();
    keys[32..64].copy_from_slice(&[5; 32]);
    fs::write(world.path("keys/keyring"), keys).unwrap();
    caught(&world.verify_ledger(&Trust::default()), FIRST, "its seal does not open");
}

#[test]
fn a_destroyed_key_that_was_put_back_is_found() {
    let mut before = Vec::new();
    let world = World::of(|collector| {
        let mut collector = states::being_erased(collector);
        before = fs::read(collector.data().join("keys/keyring")).unwrap();
        collector.erases = true;
        collector.publish();
        collector
    });
    proven(&world.verify());
    fs::write(world.path("keys/keyring"), before).unwrap();
    let report = world.verify_ledger(&Trust::default());
    caught_alone(&report, ERASED, "its key was destroyed, and it is there");
}

#[test]
fn a_consent_before_its_policy_was_announced_is_found() {
    let mut world = World::honest();
    world.entries.swap(0, 1);
    let keyring = world.keyring();
    let event = world.opened(1);
    let evidence = world.event(1);
    let place = (evidence.position, 0, evidence.slot);
    *evidence = ConsentEvidence::seal(&keyring, place, evidence.recorded, &event).unwrap();
    caught_alone(&world.forged(), FIRST, "a policy that was not announced before it");
}

#[test]
fn a_policy_that_was_announced_as_something_else_is_found() {
    let mut world = World::honest();
    world.change_public(|event| {
        if let Public::PolicyPublished { version, .. } = event {
            *version += 1;
        }
    });
    caught_alone(&world.forged(), FIRST, "was announced as something else");
}

#[test]
fn events_in_another_order_than_the_log_are_found() {
    // The withdrawal of the second subject is told as the first event of all.
    let mut world = World::honest();
    let (one, two) = (world.opened(1), world.opened(2));
    let place = |evidence: &ConsentEvidence| (evidence.leaf, evidence.slot, evidence.recorded);
    let ((leaf, slot, at), other) = (place(world.event(1)), place(world.event(2)));
    let keyring = world.keyring();
    *world.event(1) =
        ConsentEvidence::seal(&keyring, (1, other.0, other.1), other.2, &two).unwrap();
    *world.event(2) = ConsentEvidence::seal(&keyring, (2, leaf, slot), at, &one).unwrap();
    caught_alone(&world.forged(), FIRST, "has another place than its log entry");
    // A withdrawal that moves behind a commit keeps its entry, and is found by the segment's hash.
    let mut world = World::honest();
    world.repeat_commit(4);
    world.change_event(7, |_, evidence| evidence.position = 10);
    world.write();
    caught(&world.verify(), FIRST, "the log does not know this evidence");
}

#[test]
fn a_row_of_an_erased_subject_is_found() {
    let mut gone = None;
    let mut world = World::of(|collector| {
        let mut collector = states::being_erased(collector);
        let row = World::rows_of(&collector).into_iter().find(|row| row.commit == 4).unwrap();
        gone = Some(row);
        collector.erases = true;
        collector.publish();
        collector
    });
    proven(&world.verify());
    world.rows.extend(gone);
    caught_alone(&world.forged(), ERASED, "is of a subject that was to be erased");
}

#[test]
fn an_erasure_that_does_not_come_is_found() {
    let wait = |days: u32| {
        World::of(|collector| {
            let mut collector = states::being_erased(collector);
            collector.today = UtcDate(TODAY.0 + days);
            collector.publish();
            collector
        })
    };
    proven(&wait(30).verify());
    caught_alone(&wait(31).verify(), ERASED, "is of a subject that was to be erased");
}

#[test]
fn a_row_that_is_kept_too_long_is_found() {
    let mut world = World::of(states::rows_expired);
    proven(&world.verify());
    let row = World::of(states::being_erased).row(2).clone();
    world.rows.push(row);
    caught(&world.forged(), ERASED, "is older than rows are kept");
    // The manifest cannot allow it, nor excuse rows that are gone too soon.
    world.manifest.kept_since.clear();
    caught(&world.forged(), ERASED, "is older than rows are kept");
    let mut world = World::honest();
    world.rows.clear();
    world.manifest.kept_since.insert("print".to_owned(), UtcDate(TODAY.0 + 1));
    let report = world.forged();
    caught(&report, ERASED, "dropped sooner than the policies let them be");
    caught(&report, Invariant::CountsOnce, "has no row");
}

#[test]
fn a_restore_excuses_only_what_it_lost() {
    let mut world = World::of(states::restored);
    world.rows.retain(|row| row.commit != 2);
    caught_alone(&world.forged(), Invariant::CountsOnce, "has no row");
    let mut world = World::honest();
    let lost = Some((8, u64::MAX));
    let (backup, erased_rows, slots, on) = (String::new(), 0, None, TODAY);
    world.add_public(&Public::Restored { backup, lost, erased_rows, slots, on });
    world.rows.retain(|row| row.commit != 8);
    let report = world.forged();
    caught(&report, FIRST, "a restore that lost what was not there yet");
    caught(&report, Invariant::CountsOnce, "has no row");
}

#[test]
fn an_event_that_is_passed_off_as_an_erased_subjects_is_found() {
    let mut world = World::of(states::erased);
    let of_erased = world.a_destroyed_slot();
    world.add_event(1, TODAY, &withdrawal(1, 2));
    let last = world.next_position() - 1;
    world.event(last).slot = of_erased;
    caught_alone(&world.forged(), FIRST, "is of a subject that was erased before it");
}

#[test]
fn an_act_that_its_owner_did_not_sign_is_found() {
    let acted = |signer: u8, verb: Verb| {
        let mut world = World::honest();
        let what = What::ErasureRequested { by: owner(1, verb, signer) };
        let slot = world.event(1).slot;
        world.add_event(slot, TODAY, &LedgerEvent { nonce: Digest([6; 32]), what });
        world.forged()
    };
    proven(&acted(1, Verb::Erase));
    let problem = "who did not sign it";
    caught_alone(&acted(2, Verb::Erase), Invariant::NoPermitNoRow, problem);
    caught_alone(&acted(1, Verb::Release), Invariant::NoPermitNoRow, problem);
}

#[test]
fn a_subject_in_two_slots_is_found() {
    let mut world = World::honest();
    let event = LedgerEvent { nonce: Digest([6; 32]), ..world.opened(1) };
    let free = Keyring::open(&world.path("keys")).unwrap().draw().unwrap();
    world.add_event(free, TODAY, &event);
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, "its subject has another slot");
}
