//! Peers that answer and send nothing by themselves: one loop that looks at them again and again.

use std::time::Duration;

use imprimatur_proto::telemetry::v1::ReadingSource;

use super::error::SourceError;
use super::http::Http;
use super::link::{Link, Read};
use super::settings::{Address, KeySource};
use super::snapshot::Watch;
use crate::reading::Said;

/// A peer that is looked at over HTTP.
pub(crate) trait Polled: Send {
    /// Name in messages.
    const PEER: &'static str;

    /// What the owner does when reading is refused.
    const REMEDY: &'static str;

    /// What is told of where readings come from.
    const SOURCE: ReadingSource;

    /// Where it is.
    fn address(&self) -> &Address;

    /// The key that each question carries; none by default.
    fn key(&self) -> Option<&KeySource> {
        None
    }

    /// Rest between two looks while a print runs; it is twice that while none does.
    fn poll(&self) -> Duration;

    /// What was seen so far.
    fn watch(&self) -> &Watch;

    /// Looks once and gives what is new.
    fn look(&mut self, http: &Http) -> impl Future<Output = Result<Vec<Said>, SourceError>> + Send;
}

impl<P: Polled> Read for P {
    fn address(&self) -> String {
        Polled::address(self).to_string()
    }

    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let key = match self.key() {
            Some(source) => Some(source.read().await?),
            None => None,
        };
        let http = Http::new(P::PEER, P::REMEDY, key)?;
        loop {
            let said = self.look(&http).await?;
            link.connected(P::SOURCE).await?;
            link.tell(said).await?;
            let rest = if self.watch().is_active() { 1 } else { 2 };
            tokio::time::sleep(self.poll().saturating_mul(rest)).await;
        }
    }
}
