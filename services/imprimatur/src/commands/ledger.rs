//! `imprimatur ledger`: what the published log says, read from its files alone.

use std::path::Path;

use imprimatur_ledger::segments::Manifest;
use imprimatur_log::{Checkpoint, Entry, TileReader};
use imprimatur_verifier::{Report, Trust, Verdict};

use super::json;
use crate::cli::Verify;
use crate::cli::records::Ledger;
use crate::error::CommandError;
use crate::say;

pub(super) fn run(command: &Ledger) -> Result<(), CommandError> {
    match command {
        Ledger::Verify(args) => {
            let report = imprimatur_verifier::verify_ledger(&args.data, &trust(args)?)?;
            verdict(&report, args.json)
        }
        Ledger::Checkpoint(of) => checkpoint(&of.data, of.json),
        Ledger::History(of) => history(&of.data, of.json),
    }
}

/// What the reader of a report knows from elsewhere.
pub(super) fn trust(args: &Verify) -> Result<Trust, CommandError> {
    let log_key = args.log_key.map(|key| key.0);
    let anchor = match (&args.checkpoint, &log_key) {
        (Some(path), Some(key)) => {
            let note = std::fs::read_to_string(path)
                .map_err(|source| CommandError::File { path: path.clone(), source })?;
            let anchor = Checkpoint::open(&note, key).map_err(|error| {
                CommandError::Usage(format!("`{}` is no checkpoint: {error}", path.display()))
            })?;
            for witness in &args.witness {
                witness.cosigned(&note).map_err(|error| {
                    let path = path.display();
                    CommandError::No(format!("`{path}` and the witness `{witness}`: {error}"))
                })?;
            }
            Some(anchor)
        }
        _ => None,
    };
    let witnesses = args.witness.iter().map(ToString::to_string).collect();
    Ok(Trust { log_key, anchor, witnesses })
}

/// Prints a report; an error unless everything was checked and holds.
pub(super) fn verdict(report: &Report, as_json: bool) -> Result<(), CommandError> {
    say::line(&if as_json { json(report) } else { report.to_string() });
    match report.verdict {
        Verdict::Holds => Ok(()),
        Verdict::NotAllChecked => {
            let why = "what was checked holds, and the book was not checked; see above";
            Err(CommandError::NotAll(why.to_owned()))
        }
        Verdict::Fails => {
            Err(CommandError::No("an invariant does not hold; the findings are above".to_owned()))
        }
    }
}

/// Opens the published log under the key that the manifest names.
fn open(data: &Path) -> Result<TileReader, CommandError> {
    let unproven = |error: &dyn std::error::Error| {
        CommandError::No(format!("there is no log that can be read: {error}"))
    };
    let manifest = Manifest::load(&data.join("evidence")).map_err(|error| unproven(&error))?;
    TileReader::open(&data.join("log"), &manifest.log_key.0).map_err(|error| unproven(&error))
}

fn checkpoint(data: &Path, as_json: bool) -> Result<(), CommandError> {
    let log = open(data)?;
    let checkpoint = log.checkpoint();
    say::line(&if as_json {
        json(&serde_json::json!({
            "origin": checkpoint.origin.to_string(),
            "size": checkpoint.size,
            "root": checkpoint.root,
            "note": log.note(),
        }))
    } else {
        log.note().trim_end().to_owned()
    });
    Ok(())
}

fn history(data: &Path, as_json: bool) -> Result<(), CommandError> {
    let log = open(data)?;
    for (number, entry) in (1_u64..).zip(log.entries()) {
        let damaged = |why: &dyn std::error::Error| {
            CommandError::No(format!("entry {number} cannot be read: {why}"))
        };
        let entry = entry.map_err(|error| damaged(&error))?;
        let public = match Entry::read(&entry).map_err(|error| damaged(&error))? {
            Entry::Public(bytes) => {
                serde_json::from_slice(bytes).map_err(|error| damaged(&error))?
            }
            Entry::Blinded(_) => serde_json::json!({ "event": "private" }),
        };
        say::line(&if as_json {
            serde_json::json!({ "log_index": number, "entry": public }).to_string()
        } else {
            let name = public.get("event").and_then(serde_json::Value::as_str).unwrap_or("");
            let more = if name == "private" { String::new() } else { format!("  {public}") };
            format!("{number:>8}  {name}{more}")
        });
    }
    Ok(())
}
