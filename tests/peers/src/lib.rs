//! The same oracle against peers: what each loses of what it has acknowledged, under the same faults.
//!
//! A message is owed from its acknowledgement on: PUBACK for a broker, a signed verdict "stored" for
//! Imprimatur. Faults: SIGKILL at random acknowledgements and a restart on the same store; a power
//! cut, which is an ext4 image as it is on the disk at that moment, mounted elsewhere; no fault at all
//! but a consumer that is away. What stays unacknowledged is offered again, as by any client with a
//! spool. One function judges all: [`imprimatur_testkit::obligations::Obligations::judge`].
//!
//! Keeps true: every peer is the real program; one peer runs at a time; messages, windows and random
//! moments are the same for all; the power cut has a control (synced before the cut, nothing is
//! missing from a store that writes before it acknowledges), without which the run fails; nothing is
//! skipped silently.
//!
//! What "doubled" means differs: to a broker's consumer, a message delivered again, which `QoS` 1
//! allows; of Imprimatur, a print that counts twice.

mod book;
mod broker;
mod disk;
mod error;
mod faults;
mod imprimatur;
mod link;
mod peer;
mod prints;
mod program;
mod table;

use std::path::Path;

use serde::Serialize;

pub use book::Random;
pub use broker::Kind;
pub use error::RunError;
pub use faults::{Fault, Outcome};
pub use table::markdown;

use crate::broker::Broker;
use crate::imprimatur::Imprimatur;

/// Who is put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A broker.
    Broker(Kind),
    /// Imprimatur end to end.
    Imprimatur,
}

/// All of them, in the order of the table.
pub const SUBJECTS: [Subject; 6] = [
    Subject::Broker(Kind::Mosquitto),
    Subject::Broker(Kind::MosquittoOnChanges),
    Subject::Broker(Kind::Nats),
    Subject::Broker(Kind::NatsAlways),
    Subject::Broker(Kind::Embedded),
    Subject::Imprimatur,
];

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// SIGKILLs, all on one store.
    pub kills: usize,
    /// Power cuts, each on a store of its own.
    pub power_cuts: usize,
    /// Messages while the consumer is away.
    pub away: usize,
    /// From which all random moments come.
    pub seed: u64,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Program and version.
    pub peer: String,
    /// What is set.
    pub setting: &'static str,
    /// Outcomes by fault; empty when this version does not know the setting.
    pub outcomes: Vec<(Fault, Outcome)>,
}

impl Line {
    /// The outcome of a fault, when it was done.
    pub fn outcome(&self, fault: Fault) -> Option<&Outcome> {
        self.outcomes.iter().find(|(done, _)| *done == fault).map(|(_, outcome)| outcome)
    }
}

impl Subject {
    /// Program and version.
    ///
    /// # Errors
    /// [`RunError::Missing`].
    pub fn name(self) -> Result<String, RunError> {
        match self {
            Self::Broker(kind) => kind.name(),
            Self::Imprimatur => Imprimatur::name(),
        }
    }

    /// What is set.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Broker(kind) => kind.setting(),
            Self::Imprimatur => "as shipped, over Mosquitto",
        }
    }

    /// Whether its acknowledgement comes after a write to the file system.
    fn writes_before_it_acknowledges(self) -> bool {
        match self {
            Self::Broker(kind) => kind.writes_before_it_acknowledges(),
            Self::Imprimatur => true,
        }
    }

    /// Does everything that is planned.
    ///
    /// # Errors
    /// [`RunError`] when a peer cannot be run, or the control of the power cut fails.
    pub async fn line(self, plan: &Plan) -> Result<Line, RunError> {
        let (peer, setting) = (self.name()?, self.setting());
        let mut outcomes = Vec::new();
        let known = match self {
            Self::Broker(kind) => kind.known()?,
            Self::Imprimatur => true,
        };
        let faults = [
            (Fault::Kill, plan.kills),
            (Fault::PowerCut, plan.power_cuts),
            (Fault::SyncedPowerCut, usize::from(plan.power_cuts > 0)),
            (Fault::Away, plan.away),
        ];
        for (fault, times) in faults.into_iter().filter(|(_, times)| known && *times > 0) {
            outcomes.push((fault, self.under(fault, times, plan.seed).await?));
        }
        Ok(Line { peer, setting, outcomes })
    }

    /// Does one fault, `times` times (of messages for [`Fault::Away`]).
    ///
    /// # Errors
    /// As [`Subject::line`].
    pub async fn under(self, fault: Fault, times: usize, seed: u64) -> Result<Outcome, RunError> {
        let mut random = Random(seed);
        match fault {
            Fault::Away | Fault::Kill => self.once(fault, times, &mut random).await,
            Fault::PowerCut | Fault::SyncedPowerCut => {
                let mut outcomes = Vec::new();
                for _ in 0..times {
                    outcomes.push(self.once(fault, 1, &mut random).await?);
                }
                let outcome = faults::sum(outcomes);
                let control = fault == Fault::SyncedPowerCut;
                if control && self.writes_before_it_acknowledges() && outcome.lost > 0 {
                    return Err(RunError::Control { peer: self.name()?, lost: outcome.lost });
                }
                Ok(outcome)
            }
        }
    }

    async fn once(
        self,
        fault: Fault,
        times: usize,
        random: &mut Random,
    ) -> Result<Outcome, RunError> {
        let folder = faults::folder()?;
        let store = folder.path().join("data");
        match self {
            Self::Broker(kind) => {
                let mut peer = Broker::new(kind, folder.path(), &store)?;
                done(&mut peer, folder.path(), fault, times, random).await
            }
            Self::Imprimatur => {
                let mut peer = Imprimatur::new(folder.path(), &store).await?;
                done(&mut peer, folder.path(), fault, times, random).await
            }
        }
    }
}

async fn done(
    peer: &mut impl peer::Peer,
    folder: &Path,
    fault: Fault,
    times: usize,
    random: &mut Random,
) -> Result<Outcome, RunError> {
    match fault {
        Fault::Away => faults::away(peer, times).await,
        Fault::Kill => faults::kills(peer, times, random).await,
        Fault::PowerCut | Fault::SyncedPowerCut => {
            faults::power_cut(peer, folder, fault, random).await
        }
    }
}

/// Whether everything that a plan needs is there, before any of it is begun.
///
/// # Errors
/// [`RunError::Missing`] and [`RunError::NotRoot`], each with the command to type.
pub fn check(subjects: &[Subject], plan: &Plan) -> Result<(), RunError> {
    for subject in subjects {
        subject.name()?;
    }
    if plan.power_cuts > 0 {
        disk::may_mount()?;
    }
    Ok(())
}
