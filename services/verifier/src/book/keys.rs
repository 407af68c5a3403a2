//! Keys: subjects stand as their events say, what was destroyed is named nowhere, what a restore left
//! without a name or is past its time is gone, and the inventory of backups is the log's.

use std::collections::BTreeMap;

use imprimatur_consent::policy::{OLDEST_RECORD_DAYS, epoch_last_day};
use imprimatur_ledger::Opened;
use imprimatur_runtime::UtcDate;

use super::events::Replayed;
use super::log::Story;
use super::{Found, Look};

pub(super) fn check(look: &Look<'_>, story: &Story, replayed: &Replayed, found: &mut Found<'_>) {
    subjects(look, story, replayed, found);
    leftovers(look, story, found);
    peppers_and_marks(look, story, found);
    unnamed(look, story, replayed, found);
    backups(look, story, found);
}

/// What the collector decides by is what the events add up to.
fn subjects(look: &Look<'_>, story: &Story, replayed: &Replayed, found: &mut Found<'_>) {
    let mut held = replayed.standings().peekable();
    let none = BTreeMap::new();
    let absent = |slot: u64, found: &mut Found<'_>| {
        // Its key is overwritten once the transaction that forgot it is durable.
        let fine = story.destroyed.contains(&slot);
        let place = format!("subject in slot {slot}");
        found.permits.expect(fine, &place, "has events, and the book does not know it");
    };
    for (slot, subject) in look.all("subjects", look.reader.subjects(&look.evidence.keyring)) {
        let place = format!("subject in slot {slot}");
        while let Some((missing, _)) = held.next_if(|(other, _)| *other < slot) {
            absent(missing, found);
        }
        let standing = held.next_if(|(other, _)| *other == slot).map(|(_, standing)| standing);
        match subject {
            Opened::Whole(subject) => {
                let same = standing == Some(&subject.standing);
                found.permits.expect(same, &place, "stands otherwise than its events say");
                let withdrawn = replayed.withdrawn.get(&slot).unwrap_or(&none);
                let same = *withdrawn == subject.withdrawn;
                found.permits.expect(same, &place, "has other withdrawals than its events say");
            }
            Opened::Destroyed => {
                let since = story.destroyed_since.contains(&slot);
                let problem = "is in the book, and its key is destroyed or lost";
                found.erased.expect(since, &place, problem);
            }
            Opened::Broken => found.first.found(&place, "its seal does not open"),
        }
    }
    for (slot, _) in held {
        absent(slot, found);
    }
}

/// Nothing names a slot whose key the log calls destroyed.
fn leftovers(look: &Look<'_>, story: &Story, found: &mut Found<'_>) {
    let (reader, keyring) = (look.reader, &look.evidence.keyring);
    let erased = &mut found.erased;
    let mut named = |table: &str, slot: u64| {
        let place = format!("book, table `{table}`");
        let problem = format!("names slot {slot}, which the log calls destroyed");
        erased.expect(!story.destroyed.contains(&slot), &place, &problem);
    };
    look.all("told", reader.told(keyring)).for_each(|(slot, _)| named("told", slot));
    look.all("receipts", reader.receipts()).for_each(|(slot, _)| named("receipts", slot));
    look.all("windows", reader.windows()).for_each(|(slot, ..)| named("windows", slot));
    look.all("epochs", reader.loose_slots()).for_each(|slot| named("epochs` or `tasks", slot));
    look.all("verdicts", reader.verdicts(keyring)).for_each(|(slot, ..)| named("verdicts", slot));
}

/// Peppers and the secrets of marks are there while they are needed, and no longer.
fn peppers_and_marks(look: &Look<'_>, story: &Story, found: &mut Found<'_>) {
    let kept = look.terms.retention();
    let rows = kept.print_days.max(kept.day_days);
    // A publication may begin before midnight and end after it.
    let yesterday = look.published.map_or(0, |published| published.0.saturating_sub(1));
    let keyring = &look.evidence.keyring;
    let erased = &mut found.erased;
    let mut there = |place: &str, slot: u64, last: u32| {
        let alive = keyring.secret(slot).is_ok_and(|secret| secret.is_some());
        let said = story.destroyed.contains(&slot);
        let fine = (alive && !said) || story.destroyed_since.contains(&slot);
        erased.expect(fine, place, "is in the book, and its key is destroyed or lost");
        let late = last < yesterday;
        erased.expect(!late, place, "is past its time, and was not destroyed");
    };
    for (epoch, slot) in look.all("peppers", look.reader.peppers()) {
        let last = epoch_last_day(epoch).map_or(0, |last| last.0);
        there(&format!("pepper of epoch {epoch}"), slot, last.saturating_add(rows));
    }
    for (day, slot) in look.all("tomb_keys", look.reader.tomb_keys()) {
        let last = day.0.saturating_add(OLDEST_RECORD_DAYS + 1);
        there(&format!("marks of what was erased on {day}"), slot, last);
    }
}

/// Each key that a restore found lives for a subject, a pepper or marks.
fn unnamed(look: &Look<'_>, story: &Story, replayed: &Replayed, found: &mut Found<'_>) {
    let keyring = &look.evidence.keyring;
    let mut named = replayed.slots.clone();
    named.extend(look.all("peppers", look.reader.peppers()).map(|(_, slot)| slot));
    named.extend(look.all("tomb_keys", look.reader.tomb_keys()).map(|(_, slot)| slot));
    for slot in (1..story.slots.min(keyring.slots())).filter(|slot| !named.contains(slot)) {
        let alive = keyring.secret(slot).is_ok_and(|secret| secret.is_some());
        let problem = "has a key that nothing in the book names, and a restore left it";
        found.erased.expect(!alive, &format!("slot {slot}"), problem);
    }
}

/// The inventory is what the log tells, and no backup may exist longer than the policies let it.
fn backups(look: &Look<'_>, story: &Story, found: &mut Found<'_>) {
    let mut told: BTreeMap<&str, (UtcDate, UtcDate)> =
        story.backups.iter().map(|(id, dates)| (id.as_str(), *dates)).collect();
    let most = look.terms.policies().map(|policy| policy.deadlines.backup_days).max();
    let erased = &mut found.erased;
    for (id, made, expires) in look.all("backups", look.reader.backups()) {
        let place = format!("backup {id}");
        let same = told.remove(id.as_str()) == Some((made, expires));
        erased.expect(same, &place, "is in the inventory with other days than in the log");
        let days = expires.0.checked_sub(made.0);
        let fine = days.zip(most).is_some_and(|(days, most)| days <= most);
        erased.expect(fine, &place, "may exist longer than the policies allow");
    }
    for id in told.keys() {
        erased.found(&format!("backup {id}"), "is in the log, and not in the inventory");
    }
}
