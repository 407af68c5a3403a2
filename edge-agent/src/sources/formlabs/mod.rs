//! Formlabs: one printer through the interface of `PreFormServer`, which the owner runs beside it, or,
//! for owners who chose it, through the maker's cloud ([`dashboard`]).
//!
//! Of `PreFormServer` only `GET /devices/ID/` is ever sent, without a key; scenes, which are the models, logins and the
//! search for printers are never asked for.

pub mod dashboard;
pub mod settings;
pub mod wire;

use std::time::Duration;

use imprimatur_proto::telemetry::v1::ReadingSource;

use self::settings::PreFormSettings;
use self::wire::Device;
use super::error::SourceError;
use super::http::Http;
use super::polled::Polled;
use super::settings::Address;
use super::snapshot::Watch;
use crate::reading::Said;

/// Reads one printer.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: PreFormSettings,
    watch: Watch,
}

impl Polled for Reader {
    const PEER: &'static str = "PreFormServer";
    const REMEDY: &'static str =
        "give the address of PreFormServer itself, without a gate before it";
    const SOURCE: ReadingSource = ReadingSource::Formlabs;

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
        let url = self.settings.address.http(&self.settings.device.path());
        let body = http.look(url).await?;
        let malformed = SourceError::Malformed { peer: Self::PEER };
        let device = body.as_deref().and_then(Device::parse).ok_or(malformed)?;
        if !device.is_connected() {
            // The printer goes on by itself: what is known of its print stays.
            return Err(SourceError::NotReady { peer: Self::PEER });
        }
        Ok(self.watch.see(&device.snapshot()))
    }
}

impl Reader {
    pub(crate) fn new(settings: PreFormSettings) -> Self {
        let watch = Watch::new(settings.material);
        Self { settings, watch }
    }
}
