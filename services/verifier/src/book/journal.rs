//! The journal: batches on their way to the lake hold what their commits say, values of the contract,
//! and nothing else.

use imprimatur_consent::standing::Ended;
use imprimatur_lake::Row;
use imprimatur_ledger::reader::Batch;
use imprimatur_ledger::{BookError, JournalRecord, Opened, RecordEvidence};
use imprimatur_proto::contract;

use super::events::Replayed;
use super::log::Story;
use super::{Found, Look};

/// Holds each batch against its commit, and searches it; gives their number.
pub(super) fn check(
    look: &Look<'_>,
    story: &Story,
    replayed: &Replayed,
    found: &mut Found<'_>,
) -> Result<u64, BookError> {
    let (mut number, keyring) = (0, &look.evidence.keyring);
    let in_lake = look.reader.published()?;
    let mut waiting = replayed.unpublished.iter().peekable();
    for (position, slot, batch) in look.all("journal", look.reader.journal(keyring)) {
        number += 1;
        let place = format!("batch {position} on its way to the lake");
        while let Some(missing) = waiting.next_if(|missing| **missing < position) {
            absent(*missing, story, found);
        }
        waiting.next_if(|waits| **waits == position);
        // A restored book is newer than its journal.
        let late = position <= in_lake && !story.restored();
        found.once.expect(!late, &place, "is in the lake already");
        let batch = match batch {
            Opened::Whole(batch) => batch,
            Opened::Destroyed => continue,
            Opened::Broken => {
                found.first.found(&place, "its seal does not open, or it holds no records");
                continue;
            }
        };
        let commit = look.one("commits", look.reader.commit(position)).flatten();
        let Some(commit) = commit.filter(|commit| commit.slot == slot) else {
            found.permits.found(&place, "has no evidence of a commit");
            continue;
        };
        // One whose seal does not open was found where commits were read.
        let proof = commit.open(keyring).ok().and_then(Opened::whole);
        let Some(proof) = proof else { continue };
        let ended = replayed.standing(slot).and_then(|standing| standing.ended);
        let emptied = batch.records.is_empty() && matches!(ended, Some((Ended::Erased, _)));
        if !emptied {
            let same = proof.records.len() == batch.records.len();
            found.permits.expect(same, &place, "holds other records than its commit");
        }
        for (record, evidence) in batch.records.iter().zip(&proof.records) {
            if let Some(problem) = differs(record, evidence) {
                found.permits.found(&place, problem);
            } else {
                found.permits.passed(1);
            }
            let known = values_are_known(record);
            found.scan.geometry.expect(known, &place, "holds what is no value of the contract");
        }
        search(position, &place, &batch, found);
    }
    for missing in waiting {
        absent(*missing, story, found);
    }
    Ok(number)
}

fn absent(position: u64, story: &Story, found: &mut Found<'_>) {
    let place = format!("commit {position}");
    let problem = "is neither in the lake nor on its way: its rows were taken out";
    found.once.expect(story.was_lost(position), &place, problem);
}

fn differs(record: &JournalRecord, evidence: &RecordEvidence) -> Option<&'static str> {
    let who = (record.subject, record.principal) == (evidence.subject, evidence.principal);
    let when = (record.kind, record.date, record.epoch);
    let all = [
        (who, "is under other pseudonyms than its evidence says"),
        (
            when == (evidence.kind, evidence.date, evidence.epoch),
            "has another table, date or epoch than its evidence says",
        ),
        (
            record.categories().eq(evidence.categories.iter().copied()),
            "holds other sections than its permits covered",
        ),
    ];
    all.into_iter().find(|(same, _)| !same).map(|(_, problem)| problem)
}

/// Each value is an index of a column that the contract has in this table and category.
fn values_are_known(record: &JournalRecord) -> bool {
    record.values().all(|(category, name, index)| {
        let field = contract().column(record.kind, name);
        field.map(|field| contract().rule(field)).is_some_and(|rule| {
            rule.category == Some(category) && index > 0 && index < rule.domain()
        })
    })
}

/// Searches a batch as rows and as the bytes that were sealed.
fn search(position: u64, place: &str, batch: &Batch, found: &mut Found<'_>) {
    let row = |(ordinal, record): (u32, &JournalRecord)| Row {
        kind: record.kind,
        date: record.date,
        epoch: record.epoch,
        commit: position,
        ordinal,
        subject: record.subject,
        principal: record.principal,
        sections: record.sections(),
    };
    let rows: Vec<Row> = (0..).zip(&batch.records).map(row).collect();
    found.scan.rows(place, &rows);
    found.scan.bytes(place, &batch.bytes);
}
