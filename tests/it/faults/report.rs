//! What a run saw, for people and for `cargo xtask faults`: one line printed, one JSON object in the folder that was asked for.

use std::fs;
use std::path::PathBuf;

use imprimatur_testkit::oracle::{self, Broken, History, Seen};
use serde_json::{Value, json};

/// Judges a run, tells what it saw with figures of its own, and fails it for every violation.
#[track_caller]
pub(super) fn verdict(name: &str, history: &History, least: Seen, figures: &Value) {
    let broken = oracle::judge(history, least);
    tell(name, history, &broken, figures);
    assert!(broken.is_empty(), "{name}:\n{}", listed(&broken));
}

fn listed(broken: &[Broken]) -> String {
    let lines: Vec<String> = broken.iter().take(20).map(ToString::to_string).collect();
    lines.join("\n")
}

fn tell(name: &str, history: &History, broken: &[Broken], figures: &Value) {
    let seen = oracle::seen(history);
    let of = |which: &[&str]| broken.iter().filter(|one| which.contains(&one.invariant)).count();
    let report = json!({
        "name": name,
        "acknowledged": seen.acknowledged,
        "committed": history.commits.len(),
        "rows": history.rows.len(),
        "sent": history.issued.len(),
        "repeated": seen.repeats,
        "crashes": seen.crashes,
        "withdrawals_in_flight": seen.withdrawals,
        "lost": of(&["I1", "I7", "I14"]),
        "doubled": of(&["I2"]),
        "forged": of(&["I3"]),
        "unconsented": of(&["I4", "I5", "I6"]),
        "broken": broken.iter().map(ToString::to_string).take(100).collect::<Vec<_>>(),
        "figures": figures,
    });
    println!("{report}");
    if let Some(folder) = folder() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.json")), report.to_string()).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "where to write is told by who runs the tests")]
fn folder() -> Option<PathBuf> {
    std::env::var("IMPRIMATUR_FAULTS_REPORT").ok().filter(|text| !text.is_empty()).map(Into::into)
}
