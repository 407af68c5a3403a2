//! The command line of whoever answers for the data: policies, subjects, ledger, backups.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use imprimatur_consent::SubjectId;
use imprimatur_consent::standing::Grounds;
use imprimatur_runtime::UtcDate;

use super::Verify;

/// `imprimatur policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Find all problems of a policy file, each with its line and what to write instead.
    #[command(after_help = "Example: imprimatur policy check our-policy.toml\n\
                      Exit code 64 when the policy cannot be used.")]
    Check {
        /// The policy file.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a shipped policy; without a name, list them.
    #[command(after_help = "Example: imprimatur policy show strictest")]
    Show {
        /// Name of a shipped policy.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Archive a policy, announce it in the log, and take consent to it from its effective date.
    #[command(after_help = "Example: imprimatur policy publish our-policy.toml --data \
                      /var/lib/imprimatur")]
    Publish {
        /// The policy file.
        file: PathBuf,
        /// The collector's folder.
        #[arg(long)]
        data: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A subject of a collector.
#[derive(Debug, Args)]
pub struct OfSubject {
    /// The subject: 32 hex digits, as its owner's agent shows them.
    #[arg(value_name = "ID")]
    pub subject: SubjectId,
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why a legal hold is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Hold {
    /// A task for the owner that is not finished.
    PendingTask,
    /// A claim, of either side.
    Claim,
    /// A law that demands keeping.
    Statutory,
}

impl From<Hold> for Grounds {
    fn from(hold: Hold) -> Self {
        match hold {
            Hold::PendingTask => Self::PendingTask,
            Hold::Claim => Self::Claim,
            Hold::Statutory => Self::Statutory,
        }
    }
}

/// `imprimatur subject`.
#[derive(Debug, Subcommand)]
pub enum Subject {
    /// What is held of a subject, for which purposes, and every permission with its history.
    #[command(after_help = "Example: imprimatur subject show \
                      0123456789abcdef0123456789abcdef --data /var/lib/imprimatur")]
    Show(OfSubject),
    /// All data of a subject, as JSON lines that can be read in again.
    #[command(after_help = "Example: imprimatur subject export \
                      0123456789abcdef0123456789abcdef --data /var/lib/imprimatur > export.jsonl")]
    Export(OfSubject),
    /// Withdraw everything of a subject and erase it everywhere.
    #[command(after_help = "Example: imprimatur subject erase \
                      0123456789abcdef0123456789abcdef --data /var/lib/imprimatur\n\
                      Exit code 1 while a legal hold keeps the data.")]
    Erase(OfSubject),
    /// Put a subject under a legal hold: its data is kept and used for nothing.
    #[command(after_help = "Example: imprimatur subject restrict \
                      0123456789abcdef0123456789abcdef --grounds claim --until 2027-06-30 --data \
                      /var/lib/imprimatur")]
    Restrict {
        /// Which.
        #[command(flatten)]
        of: OfSubject,
        /// Why.
        #[arg(long)]
        grounds: Hold,
        /// The last day of the hold.
        #[arg(long, value_name = "DATE")]
        until: UtcDate,
    },
    /// End a legal hold, or else the owner's restriction.
    #[command(after_help = "Example: imprimatur subject release \
                      0123456789abcdef0123456789abcdef --data /var/lib/imprimatur")]
    Release(OfSubject),
    /// The register of requests, with their due dates.
    #[command(after_help = "Example: imprimatur subject requests --overdue --data \
                      /var/lib/imprimatur\nExit code 1 when something is overdue.")]
    Requests {
        /// Only what should have been finished.
        #[arg(long)]
        overdue: bool,
        /// The collector's folder.
        #[arg(long)]
        data: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Close a complaint that was answered.
    #[command(after_help = "Example: imprimatur subject answer 7 --data /var/lib/imprimatur")]
    Answer {
        /// Its number in the register.
        number: u64,
        /// The collector's folder.
        #[arg(long)]
        data: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A collector's folder, and how to print.
#[derive(Debug, Args)]
pub struct OfData {
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `imprimatur ledger`.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Prove the log, the evidence and the destroyed keys: nothing was cut, forked, changed, used
    /// twice or hidden. Rows are not looked at.
    #[command(after_help = "Example: imprimatur ledger verify --data /var/lib/imprimatur\n\
                      Exit code 0 only if everything holds.")]
    Verify(Verify),
    /// The signed checkpoint of the published log: keep it elsewhere, and later ones must continue it.
    #[command(after_help = "Example: imprimatur ledger checkpoint --data /var/lib/imprimatur")]
    Checkpoint(OfData),
    /// The entries of the published log, the public ones in clear.
    #[command(after_help = "Example: imprimatur ledger history --data /var/lib/imprimatur")]
    History(OfData),
}

/// `imprimatur backup`.
#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Copy book and lake into a new folder, without the keys that erasure destroys.
    #[command(after_help = "Example: imprimatur backup create --to /mnt/backup/monday --data \
                      /var/lib/imprimatur")]
    Create {
        /// A new or empty folder.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Of which collector.
        #[command(flatten)]
        of: OfData,
    },
    /// Put a backup in the place of book and lake; what was withdrawn or erased since stays so. The
    /// collector must not run.
    #[command(after_help = "Example: imprimatur backup restore --from /mnt/backup/monday --data \
                      /var/lib/imprimatur")]
    Restore {
        /// The backup's folder.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Of which collector.
        #[command(flatten)]
        of: OfData,
    },
    /// All backups that were made, and when each must be gone.
    #[command(after_help = "Example: imprimatur backup list --data /var/lib/imprimatur\n\
                      Exit code 1 when one should be gone.")]
    List(OfData),
}
