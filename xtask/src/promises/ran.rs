//! Which tests exist, and which passed: nextest's own list and report.
//!
//! A test is named as nextest prints it: the binary's id, a space, the path in the binary.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::TaskError;
use crate::run;

/// `cargo nextest list --message-format json`, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct List {
    rust_suites: BTreeMap<String, Suite>,
}

#[derive(Deserialize)]
struct Suite {
    testcases: BTreeMap<String, Listed>,
}

#[derive(Deserialize)]
struct Listed {
    ignored: bool,
}

/// Every test of the workspace; builds what is not built.
pub(super) fn listed() -> Result<BTreeSet<String>, TaskError> {
    let options = ["nextest", "list", "--workspace", "--message-format", "json"];
    Ok(names(run::json(run::cargo().args(options))?))
}

/// A test that is switched off does not count.
fn names(list: List) -> BTreeSet<String> {
    let suites = list.rust_suites.into_iter();
    suites
        .flat_map(|(binary, suite)| {
            let runs = suite.testcases.into_iter().filter(|(_, test)| !test.ignored);
            runs.map(move |(name, _)| format!("{binary} {name}"))
        })
        .collect()
}

/// Whether each test that ran passed.
pub(super) type Results = BTreeMap<String, bool>;

/// Reads nextest's report in the form of `JUnit`.
pub(super) fn report(path: &Path) -> Result<Results, TaskError> {
    let text = fs::read_to_string(path)
        .map_err(|source| TaskError::File { path: path.to_owned(), source })?;
    Ok(results(&text))
}

/// Nextest writes one `testcase` per test, `classname` being the binary's id; texts are escaped, so
/// a tag is a tag.
fn results(text: &str) -> Results {
    text.split("<testcase").skip(1).filter_map(result).collect()
}

fn result(from: &str) -> Option<(String, bool)> {
    let (tag, rest) = from.split_once('>')?;
    let name = format!("{} {}", attribute(tag, "classname")?, attribute(tag, "name")?);
    let body = if tag.ends_with('/') { "" } else { rest.split("</testcase>").next()? };
    let passed = !["<failure", "<error", "<skipped"].iter().any(|mark| body.contains(mark));
    Some((name, passed))
}

fn attribute<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let (_, from) = tag.split_once(&format!(" {key}=\""))?;
    Some(from.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_tests_have_their_binary_before_them_and_ignored_ones_are_none() {
        let list = r#"{"rust-build-meta": {}, "test-count": 3, "rust-suites": {
            "a::it": {"package-name": "a", "testcases": {
                "room::says_no": {"ignored": false}, "off": {"ignored": true}}},
            "b": {"testcases": {"tests::x": {"ignored": false}}}}}"#;
        let names = names(serde_json::from_str(list).unwrap());
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a::it room::says_no", "b tests::x"]);
    }

    #[test]
    fn a_report_tells_passed_from_failed_and_knows_no_others() {
        let report = r#"<?xml version="1.0"?><testsuites><testsuite name="a::it">
            <testcase name="good" classname="a::it" time="0.1"/>
            <testcase name="bad" classname="a::it" time="0.1">
                <failure type="test failure">&lt;testcase</failure><system-err>x</system-err>
            </testcase>
            <testcase name="hung" classname="a::it"><error type="timeout"/></testcase>
            <testcase name="off" classname="a::it"><skipped/></testcase>
            <testcase name="flaky" classname="a::it"><flakyFailure/></testcase>
            <testcase name="loud" classname="a::it">
                <system-out>&lt;failure</system-out></testcase>
            </testsuite></testsuites>"#;
        let results = results(report);
        let told: Vec<_> = results.iter().map(|(name, passed)| (&**name, *passed)).collect();
        let expected = [
            ("a::it bad", false),
            ("a::it flaky", true),
            ("a::it good", true),
            ("a::it hung", false),
            ("a::it loud", true),
            ("a::it off", false),
        ];
        assert_eq!(told, expected);
    }
}
