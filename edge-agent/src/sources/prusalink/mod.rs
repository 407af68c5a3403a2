//! `PrusaLink`: the state by polling, and what the file of a print says of itself once a print.
//!
//! `PrusaLink` has one key without scopes. What keeps it harmless here is that nothing but
//! `GET /api/v1/status` and `GET /api/v1/job` is ever sent with it; `/api/v1/info`, `/api/settings`
//! and files are never asked for.

pub mod settings;
pub mod wire;

use std::time::Duration;

use imprimatur_proto::telemetry::v1::ReadingSource;

use self::settings::PrusaLinkSettings;
use self::wire::{Job, Status};
use super::error::SourceError;
use super::http::Http;
use super::mark::Mark;
use super::polled::Polled;
use super::settings::{Address, KeySource};
use super::snapshot::Watch;
use crate::reading::{Said, Sliced};

/// How often a print's job is asked for: `PrusaLink` reads the file while the print begins.
const JOB_LOOKS_MAX: u32 = 3;

/// Reads one `PrusaLink`.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: PrusaLinkSettings,
    watch: Watch,
    plan: Plan,
}

/// What the job of the print that runs was found to say.
#[derive(Debug, Default)]
struct Plan {
    job: Option<Mark>,
    looks: u32,
    found: Option<Sliced>,
}

impl Polled for Reader {
    const PEER: &'static str = "PrusaLink";
    const REMEDY: &'static str = "write the key that the printer's settings show into the file that \
    `api_key_file` names";
    const SOURCE: ReadingSource = ReadingSource::Prusalink;

    fn address(&self) -> &Address {
        &self.settings.address
    }

    fn key(&self) -> Option<&KeySource> {
        Some(&self.settings.key)
    }

    fn poll(&self) -> Duration {
        self.settings.poll
    }

    fn watch(&self) -> &Watch {
        &self.watch
    }

    async fn look(&mut self, http: &Http) -> Result<Vec<Said>, SourceError> {
        let address = &self.settings.address;
        let body = http.look(address.http("api/v1/status")).await?;
        let malformed = SourceError::Malformed { peer: Self::PEER };
        let status = body.as_deref().and_then(Status::parse).ok_or(malformed)?;
        if self.plan.is_due(&status) {
            self.plan.looks += 1;
            let body = http.look(address.http("api/v1/job")).await?;
            self.plan.found = body.as_deref().and_then(Job::parse).and_then(|job| job.plan());
        }
        Ok(self.watch.see(&status.snapshot(self.plan.found)))
    }
}

impl Reader {
    pub(crate) fn new(settings: PrusaLinkSettings) -> Self {
        let watch = Watch::new(settings.material);
        Self { settings, watch, plan: Plan::default() }
    }
}

impl Plan {
    /// Whether the job should be asked for now; forgets that of another print.
    fn is_due(&mut self, status: &Status) -> bool {
        if !status.has_print() {
            *self = Self::default();
            return false;
        }
        if self.job != status.mark() {
            *self = Self { job: status.mark(), ..Self::default() };
        }
        self.found.is_none() && self.looks < JOB_LOOKS_MAX
    }
}
