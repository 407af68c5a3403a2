//! The kinds of rights, what each needs on the wire, and what becomes of a request.

use std::fmt;
use std::str::FromStr;

use imprimatur_consent::Category;
use imprimatur_proto::canonical;
use imprimatur_proto::rights::v1::{ComplaintTopic, Verb};
use imprimatur_proto::telemetry::v1::{DayMachine, DayReport};
use imprimatur_runtime::UtcDate;

/// What the owner may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// What is held, for which purposes, and every permission with its history.
    Explain,
    /// All data.
    Export,
    /// Correct the machine.
    Rectify,
    /// Withdraw everything and erase it everywhere.
    Erase,
    /// Keep what is held, use it for nothing.
    Restrict,
    /// End the owner's restriction.
    Release,
    /// Object to the use of categories.
    Object,
    /// Withdraw categories, with the key of a recovery code.
    Withdraw,
    /// Complain.
    Complain,
}

impl Right {
    pub(super) fn verb(self) -> Verb {
        match self {
            Self::Explain => Verb::Explain,
            Self::Export => Verb::Export,
            Self::Rectify => Verb::Rectify,
            Self::Erase => Verb::Erase,
            Self::Restrict => Verb::Restrict,
            Self::Release => Verb::Release,
            Self::Object => Verb::Object,
            Self::Withdraw => Verb::Withdraw,
            Self::Complain => Verb::Complain,
        }
    }

    /// Whether the answer has pages.
    pub(super) fn paged(self) -> bool {
        matches!(self, Self::Explain | Self::Export)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Explain => "explain",
            Self::Export => "export",
            Self::Rectify => "rectify",
            Self::Erase => "erase",
            Self::Restrict => "restrict",
            Self::Release => "release",
            Self::Object => "object",
            Self::Withdraw => "withdraw",
            Self::Complain => "complain",
        })
    }
}

/// What a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Something was collected without a yes.
    Consent,
    /// A request was not answered, or not in time.
    Rights,
    /// The data is wrong.
    Accuracy,
    /// Security, or a leak.
    Security,
    /// Anything else.
    Other,
}

impl From<Topic> for ComplaintTopic {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::Consent => Self::Consent,
            Topic::Rights => Self::Rights,
            Topic::Accuracy => Self::Accuracy,
            Topic::Security => Self::Security,
            Topic::Other => Self::Other,
        }
    }
}

/// A word that is no topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no topic; expected consent, rights, accuracy, security or other")]
pub struct NotATopic(String);

impl FromStr for Topic {
    type Err = NotATopic;

    fn from_str(text: &str) -> Result<Self, NotATopic> {
        match text {
            "consent" => Ok(Self::Consent),
            "rights" => Ok(Self::Rights),
            "accuracy" => Ok(Self::Accuracy),
            "security" => Ok(Self::Security),
            "other" => Ok(Self::Other),
            _ => Err(NotATopic(text.to_owned())),
        }
    }
}

/// What the owner asks, with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "right", rename_all = "snake_case")]
pub enum Exercise {
    /// [`Right::Explain`].
    Explain {},
    /// [`Right::Export`].
    Export {},
    /// [`Right::Rectify`].
    Rectify {
        /// The corrected values are those of all days from this one on.
        since: UtcDate,
        /// Catalogue number of the model.
        model: Option<u32>,
        /// Catalogue number of the firmware.
        firmware: Option<u32>,
    },
    /// [`Right::Erase`].
    Erase {},
    /// [`Right::Restrict`].
    Restrict {},
    /// [`Right::Release`].
    Release {},
    /// [`Right::Object`].
    Object {
        /// To the use of these; none means all.
        categories: Vec<Category>,
    },
    /// [`Right::Withdraw`].
    Withdraw {
        /// These; none means all.
        categories: Vec<Category>,
    },
    /// [`Right::Complain`].
    Complain {
        /// About this.
        topic: Topic,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestOutcome {
    /// Not answered yet.
    Waiting,
    /// Done.
    Done,
    /// Accepted: it binds now and is finished by the due date.
    Accepted,
    /// A legal hold keeps the data: restricted now, erased when the hold ends.
    Held,
    /// The collector knows nothing under this key.
    Unproven,
    /// The collector cannot do it as it was asked.
    Unusable,
    /// The answer is longer than this device takes.
    TooLong,
}

impl fmt::Display for RequestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waits for its answer",
            Self::Done => "done",
            Self::Accepted => "accepted",
            Self::Held => "held by law: restricted now, erased when the hold ends",
            Self::Unproven => "the collector holds nothing under this key",
            Self::Unusable => "the collector cannot do it as it was asked",
            Self::TooLong => "the answer is longer than this device takes: ask the operator",
        })
    }
}

/// A request as the owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RequestLine {
    /// Its number on this device.
    pub number: u64,
    /// What was asked.
    pub right: Right,
    /// When.
    pub made: UtcDate,
    /// What became of it.
    pub outcome: RequestOutcome,
    /// Its number in the collector's register.
    pub register: Option<u64>,
    /// Date on which the collector received it.
    pub received: Option<UtcDate>,
    /// Date by which it is to be finished: the collector's, or before its answer the policy's.
    pub due: UtcDate,
    /// Whether it is not finished and its date is past.
    pub overdue: bool,
    /// Pages of its answer that are kept here.
    pub pages: u32,
}

impl Exercise {
    pub(super) fn right(&self) -> Right {
        match self {
            Self::Explain {} => Right::Explain,
            Self::Export {} => Right::Export,
            Self::Rectify { .. } => Right::Rectify,
            Self::Erase {} => Right::Erase,
            Self::Restrict {} => Right::Restrict,
            Self::Release {} => Right::Release,
            Self::Object { .. } => Right::Object,
            Self::Withdraw { .. } => Right::Withdraw,
            Self::Complain { .. } => Right::Complain,
        }
    }

    pub(super) fn categories(&self) -> Vec<i32> {
        let (Self::Object { categories } | Self::Withdraw { categories }) = self else {
            return Vec::new();
        };
        let mut numbers: Vec<_> = categories.iter().map(|category| category.number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    pub(super) fn topic(&self) -> ComplaintTopic {
        match self {
            Self::Complain { topic } => (*topic).into(),
            _ => ComplaintTopic::Unspecified,
        }
    }

    pub(super) fn rectified(&self) -> Vec<u8> {
        let Self::Rectify { since, model, firmware } = *self else { return Vec::new() };
        let machine = DayMachine {
            model: model.unwrap_or(0),
            firmware: firmware.unwrap_or(0),
            ..DayMachine::default()
        };
        canonical::encode(&DayReport {
            date: since.0,
            machine: Some(machine),
            ..DayReport::default()
        })
    }
}
