//! An industrial machine with OPC UA: the nodes that its owner mapped, read again and again.
//!
//! A machine's values have names of its maker's choice (OPC 40540 fixes none for laser power), so the owner
//! says which node plays which role; no other node is asked for. Values are read, by one question a look;
//! nothing is written, called, subscribed to or browsed.

mod frames;
mod identity;
pub mod nodes;
mod open;
mod session;
pub mod settings;
pub mod units;
mod values;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use imprimatur_proto::telemetry::v1::ReadingSource;
use opcua_client::transport::Transport;
use tokio::time::timeout;

use self::identity::Identity;
use self::open::Own;
use self::session::{ANSWER_MAX, PEER, Session};
use self::settings::{Access, OpcUaSettings, Secured};
use super::error::SourceError;
use super::link::{Link, Read};
use super::snapshot::Watch;

/// Time for opening a conversation, whatever is slow.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// By how much the machine's session outlives the longest rest between two looks.
const SILENCE_MORE: Duration = Duration::from_mins(1);

/// Reads one machine.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: OpcUaSettings,
    watch: Watch,
}

impl Read for Reader {
    fn address(&self) -> String {
        self.settings.url.clone()
    }

    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        // The library trusts lengths within a message that has one: what nonsense makes of them is caught.
        let reading = AssertUnwindSafe(Box::pin(self.converse(link))).catch_unwind();
        reading.await.unwrap_or(Err(SourceError::Malformed { peer: PEER }))
    }
}

impl Reader {
    pub(crate) fn new(settings: OpcUaSettings) -> Self {
        let watch = Watch::new(settings.material);
        Self { settings, watch }
    }

    async fn converse(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let own = match &self.settings.access {
            Access::Open => None,
            Access::Secured(secured) => Some(own(secured).await?),
        };
        let OpcUaSettings { url, access, poll, .. } = &self.settings;
        let silence = poll.saturating_mul(2) + SILENCE_MORE;
        let opening = open::open(url, access, own.as_ref(), silence);
        let slow = |_elapsed| SourceError::Slow { seconds: ANSWER_MAX.as_secs() };
        let mut session = timeout(OPEN_MAX, opening).await.map_err(slow)??;
        drop(own);
        let failed = self.look(&mut session, link).await;
        session.close().await;
        failed
    }

    /// Looks until something fails.
    async fn look<T: Transport>(
        &mut self,
        session: &mut Session<T>,
        link: &mut Link,
    ) -> Result<(), SourceError> {
        let mapping = &self.settings.mapping;
        let asked = session.resolve(mapping).await?;
        loop {
            let nodes = asked.iter().map(|one| one.node.clone()).collect();
            let shown = mapping.shown(&asked, &session.values(nodes).await?)?;
            link.connected(ReadingSource::OpcUa).await?;
            link.tell(self.watch.see(&shown)).await?;
            let rest = if self.watch.is_active() { 1 } else { 2 };
            session.rest(self.settings.poll.saturating_mul(rest)).await?;
        }
    }
}

/// The agent's certificate, key and login, as they are now.
async fn own(secured: &Secured) -> Result<Own, SourceError> {
    let folder = secured.identity.clone();
    // A key takes seconds to make.
    let identity = tokio::task::spawn_blocking(move || Identity::at(&folder)).await;
    let identity = identity.map_err(|_ended| SourceError::Closed)??;
    let login = match &secured.login {
        None => None,
        Some((user, password)) => Some((user.clone(), password.read().await?.expose().to_owned())),
    };
    Ok(Own { identity, login })
}
