//! The command line of a proof: what is read, what is searched for, what is written.

use std::path::PathBuf;

use clap::Args;

use super::Verify;

pub(super) const HELP: &str = "\
Example: imprimatur compliance verify --data /var/lib/imprimatur
With all: imprimatur compliance verify --data copy --logs /var/log/imprimatur \\
            --canary-file serials.txt --html report.html --record record.html

Beside a collector that runs: imprimatur backup create --data DIR --to COPY, then with
            --book COPY/book.redb

Exit code 0 only if everything was checked and holds; 3 if what was checked holds, and the book was
not checked. docs/verify.md says what is checked.";

/// `imprimatur compliance verify`.
#[derive(Debug, Args)]
pub struct Proof {
    /// The folder, and what it is held against.
    #[command(flatten)]
    pub of: Verify,
    /// A copy of the book, for a folder whose collector runs: `imprimatur backup create` makes one.
    #[arg(long, value_name = "FILE")]
    pub book: Option<PathBuf>,
    /// A file or folder of logs, which is searched as well; files that end in `.gz` are unpacked. May be
    /// given again.
    #[arg(long, value_name = "DIR")]
    pub logs: Vec<PathBuf>,
    /// A text of 6 to 256 bytes that must be nowhere, such as a serial number. May be given again. Other
    /// users of the machine can see it; a file hides it.
    #[arg(long, value_name = "TEXT")]
    pub canary: Vec<String>,
    /// A file of such texts, one a line.
    #[arg(long, value_name = "FILE")]
    pub canary_file: Option<PathBuf>,
    /// Write the report as a page that people read and print. Not into the collector's folder.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Put the report in brief, without findings, beside the catalogue, where the console reads it: into
    /// `DIR/lake/report.json`.
    #[arg(long)]
    pub publish: bool,
    /// Write the record of processing (GDPR Art. 30): JSON if FILE ends in `.json`, else a page.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}
