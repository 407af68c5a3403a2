//! The audit finds what is wrong with a registry, and nothing with one that is right.

use std::collections::BTreeSet;

use super::ran::Results;
use super::registry::Cited;
use super::*;

const PROMISES: &str = r#"
    [[policy]]
    key = "A20"
    title = "A maker, 2020"
    packs = ["a-2020"]
    rows = [1, 2]

    [[row]]
    id = "A20-1"
    says = "it asks first"
    needs = "no data before a yes"
    kept = "the agent's flags | the gate"
    tests = ["agent::it asks_first"]

    [[row]]
    id = "A20-2"
    says = "use is permission"
    needs = "a grant per change"
    refused = "not implemented on purpose, because use is no yes"

    [[contradiction]]
    about = "asking"
    rows = ["A20-1", "A20-2"]
    resolved = "asked first"
    keys = ["retention.print_days"]

    [[strictest]]
    promise = "ask"
    kept = "flags"
"#;

const CASES: &str = r#"
    [[group]]
    title = "Consent"
    cases = [1, 1]

    [[case]]
    case = 1
    attack = "no state"
    answer = "no state is no yes"
    test = ["agent::it asks_first"]
    opposite = ["gate a_grant_lets_in"]
"#;

const PACK: &str = "[retention]\nprint_days = 90\n";

fn known() -> BTreeSet<String> {
    ["agent::it asks_first", "gate a_grant_lets_in"].map(String::from).into()
}

/// Faults and open entries of these registries.
fn audited(promises: &str, cases: &str, results: Option<&Results>) -> (Vec<String>, Vec<String>) {
    let known = known();
    let mut audit = Audit::new(&known, results);
    let promises: Promises = toml::from_str(promises).unwrap();
    audit.promises(&promises);
    audit.keys(&promises, &toml::from_str(PACK).unwrap());
    audit.cases(&toml::from_str(cases).unwrap());
    (audit.faults, audit.open)
}

/// The registry of promises, with `from` replaced, has exactly the fault `expected`.
#[track_caller]
fn faulty(from: &str, to: &str, expected: &str) {
    assert!(PROMISES.contains(from), "nothing to replace");
    let (faults, _) = audited(&PROMISES.replacen(from, to, 1), CASES, None);
    assert_eq!(faults, [expected]);
}

#[test]
fn a_right_registry_has_no_fault_and_nothing_open() {
    assert_eq!(audited(PROMISES, CASES, None), (Vec::new(), Vec::new()));
}

#[test]
fn a_missing_an_unknown_and_a_doubled_row_are_found() {
    faulty("rows = [1, 2]", "rows = [1, 3]", "row A20-3 is missing");
    let doubled = r#"
    [[row]]
    id = "A20-2"
    says = "again"
    needs = "again"
    refused = "not implemented on purpose, because it is there"

    [[contradiction]]"#;
    faulty("[[contradiction]]", doubled, "row A20-2 is there twice");
    let unknown = doubled.replace("A20-2", "B20-2");
    faulty("[[contradiction]]", &unknown, "row B20-2 is unknown");
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    let expected = "A20-1 names a test that does not exist: agent::it never_written";
    faulty("agent::it asks_first", "agent::it never_written", expected);
    let (faults, _) = audited(PROMISES, &CASES.replace("gate a_grant", "gate a_ghost"), None);
    assert_eq!(faults, ["case 1 names a test that does not exist: gate a_ghost_lets_in"]);
}

