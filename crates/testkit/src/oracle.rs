//! The oracle: what must hold of a run, judged from what went over the wire and what lies on disk at its end.
//!
//! Keeps true: pure functions over a [`History`], one for each invariant, which name every violation
//! that they find. What was said is taken from the wire, not from a part under test; what is kept is
//! read from the files of a collector that has ended. [`i15`] fails a run that proves nothing.
//!
//! | name | holds when |
//! | --- | --- |
//! | I1 | a batch that was answered `stored` is readable |
//! | I2 | each subject and sequence counts once |
//! | I3 | what is stored was issued, with this content; a sequence names one content |
//! | I4 | nothing is stored outside a grant |
//! | I5 | no row is open to answers that was withdrawn |
//! | I6 | nothing commits under a grant after the reply to its withdrawal |
//! | I7 | a decision that was replied to is kept |
//! | I10 | the log verifies and is no shorter than a reply said |
//! | I11 | counts by disposition are those of what was committed and received |
//! | I13 | each bound was kept |
//! | I14 | after the faults the backlog drains and something fresh flows |
//! | I15 | the run saw enough |

mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use self::history::{
    Answered, Bound, Category, Change, Commit, Event, Hash, History, Issued, Record, Replied, Row,
    Seen, Subject,
};

/// A violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which invariant, such as `I1`.
    pub invariant: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// All violations of a run that should have seen at least this.
pub fn judge(history: &History, least: Seen) -> Vec<Broken> {
    let all = [i1, i2, i3, i4, i5, i6, i7, i10, i11, i13, i14];
    let mut broken: Vec<Broken> = all.into_iter().flat_map(|judge| judge(history)).collect();
    broken.extend(i15(history, least));
    broken
}

fn broken(invariant: &'static str, what: String) -> Broken {
    Broken { invariant, what }
}

fn name(subject: &Subject, sequence: u64) -> String {
    format!("batch {} of {}", sequence, hex::encode(subject))
}

/// A batch that was answered `stored` is readable.
pub fn i1(history: &History) -> Vec<Broken> {
    let commits: BTreeMap<_, _> = history
        .commits
        .iter()
        .map(|commit| ((commit.subject, commit.sequence, commit.frame), commit))
        .collect();
    let rows: BTreeSet<_> = history.rows.iter().map(|row| (row.commit, row.ordinal)).collect();
    let mut found = Vec::new();
    let stored = history.answered.iter().filter(|answer| answer.refused.is_none());
    let stored: BTreeSet<_> =
        stored.map(|answer| (answer.subject, answer.sequence, answer.frame)).collect();
    for key in stored {
        let called = name(&key.0, key.1);
        match commits.get(&key) {
            None => found.push(broken("I1", format!("{called} was answered `stored` and is lost"))),
            Some(commit) => {
                let missing = (0..commit.records.len())
                    .filter(|&ordinal| !rows.contains(&(commit.position, ordinal)));
                found.extend(missing.map(|ordinal| {
                    broken("I1", format!("{called} was answered `stored`, row {ordinal} is lost"))
                }));
            }
        }
    }
    found
}

/// Each subject and sequence counts once; each row belongs to one commit.
pub fn i2(history: &History) -> Vec<Broken> {
    let mut found = Vec::new();
    let (mut numbers, mut positions) = (BTreeSet::new(), BTreeMap::new());
    for commit in &history.commits {
        let new = numbers.insert((commit.subject, commit.sequence));
        if !new || positions.insert(commit.position, commit.records.len()).is_some() {
            let called = name(&commit.subject, commit.sequence);
            found.push(broken("I2", format!("{called} was committed twice")));
        }
    }
    let mut places = BTreeSet::new();
    for Row { commit, ordinal, .. } in &history.rows {
        if !places.insert((commit, ordinal)) {
            found.push(broken("I2", format!("row {ordinal} of commit {commit} is there twice")));
        }
        if positions.get(commit).is_none_or(|length| ordinal >= length) {
            found.push(broken("I2", format!("row {ordinal} of commit {commit} has no commit")));
        }
    }
    found
}

