//! A run as the oracle judges it: frames and answers from the wire, events, commits and rows from the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use imprimatur_consent::event::What;
use imprimatur_consent::{Digest, Pseudonym};
use imprimatur_lake::{Catalogue, Exclusion, Lake};
use imprimatur_ledger::Keyring;
use imprimatur_ledger::segments::Manifest;
use imprimatur_proto::consent::v1::{
    ConsentEvent, Decision, Receipt, ReceiptStatus, SignedConsentEvent, SignedReceipt,
};
use imprimatur_proto::ingest::v1::{Outcome, SignedVerdict, Verdict};
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_proto::telemetry::v1::Batch;
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_testkit::mqtt::published;
use imprimatur_testkit::oracle::{
    Answered, Change, Commit, Event, History, Issued, Record, Replied, Row, Subject,
};
use imprimatur_testkit::tap::{Direction, Tap};

use crate::program::{Answer, imprimatur};
use crate::rig::Rig;
use crate::wire::reason;

/// The longest that a look at all that a long run left may take.
const VERIFIED: Duration = Duration::from_mins(20);

/// Adds what went over the wire between agents and broker.
pub(super) fn add_wire(history: &mut History, tap: &Tap) {
    for message in published(tap, Direction::ToServer) {
        if message.topic.ends_with("/batch") {
            history.issued.extend(issued(&message.payload));
        }
    }
    for message in published(tap, Direction::ToClient) {
        if message.topic.ends_with("/verdict") {
            add_verdict(history, &message.payload);
        } else if message.topic.ends_with("/receipt") {
            add_receipt(history, &message.payload);
        }
    }
}

/// A frame; `None` for bytes that no agent makes.
pub(super) fn issued(bytes: &[u8]) -> Option<Issued> {
    let signed = frame::open(contract(), bytes).ok()?;
    let batch: Batch = contract().decode(&signed.batch).ok()?;
    let header = batch.header?;
    let prints = batch.prints.iter().map(|print| (RecordKind::Print, canonical::encode(print)));
    let days = batch.days.iter().map(|day| (RecordKind::Day, canonical::encode(day)));
    let records = prints.chain(days).map(|(kind, bytes)| {
        let record = contract().record(kind, &bytes).unwrap();
        told(kind, record.date, &record.sections)
    });
    Some(Issued {
        subject: header.subject.as_slice().try_into().ok()?,
        sequence: header.sequence,
        frame: Digest::of(bytes).0,
        records: records.collect(),
    })
}

/// Adds a signed verdict.
pub(super) fn add_verdict(history: &mut History, bytes: &[u8]) {
    let signed: SignedVerdict = contract().decode(bytes).unwrap();
    let verdict: Verdict = contract().decode(&signed.verdict).unwrap();
    let stored = verdict.outcome() == Outcome::Stored;
    history.answered.push(Answered {
        subject: verdict.subject.as_slice().try_into().unwrap(),
        sequence: verdict.sequence,
        frame: verdict.frame_hash.as_slice().try_into().unwrap(),
        refused: (!stored).then(|| reason(&verdict)),
    });
}

/// Adds a signed receipt of something that was recorded.
pub(super) fn add_receipt(history: &mut History, bytes: &[u8]) {
    let signed: SignedReceipt = contract().decode(bytes).unwrap();
    let receipt: Receipt = contract().decode(&signed.receipt).unwrap();
    if receipt.status() == ReceiptStatus::Recorded {
        let subject = receipt.subject.as_slice().try_into().unwrap();
        history.replied.push(Replied { subject, leaf: receipt.log_index - 1 });
    }
}