#[test]
fn a_row_is_one_of_kept_refused_and_planned() {
    let none = "A20-1 is neither kept nor refused";
    faulty(r#"kept = "the agent's flags | the gate""#, "", none);
    let two = "A20-1 must be one of kept, refused and planned";
    faulty("tests = [", "planned = \"later\"\n tests = [", two);
    let bare = "A20-2 is refused without `not implemented on purpose, because ..`";
    faulty("because use is no yes", "because ", bare);
    faulty("not implemented on purpose, ", "", bare);
    let shown = "A20-1 is kept and no test shows it";
    faulty(r#"tests = ["agent::it asks_first"]"#, "", shown);
    let silent = "A20-1 does not say what it promises and needs";
    faulty("it asks first", " ", silent);
}

#[test]
fn what_is_planned_or_wants_a_test_is_open_and_no_fault() {
    let planned = PROMISES.replace("kept = \"the agent's flags | the gate\"", "planned = \"yes\"");
    let (faults, open) = audited(&planned, CASES, None);
    assert_eq!((faults.len(), open), (0, vec![String::from("A20-1 is planned")]));
    let wanting = CASES.replace("opposite = [", "wanted = [");
    let (faults, open) = audited(PROMISES, &wanting, None);
    let exists = "case 1 wants a test that exists, so name it as one: gate a_grant_lets_in";
    assert_eq!((faults, open.len()), (vec![String::from(exists)], 0));
    let wanting = wanting.replace("a_grant", "a_withdrawal");
    let (faults, open) = audited(PROMISES, &wanting, None);
    assert_eq!(
        (faults.len(), open),
        (0, vec![String::from("case 1 wants gate a_withdrawal_lets_in")])
    );
}

#[test]
fn a_case_is_in_one_group() {
    let group = "[[group]]\n    title = \"Again\"\n    cases = [1, 1]\n\n    [[case]]";
    let (faults, _) = audited(PROMISES, &CASES.replacen("[[case]]", group, 1), None);
    assert_eq!(faults, ["case 1 is in two groups"]);
}

#[test]
fn a_case_needs_a_test_and_its_opposite() {
    let none = CASES.replace(r#"opposite = ["gate a_grant_lets_in"]"#, "");
    assert_eq!(audited(PROMISES, &none, None).0, ["case 1 has no opposite and wants none"]);
    let none = CASES.replace(r#"test = ["agent::it asks_first"]"#, "");
    assert_eq!(audited(PROMISES, &none, None).0, ["case 1 has no test and wants none"]);
    let missing = CASES.replace("cases = [1, 1]", "cases = [1, 2]");
    assert_eq!(audited(PROMISES, &missing, None).0, ["case 2 is missing"]);
    let unknown = CASES.replace("case = 1\n", "case = 7\n");
    assert_eq!(audited(PROMISES, &unknown, None).0, ["case 1 is missing", "case 7 is unknown"]);
}

#[test]
fn a_key_that_the_pack_lacks_and_a_contradiction_of_unknown_rows_are_found() {
    let expected = "the pack `strictest` has no key `retention.scan_days`";
    faulty("retention.print_days", "retention.scan_days", expected);
    let expected = "the pack `strictest` has no key `deadlines`";
    faulty("retention.print_days", "deadlines", expected);
    let expected = "contradiction `asking` names the unknown row A20-9";
    faulty(r#"rows = ["A20-1", "A20-2"]"#, r#"rows = ["A20-1", "A20-9"]"#, expected);
}

#[test]
fn a_named_test_must_have_run_and_passed() {
    let mut results: Results = known().into_iter().map(|test| (test, true)).collect();
    assert_eq!(audited(PROMISES, CASES, Some(&results)).0, Vec::<String>::new());
    results.insert(String::from("gate a_grant_lets_in"), false);
    let failed = audited(PROMISES, CASES, Some(&results)).0;
    assert_eq!(failed, ["case 1: did not pass: gate a_grant_lets_in"]);
    results.remove("gate a_grant_lets_in");
    let absent = audited(PROMISES, CASES, Some(&results)).0;
    assert_eq!(absent, ["case 1: did not run: gate a_grant_lets_in"]);
}

#[test]
fn an_unknown_key_in_a_registry_is_an_error() {
    let wrong = PROMISES.replace("says =", "said =");
    assert!(toml::from_str::<Promises>(&wrong).unwrap_err().message().contains("said"));
}

#[test]
fn the_pages_hold_every_row_and_case_and_keep_cells_whole() {
    let cited = Cited::from([(String::from("A20-1"), vec![String::from("a-2020")])]);
    let promises = page::promises(&toml::from_str(PROMISES).unwrap(), &cited);
    assert!(promises.contains("2 rows: 1 kept, 1 refused on purpose, 0 open."), "{promises}");
    let row = "| A20-1 | it asks first | no data before a yes | **kept**: the agent's flags \\| the \
               gate<br>cited by `a-2020` | `agent::it asks_first` |\n";
    assert!(promises.contains(row), "{promises}");
    assert!(
        promises.contains("| 1 | asking | A20-1, A20-2 | asked first | `retention.print_days` |")
    );
    let wanting = PROMISES.replace("tests = [", "wanted = [");
    let promises = page::promises(&toml::from_str(&wanting).unwrap(), &cited);
    assert!(promises.contains("2 rows: 0 kept, 1 refused on purpose, 1 open."), "{promises}");
    assert!(promises.contains("| **open, to keep**: the agent"), "{promises}");
    let cases = page::cases(&toml::from_str(CASES).unwrap());
    let row = "| 1 | no state | no state is no yes | `agent::it asks_first` | \
               `gate a_grant_lets_in` |\n";
    assert!(cases.contains(row), "{cases}");
}

#[test]
fn the_packs_tell_which_rows_they_cite_and_a_missing_pack_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let promises: Promises = toml::from_str(PROMISES).unwrap();
    assert!(registry::cited(folder.path(), &promises).is_err());
    fs::write(folder.path().join("a-2020.toml"), "[keeps]\nA20-1 = \"asks\"\n").unwrap();
    fs::write(folder.path().join("strictest.toml"), "[keeps]\nA20-1 = \"asks\"\n").unwrap();
    let cited = registry::cited(folder.path(), &promises).unwrap();
    assert_eq!(cited["A20-1"], ["a-2020", "strictest"]);
    assert_eq!(cited.len(), 1);
}