/// What is stored was issued, with this content; a sequence names one content.
pub fn i3(history: &History) -> Vec<Broken> {
    let mut found = Vec::new();
    let mut issued: BTreeMap<(Subject, u64), &Issued> = BTreeMap::new();
    for one in &history.issued {
        let before = issued.insert((one.subject, one.sequence), one);
        if before.is_some_and(|before| before.frame != one.frame) {
            let called = name(&one.subject, one.sequence);
            found.push(broken("I3", format!("{called} was issued with two contents")));
        }
    }
    let mut of_commit: BTreeMap<u64, &Issued> = BTreeMap::new();
    for commit in &history.commits {
        let called = name(&commit.subject, commit.sequence);
        match issued.get(&(commit.subject, commit.sequence)) {
            Some(one) if one.frame == commit.frame => {
                of_commit.insert(commit.position, one);
            }
            Some(_) => found.push(broken("I3", format!("{called} is stored as another frame"))),
            None => found.push(broken("I3", format!("{called} is stored and was never issued"))),
        }
    }
    for row in &history.rows {
        let (commit, ordinal) = (row.commit, row.ordinal);
        let told = of_commit.get(&commit).and_then(|one| one.records.get(ordinal));
        // A row without a commit is named by I2, a commit without a frame above.
        if told.is_some_and(|told| *told != row.record) {
            found.push(broken("I3", format!("row {ordinal} of commit {commit} tells another")));
        }
    }
    found
}

