//! Where the facts of a sliced file come in: among the readings, as from any other source.

use tokio::sync::mpsc;

use super::Reply;
use crate::reading::{Reading, Said, Sliced};
use crate::sources::NowFn;

/// A place in the queue of readings, and the time.
#[derive(Clone)]
pub struct Intake {
    out: mpsc::Sender<Reading>,
    now: NowFn,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Intake")
    }
}

impl Intake {
    /// Hands on to `out` what comes in, stamped with `now`.
    pub fn new(out: mpsc::Sender<Reading>, now: NowFn) -> Self {
        Self { out, now }
    }

    /// Hands the facts on; waits while the queue is full.
    pub(super) async fn take(&self, facts: Sliced) -> Reply {
        let reading = Reading { at: (self.now)(), said: Said::SlicedFile(facts) };
        match self.out.send(reading).await {
            Ok(()) => Reply::Done {},
            Err(_closed) => Reply::Failed("the agent stops".to_owned()),
        }
    }
}
