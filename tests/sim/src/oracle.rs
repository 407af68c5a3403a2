//! The oracle: what must be true of a run, whatever failed.

use std::collections::BTreeMap;
use std::path::Path;

use imprimatur_agent::core::Overview;
use imprimatur_lake::{Catalogue, Lake};
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_verifier::{Trust, verify};

use crate::collector::Failed;

/// A print that an agent kept; no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Issued {
    /// Whose.
    pub agent: u32,
    /// Under which of its grants.
    pub grant: u32,
    /// Its date.
    pub date: u32,
    /// Its number of the date, told as its duration.
    pub duration: u32,
    /// Agent and grant, told as its material.
    pub amount: u32,
}

/// A withdrawal whose reply the agent heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replied {
    /// Whose.
    pub agent: u32,
    /// Of this grant and those before.
    pub grant: u32,
    /// The newest position in the book when the reply was heard.
    pub position: u64,
}

/// A print that the collector holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its date, duration and material.
    pub print: (u32, u32, u32),
    /// Its place in the one order.
    pub commit: u64,
}

/// What one agent says of itself at the end.
#[derive(Clone, Debug)]
pub struct Said {
    /// Which.
    pub agent: u32,
    /// Whether its owner never took anything back.
    pub steadfast: bool,
    /// What its owner sees.
    pub shown: Overview,
}

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// I1: a print that nobody took back is not there.
    Lost(Issued),
    /// I1: fewer prints are there than the agent has verdicts for.
    LostAcknowledged {
        /// Whose.
        agent: u32,
        /// By its verdicts.
        acknowledged: u64,
        /// In the lake.
        held: u64,
    },
    /// I2: a print is there twice.
    Doubled(Issued),
    /// I3: a print that nobody issued.
    Foreign(Held),
    /// I6: a print under a grant whose withdrawal was replied to before.
    AfterReply(Issued),
    /// I11: an agent's counts do not add up.
    Counts(u32),
    /// I4, I7, I10: the verifier found something.
    Verifier(String),
    /// I14: after the faults stopped something still waits.
    Stuck(String),
}

/// All prints in a collector's folder.
///
/// # Errors
/// What cannot be read.
pub fn held(data: &Path) -> Result<Vec<Held>, Failed> {
    let folder = data.join("lake");
    let (lake, catalogue) = (Lake::open(folder.clone())?, Catalogue::load(&folder)?);
    let mut held = Vec::new();
    for file in catalogue.files.iter().filter(|file| file.table == RecordKind::Print) {
        for row in lake.read(file)? {
            let values: BTreeMap<String, u32> = row
                .sections
                .iter()
                .flat_map(|section| &section.values)
                .map(|&(field, index)| (contract().rule(field).column.clone(), index))
                .collect();
            let of = |name: &str| {
                values.iter().find(|(column, _)| column.ends_with(name)).map_or(0, |(_, v)| *v)
            };
            let print = (row.date.0, of("completed_duration"), of("amount"));
            held.push(Held { print, commit: row.commit });
        }
    }
    Ok(held)
}

/// Compares what was issued, replied and said with what is held.
pub fn judge(
    issued: &[Issued],
    replied: &[Replied],
    said: &[Said],
    held: &[Held],
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let by_print: BTreeMap<_, _> = issued
        .iter()
        .map(|issued| ((issued.date, issued.duration, issued.amount), *issued))
        .collect();
    let mut seen: BTreeMap<Issued, u64> = BTreeMap::new();
    for row in held {
        let Some(issued) = by_print.get(&row.print) else {
            violations.push(Violation::Foreign(*row));
            continue;
        };
        let count = seen.entry(*issued).or_default();
        *count += 1;
        if *count == 2 {
            violations.push(Violation::Doubled(*issued));
        }
        let late = |reply: &&Replied| {
            reply.agent == issued.agent
                && issued.grant <= reply.grant
                && row.commit > reply.position
        };
        if replied.iter().any(|reply| late(&reply)) {
            violations.push(Violation::AfterReply(*issued));
        }
    }
    for said in said {
        let counts = &said.shown.counts;
        let pending = u64::try_from(said.shown.reports_pending).unwrap_or(u64::MAX);
        if !counts.reconciles(said.shown.batches_waiting, pending) {
            violations.push(Violation::Counts(said.agent));
        }
        let of_it = seen.keys().filter(|issued| issued.agent == said.agent).count();
        let (acknowledged, of_it) = (counts.records.stored, u64::try_from(of_it).unwrap_or(0));
        if of_it < acknowledged {
            let agent = said.agent;
            violations.push(Violation::LostAcknowledged { agent, acknowledged, held: of_it });
        }
        if said.steadfast {
            let missing = issued
                .iter()
                .filter(|issued| issued.agent == said.agent && !seen.contains_key(issued));
            violations.extend(missing.map(|issued| Violation::Lost(*issued)));
        }
    }
    violations
}

/// Lets the verifier read the folder.
pub fn verified(data: &Path) -> Vec<Violation> {
    match verify(data, &Trust::default()) {
        Err(error) => vec![Violation::Verifier(error.to_string())],
        Ok(report) => report
            .checks
            .iter()
            .filter(|check| !check.holds)
            .map(|check| Violation::Verifier(format!("{check:?}")))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(agent: u32, grant: u32, duration: u32) -> Issued {
        Issued { agent, grant, date: 9, duration, amount: agent * 7 + grant }
    }

    fn row(issued: Issued, commit: u64) -> Held {
        Held { print: (issued.date, issued.duration, issued.amount), commit }
    }

    #[test]
    fn what_is_there_once_and_in_time_is_no_violation() {
        let issued = [print(0, 1, 1), print(1, 1, 1)];
        let held = [row(issued[0], 4), row(issued[1], 5)];
        let replied = [Replied { agent: 0, grant: 1, position: 4 }];
        assert_eq!(judge(&issued, &replied, &[], &held), []);
    }

    #[test]
    fn a_double_a_stranger_and_a_late_one_are_named() {
        let issued = [print(0, 1, 1), print(0, 2, 2)];
        let stranger = Held { print: (9, 9, 9), commit: 1 };
        let held = [row(issued[0], 4), row(issued[0], 5), stranger, row(issued[1], 9)];
        let replied = [Replied { agent: 0, grant: 1, position: 4 }];
        let expected = [
            Violation::Doubled(issued[0]),
            Violation::AfterReply(issued[0]),
            Violation::Foreign(stranger),
        ];
        assert_eq!(judge(&issued, &replied, &[], &held), expected);
    }
}
