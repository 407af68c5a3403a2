//! The log: what was decided, sent and answered, in the owner's own store; no payload, no id.

use imprimatur_consent::Category;
use imprimatur_runtime::UnixSeconds;

use super::rights::{RequestOutcome, Right};
use super::state::read;
use super::{AgentError, Core};
use crate::store::Space;

/// Lines that are kept; older ones go. At one batch a day this is more than a year.
pub(super) const LINES_MAX: u64 = 1000;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// When, seconds since 1970-01-01 UTC.
    pub at: UnixSeconds,
    /// What.
    #[serde(flatten)]
    pub noted: Noted,
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Noted {
    /// The owner granted categories.
    Granted {
        /// Which.
        categories: Vec<Category>,
    },
    /// The owner renewed categories.
    Renewed {
        /// Which.
        categories: Vec<Category>,
    },
    /// The printer changed hands, by the owner's word.
    HandedOver,
    /// The store was found on other hardware than the grant was given on.
    OtherHardware,
    /// A recovery code was typed in: its key may exercise rights here.
    Recovered,
    /// A receipt was not believed.
    Doubted {
        /// The event's number.
        sequence: u64,
    },
    /// The owner asked for a right.
    Asked {
        /// Number of the request.
        request: u64,
        /// What was asked.
        right: Right,
    },
    /// A signed rights request was handed to the broker.
    RequestSent {
        /// Its number.
        request: u64,
    },
    /// The collector answered a rights request.
    Answered {
        /// Its number.
        request: u64,
        /// What became of it.
        outcome: RequestOutcome,
    },
    /// The owner withdrew categories.
    Withdrawn {
        /// Which.
        categories: Vec<Category>,
        /// Spooled batches and pending reports that went with it.
        purged: u64,
    },
    /// A consent event was handed to the broker.
    EventSent {
        /// Its number.
        sequence: u64,
    },
    /// The collector answered a consent event.
    Receipt {
        /// The event's number.
        sequence: u64,
        /// `recorded`, or why not.
        status: String,
    },
    /// A batch was signed and spooled.
    Sealed {
        /// Its number.
        sequence: u64,
        /// Size of its frame.
        bytes: u64,
    },
    /// A batch was handed to the broker.
    Sent {
        /// Its number.
        sequence: u64,
        /// Size of its frame.
        bytes: u64,
    },
    /// The collector stored a batch.
    Stored {
        /// Its number.
        sequence: u64,
    },
    /// The collector refused a batch.
    Refused {
        /// Its number.
        sequence: u64,
        /// Why.
        reason: String,
    },
    /// What another version stored could not be read and was deleted.
    Unreadable {
        /// Unsent batches and reports.
        purged: u64,
    },
    /// Batches were damaged in the store and were deleted.
    Damaged {
        /// How many.
        purged: u64,
    },
    /// Batches that could not be sent any more were deleted.
    Stale {
        /// How many.
        purged: u64,
    },
    /// The spool was full and its oldest batches were dropped.
    Dropped {
        /// How many.
        batches: u64,
    },
    /// The spool was full and a batch was not made: what versions before this one did.
    SpoolFull {
        /// Bytes in the spool.
        bytes: u64,
    },
}

impl Noted {
    /// The line as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Granted { categories } => format!("you granted {}", names(categories)),
            Self::Renewed { categories } => format!("you renewed {}", names(categories)),
            Self::HandedOver => "you handed the printer over: consent has ended".to_owned(),
            Self::OtherHardware => {
                "this is other hardware than you said yes on: consent has ended".to_owned()
            }
            Self::Recovered => "a recovery code was typed in".to_owned(),
            Self::Doubted { sequence } => {
                format!("the receipt of consent event {sequence} was not believed")
            }
            Self::Asked { request, right } => format!("you asked: {right} (request {request})"),
            Self::RequestSent { request } => format!("sent request {request}"),
            Self::Answered { request, outcome } => format!("request {request}: {outcome}"),
            Self::Withdrawn { categories, purged } => {
                format!("you withdrew {}; {purged} unsent things were deleted", names(categories))
            }
            Self::EventSent { sequence } => format!("sent consent event {sequence}"),
            Self::Receipt { sequence, status } => {
                format!("receipt of consent event {sequence}: {status}")
            }
            Self::Sealed { sequence, bytes } => format!("sealed batch {sequence}, {bytes} bytes"),
            Self::Sent { sequence, bytes } => format!("sent batch {sequence}, {bytes} bytes"),
            Self::Stored { sequence } => format!("batch {sequence} was stored"),
            Self::Refused { sequence, reason } => format!("batch {sequence} was refused: {reason}"),
            Self::Unreadable { purged } => {
                format!("{purged} unsent things that this version cannot read were deleted")
            }
            Self::Damaged { purged } => {
                format!("{purged} batches were damaged on this device and were deleted unsent")
            }
            Self::Stale { purged } => format!(
                "{purged} batches that waited too long or are not covered any more were deleted"
            ),
            Self::Dropped { batches } => {
                format!("the spool is full: {batches} batches, the oldest, were dropped")
            }
            Self::SpoolFull { bytes } => {
                format!("a batch was not made: the spool is full ({bytes} bytes wait)")
            }
        }
    }
}

fn names(categories: &[Category]) -> String {
    categories.iter().map(|category| category.name()).collect::<Vec<_>>().join(", ")
}

impl Core {
    pub(super) fn log(&self) -> Result<Vec<Line>, AgentError> {
        let lines = self.store.scan(Space::Log, b"")?;
        lines.iter().map(|(_, line)| Ok(read("log line", line)?)).collect()
    }
}
