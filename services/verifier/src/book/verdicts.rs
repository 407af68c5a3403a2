//! Verdicts and counts: each stored batch and each refusal has its answer, and the counters of the
//! book are what events, commits and verdicts add up to.

use std::collections::BTreeMap;

use imprimatur_consent::{Domain, SubjectId, VerifyingKey};
use imprimatur_ledger::{BookError, Label, Opened};
use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::{Outcome, RefusalReason, SignedVerdict, Verdict};
use imprimatur_runtime::UtcDate;

use super::events::Replayed;
use super::log::Story;
use super::{Found, Look};
use crate::report::Check;

/// Dates whose counts the book keeps of a subject; see `docs/erasure.md`.
const DATES_KEPT: usize = 64;

/// Holds verdicts, counters and the counts of dates against what was replayed; gives the number of
/// verdicts.
pub(super) fn check(
    look: &Look<'_>,
    story: &Story,
    replayed: &Replayed,
    found: &mut Found<'_>,
) -> Result<u64, BookError> {
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    let mut stored: Vec<(u64, u64)> = Vec::new();
    let mut held: BTreeMap<u64, u64> = BTreeMap::new();
    let windows = look.all("windows", look.reader.windows());
    let windows: BTreeMap<u64, (u64, u64)> =
        windows.map(|(slot, held, forgotten)| (slot, (held, forgotten))).collect();
    let forgotten = |slot| windows.get(&slot).map_or(0, |(_, forgotten)| *forgotten);
    for (slot, number, verdict) in
        look.all("verdicts", look.reader.verdicts(&look.evidence.keyring))
    {
        *held.entry(slot).or_default() += 1;
        let place = format!("verdict {number} of slot {slot}");
        let late = number <= forgotten(slot);
        found.once.expect(!late, &place, "is older than what was forgotten");
        let verdict = match verdict {
            Opened::Whole((frame, bytes)) => {
                let subject = replayed.standing(slot).map(imprimatur_consent::Standing::subject);
                read(look, &bytes, (subject, number, frame.0))
            }
            Opened::Destroyed => continue,
            Opened::Broken => Err("its seal does not open"),
        };
        match verdict {
            Ok((None, frame)) => {
                let same = replayed.stored.get(&(slot, number)).is_some_and(|own| own.0 == frame);
                found.once.expect(same, &place, "says that a batch was stored, and no commit does");
                stored.push((slot, number));
            }
            Ok((Some(reason), _)) => {
                let of_stored = replayed.stored.contains_key(&(slot, number));
                found.once.expect(!of_stored, &place, "refuses a batch that was committed");
                *refused.entry(reason).or_default() += 1;
            }
            Err(problem) => found.first.found(&place, problem),
        }
    }
    // Both are in the order of slots and numbers.
    let mut answered = stored.iter().peekable();
    for key in replayed.stored.keys() {
        while answered.next_if(|&&other| other < *key).is_some() {}
        let there = answered.next_if(|&&other| other == *key).is_some();
        let place = format!("batch {} of slot {}", key.1, key.0);
        let fine = there || key.1 <= forgotten(key.0);
        found.once.expect(fine, &place, "was committed, and no verdict says so");
    }
    for (slot, (told, _)) in &windows {
        let fine = held.get(slot).copied().unwrap_or(0) == *told;
        let place = format!("verdicts of slot {slot}");
        found.once.expect(fine, &place, "are more or fewer than the book counts");
    }
    counters(look, story, (replayed, &refused), &mut found.first)?;
    told(look, replayed, found);
    Ok(held.values().sum())
}

