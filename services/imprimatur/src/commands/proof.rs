//! `imprimatur compliance verify`: the proof, its page, its brief for the console, and the record of processing.

use std::path::Path;

use imprimatur_runtime::{Clock as _, SystemClock};
use imprimatur_verifier::{Canaries, CanaryError, Progress, Record, Wanted};

use super::{json, ledger};
use crate::cli::Proof;
use crate::error::CommandError;
use crate::say;

/// Bytes of a file of canaries, at most.
const CANARY_FILE_MAX: u64 = 1 << 20;

pub(super) fn run(args: &Proof) -> Result<(), CommandError> {
    let data = &args.of.data;
    for path in args.html.iter().chain(&args.record) {
        outside(path, data)?;
    }
    let (trust, logs) = (ledger::trust(&args.of)?, args.logs.clone());
    let wanted = Wanted { trust, logs, canaries: canaries(args)?, book: args.book.clone() };
    let mut line = say::Progress::default();
    let report =
        imprimatur_verifier::verify_all(data, &wanted, &mut |now| line.show(&progress(now)));
    line.end();
    let (report, now) = (report?, SystemClock.now());
    if args.publish {
        report.brief(now).store(&data.join("lake")).map_err(CommandError::Beside)?;
    }
    if let Some(path) = &args.html {
        write(path, &imprimatur_verifier::report_page(&report, now))?;
    }
    if let Some(path) = &args.record {
        let none = |error: imprimatur_verifier::RecordError| CommandError::No(error.to_string());
        let record = Record::of(data, now.date()).map_err(none)?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let page = || imprimatur_verifier::record_page(&record);
        write(path, &if is_json { json(&record) } else { page() })?;
    }
    ledger::verdict(&report, args.of.json)
}

/// A file in the collector's folder would be a stranger to the next proof.
fn outside(path: &Path, data: &Path) -> Result<(), CommandError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    let folder = folder.map_err(|source| CommandError::File { path: path.to_owned(), source })?;
    let inside = data.canonicalize().is_ok_and(|data| folder.starts_with(data));
    if inside {
        let why = format!(
            "`{}` is in the collector's folder, where only its own files may be; write it elsewhere",
            path.display()
        );
        return Err(CommandError::Usage(why));
    }
    Ok(())
}

fn canaries(args: &Proof) -> Result<Canaries, CommandError> {
    let wrong = |error: CanaryError| CommandError::Usage(error.to_string());
    let mut canaries = Canaries::default();
    for text in &args.canary {
        canaries.add(text).map_err(wrong)?;
    }
    if let Some(path) = &args.canary_file {
        let failed = |source| CommandError::File { path: path.clone(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > CANARY_FILE_MAX {
            let why = format!("`{}` has more than {CANARY_FILE_MAX} bytes", path.display());
            return Err(CommandError::Usage(why));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        canaries.add_lines(&text).map_err(wrong)?;
    }
    Ok(canaries)
}

/// How far the search is, in a line that changes a hundred times at most.
fn progress(now: Progress) -> String {
    let total = now.total.max(1);
    let percent = now.done.min(total).saturating_mul(100) / total;
    format!("searched {percent} % of {} MiB", total.div_ceil(1 << 20))
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |source| CommandError::File { path: path.to_owned(), source };
    std::fs::write(path, text).map_err(failed)
}