/// Adds what a collector that has ended left in its folder.
pub(super) fn add_disk(history: &mut History, data: &Path) {
    let folder = data.join("evidence");
    let manifest = Manifest::load(&folder).unwrap();
    let keyring = Keyring::read_only(&data.join("keys")).unwrap();
    let mut subjects: BTreeMap<u64, Subject> = BTreeMap::new();
    for entry in manifest.consent(&folder).unwrap() {
        let Some(event) = entry.open(&keyring).unwrap().whole() else { continue };
        let What::Consent { signed_event } = event.what else { continue };
        let (subject, change, categories) = decision(&signed_event);
        subjects.insert(entry.slot, subject);
        let (position, leaf, date) = (entry.position, entry.leaf, entry.recorded.date().0);
        history.events.push(Event { position, leaf, subject, change, categories, date });
    }
    let mut pseudonyms: BTreeMap<u64, Vec<Pseudonym>> = BTreeMap::new();
    for entry in manifest.commits(&folder).unwrap() {
        let Some(proof) = entry.open(&keyring).unwrap().whole() else { continue };
        let names = proof.records.iter().map(|record| record.subject).collect();
        pseudonyms.insert(entry.position, names);
        let numbers = |record: &imprimatur_ledger::RecordEvidence| {
            let categories = record.categories.iter().map(|category| category.number());
            (record.date.0, categories.map(number).collect())
        };
        history.commits.push(Commit {
            position: entry.position,
            subject: subjects[&entry.slot],
            sequence: proof.sequence,
            frame: proof.frame.0,
            records: proof.records.iter().map(numbers).collect(),
        });
    }
    history.log_size = manifest.log_size;
    history.counts = manifest.counts;
    add_rows(history, data, &pseudonyms);
}

/// Ends bridge and collector as an operator does, verifies, and reads what they left.
pub(super) async fn ended(rig: &mut Rig, mut history: History) -> History {
    assert_eq!(rig.stop_bridge().await, Some(0));
    assert_eq!(rig.stop_collector().await, Some(0));
    add_wire(&mut history, &rig.agents);
    verified(&mut history, &rig.data()).await;
    add_disk(&mut history, &rig.data());
    history
}

/// Lets the verifier look at what a collector left.
pub(super) async fn verified(history: &mut History, data: &Path) {
    let mut command = imprimatur(&["compliance", "verify", "--data"]);
    command.arg(data);
    let answer = Answer::within(VERIFIED, command).await;
    history.verifier = (answer.code != Some(0)).then(|| format!("{}{}", answer.out, answer.err));
}

fn add_rows(history: &mut History, data: &Path, pseudonyms: &BTreeMap<u64, Vec<Pseudonym>>) {
    let (folder, lake) = (data.join("lake"), Lake::open(data.join("lake")).unwrap());
    let catalogue = Catalogue::load(&folder).unwrap();
    let mut excluded: BTreeMap<Pseudonym, Vec<&Exclusion>> = BTreeMap::new();
    for exclusion in &catalogue.excluded {
        excluded.entry(exclusion.subject).or_default().push(exclusion);
    }
    for row in catalogue.files.iter().flat_map(|file| lake.read(file).unwrap()) {
        let of_it = excluded.get(&row.subject).into_iter().flatten();
        let of_it = of_it.filter(|exclusion| row.commit <= exclusion.up_to);
        let ordinal = usize::try_from(row.ordinal).unwrap();
        // A row under another's name is a row of nobody: the oracle finds no commit for it.
        let named = pseudonyms.get(&row.commit).and_then(|names| names.get(ordinal));
        history.rows.push(Row {
            commit: if named == Some(&row.subject) { row.commit } else { 0 },
            ordinal,
            record: told(row.kind, row.date.0, &row.sections),
            excluded: of_it.map(|exclusion| number(exclusion.category.number())).collect(),
        });
    }
}

fn decision(signed_event: &str) -> (Subject, Change, BTreeSet<u32>) {
    let signed = hex::decode(signed_event).unwrap();
    let signed: SignedConsentEvent = contract().decode(&signed).unwrap();
    let event: ConsentEvent = contract().decode(&signed.event).unwrap();
    let subject = Digest::of(&event.public_key).0[..16].try_into().unwrap();
    let change = match event.decision() {
        Decision::Withdrawn | Decision::Transferred => Change::Withdrawn,
        _ => Change::Granted,
    };
    (subject, change, event.categories.iter().copied().map(number).collect())
}

fn told(kind: RecordKind, date: u32, sections: &[Section]) -> Record {
    let content = format!("{kind:?} {date} {sections:?}");
    let categories = sections.iter().map(|section| number(section.category.number())).collect();
    Record { date, categories, content: Digest::of(content.as_bytes()).0 }
}

/// A number of the contract as the oracle has it.
fn number<N: TryInto<u32>>(number: N) -> u32
where
    N::Error: Debug,
{
    number.try_into().unwrap()
}
