//! Moonraker's history: how a print ended that ended while nobody listened.
//!
//! A job is known by the [`Mark`] of its number; its name, its user and what its file says of itself
//! have no place here.

use imprimatur_proto::telemetry::v1::{FaultFamily, Outcome};
use serde::Deserialize;

use crate::sources::mark::Mark;

/// Jobs of one answer: no more end while a connection is lost, or the oldest is not told of.
pub(super) const JOBS: u32 = 8;

/// One job of the history.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Job {
    #[serde(rename = "job_id")]
    mark: Mark,
    status: JobStatus,
    #[serde(rename = "print_duration", default)]
    seconds: Option<f64>,
    #[serde(rename = "filament_used", default)]
    filament_mm: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum JobStatus {
    InProgress,
    Completed,
    Cancelled,
    Error,
    KlippyShutdown,
    KlippyDisconnect,
    /// Of words that are not known, and of `server_exit` and `interrupted`: Moonraker itself ended,
    /// and the print may go on without a job.
    #[serde(other)]
    Untold,
}

/// What the history says of a print.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Told {
    /// It runs.
    Runs,
    /// It ended.
    Ended {
        outcome: Outcome,
        /// What made it end.
        fault: Option<FaultFamily>,
        /// Printing time, seconds.
        seconds: Option<f64>,
        /// Filament, millimetres.
        filament_mm: Option<f64>,
    },
    /// Nothing, now and later.
    Nothing,
}

/// The mark of the job that runs, of jobs that begin with the newest.
pub(super) fn running(jobs: &[Job]) -> Option<Mark> {
    jobs.first().filter(|job| job.status == JobStatus::InProgress).map(|job| job.mark)
}

/// What is told of the job with this mark.
pub(super) fn told(jobs: &[Job], mark: Mark) -> Told {
    let Some(job) = jobs.iter().find(|job| job.mark == mark) else { return Told::Nothing };
    // Why is told only in words, which are not read.
    let (outcome, fault) = match job.status {
        JobStatus::InProgress => return Told::Runs,
        JobStatus::Untold => return Told::Nothing,
        JobStatus::Completed => (Outcome::Done, None),
        JobStatus::Cancelled => (Outcome::StoppedByUser, None),
        JobStatus::Error | JobStatus::KlippyShutdown => (Outcome::Fault, Some(FaultFamily::Other)),
        JobStatus::KlippyDisconnect => (Outcome::HostLost, None),
    };
    let count = |number: Option<f64>| number.filter(|n| n.is_finite() && *n >= 0.0);
    let (seconds, filament_mm) = (count(job.seconds), count(job.filament_mm));
    Told::Ended { outcome, fault, seconds, filament_mm }
}
