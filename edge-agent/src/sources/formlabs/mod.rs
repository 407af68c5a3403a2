//! Formlabs: one printer through the interface of `PreFormServer`, which the owner runs beside it.
//!
//! Only `GET /devices/ID/` is ever sent, without a key; scenes, which are the models, logins and the
//! search for printers are never asked for.

pub mod settings;
pub mod wire;

use futures::future::BoxFuture;
use imprimatur_proto::telemetry::v1::ReadingSource;

use self::wire::Device;
use super::error::SourceError;
use super::http::Http;
use super::settings::FormlabsSettings;
use super::snapshot::Watch;
use super::{Link, Read, rest};
use crate::reading::Said;

/// Name in messages.
const PEER: &str = "PreFormServer";

/// What to do when reading is refused, which `PreFormServer` does not do.
const REMEDY: &str = "give the address of PreFormServer itself, without a gate before it";

/// Reads one printer.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: FormlabsSettings,
    watch: Watch,
}

impl Read for Reader {
    fn address(&self) -> String {
        self.settings.address.to_string()
    }

    fn serve<'a>(&'a mut self, link: &'a mut Link) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(self.read(link))
    }
}

impl Reader {
    pub(crate) fn new(settings: FormlabsSettings) -> Self {
        let watch = Watch::new(settings.material);
        Self { settings, watch }
    }

    /// Reads until something fails.
    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let http = Http::new(PEER, REMEDY)?;
        loop {
            let said = self.poll(&http).await?;
            link.connected(ReadingSource::Formlabs).await?;
            link.tell(said).await?;
            rest(self.settings.poll, &self.watch).await;
        }
    }

    async fn poll(&mut self, http: &Http) -> Result<Vec<Said>, SourceError> {
        let url = self.settings.address.http(&self.settings.device.path());
        let body = http.look(url, None).await?;
        let malformed = SourceError::Malformed { peer: PEER };
        let device = body.as_deref().and_then(Device::parse).ok_or(malformed)?;
        if !device.is_connected() {
            // The printer goes on by itself: what is known of its print stays.
            return Err(SourceError::NotReady { peer: PEER });
        }
        Ok(self.watch.see(&device.snapshot()))
    }
}
