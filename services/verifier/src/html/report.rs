//! The page of a report: verdict, what was read, each invariant with its findings, the controls.

use maud::{Markup, html};

use imprimatur_runtime::UnixSeconds;

use super::{facts, page, table};
use crate::Verdict;
use crate::claims::{Claim, Shown};
use crate::report::{Check, Report};

/// The report as a page; `now` is when it was made.
pub fn report_page(report: &Report, now: UnixSeconds) -> String {
    let verdict = report.verdict.words();
    let class = if report.verdict == Verdict::Holds { "verdict good" } else { "verdict bad" };
    let body = html! {
        header {
            h1 { "Compliance report" }
            p class=(class) { (verdict) }
            p {
                @match report.verdict {
                    Verdict::Holds => "Everything that was checked of the stored bytes holds.",
                    Verdict::NotAllChecked => "What was checked of the stored bytes holds, and the \
                        book was not checked: see below.",
                    Verdict::Fails => "What was checked of the stored bytes does not hold; the \
                        findings are below.",
                }
                @if report.synthetic { " The rows come from a synthetic fleet: no printer told them." }
            }
        }
        (read(report, now))
        section aria-labelledby="invariants" {
            h2 id="invariants" { "Invariants" }
            (overview(&report.invariants))
            @for claim in &report.invariants {
                (one(claim, report.checks.iter().find(|check| check.invariant == claim.invariant)))
            }
        }
        (controls(&report.invariants))
        (sources(report))
        section aria-labelledby="limits" {
            h2 id="limits" { "What bytes do not show" }
            p class="note" { (report.not_proven) }
        }
    };
    page(&format!("Compliance report: {verdict}"), &body)
}

/// What was read, and how much.
fn read(report: &Report, now: UnixSeconds) -> Markup {
    let told = &report.facts;
    let given = |given: bool, yes: &str, no: &str| if given { yes } else { no }.to_owned();
    let hash = |hash: Option<imprimatur_consent::Digest>| {
        hash.map_or_else(|| "not known".to_owned(), |hash| hash.to_string())
    };
    let mut rows = vec![
        ("Made on", format!("{} (UTC, by this machine's clock)", now.date())),
        ("Made by", format!("imprimatur {}", told.version)),
    ];
    if let Some(published) = told.published {
        rows.push(("State of", format!("{} (the collector's last publication)", published.date())));
    }
    rows.extend([
        ("Contract", hash(told.contract)),
        ("Key of the log", hash(told.log_key)),
        ("That key is", given(told.log_key_given, "the one that was given", "taken from the folder")),
        (
            "Older checkpoint",
            given(told.anchored, "given, and continued by the log", "none was given"),
        ),
        (
            "Its witnesses",
            if told.witnesses.is_empty() {
                "none was asked for".to_owned()
            } else {
                format!("{}: each cosigned it", told.witnesses.join(", "))
            },
        ),
        ("Entries of the log", told.log_size.to_string()),
        (
            "Events",
            format!("{}, of which {} of erased subjects", report.consent_events, report.erased_events),
        ),
        ("Commits", report.commits.to_string()),
        ("Files and rows of the lake", format!("{} files, {} rows", report.files, report.rows)),
        (
            "What a print can tell",
            format!(
                "{:.2} bits of 40, {:.2} of 9 correlated with geometry; a device's day {:.2} of 512",
                report.capacity.print_bits,
                report.capacity.print_geometry_bits,
                report.capacity.device_day_bits
            ),
        ),
    ]);
    if let Some(scan) = &report.scan {
        rows.push(("Search", scan.to_string()));
    }
    if let Some(book) = &report.book {
        rows.push(("Book", book.to_string()));
    }
    html! {
        section aria-labelledby="read" {
            h2 id="read" { "What was read" }
            (facts("The folder, and what it was held against", &rows))
        }
    }
}

fn verdict(claim: &Claim) -> (&'static str, &'static str) {
    match claim.holds {
        Some(true) if claim.shown == Shown::Partly => ("good", "what was checked holds"),
        Some(true) => ("good", "holds"),
        Some(false) => ("bad", "FAILS"),
        None if claim.shown == Shown::NotByBytes => ("part", "not by bytes"),
        None => ("part", "not checked"),
    }
}

