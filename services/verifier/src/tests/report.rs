//! The report: what it says of each invariant, that what it names is there, and its pages.

use std::fs;
use std::path::Path;

use imprimatur_consent::Invariant;
use imprimatur_consent::policy::STRICTEST;
use imprimatur_ledger::segments::write_policy;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use super::collector::TODAY;
use super::states;
use super::world::World;
use crate::{Finding, Record, RecordError, Report, Shown, record_page, report_page};

const NOW: UnixSeconds = UnixSeconds(1_795_305_600);

/// All Rust sources below a folder, one after the other.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap();
            if name != "target" && name != ".git" {
                sources(&path, all);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_invariant_is_told_and_every_named_test_is_there() {
    let report = World::honest().verify();
    let numbers: Vec<String> =
        report.invariants.iter().map(|one| one.invariant.to_string()).collect();
    assert_eq!(numbers, (1..=12).map(|number| format!("INV-{number}")).collect::<Vec<_>>());
    let mut all = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), &mut all);
    for claim in &report.invariants {
        let controls = claim.controls.iter().map(|control| control.test);
        for test in claim.stands_in.iter().copied().chain(controls) {
            let name = test.rsplit([':', ' ']).next().unwrap();
            assert!(all.contains(&format!("fn {name}(")), "{}: {test}", claim.invariant);
        }
        let told = claim.shown == Shown::NotByBytes || !claim.controls.is_empty();
        assert!(told && !claim.stands_in.is_empty(), "{}", claim.invariant);
        // Without canaries nothing of INV-8 was checked; INV-3 and INV-6 rest on others' checks.
        let checked = claim.shown == Shown::ByBytes || !claim.rests_on.is_empty();
        assert_eq!(claim.holds, checked.then_some(true), "{}", claim.invariant);
    }
    assert!(report.to_string().contains("not shown by bytes: INV-2, INV-4, INV-11, INV-12"));
}

#[test]
fn what_rests_on_other_checks_fails_with_them() {
    let world = World::honest();
    fs::write(world.path("refused.bin"), "a batch").unwrap();
    let report = world.verify();
    let holds =
        |of: Invariant| report.invariants.iter().find(|claim| claim.invariant == of).unwrap().holds;
    assert_eq!(holds(Invariant::RefusalsEmpty), Some(false));
    assert_eq!(holds(Invariant::WithdrawalBinds), Some(true));
    assert_eq!(holds(Invariant::SilenceBeforeYes), None);
}

#[test]
fn the_report_tells_what_the_ledger_tells() {
    let report = World::of(states::restored).verify();
    let facts = &report.facts;
    assert_eq!((facts.keys_destroyed, facts.erasures, facts.restores), (3, 1, 1));
    assert_eq!(facts.backups.len(), 1);
    assert_eq!(facts.backups[0].expires, UtcDate(TODAY.0 + 30));
    assert_eq!(facts.policies[0].name, "strictest");
    assert!(facts.published.is_some() && !facts.log_key_given && !facts.anchored);
    let page = report_page(&report, NOW);
    for told in [&facts.backups[0].id, "strictest", "Keys destroyed", "not by bytes"] {
        assert!(page.contains(told), "{told}");
    }
}

/// What a page must be: whole, of itself, without script.
#[track_caller]
fn is_self_contained(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    assert!(page.contains("<title>") && page.contains("prefers-color-scheme: dark"));
    assert!(page.contains("@media print") && page.contains("default-src 'none'"));
    for foreign in ["<script", "src=", "http:", "https:", "url(", "@import", "javascript:", "<img"]
    {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for tag in ["table", "tr", "td", "th", "section", "article", "main", "ul", "li", "caption"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
    // Each reference inside the page has its place.
    for part in page.split("aria-labelledby=\"").skip(1) {
        let id = part.split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
}

#[test]
fn the_page_is_self_contained_and_says_the_verdict() {
    let world = World::honest();
    let page = report_page(&world.verify(), NOW);
    is_self_contained(&page);
    assert!(page.contains(">HOLDS<") && !page.contains("FAILS"));
    assert!(page.contains("INV-12") && page.contains("2026-11-22"));
    fs::write(world.path("part.step"), "ISO-10303-21;").unwrap();
    let page = report_page(&world.verify(), NOW);
    is_self_contained(&page);
    assert!(page.contains(">DOES NOT HOLD<") && page.contains("FAILS"));
    assert!(page.contains("part.step, byte 0") && page.contains("looks like STEP"));
    assert!(!page.contains("ISO-10303"), "what was found is not shown");
}

#[test]
fn what_a_page_shows_is_escaped() {
    let world = World::honest();
    fs::write(world.path("<script>alert(1)<"), "x").unwrap();
    let mut report = world.verify();
    let hostile = "</td><script>\u{202e}&\"'".to_owned();
    let place = hostile.clone();
    report.checks[0].findings.push(Finding { place, problem: hostile.clone() });
    report.checks[0].failed = 1;
    report.facts.counts.insert(hostile.clone(), 1);
    report.facts.policies[0].name = hostile;
    let page = report_page(&report, NOW);
    is_self_contained(&page);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;"));
}

#[test]
fn a_report_is_json_with_every_invariant() {
    let report = World::honest().verify();
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["invariants"].as_array().unwrap().len(), 12);
    assert_eq!(json["invariants"][1]["shown"], "not_by_bytes");
    assert_eq!(json["invariants"][6]["controls"][0]["check"], "no format in any file");
    assert!(json["scan"]["bytes"].as_u64() > Some(1000));
    let claim = |report: &Report| {
        report.invariants.iter().find(|one| one.invariant == Invariant::NoGeometry).unwrap().holds
    };
    assert_eq!(claim(&report), Some(true));
}

#[test]
fn a_record_of_processing_says_what_the_policy_says() {
    let world = World::honest();
    let record = Record::of(world.data(), TODAY).unwrap();
    let [policy] = record.policies.as_slice() else { unreachable!() };
    assert!(policy.in_force && policy.regions == ["EEA"]);
    assert_eq!(policy.purposes.len(), 11);
    assert!(policy.purposes.iter().all(|one| !one.text.is_empty()));
    assert!(policy.purposes.iter().any(|one| one.values.len() > 2));
    assert_eq!(policy.limits["rows of prints"], "90 days");
    let page = record_page(&record);
    is_self_contained(&page);
    for told in ["90 days", "36 months", "failures", "the operator of this collector", "in force"] {
        assert!(page.contains(told), "{told}");
    }
    // Another controller, elsewhere.
    let other = STRICTEST
        .replacen("the operator of this collector", "Fabrik & <Söhne>", 1)
        .replacen("regions = [\"EEA\"]", "regions = [\"EEA\", \"CH\"]", 1);
    let hash = imprimatur_consent::Digest::of(other.as_bytes());
    write_policy(&world.path("evidence"), hash, &other).unwrap();
    let page = record_page(&Record::of(world.data(), TODAY).unwrap());
    is_self_contained(&page);
    assert!(page.contains("Fabrik &amp; &lt;Söhne&gt;") && page.contains("outside the EEA"));
}

#[test]
fn without_a_policy_there_is_no_record() {
    let world = World::honest();
    for entry in fs::read_dir(world.path("evidence/policies")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert!(matches!(Record::of(world.data(), TODAY), Err(RecordError::None)));
    fs::remove_dir_all(world.path("evidence")).unwrap();
    assert!(matches!(Record::of(world.data(), TODAY), Err(RecordError::Unreadable(_))));
}
