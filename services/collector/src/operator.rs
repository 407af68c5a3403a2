//! What the operator asks of a collector, and how it is done: in the book's one transaction, in one
//! order with what owners and agents ask.

use std::path::PathBuf;
use std::sync::Arc;

use imprimatur_consent::standing::{Grounds, Restriction};
use imprimatur_consent::{Policy, SubjectId};
use imprimatur_lake::Lake;
use imprimatur_ledger::register::{Entry, Outcome as Fate};
use imprimatur_ledger::{Book, BookError};
use imprimatur_proto::rights::v1::RightsStatus;
use imprimatur_runtime::{Clock, UtcDate};

use crate::config::CollectorSettings;
use crate::control::{Ask, Told};
use crate::error::CollectorError;
use crate::offered::Offered;
use crate::rights::answer::status_name;
use crate::rights::claim::fulfil;
use crate::rights::exercise::Party;
use crate::rights::reading::Readings;
use crate::rights::request::Wish;

/// Most tokens drawn at once.
pub const TOKENS_MAX: u32 = 1000;

/// What an operator does with a subject.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Explain what is held; from this byte on.
    Show(u64),
    /// Export all of it; from this byte on.
    Export(u64),
    /// Withdraw everything and erase it.
    Erase {},
    /// Put it under a legal hold.
    Restrict {
        /// Why.
        grounds: Grounds,
        /// The last day.
        until: UtcDate,
    },
    /// End a legal hold, or else the owner's restriction.
    Release {},
}

/// What became of an act.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acted {
    /// `done`, `accepted`, `held` or `unusable`.
    pub status: String,
    /// Number in the register; 0 when it was not entered.
    pub number: u64,
    /// By when it is finished.
    pub due: Option<UtcDate>,
    /// A page of JSON lines.
    pub page: String,
    /// Cursor of the next page; 0 after the last.
    pub next: u64,
}

/// A policy that was published.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// SHA-256 of its document, in hex.
    pub hash: String,
    /// From when consent to it is taken.
    pub effective: UtcDate,
}

/// What is needed to do it.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The store.
    pub book: Book,
    /// The lake.
    pub lake: Lake,
    /// Policies to which consent is taken.
    pub offered: Arc<Offered>,
    /// Pages that were read.
    pub readings: Arc<Readings>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("1 to {TOKENS_MAX} tokens can be drawn at once")]
    Tokens,
    #[error("no such subject is known here; it may have been erased")]
    Unknown,
    #[error("no open complaint has this number; see `imprimatur subject requests`")]
    NoComplaint,
    #[error("`{0}` is past; name the last day of the hold")]
    Past(UtcDate),
    #[error("the book failed")]
    Book(#[from] BookError),
    #[error("the lake cannot be read")]
    Read(#[from] crate::rights::reading::Unreadable),
    #[error("the policy was not published")]
    Policy(#[source] CollectorError),
    #[error("the backup was not made")]
    Backup(#[from] imprimatur_ledger::BackupError),
}

impl Operator {
    /// Opens a data folder of which no collector runs.
    ///
    /// # Errors
    /// [`CollectorError`], also when a collector has it open after all.
    pub fn alone(data: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, CollectorError> {
        let settings = CollectorSettings { policies: Vec::new(), ..CollectorSettings::local(data) };
        let book = Book::open(&settings.data)?;
        let lake = Lake::open(settings.lake()).map_err(crate::publisher::lake_error)?;
        let offered = Offered::open(&book, &[], settings.published(), clock.now())?;
        let (offered, readings) = (Arc::new(offered), Arc::new(Readings::default()));
        Ok(Self { book, lake, offered, readings, clock })
    }

    /// Does what is asked.
    pub fn answer(&self, ask: &Ask) -> Told {
        self.told(ask).unwrap_or_else(|refusal| Told::Refused(chain(&refusal)))
    }

    fn told(&self, ask: &Ask) -> Result<Told, Refusal> {
        let today = self.clock.today();
        Ok(match ask {
            Ask::Enrol(count) => {
                if *count == 0 || *count > TOKENS_MAX {
                    return Err(Refusal::Tokens);
                }
                let tokens = self.book.issue_tokens(*count)?;
                Told::Tokens(tokens.iter().map(ToString::to_string).collect())
            }
            Ask::Counts {} => Told::Counts(self.book.counts()?),
            Ask::Subject { subject, act } => Told::Acted(self.act(*subject, act)?),
            Ask::Requests { overdue } => {
                let mut requests = self.book.register()?;
                requests.retain(|entry| !overdue || entry.overdue(today));
                Told::Requests { requests, today }
            }
            Ask::Answer(number) => Told::Answered(self.close_complaint(*number)?),
            Ask::Publish { text } => Told::Published(self.publish(text)?),
            Ask::BackUp { to } => Told::BackedUp(self.book.back_up(to, self.clock.now())?),
            Ask::Backups {} => Told::Backups(self.book.backups()?),
        })
    }

    fn act(&self, subject: SubjectId, act: &Act) -> Result<Acted, Refusal> {
        let (now, today) = (self.clock.now(), self.clock.today());
        let wish = match *act {
            Act::Show(cursor) => Wish::Explain { cursor },
            Act::Export(cursor) => Wish::Export { cursor },
            Act::Erase {} => Wish::Erase,
            Act::Restrict { until, .. } if until < today => return Err(Refusal::Past(until)),
            Act::Restrict { grounds, until } => {
                Wish::Hold(Restriction { grounds, since: today, until: Some(until) })
            }
            Act::Release {} => Wish::Release,
        };
        let txn = self.book.begin()?;
        let party = Party::operator(subject);
        let exercised = fulfil(&self.book, &txn, &self.readings, &party, &wish, now)?;
        if exercised.outcome.status == RightsStatus::Unproven {
            return Err(Refusal::Unknown);
        }
        let status = status_name(exercised.outcome.status);
        txn.count(&format!("operator.{status}"), 1, today)?;
        txn.commit()?;
        let outcome = exercised.read(&self.lake, &self.readings)?;
        Ok(Acted {
            status: status_name(outcome.status),
            number: outcome.number,
            due: outcome.due,
            page: String::from_utf8_lossy(&outcome.page).into_owned(),
            next: outcome.next,
        })
    }

    /// Closes a complaint that the operator has answered; gives its entry.
    fn close_complaint(&self, number: u64) -> Result<Entry, Refusal> {
        let open = |entry: &Entry| {
            entry.number == number && entry.verb == "complain" && entry.outcome != Fate::Done
        };
        let entry = self.book.register()?.into_iter().find(open).ok_or(Refusal::NoComplaint)?;
        let (txn, today) = (self.book.begin()?, self.clock.today());
        if !txn.close(number, Fate::Done, today)? {
            return Err(Refusal::NoComplaint);
        }
        txn.count("operator.answered", 1, today)?;
        txn.commit()?;
        Ok(Entry { outcome: Fate::Done, closed: Some(today), ..entry })
    }

    fn publish(&self, text: &str) -> Result<Published, Refusal> {
        let policy = self.offered.publish(text, self.clock.now()).map_err(Refusal::Policy)?;
        let Policy { name, version, hash, change, .. } = policy;
        let effective = change.map_or(self.clock.today(), |change| change.effective);
        Ok(Published { name, version, hash: hash.to_string(), effective })
    }
}

/// An error and its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