/// How many, or whose.
fn checks(claim: &Claim) -> String {
    let others: Vec<String> = claim.rests_on.iter().map(ToString::to_string).collect();
    if others.is_empty() {
        claim.checked.to_string()
    } else {
        format!("those of {}", others.join(" and "))
    }
}

fn overview(claims: &[Claim]) -> Markup {
    html! {
        table {
            caption { "The twelve invariants" }
            thead {
                tr {
                    @for name in ["Invariant", "Verdict", "How far", "Checks"] {
                        th scope="col" { (name) }
                    }
                }
            }
            tbody {
                @for claim in claims {
                    @let (class, word) = verdict(claim);
                    tr {
                        th scope="row" {
                            a href={ "#" (claim.invariant) } { (claim.invariant) } ": " (claim.sentence)
                        }
                        td class=(class) { (word) }
                        td { (claim.shown.words()) }
                        td { (checks(claim)) }
                    }
                }
            }
        }
    }
}

/// One invariant with its findings.
fn one(claim: &Claim, check: Option<&Check>) -> Markup {
    html! {
        article aria-labelledby=(claim.invariant) {
            h3 id=(claim.invariant) { (claim.invariant) ": " (claim.sentence) }
            p { b { "How: " } (claim.how) }
            p { b { "Not shown: " } (claim.limit) }
            p { b { "What stands in: " } }
            ul { @for test in claim.stands_in { li { code { (test) } } } }
            @if let Some(check) = check.filter(|check| check.failed > 0) {
                (findings(check))
            }
        }
    }
}

fn findings(check: &Check) -> Markup {
    let rows: Vec<Vec<String>> = check
        .findings
        .iter()
        .map(|finding| vec![finding.place.clone(), finding.problem.clone()])
        .collect();
    let caption = format!("Findings: {} of {} checks failed", check.failed, check.checked);
    let listed = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    html! {
        (table(&caption, &["Where", "What"], &rows))
        @if check.failed > listed {
            p { "and " (check.failed - listed) " more" }
        }
    }
}

/// Each check with the test that breaks it.
fn controls(claims: &[Claim]) -> Markup {
    let rows: Vec<Vec<String>> = claims
        .iter()
        .flat_map(|claim| claim.controls.iter().map(move |control| (claim.invariant, control)))
        .map(|(invariant, control)| {
            vec![control.check.to_owned(), invariant.to_string(), control.test.to_owned()]
        })
        .collect();
    html! {
        section aria-labelledby="controls" {
            h2 id="controls" { "Checks, and what shows that each can fail" }
            p { "Each test builds the leak on purpose and expects the check to find it." }
            (table("Checks and their negative controls", &["Check", "Invariant", "Test"], &rows))
        }
    }
}

/// Policies, counts, backups.
fn sources(report: &Report) -> Markup {
    let told = &report.facts;
    let policies: Vec<Vec<String>> = told
        .policies
        .iter()
        .map(|one| {
            let version = one.version.to_string();
            vec![one.name.clone(), version, one.effective.to_string(), one.hash.to_string()]
        })
        .collect();
    let backups: Vec<Vec<String>> = told
        .backups
        .iter()
        .map(|one| vec![one.id.clone(), one.made.to_string(), one.expires.to_string()])
        .collect();
    let counts: Vec<Vec<String>> =
        told.counts.iter().map(|(name, count)| vec![name.clone(), count.to_string()]).collect();
    let kept: Vec<Vec<String>> = told
        .kept_since
        .iter()
        .map(|(table, since)| vec![table.clone(), since.to_string()])
        .collect();
    html! {
        section aria-labelledby="told" {
            h2 id="told" { "What the ledger tells" }
            (facts("Erasure", &[
                ("Erasures completed", told.erasures.to_string()),
                ("Keys destroyed", told.keys_destroyed.to_string()),
                ("Peppers destroyed", told.peppers_destroyed.to_string()),
                ("Backups restored", told.restores.to_string()),
            ]))
            (table("Policies", &["Name", "Version", "In effect from", "SHA-256"], &policies))
            (table("Rows are kept since", &["Table", "Date"], &kept))
            (table("Answers of the collector", &["Outcome and reason", "Count"], &counts))
            (table("Backups; whether one is gone in time is not shown here",
                &["Name", "Made on", "Gone by"], &backups))
        }
    }
}
