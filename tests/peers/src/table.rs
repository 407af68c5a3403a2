//! The table, as Markdown: one line a peer, one group of columns a fault.

use std::fmt::Write as _;

use crate::{Fault, Line, Outcome};

/// The faults in the order of their columns.
const COLUMNS: [(Fault, &str); 4] = [
    (Fault::Kill, "kill -9"),
    (Fault::PowerCut, "power cut"),
    (Fault::SyncedPowerCut, "synced, then cut"),
    (Fault::Away, "no crash, consumer away"),
];

/// All lines; a cell is `acknowledged / lost / doubled`.
pub fn markdown(lines: &[Line]) -> String {
    let mut text = String::from("| peer | setting |");
    for (fault, name) in COLUMNS {
        let times = lines.iter().filter_map(|line| line.outcome(fault)).map(|one| one.times).max();
        let times = times.filter(|_| fault != Fault::Away);
        let times = times.map_or_else(String::new, |times| format!(" × {times}"));
        // Writing to a string cannot fail, and a result must be looked at.
        text.write_fmt(format_args!(" {name}{times} |")).unwrap_or_default();
    }
    text.push_str("\n| --- | --- |");
    text.push_str(&" ---: |".repeat(COLUMNS.len()));
    for line in lines {
        text.write_fmt(format_args!("\n| {} | {} |", line.peer, line.setting)).unwrap_or_default();
        for (fault, _) in COLUMNS {
            text.write_fmt(format_args!(" {} |", cell(line, fault))).unwrap_or_default();
        }
    }
    text.push('\n');
    text
}

fn cell(line: &Line, fault: Fault) -> String {
    if line.outcomes.is_empty() {
        return String::from("setting unknown");
    }
    let Some(outcome) = line.outcome(fault) else { return String::from("not run") };
    let Outcome { acknowledged, lost, doubled, wrong, .. } = outcome;
    let wrong = if *wrong > 0 { format!(" / {wrong} WRONG") } else { String::new() };
    format!("{} / {} / {}{wrong}", number(*acknowledged), number(*lost), number(*doubled))
}

/// With a comma between thousands.
fn number(value: usize) -> String {
    if value < 1000 {
        return value.to_string();
    }
    format!("{},{:03}", number(value / 1000), value % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_was_done_and_says_what_was_not() {
        let outcome =
            Outcome { times: 20, acknowledged: 9_512, lost: 1_000_001, doubled: 0, wrong: 0 };
        let wrong = Outcome { wrong: 2, ..Outcome::default() };
        let line = Line {
            peer: String::from("Broker 1"),
            setting: "none",
            outcomes: vec![(Fault::Kill, outcome), (Fault::Away, wrong)],
        };
        let unknown = Line { outcomes: Vec::new(), ..line.clone() };
        let text = markdown(&[line, unknown]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("| kill -9 × 20 | power cut |"), "{text}");
        assert_eq!(
            lines[2],
            "| Broker 1 | none | 9,512 / 1,000,001 / 0 | not run | not run | 0 / 0 / 0 / 2 WRONG |"
        );
        assert_eq!(lines[3].matches("setting unknown").count(), 4, "{text}");
    }
}
