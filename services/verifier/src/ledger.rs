//! The ledger as it can be proven: the log's entries, and the evidence opened and held against them.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::event::{LedgerEvent, Public, What, decoded};
use imprimatur_consent::{Digest, Policy, Terms};
use imprimatur_ledger::{CommitEvidence, CommitProof, ConsentEvidence, Opened};
use imprimatur_proto::consent::v1::Decision;

use crate::Trust;
use imprimatur_runtime::UtcDate;

use crate::chain::Chain;
use crate::facts::Facts;
use crate::report::Check;
use crate::snapshot::Evidence;

/// What the folders prove.
pub(crate) struct Ledger<'a> {
    /// Events by position; `None` behind a destroyed key.
    pub(crate) events: Vec<(&'a ConsentEvidence, Option<LedgerEvent>)>,
    /// Commits by position; `None` behind a destroyed key.
    pub(crate) commits: Vec<(&'a CommitEvidence, Option<CommitProof>)>,
    /// What the policies say.
    pub(crate) terms: Terms,
    /// Commits whose rows a restore did not bring back.
    lost: Vec<(u64, u64)>,
    /// The newest day on which the log tells counts: on each day that rows were let go there is one.
    pub(crate) counted: UtcDate,
    /// What the report tells beside the checks.
    pub(crate) facts: Facts,
}

impl<'a> Ledger<'a> {
    /// Opens everything, and holds it against the log.
    pub(crate) fn open(
        evidence: &'a Evidence,
        trust: &Trust,
        first: &mut Check,
        erased: &mut Check,
    ) -> Self {
        let named = evidence.manifest.log_key.0;
        let key = trust.log_key.unwrap_or(named);
        let problem = "names another key of the log than the one that is trusted";
        first.expect(key == named, "manifest", problem);
        let chain = Chain::read(&evidence.log, &key, trust.anchor.as_ref(), first);
        as_long_as_the_evidence(&chain, evidence.manifest.log_size, first);
        let destroyed = destroyed(evidence, &chain, erased);
        let events = events(evidence, &chain, &destroyed, first, erased);
        let commits = commits(evidence, &destroyed, first, erased);
        segments(evidence, &chain, first);
        chain.counts(&evidence.manifest.counts, first);
        let terms = policies(evidence, &chain, first);
        agreed_to_what_was_announced(&events, &chain, &terms, first);
        let lost = chain.lost(first);
        let counted = chain.public.iter().filter_map(|(_, event)| match event {
            Public::Counts { on, .. } => Some(*on),
            _ => None,
        });
        let counted = counted.max().unwrap_or(UtcDate(0));
        let facts = Facts {
            log_key_given: trust.log_key.is_some(),
            anchored: trust.anchor.is_some(),
            witnesses: trust.witnesses.clone(),
            ..Facts::of(evidence, &chain)
        };
        Self { events, commits, terms, lost, counted, facts }
    }

    /// Whether a restore lost the rows of this commit.
    pub(crate) fn was_lost(&self, position: u64) -> bool {
        self.lost.iter().any(|&(first, last)| (first..=last).contains(&position))
    }
}

/// Evidence and log end together. A log that goes on may hide events whose evidence was removed.
fn as_long_as_the_evidence(chain: &Chain, told: u64, first: &mut Check) {
    let cut = "is shorter than the evidence says: its tail was cut";
    first.expect(chain.size >= told, "log", cut);
    let beyond = "goes on after the evidence: some was removed, or a publication broke off; then \
                  let the collector publish again";
    first.expect(chain.size <= told, "log", beyond);
}

/// Slots that the log says are destroyed, with the entry; their keys must be gone.
fn destroyed(evidence: &Evidence, chain: &Chain, erased: &mut Check) -> BTreeMap<u64, u64> {
    let keys = chain.destroyed();
    for slot in keys.keys() {
        let place = format!("slot {slot}");
        match evidence.keyring.secret(*slot) {
            Ok(secret) => erased.expect(
                secret.is_none(),
                &place,
                "the log says that its key was destroyed, and it is there",
            ),
            Err(error) => erased.found(&place, &error.to_string()),
        }
    }
    for (_, event) in &chain.public {
        if let Public::ErasureCompleted { slot, .. } = event {
            let problem = "was erased and its key was not destroyed";
            erased.expect(keys.contains_key(slot), &format!("slot {slot}"), problem);
        }
    }
    keys
}

/// Every event stands behind its own entry of the log, in the same order, and every entry has its
/// event.
fn events<'a>(
    evidence: &'a Evidence,
    chain: &Chain,
    destroyed: &BTreeMap<u64, u64>,
    first: &mut Check,
    erased: &mut Check,
) -> Vec<(&'a ConsentEvidence, Option<LedgerEvent>)> {
    let (mut claimed, mut events) = (BTreeSet::new(), Vec::new());
    for event in &evidence.events {
        let place = format!("event {}", event.position);
        let in_order = claimed.last().is_none_or(|last| *last <= event.leaf);
        first.expect(in_order, &place, "has another place than its log entry");
        first.expect(claimed.insert(event.leaf), &place, "another event has the same log entry");
        let entry = chain.blinded.get(&event.leaf);
        match event.open(&evidence.keyring) {
            Ok(Opened::Whole(opened)) => {
                let made = Chain::commitment(&opened.nonce.0, &opened.what.payload());
                let problem = "is not what the log committed to";
                first.expect(entry.is_some() && entry == made.as_ref(), &place, problem);
                events.push((event, Some(opened)));
            }
            Ok(Opened::Destroyed) => {
                first.expect(entry.is_some(), &place, "the log has no such entry");
                gone(event.slot, destroyed, &place, erased);
                let after = destroyed.get(&event.slot).is_some_and(|end| *end < event.leaf);
                first.expect(!after, &place, "is of a subject that was erased before it");
                events.push((event, None));
            }
            Ok(Opened::Broken) => first.found(&place, "was changed: its seal does not open"),
            Err(error) => first.found(&place, &error.to_string()),
        }
    }
    for leaf in chain.blinded.keys().filter(|leaf| !claimed.contains(leaf)) {
        first.found(&format!("log entry {leaf}"), "has no event: the evidence of one is missing");
    }
    events
}