/// An event or a commit, in the order that they share.
enum Step<'a> {
    Event(&'a Event),
    Commit(&'a Commit),
}

fn steps(history: &History) -> Vec<Step<'_>> {
    let events = history.events.iter().map(|event| (event.position, Step::Event(event)));
    let commits = history.commits.iter().map(|commit| (commit.position, Step::Commit(commit)));
    let mut steps: Vec<_> = events.chain(commits).collect();
    steps.sort_by_key(|(position, _)| *position);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// Nothing is stored outside a grant: not before it, not for a date before it, not after it.
pub fn i4(history: &History) -> Vec<Broken> {
    let mut found = Vec::new();
    let mut since: BTreeMap<(Subject, Category), u32> = BTreeMap::new();
    for step in steps(history) {
        match step {
            Step::Event(event) => {
                for &category in &event.categories {
                    let of = (event.subject, category);
                    match event.change {
                        Change::Granted => drop(since.entry(of).or_insert(event.date)),
                        Change::Withdrawn => drop(since.remove(&of)),
                    }
                }
            }
            Step::Commit(commit) => {
                for (date, categories) in &commit.records {
                    let granted = |category: &&Category| {
                        let since = since.get(&(commit.subject, **category));
                        since.is_some_and(|since| since <= date)
                    };
                    let without = categories.iter().find(|category| !granted(category));
                    found.extend(without.map(|category| {
                        let called = name(&commit.subject, commit.sequence);
                        broken("I4", format!("{called} tells category {category} without a grant"))
                    }));
                }
            }
        }
    }
    found
}

/// No row is open to answers that was withdrawn.
pub fn i5(history: &History) -> Vec<Broken> {
    let subjects: BTreeMap<u64, Subject> =
        history.commits.iter().map(|commit| (commit.position, commit.subject)).collect();
    let mut last: BTreeMap<(Subject, Category), u64> = BTreeMap::new();
    for event in history.events.iter().filter(|event| event.change == Change::Withdrawn) {
        for &category in &event.categories {
            let place = last.entry((event.subject, category)).or_default();
            *place = (*place).max(event.position);
        }
    }
    let mut found = Vec::new();
    for row in &history.rows {
        let Some(&subject) = subjects.get(&row.commit) else { continue };
        for &category in row.record.categories.difference(&row.excluded) {
            if last.get(&(subject, category)).is_some_and(|&position| position > row.commit) {
                let Row { commit, ordinal, .. } = row;
                found.push(broken(
                    "I5",
                    format!("row {ordinal} of commit {commit} shows withdrawn category {category}"),
                ));
            }
        }
    }
    found
}

/// Nothing commits under a grant after the reply to its withdrawal.
pub fn i6(history: &History) -> Vec<Broken> {
    let events: BTreeMap<u64, &Event> =
        history.events.iter().map(|event| (event.leaf, event)).collect();
    let granted_again = |of: &Event, category: Category, before: u64| {
        history.events.iter().any(|event| {
            event.subject == of.subject
                && event.change == Change::Granted
                && event.categories.contains(&category)
                && (of.position..before).contains(&event.position)
        })
    };
    let mut found = Vec::new();
    for reply in &history.replied {
        let event = events.get(&reply.leaf).filter(|event| event.change == Change::Withdrawn);
        let Some(event) = event else { continue };
        let later = history
            .commits
            .iter()
            .filter(|commit| commit.subject == event.subject && commit.position > event.position);
        for commit in later {
            let told: BTreeSet<Category> =
                commit.records.iter().flat_map(|(_, categories)| categories).copied().collect();
            let gone = told.intersection(&event.categories);
            let gone = gone.filter(|category| !granted_again(event, **category, commit.position));
            found.extend(gone.map(|category| {
                let called = name(&commit.subject, commit.sequence);
                broken("I6", format!("{called} tells category {category} after its withdrawal"))
            }));
        }
    }
    found
}

/// A decision that was replied to is kept.
pub fn i7(history: &History) -> Vec<Broken> {
    let kept: BTreeSet<_> = history.events.iter().map(|one| (one.leaf, one.subject)).collect();
    let lost = history.replied.iter().filter(|reply| !kept.contains(&(reply.leaf, reply.subject)));
    lost.map(|reply| {
        let subject = hex::encode(reply.subject);
        broken("I7", format!("the decision of {subject} at {} of the log is lost", reply.leaf))
    })
    .collect()
}

/// The log verifies and is no shorter than a reply said.
pub fn i10(history: &History) -> Vec<Broken> {
    let verifier = history.verifier.iter().map(|found| broken("I10", found.clone()));
    let longest = history.replied.iter().map(|reply| reply.leaf + 1).max().unwrap_or(0);
    let short = (history.log_size < longest).then(|| {
        broken("I10", format!("the log has {} entries, a reply knew {longest}", history.log_size))
    });
    verifier.chain(short).collect()
}

/// Counts by disposition are those of what was committed and received.
pub fn i11(history: &History) -> Vec<Broken> {
    let count = |name: &str| history.counts.get(name).copied().unwrap_or(0);
    let mut found = Vec::new();
    let (stored, commits) = (count("stored"), number(history.commits.len()));
    if stored != commits {
        found.push(broken("I11", format!("{stored} counted as stored, {commits} committed")));
    }
    let of_batches = |name: &str| {
        ["stored", "repeated", "busy.batch"].contains(&name) || name.starts_with("refused.")
    };
    let counted = history.counts.iter().filter(|(name, _)| of_batches(name));
    let counted = counted.map(|(_, count)| count).sum::<u64>();
    let sent = number(history.issued.len());
    if history.quiet && counted != sent {
        found.push(broken("I11", format!("{sent} batches were sent, {counted} are accounted for")));
    }
    found
}

/// Each bound was kept.
pub fn i13(history: &History) -> Vec<Broken> {
    let beyond = history.bounds.iter().filter(|bound| bound.seen > bound.most);
    beyond
        .map(|Bound { what, seen, most }| broken("I13", format!("{what}: {seen} of {most}")))
        .collect()
}

/// After the faults the backlog drains and something fresh flows.
pub fn i14(history: &History) -> Vec<Broken> {
    let mut found = Vec::new();
    if history.waiting > 0 {
        found.push(broken("I14", format!("{} batches still wait", history.waiting)));
    }
    if !history.fresh {
        found.push(broken("I14", String::from("nothing fresh flowed after the faults")));
    }
    let mut stored: BTreeMap<Subject, u64> = BTreeMap::new();
    for commit in &history.commits {
        *stored.entry(commit.subject).or_default() += number(commit.records.len());
    }
    for (subject, kept) in &history.kept {
        let stored = stored.get(subject).copied().unwrap_or(0);
        if stored != *kept {
            let subject = hex::encode(subject);
            found.push(broken("I14", format!("{subject} kept {kept} records, {stored} stored")));
        }
    }
    found
}

/// What a run saw.
pub fn seen(history: &History) -> Seen {
    let stored = history.answered.iter().filter(|answer| answer.refused.is_none());
    let stored: BTreeSet<_> = stored.map(|answer| (answer.subject, answer.sequence)).collect();
    let mut times: BTreeMap<(Subject, u64), u64> = BTreeMap::new();
    for one in &history.issued {
        *times.entry((one.subject, one.sequence)).or_default() += 1;
    }
    Seen {
        acknowledged: number(stored.len()),
        crashes: history.crashes,
        repeats: number(times.values().filter(|&&times| times > 1).count()),
        withdrawals: history.withdrawals,
    }
}

/// The run saw enough: a run without faults proves nothing about them.
pub fn i15(history: &History, least: Seen) -> Vec<Broken> {
    let seen = seen(history);
    let pairs = [
        ("acknowledged batches", seen.acknowledged, least.acknowledged),
        ("crashes while batches waited", seen.crashes, least.crashes),
        ("repeated batches", seen.repeats, least.repeats),
        ("withdrawals while batches waited", seen.withdrawals, least.withdrawals),
    ];
    let few = pairs.into_iter().filter(|(_, seen, least)| seen < least);
    few.map(|(what, seen, least)| broken("I15", format!("{seen} {what}, at least {least}")))
        .collect()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
