//! Ultimaker 3 and S line: printer and print job by polling the printer's own interface.
//!
//! Reading needs no key there and none is sent; nothing is ever sent but `GET`. When a print is gone
//! between two looks, the printer's history is asked once how it ended.

mod materials;
pub mod settings;
pub mod wire;

use std::time::Duration;

use imprimatur_proto::telemetry::v1::ReadingSource;

use self::settings::UltimakerSettings;
use self::wire::{Past, PrintJob, Printer};
use super::error::SourceError;
use super::http::Http;
use super::mark::Mark;
use super::polled::Polled;
use super::settings::Address;
use super::snapshot::Watch;
use crate::reading::Said;

/// The last entry of the history.
const LAST_PRINT: &str = "api/v1/history/print_jobs?offset=0&count=1";

/// Reads one printer.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: UltimakerSettings,
    watch: Watch,
    /// The print that runs.
    print: Option<Mark>,
}

impl Polled for Reader {
    const PEER: &'static str = "the Ultimaker";
    const REMEDY: &'static str = "its interface must let the local network read without a login";
    const SOURCE: ReadingSource = ReadingSource::Ultimaker;

    fn address(&self) -> &Address {
        &self.settings.address
    }

    fn poll(&self) -> Duration {
        self.settings.poll
    }

    fn watch(&self) -> &Watch {
        &self.watch
    }

    async fn look(&mut self, http: &Http) -> Result<Vec<Said>, SourceError> {
        let malformed = || SourceError::Malformed { peer: Self::PEER };
        let body = self.ask(http, "api/v1/printer").await?;
        let printer = body.as_deref().and_then(Printer::parse).ok_or_else(malformed)?;
        let job = match self.found(http, "api/v1/print_job").await? {
            Some(body) => Some(PrintJob::parse(&body).ok_or_else(malformed)?),
            None => None,
        };
        let gone = if job.is_none() && self.watch.is_active() { self.print } else { None };
        let past = match gone {
            Some(print) => {
                self.found(http, LAST_PRINT).await?.and_then(|body| Past::find(&body, print))
            }
            None => None,
        };
        let said = self.watch.see(&printer.snapshot(job.as_ref(), past.as_ref()));
        self.print = job.as_ref().and_then(PrintJob::mark).or(self.print);
        Ok(said)
    }
}

impl Reader {
    pub(crate) fn new(settings: UltimakerSettings) -> Self {
        let watch = Watch::new(settings.material);
        Self { settings, watch, print: None }
    }

    async fn ask(&self, http: &Http, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        http.look(self.settings.address.http(path)).await
    }

    /// As [`Reader::ask`], where status 404 says that there is none, too.
    async fn found(&self, http: &Http, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        match self.ask(http, path).await {
            Err(SourceError::Status { status: 404, .. }) => Ok(None),
            other => other,
        }
    }
}
