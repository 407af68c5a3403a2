//! The oracle of delivery: what was acknowledged must arrive, once, and nothing else may.
//!
//! Keeps true: pure; knows no broker and no fault, so that every system is judged by the same rule.
//! A producer claims each id before it offers the message (issued); an acknowledgement turns the id
//! into an obligation; each delivery must be of an issued id with the same content.
//! Never decides what a system promises: a duplicate is counted, not condemned.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

/// SHA-256 of what a message carries.
pub type Content = [u8; 32];

/// The content of these bytes.
pub fn content(bytes: &[u8]) -> Content {
    Sha256::digest(bytes).into()
}

/// What happened to the messages of one run, as its producers and its consumer saw it.
#[derive(Clone, Debug, Default)]
pub struct Obligations {
    issued: BTreeMap<u64, Content>,
    acknowledged: BTreeSet<u64>,
    delivered: Vec<(u64, Content)>,
}

/// What the oracle says; everything but `issued` and `acknowledged` should be empty or zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Ids that a producer claimed.
    pub issued: usize,
    /// Obligations: ids that were acknowledged.
    pub acknowledged: usize,
    /// Acknowledged and not delivered.
    pub lost: BTreeSet<u64>,
    /// Delivered more than once.
    pub doubled: BTreeSet<u64>,
    /// Acknowledged or delivered, and never issued.
    pub foreign: BTreeSet<u64>,
    /// Delivered with other content than was issued.
    pub altered: BTreeSet<u64>,
}

impl Obligations {
    /// A producer claims `id` for this content, before it is offered; an id is claimed once, and a
    /// second claim is ignored.
    pub fn issue(&mut self, id: u64, content: Content) {
        self.issued.entry(id).or_insert(content);
    }

    /// The system took responsibility for `id`; a repeat changes nothing.
    pub fn acknowledge(&mut self, id: u64) {
        self.acknowledged.insert(id);
    }

    /// The consumer was given `id` and would count it once more.
    pub fn deliver(&mut self, id: u64, content: Content) {
        self.delivered.push((id, content));
    }

    /// How many ids are acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Issued and not acknowledged, ascending: what a producer must offer again.
    pub fn unanswered(&self) -> impl Iterator<Item = u64> {
        self.issued.keys().copied().filter(|id| !self.acknowledged.contains(id))
    }

    /// Judges the run.
    pub fn judge(&self) -> Findings {
        let mut arrived = BTreeSet::new();
        let mut findings = Findings {
            issued: self.issued.len(),
            acknowledged: self.acknowledged.len(),
            ..Findings::default()
        };
        for (id, content) in &self.delivered {
            match self.issued.get(id) {
                None => {
                    findings.foreign.insert(*id);
                    continue;
                }
                Some(issued) if issued != content => {
                    // Something else came under its name: that is no delivery of it.
                    findings.altered.insert(*id);
                    continue;
                }
                Some(_) => {}
            }
            if !arrived.insert(*id) {
                findings.doubled.insert(*id);
            }
        }
        let unclaimed = self.acknowledged.iter().filter(|id| !self.issued.contains_key(id));
        findings.foreign.extend(unclaimed);
        findings.lost = self.acknowledged.difference(&arrived).copied().collect();
        findings
    }
}

impl Findings {
    /// Nothing lost, doubled, foreign or altered.
    pub fn clean(&self) -> bool {
        let sets = [&self.lost, &self.doubled, &self.foreign, &self.altered];
        sets.iter().all(|set| set.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three messages issued, acknowledged and delivered.
    fn run() -> Obligations {
        let mut run = Obligations::default();
        for id in 1..=3 {
            run.issue(id, content(&id.to_be_bytes()));
            run.acknowledge(id);
            run.deliver(id, content(&id.to_be_bytes()));
        }
        run
    }

    #[test]
    fn what_is_acknowledged_and_delivered_once_is_clean() {
        let findings = run().judge();
        assert!(findings.clean(), "{findings:?}");
        assert_eq!((findings.issued, findings.acknowledged), (3, 3));
    }

    #[test]
    fn an_empty_run_is_clean_and_says_that_it_is_empty() {
        let findings = Obligations::default().judge();
        assert_eq!(findings, Findings::default());
    }

    #[test]
    fn an_acknowledged_message_that_never_came_is_lost() {
        let mut run = run();
        run.issue(4, content(b"four"));
        assert!(run.judge().clean(), "without an acknowledgement nothing is owed");
        assert_eq!(run.unanswered().collect::<Vec<_>>(), [4]);
        run.acknowledge(4);
        let findings = run.judge();
        assert_eq!(findings.lost, BTreeSet::from([4]));
        assert!(!findings.clean());
    }

    #[test]
    fn a_message_that_came_without_an_acknowledgement_is_no_fault() {
        let mut run = run();
        run.issue(4, content(b"four"));
        run.deliver(4, content(b"four"));
        assert!(run.judge().clean());
    }

    #[test]
    fn a_second_delivery_is_doubled_and_a_second_acknowledgement_is_not() {
        let mut run = run();
        run.acknowledge(2);
        assert!(run.judge().clean());
        run.deliver(2, content(&2_u64.to_be_bytes()));
        let findings = run.judge();
        assert_eq!(findings.doubled, BTreeSet::from([2]));
        assert!(!findings.clean());
    }

    #[test]
    fn what_nobody_issued_is_foreign() {
        let mut run = run();
        run.deliver(9, content(b"nine"));
        assert_eq!(run.judge().foreign, BTreeSet::from([9]));
        run.acknowledge(8);
        let findings = run.judge();
        assert_eq!(findings.foreign, BTreeSet::from([8, 9]));
        assert_eq!(findings.lost, BTreeSet::from([8]));
    }

    #[test]
    fn other_content_under_an_issued_id_is_altered_and_pays_no_debt() {
        let mut run = run();
        run.issue(4, content(b"four"));
        run.acknowledge(4);
        run.deliver(4, content(b"five"));
        let findings = run.judge();
        assert_eq!(findings.altered, BTreeSet::from([4]));
        assert_eq!(findings.lost, BTreeSet::from([4]));
    }

    #[test]
    fn an_id_that_is_claimed_again_keeps_its_first_content() {
        let mut run = run();
        run.issue(1, content(b"another"));
        assert!(run.judge().clean());
    }
}
