//! A Formlabs printer as its maker's cloud shows it: for owners who chose that, with a client of their own account.
//!
//! Three questions are ever sent: for a token, for the one printer, and, when a print is gone, for
//! that printer's last prints. Nothing of this host but the client, its secret and the printer's serial
//! number, which the maker has already, goes there.

pub mod settings;
pub mod wire;

use hyper::StatusCode;
use imprimatur_proto::telemetry::v1::ReadingSource;
use tokio::time::Instant;

use self::settings::DashboardSettings;
use self::wire::{Printer, Run};
use crate::reading::Said;
use crate::sources::error::SourceError;
use crate::sources::https::{Connection, Https};
use crate::sources::link::{Link, Read};
use crate::sources::mark::Mark;
use crate::sources::settings::Secret;
use crate::sources::snapshot::Watch;

/// Name in messages.
const PEER: &str = "the Formlabs Dashboard";

/// What to do about refused credentials.
const REMEDY: &str =
    "compare `client_id` and `client_secret_file` with the developer settings of the Dashboard";

/// How many of the last prints are looked at for one that is gone.
const LAST_PRINTS: u32 = 10;

/// Reads one printer.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: DashboardSettings,
    watch: Watch,
    /// The print that runs.
    print: Option<Mark>,
    /// A token, and until when it is used.
    token: Option<(Secret, Instant)>,
}

impl Read for Reader {
    fn address(&self) -> String {
        self.settings.service.to_string()
    }

    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let DashboardSettings { service, authorities, .. } = &self.settings;
        let https = Https::new(service.clone(), authorities, PEER).await?;
        loop {
            let said = self.look(&https).await?;
            link.connected(ReadingSource::Formlabs).await?;
            link.tell(said).await?;
            let rest = if self.watch.is_active() { 1 } else { 2 };
            tokio::time::sleep(self.settings.poll.saturating_mul(rest)).await;
        }
    }
}

impl Reader {
    pub(crate) fn new(settings: DashboardSettings) -> Self {
        let watch = Watch::new(settings.material);
        Self { settings, watch, print: None, token: None }
    }

    async fn look(&mut self, https: &Https) -> Result<Vec<Said>, SourceError> {
        let mut service = https.open().await?;
        let path = self.settings.printer.dashboard_path();
        let body = self.ask(&mut service, &path).await?;
        let printer = Printer::parse(&body).ok_or(SourceError::Malformed { peer: PEER })?;
        let gone = match (printer.run(), self.print) {
            (None, Some(print)) if self.watch.is_active() => {
                let path = format!("{path}prints/?per_page={LAST_PRINTS}");
                Run::find(&self.ask(&mut service, &path).await?, print)
            }
            _ => None,
        };
        let shown = printer.run().or(gone.as_ref()).map_or_else(wire::idle, Run::snapshot);
        let said = self.watch.see(&shown);
        self.print = printer.run().and_then(Run::mark).or(self.print);
        Ok(said)
    }

    /// Asks with the token there is; one that is refused before its time is replaced once.
    async fn ask(
        &mut self,
        service: &mut Connection<'_>,
        path: &str,
    ) -> Result<Vec<u8>, SourceError> {
        let known = self.token.take().filter(|(_, until)| Instant::now() < *until);
        let is_old = known.is_some();
        let (token, until) = match known {
            Some(known) => known,
            None => self.new_token(service).await?,
        };
        let mut answer = service.get(path, &token).await?;
        self.token = Some((token, until));
        if is_old && is_refusal(answer.0) {
            let (token, until) = self.new_token(service).await?;
            answer = service.get(path, &token).await?;
            self.token = Some((token, until));
        }
        match answer {
            (StatusCode::OK, body) => Ok(body),
            (StatusCode::NOT_FOUND, _) => Err(SourceError::NoPrinter { peer: PEER }),
            (status, _) => {
                self.token = None;
                Err(refused(status))
            }
        }
    }

    async fn new_token(
        &self,
        service: &mut Connection<'_>,
    ) -> Result<(Secret, Instant), SourceError> {
        let secret = self.settings.secret.read().await?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.settings.client.expose()),
            ("client_secret", secret.expose()),
        ];
        match service.post("o/token/", &form).await? {
            (StatusCode::OK, body) => {
                let granted = wire::token(&body).ok_or(SourceError::Malformed { peer: PEER })?;
                Ok((granted.0, Instant::now() + granted.1))
            }
            // The standard of such tokens has both for a client that is not known.
            (StatusCode::BAD_REQUEST, _) => Err(refused(StatusCode::UNAUTHORIZED)),
            (status, _) => Err(refused(status)),
        }
    }
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn refused(status: StatusCode) -> SourceError {
    match status {
        refusal if is_refusal(refusal) => SourceError::Refused { peer: PEER, remedy: REMEDY },
        StatusCode::TOO_MANY_REQUESTS => SourceError::Limited { peer: PEER },
        StatusCode::SERVICE_UNAVAILABLE => SourceError::NotReady { peer: PEER },
        other => SourceError::Status { peer: PEER, status: i64::from(other.as_u16()) },
    }
}
