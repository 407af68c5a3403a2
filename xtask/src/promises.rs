//! The registry of promises and of adversarial cases: each entry names tests, each test exists, and the pages are what is written here.
//!
//! `docs/promises.toml` and `docs/cases.toml` are written by people; `docs/promises.md` and
//! `docs/cases.md` are generated. An entry is *open* while it is planned or wants a test that does
//! not exist. Open entries are told; only `--check` fails on them.

mod audit;
mod page;
mod ran;
mod registry;

use std::fs;
use std::path::Path;

use self::audit::Audit;
use self::registry::{Cases, Promises};
use crate::error::TaskError;
use crate::run;

/// Audits both registries; then writes the pages, or with `check` compares them.
pub(crate) fn run(check: bool, passed: Option<&Path>) -> Result<(), TaskError> {
    let docs = run::root().join("docs");
    let promises: Promises = registry::read(&docs.join("promises.toml"))?;
    let cases: Cases = registry::read(&docs.join("cases.toml"))?;
    let known = ran::listed()?;
    let results = passed.map(ran::report).transpose()?;
    let mut audit = Audit::new(&known, results.as_ref());
    audit.promises(&promises);
    audit.keys(&promises, &registry::read(&run::root().join("policies/strictest.toml"))?);
    audit.cases(&cases);
    let pages = [("promises.md", page::promises(&promises)), ("cases.md", page::cases(&cases))];
    for (name, text) in pages {
        let path = docs.join(name);
        if !check {
            fs::write(&path, text).map_err(|source| TaskError::File { path, source })?;
        } else if fs::read_to_string(&path).ok() != Some(text) {
            audit.fault(format!("docs/{name} is stale: run `cargo xtask promises`"));
        }
    }
    tell(&audit, check)
}

fn tell(audit: &Audit<'_>, check: bool) -> Result<(), TaskError> {
    for open in &audit.open {
        println!("open: {open}");
    }
    for fault in &audit.faults {
        println!("fault: {fault}");
    }
    println!("promises: {}", audit.summary());
    let count = audit.faults.len() + if check { audit.open.len() } else { 0 };
    if count == 0 { Ok(()) } else { Err(TaskError::Promises { count }) }
}

#[cfg(test)]
mod tests;
