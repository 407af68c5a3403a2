//! The audit: a folder of releases as somebody else finds it, read and never written.
//!
//! Each release is named by what it asks, paid for in the chain of the budget, kept with the marks that it
//! was made at, and has a tombstone once one of these moved.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use imprimatur_consent::Digest;

use crate::budget::{Account, On};
use crate::marks::{Made, Marks};
use crate::release::{Release, Tombstone};
use crate::store::{MADE, RELEASE, TOMBSTONE};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Which file, below the folder.
    pub file: String,
    /// What is wrong with it; `None` when nothing is.
    pub problem: Option<&'static str>,
}

/// Looks at all releases of a folder beside the marks of now. A folder that is not there has none.
pub fn audit(folder: &Path, marks: &Marks) -> Vec<Audited> {
    let inner = folder.join("releases");
    let budget = fs::read(folder.join("budget.jsonl")).unwrap_or_default();
    let account = Account::read(&budget);
    let mut found = Vec::new();
    if !budget.is_empty() {
        let problem = account.is_err().then_some("has a line that is not what was written");
        found.push(Audited { file: "budget.jsonl".to_owned(), problem });
    }
    let lines = account.map(|account| account.lines).unwrap_or_default();
    let paid = |id: &Digest| lines.iter().any(|line| line.on == On::Release(*id));
    let names = fs::read_dir(&inner).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let id = |name: String| name.strip_suffix(RELEASE).and_then(|id| id.parse::<Digest>().ok());
    let ids: BTreeSet<Digest> = names.filter_map(id).collect();
    for id in ids {
        let problem = fault(&inner, &id, marks).or((!paid(&id)).then_some("was never paid for"));
        found.push(Audited { file: format!("releases/{id}{RELEASE}"), problem });
    }
    found
}

fn fault(inner: &Path, id: &Digest, marks: &Marks) -> Option<&'static str> {
    let release: Option<Release> = read(inner, id, RELEASE);
    let own = |one: &Release| one.id == *id && one.question.id(&one.edition) == *id;
    if !release.as_ref().is_some_and(own) {
        return Some("is not the release of its name");
    }
    let made: Option<Made> = read(inner, id, MADE);
    let Some(made) = made.filter(|made| made.release == *id) else {
        return Some("lies without the marks that it was made at");
    };
    let tombstone: Option<Tombstone> = read(inner, id, TOMBSTONE);
    let withdrawn = tombstone.is_some_and(|one| one.release == *id);
    let outlived = !withdrawn && made.is_outlived(marks);
    outlived.then_some("stands although somebody of its population was excluded since")
}

fn read<T: serde::de::DeserializeOwned>(inner: &Path, id: &Digest, ending: &str) -> Option<T> {
    let bytes = fs::read(inner.join(format!("{id}{ending}"))).ok()?;
    serde_json::from_slice(&bytes).ok()
}