fn commits<'a>(
    evidence: &'a Evidence,
    destroyed: &BTreeMap<u64, u64>,
    first: &mut Check,
    erased: &mut Check,
) -> Vec<(&'a CommitEvidence, Option<CommitProof>)> {
    let mut commits = Vec::new();
    for commit in &evidence.commits {
        let place = format!("commit {}", commit.position);
        match commit.open(&evidence.keyring) {
            Ok(Opened::Whole(proof)) => {
                first.passed(1);
                commits.push((commit, Some(proof)));
            }
            Ok(Opened::Destroyed) => {
                gone(commit.slot, destroyed, &place, erased);
                commits.push((commit, None));
            }
            Ok(Opened::Broken) => first.found(&place, "was changed: its seal does not open"),
            Err(error) => first.found(&place, &error.to_string()),
        }
    }
    commits
}

/// What cannot be opened must have been erased in the open.
fn gone(slot: u64, destroyed: &BTreeMap<u64, u64>, place: &str, erased: &mut Check) {
    let problem = "cannot be opened, and the log knows of no erasure: its key was lost or taken";
    erased.expect(destroyed.contains_key(&slot), place, problem);
}

/// The log names every segment, and every segment that it names is here.
fn segments(evidence: &Evidence, chain: &Chain, first: &mut Check) {
    let told = chain.segments();
    let segments = &evidence.manifest.segments;
    for segment in segments {
        let known = told.get(&segment.sha256) == Some(&(segment.first, segment.last));
        first.expect(known, &segment.file, "the log does not know this evidence");
    }
    let held: BTreeSet<Digest> = segments.iter().map(|segment| segment.sha256).collect();
    for (hash, (from, to)) in told.iter().filter(|(hash, _)| !held.contains(hash)) {
        let place = format!("positions {from} to {to} ({hash})");
        first.found(&place, "the log knows this evidence, and it is missing");
    }
}

/// Policies are those that the log announced, and say what it announced.
fn policies(evidence: &Evidence, chain: &Chain, first: &mut Check) -> Terms {
    let announced = chain.announced();
    let mut policies = BTreeMap::new();
    for (hash, text) in &evidence.policies {
        let place = format!("policy {hash}");
        first.expect(announced.contains_key(hash), &place, "was never announced in the log");
        match Policy::read(text) {
            Ok(policy) => {
                policies.insert(*hash, policy);
            }
            Err(error) => first.found(&place, &error.to_string()),
        }
    }
    for (_, event) in &chain.public {
        let Public::PolicyPublished { hash, name, version, effective, notices, .. } = event else {
            continue;
        };
        let place = format!("policy {hash}");
        let Some(policy) = policies.get(hash) else {
            first.found(&place, "was announced in the log, and its text is missing");
            continue;
        };
        let hashes = policy.notices.iter().map(|(language, notice)| (language, &notice.hash));
        let same = (name, *version) == (&policy.name, policy.version)
            && policy.change.as_ref().is_none_or(|change| change.effective == *effective)
            && notices.iter().eq(hashes);
        first.expect(same, &place, "was announced as something else");
    }
    Terms::of(&policies.into_values().collect::<Vec<_>>())
}

/// Nobody can have agreed to a policy before it was announced, or to one that was replaced.
fn agreed_to_what_was_announced(
    events: &[(&ConsentEvidence, Option<LedgerEvent>)],
    chain: &Chain,
    terms: &Terms,
    first: &mut Check,
) {
    let announced = chain.announced();
    for (evidence, event) in events {
        let Some(What::Consent { signed_event }) = event.as_ref().map(|event| &event.what) else {
            continue;
        };
        let Ok((event, _)) = decoded(signed_event) else { continue };
        let agreed = matches!(event.decision(), Decision::Granted | Decision::Renewed);
        let Ok(policy) = Digest::try_from(event.policy_hash.as_slice()) else { continue };
        if agreed {
            let place = format!("event {}", evidence.position);
            let before = announced.get(&policy).is_some_and(|leaf| *leaf < evidence.leaf);
            first.expect(before, &place, "agrees to a policy that was not announced before it");
            let offered = terms.offered(policy, evidence.recorded.date());
            first.expect(offered, &place, "agrees to a policy that was replaced or is unknown");
        }
    }
}