/// The reason of a refusal, `None` for what was stored, and the frame.
fn read(
    look: &Look<'_>,
    bytes: &[u8],
    (subject, number, frame): (Option<SubjectId>, u64, [u8; 32]),
) -> Result<(Option<String>, [u8; 32]), &'static str> {
    let form = "is no canonical verdict";
    let signed: SignedVerdict = contract().decode(bytes).map_err(|_fault| form)?;
    let verdict: Verdict = contract().decode(&signed.verdict).map_err(|_fault| form)?;
    let key = VerifyingKey::from_bytes(&look.evidence.manifest.collector_key.0);
    let signs =
        |key: VerifyingKey| key.verifies(Domain::Verdict, &signed.verdict, &signed.signature);
    if !key.is_ok_and(signs) {
        return Err("is not signed by the collector");
    }
    let of_subject = subject.is_some_and(|subject| verdict.subject == subject.0);
    if !of_subject || verdict.sequence != number || verdict.frame_hash != frame {
        return Err("is of another subject, number or frame");
    }
    match (verdict.outcome(), verdict.reason()) {
        (Outcome::Stored, RefusalReason::Unspecified) => Ok((None, frame)),
        (Outcome::Refused, reason) if reason != RefusalReason::Unspecified => {
            let name = reason.as_str_name();
            let name = name.strip_prefix("REFUSAL_REASON_").unwrap_or(name);
            Ok((Some(format!("refused.{}", name.to_ascii_lowercase())), frame))
        }
        _ => Err("says neither that its batch was stored nor why it was refused"),
    }
}

/// The counters: exact where what they count is here, and never less than what is or was told.
fn counters(
    look: &Look<'_>,
    story: &Story,
    (replayed, refused): (&Replayed, &BTreeMap<String, u64>),
    first: &mut Check,
) -> Result<(), BookError> {
    let counts = look.reader.counts()?;
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    let place = |name: &str| format!("count `{name}` of the book");
    let stored = of("stored") == replayed.commits;
    first.expect(stored, &place("stored"), "is not the number of commits");
    let name = "consent.recorded";
    let (least, most) = (replayed.consents, replayed.consents.saturating_add(replayed.sealed));
    // A restore replays events, and counts none of them.
    let least = if story.restored() { 0 } else { least };
    let fine = (least..=most).contains(&of(name));
    first.expect(fine, &place(name), "is not the number of recorded consent events");
    for (name, there) in refused {
        let fine = of(name) >= *there;
        first.expect(fine, &place(name), "is less than the refusals that are remembered");
    }
    for (name, told) in &story.counts {
        first.expect(of(name) >= *told, &place(name), "is less than the log told");
    }
    let manifest = &look.evidence.manifest;
    let newer = look.reader.log_size()? >= manifest.log_size;
    for (name, told) in manifest.counts.iter().filter(|_| newer) {
        first.expect(of(name) >= *told, &place(name), "is less than the manifest tells");
    }
    Ok(())
}

/// What the dates have told: no more than they may, and what the book counts of it.
fn told(look: &Look<'_>, replayed: &Replayed, found: &mut Found<'_>) {
    if look.label == Label::Load {
        return;
    }
    replayed.told.within("slot", &mut found.scan.geometry);
    let mut kept: BTreeMap<u64, BTreeMap<UtcDate, [u8; 2]>> = BTreeMap::new();
    for (slot, dates) in look.all("told", look.reader.told(&look.evidence.keyring)) {
        match dates {
            Opened::Whole(dates) => {
                kept.insert(slot, dates);
            }
            Opened::Destroyed => {}
            Opened::Broken => found.first.found(&format!("counts of slot {slot}"), "do not open"),
        }
    }
    for (&(slot, date), counts) in replayed.told.iter() {
        let dates = kept.get_mut(&slot);
        let oldest = dates.as_ref().and_then(|dates| dates.keys().next().copied());
        let full = dates.as_ref().is_some_and(|dates| dates.len() >= DATES_KEPT);
        let own = dates.and_then(|dates| dates.get_mut(&date));
        let place = format!("{date} of slot {slot}");
        let told = own.map(|own| std::mem::take(own).map(u32::from));
        let fine = match told {
            Some(told) => told == *counts,
            None => full && oldest.is_some_and(|oldest| date < oldest),
        };
        let problem = "has told something else than the book counts, so more could be stored of it";
        found.scan.geometry.expect(fine, &place, problem);
    }
    for (slot, dates) in kept {
        // What was met above is zero now.
        let more = dates.values().any(|counts| *counts != [0; 2]);
        let place = format!("counts of slot {slot}");
        found.first.expect(!more, &place, "tell of records that nobody committed");
    }
}
