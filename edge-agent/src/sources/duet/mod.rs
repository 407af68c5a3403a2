//! A Duet with `RepRapFirmware`: four keys of its object model, in a session for each look.
//!
//! A board has few sessions, and a browser needs one. So a session is opened for one look and
//! closed at its end, whatever happened in between; nothing is sent that acts (`rr_gcode`) and no
//! file is fetched (`rr_download`, `rr_thumbnail`).

pub mod settings;
pub mod wire;

use std::time::Duration;

use imprimatur_proto::telemetry::v1::{Outcome, ReadingSource};
use serde::Deserialize;

use self::settings::DuetSettings;
use self::wire::{Connected, Heat, Job, Loaded, State};
use super::error::SourceError;
use super::http::Http;
use super::polled::Polled;
use super::settings::Address;
use super::snapshot::{Activity, Snapshot, Watch};
use crate::reading::Said;

/// The board's own temperature is looked at once in so many looks: it changes slowly.
const LOOKS_A_BOARD: u32 = 6;

/// Reads one Duet.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: DuetSettings,
    watch: Watch,
    up_seconds: Option<f64>,
    looks: u32,
}

/// One session.
struct Session<'a> {
    http: &'a Http,
    settings: &'a DuetSettings,
    key: Option<u64>,
}

impl Polled for Reader {
    const PEER: &'static str = "the Duet";
    const REMEDY: &'static str =
        "write the machine's password, as M551 sets it, into `password_file`";
    const SOURCE: ReadingSource = ReadingSource::Duet;

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
        let at_board = self.looks.is_multiple_of(LOOKS_A_BOARD);
        self.looks = self.looks.wrapping_add(1);
        let session = Session::open(http, &self.settings).await?;
        let seen = session.look(at_board).await;
        session.close().await;
        let (state, shown) = seen?;
        Ok(self.see(&state, &shown))
    }
}

impl Reader {
    pub(crate) fn new(settings: DuetSettings) -> Self {
        let watch = Watch::new(settings.material);
        Self { settings, watch, up_seconds: None, looks: 0 }
    }

    fn see(&mut self, state: &State, shown: &Snapshot) -> Vec<Said> {
        let mut said = Vec::new();
        let up_seconds = state.up_seconds();
        if up_seconds.zip(self.up_seconds).is_some_and(|(now, before)| now < before) {
            said.push(Said::Restarted);
            let activity = Activity::Ended(Outcome::Unspecified);
            said.extend(self.watch.see(&Snapshot { activity, ..Snapshot::default() }));
        }
        self.up_seconds = up_seconds.or(self.up_seconds);
        said.extend(self.watch.see(shown));
        said
    }
}

impl<'a> Session<'a> {
    async fn open(http: &'a Http, settings: &'a DuetSettings) -> Result<Self, SourceError> {
        let mut url = settings.address.http("rr_connect");
        // Without a key a session is the address's, and closing it would close a browser's as well.
        url.query_pairs_mut().append_pair("sessionKey", "yes");
        if let Some(password) = &settings.password {
            let password = password.read().await?;
            url.query_pairs_mut().append_pair("password", password.expose());
        }
        match Connected::parse(&http.get_in(url, None).await?) {
            Some(Connected { err: 0, session }) => Ok(Self { http, settings, key: session }),
            Some(Connected { err: 1, .. }) => {
                Err(SourceError::Password { peer: Reader::PEER, remedy: Reader::REMEDY })
            }
            Some(Connected { err: 2, .. }) => Err(SourceError::Full { peer: Reader::PEER }),
            Some(_) | None => Err(SourceError::Malformed { peer: Reader::PEER }),
        }
    }

    async fn look(&self, at_board: bool) -> Result<(State, Snapshot), SourceError> {
        let state: State = self.model("state").await?;
        let job: Job = self.model("job").await?;
        let heat: Heat = self.model("heat").await?;
        let electronics =
            if at_board { self.model("boards[0].mcuTemp.current").await? } else { None };
        let DuetSettings { material, filament, .. } = *self.settings;
        let loaded = Loaded { family: material, diameter: filament };
        let shown = wire::shown(&heat, &state, &job, electronics, loaded);
        Ok((state, shown))
    }

    async fn model<T: Default + for<'de> Deserialize<'de>>(
        &self,
        key: &str,
    ) -> Result<T, SourceError> {
        let mut url = self.settings.address.http("rr_model");
        url.query_pairs_mut().append_pair("key", key).append_pair("flags", "d99vn");
        let read = match self.http.get_in(url, self.key).await {
            Ok(body) => wire::model(&body),
            // The board restarted, or took so long that the session ended.
            Err(SourceError::Refused { .. }) => return Err(SourceError::Closed),
            Err(error) => return Err(error),
        };
        read.ok_or(SourceError::Malformed { peer: Reader::PEER })
    }

    /// Gives the session back; one that cannot be given back ends by itself after 8 s.
    async fn close(self) {
        let url = self.settings.address.http("rr_disconnect");
        if let Err(reason) = self.http.get_in(url, self.key).await {
            tracing::debug!(%reason, "a session was not given back");
        }
    }
}
