//! What collector and verifier leave beside the lake: an overview with counts on both sides of k, and a report.

use std::path::Path;

use imprimatur_consent::{Category, Digest, Invariant};
use imprimatur_lake::{
    AnswerCount, Checked, Coverage, LogState, Overview, Report, Request, Verdict, Word,
};
use imprimatur_runtime::UnixSeconds;

/// The checkpoint, as far as a browser cares.
pub(crate) const CHECKPOINT: &str =
    "imprimatur.test/log\n5935\nAAAA=\n\n\u{2014} imprimatur.test/log BBBB\n";

/// Puts both into `data`, as of `published`.
pub(crate) fn store(data: &Path, published: UnixSeconds) {
    let lake = data.join("lake");
    overview(published).store(&lake).unwrap();
    report(published).store(&lake).unwrap();
}

fn word(text: &str) -> Word {
    Word::of(text).unwrap()
}

fn overview(published: UnixSeconds) -> Overview {
    let coverage = |(category, principals)| {
        [(1_u8, 1, principals), (2, 3, principals / 6)].map(|(policy, version, principals)| {
            Coverage { category, policy: Digest::of(&[policy]), version, principals }
        })
    };
    let counted = [
        (Category::Machine, 190),
        (Category::PrintTime, 220),
        (Category::Temperature, 180),
        (Category::Material, 150),
        (Category::Laser, 24),
        (Category::Status, 200),
        (Category::Faults, 120),
    ];
    let answers = (10..=22).flat_map(|day| {
        let kinds = [
            ("stored", "", 300 + 7 * day),
            ("refused", "no_grant", 3 * day),
            ("refused", "out_of_range", day),
            ("busy", "batch", 2),
        ];
        kinds.map(|(outcome, reason, count)| AnswerCount {
            date: format!("2026-11-{day}").parse().unwrap(),
            outcome: word(outcome),
            reason: word(reason),
            count,
        })
    });
    let request =
        |(kind, received, due, done, held): (&str, &str, &str, Option<&str>, bool)| Request {
            received: received.parse().unwrap(),
            kind: word(kind),
            due: due.parse().unwrap(),
            done: done.map(|date| date.parse().unwrap()),
            held,
        };
    Overview {
        published,
        position: 5935,
        synthetic: true,
        principals: 240,
        coverage: counted.into_iter().flat_map(coverage).collect(),
        answers: answers.collect(),
        batches_waiting: 2,
        requests: [
            ("erase", "2024-01-01", "2024-01-31", None, false),
            ("export", "2024-02-01", "2024-03-02", Some("2024-02-03"), false),
            ("complain", "2024-03-01", "2024-03-31", None, true),
            ("access", "2024-04-01", "9999-01-01", None, false),
        ]
        .map(request)
        .to_vec(),
        log: LogState { size: 5935, root: Digest::of(b"root"), checkpoint: CHECKPOINT.to_owned() },
    }
}

fn report(made: UnixSeconds) -> Report {
    let check = |(invariant, checked)| Checked { invariant, holds: true, checked, failed: 0 };
    Report {
        made,
        verdict: Verdict::Holds,
        synthetic: true,
        rows: 6720,
        log_size: 5935,
        checks: [
            (Invariant::NoPermitNoRow, 6720),
            (Invariant::CountsOnce, 3360),
            (Invariant::NoGeometry, 120),
        ]
        .map(check)
        .to_vec(),
    }
}
