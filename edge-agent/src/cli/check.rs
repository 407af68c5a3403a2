//! `check`: the settings, and in a line for each printer where it is read and what was granted.
//!
//! Makes nothing: a printer that has no store yet was not asked yet.

use std::collections::BTreeSet;
use std::io::{self, Write};

use imprimatur_consent::{Category, Flag};
use serde_json::{Map, Value, json};

use super::choice::Choice;
use super::reach::{self, Reach};
use super::{Failure, Output, print, printed};
use crate::config::{Config, PrinterSettings};
use crate::control::{self, Reply, Request, SourceLine};
use crate::core::Overview;
use crate::host;
use crate::printer::Name;

/// What is said of one printer.
struct Line {
    name: Option<Name>,
    sources: Vec<SourceLine>,
    denied: Vec<Category>,
    standing: Standing,
}

/// Where its consent stands.
enum Standing {
    /// Nothing was ever asked here.
    NotAsked,
    /// As its store says.
    Known(Box<Overview>),
    /// Its store cannot tell.
    Problem(Failure),
}

pub(super) fn run(choice: &Choice, output: Output) -> Result<(), Failure> {
    let config = choice.config();
    let lines: Vec<_> = config.printers.iter().map(|printer| line(config, printer)).collect();
    let mut to = io::stdout().lock();
    let told = if output.json { as_json(&mut to, &lines) } else { as_text(&mut to, &lines) };
    printed(told.and_then(|()| to.flush()))?;
    let strays = if choice.is_whole() { host::strays(config) } else { BTreeSet::new() };
    for name in strays {
        let text = "a store is there, but no `[[printer]]` has this name: nothing is collected, and \
                    what waits in it is not delivered; name it again, withdraw and wipe it";
        printed(writeln!(io::stderr(), "{name}: {text}"))?;
    }
    let mut problems = lines.into_iter().filter_map(|line| match line.standing {
        Standing::Problem(failure) => Some((line.name, failure)),
        _ => None,
    });
    match problems.next() {
        None => Ok(()),
        Some((None, failure)) => Err(failure),
        Some((Some(name), failure)) => {
            Err(failure
                .with(format!("printer `{name}` cannot be used; the others are not touched")))
        }
    }
}

fn line(config: &Config, printer: &PrinterSettings) -> Line {
    let runs = config.data_dir.join(control::SOCKET).exists();
    let known = runs || printer.agent.data_dir.exists() || host::is_of_one(config);
    let mut sources = reach::idle(&printer.sources);
    let standing = if known {
        let told = Reach::of(config, printer).and_then(|reach| {
            if let Reply::Sources(now) = reach.ask(Request::Sources {})? {
                sources = now;
            }
            reach.ask(Request::Show {})
        });
        match told {
            Ok(Reply::Overview(overview)) => Standing::Known(overview),
            Ok(_) => Standing::Problem(Failure::Unreachable(
                "the running agent is of another version".to_owned(),
            )),
            Err(failure) => Standing::Problem(failure),
        }
    } else {
        Standing::NotAsked
    };
    let denied = printer.agent.deny.iter().copied().collect();
    Line { name: printer.name.clone(), sources, denied, standing }
}

impl Standing {
    fn granted(&self) -> Vec<Category> {
        let Self::Known(overview) = self else { return Vec::new() };
        let granted = overview.categories.iter().filter(|state| state.flag == Flag::Granted);
        granted.map(|state| state.category).collect()
    }

    /// In a few words.
    fn words(&self) -> String {
        match self {
            Self::NotAsked => "not asked yet".to_owned(),
            Self::Problem(failure) => format!("CANNOT BE USED: {}", failure.text()),
            Self::Known(overview) => {
                let unasked = overview.categories.iter().all(|state| state.flag == Flag::Unasked);
                let confirmed = if overview.confirmed { "" } else { " (not confirmed yet)" };
                match self.granted() {
                    all if !all.is_empty() => format!("granted: {}{confirmed}", print::names(&all)),
                    _ if unasked => "nothing is answered".to_owned(),
                    _ => "nothing is granted".to_owned(),
                }
            }
        }
    }
}

fn as_text(to: &mut impl Write, lines: &[Line]) -> io::Result<()> {
    for line in lines {
        if let Some(name) = &line.name {
            write!(to, "{:<16} ", name.to_string())?;
        }
        let sources = line.sources.iter().map(|source| {
            let advice = source.advice.as_ref().map(|advice| format!(" (WARNING: {advice})"));
            format!("{} {}{}", source.kind.name(), source.address, advice.unwrap_or_default())
        });
        let sources = sources.collect::<Vec<_>>().join(", ");
        let sources = if sources.is_empty() { "no source" } else { sources.as_str() };
        write!(to, "{sources}; {}", line.standing.words())?;
        if !line.denied.is_empty() {
            write!(to, "; denied: {}", print::names(&line.denied))?;
        }
        writeln!(to)?;
    }
    Ok(())
}

fn as_json(to: &mut impl Write, lines: &[Line]) -> io::Result<()> {
    let of = |line: &Line| {
        let problem = match &line.standing {
            Standing::Problem(failure) => Some(failure.text()),
            _ => None,
        };
        json!({
            "sources": line.sources,
            "granted": line.standing.granted(),
            "denied": line.denied,
            "problem": problem,
        })
    };
    let value = match lines {
        [one] if one.name.is_none() => of(one),
        several => {
            let name = |line: &Line| line.name.as_ref().map(Name::to_string).unwrap_or_default();
            Value::Object(several.iter().map(|line| (name(line), of(line))).collect::<Map<_, _>>())
        }
    };
    writeln!(to, "{}", serde_json::to_string_pretty(&value)?)
}
