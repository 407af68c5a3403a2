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
use self::registry::{Cases, DEFAULT_PACK, Promises};
use crate::error::TaskError;
use crate::run;

/// Writes the pages, or with `check` compares them; then audits both registries.
pub(crate) fn run(check: bool, passed: Option<&Path>) -> Result<(), TaskError> {
    let (docs, packs) = (run::root().join("docs"), run::root().join("policies"));
    let promises: Promises = registry::read(&docs.join("promises.toml"))?;
    let cases: Cases = registry::read(&docs.join("cases.toml"))?;
    let cited = registry::cited(&packs, &promises)?;
    let mut stale = Vec::new();
    let texts = [page::promises(&promises, &cited), page::cases(&cases)];
    for (name, text) in ["promises.md", "cases.md"].into_iter().zip(texts) {
        let path = docs.join(name);
        if !check {
            fs::write(&path, text).map_err(|source| TaskError::File { path, source })?;
        } else if fs::read_to_string(&path).ok() != Some(text) {
            stale.push(format!("docs/{name} is stale: run `cargo xtask promises`"));
        }
    }
    let results = passed.map(ran::report).transpose()?;
    let known = ran::listed()?;
    let mut audit = Audit::new(&known, results.as_ref());
    audit.promises(&promises);
    audit.keys(&promises, &registry::read(&packs.join(format!("{DEFAULT_PACK}.toml")))?);
    audit.cases(&cases);
    audit.faults.append(&mut stale);
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
