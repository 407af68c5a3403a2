//! The state in which frames go out: a window of them, each with a deadline of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use imprimatur_runtime::entropy::jitter;
use tokio::time::Instant;

use super::wire::{Answer, Dial, Topic, Wire as _};
use super::{Left, Said, State, Uplink};
use crate::core::{Errand, Heard, OfferedFrame};

/// A frame that waits for its verdict.
struct Flight {
    sequence: u64,
    sent: Instant,
    due: Instant,
}

impl<D: Dial> Uplink<D> {
    pub(super) async fn sending(&mut self, errand: Errand, mut link: D::Wire) -> State<D::Wire> {
        let mut flights: Vec<Flight> = Vec::new();
        // How often a verdict was late, of those that were.
        let mut late: BTreeMap<u64, u32> = BTreeMap::new();
        let (mut said, mut heard) = (Said::Nothing, None);
        loop {
            let held: Vec<u64> = flights.iter().map(|flight| flight.sequence).collect();
            let room = self.settings.window.saturating_sub(held.len());
            let queue = |frame: &OfferedFrame| link.publish(Topic::Batch, &frame.bytes);
            let queued = match self.agent.offer_frames(&errand, &held, room, queue) {
                Ok(queued) => queued,
                Err(error) => return self.store_failed(&error),
            };
            let sent = Instant::now();
            flights.extend(queued.into_iter().map(|sequence| {
                let due = sent + self.patience(late.get(&sequence).copied().unwrap_or(0));
                Flight { sequence, sent, due }
            }));
            let Some(first) = flights.iter().map(|flight| flight.due).min() else {
                return self.turn(errand, link, said).await;
            };
            match self.hear(&mut link, first).await {
                Ok(Answer::Verdict(bytes)) => match self.agent.on_verdict(&bytes) {
                    Err(error) => return self.store_failed(&error),
                    Ok(Heard::Stored(number) | Heard::Refused(number, _)) => {
                        flights.retain(|flight| flight.sequence != number);
                        late.remove(&number);
                        (said, heard) = (Said::Something, Some(Instant::now()));
                        self.answered();
                    }
                    Ok(_) => {}
                },
                Ok(other) => {
                    if let Err(error) = self.take(&other) {
                        return self.store_failed(&error);
                    }
                }
                Err(Left::News) => {}
                Err(Left::Late) => {
                    let now = Instant::now();
                    // Others were answered since: these alone were lost, and are sent again.
                    let answers = |flight: &Flight| heard.is_some_and(|heard| heard >= flight.sent);
                    let due = |flight: &Flight| flight.due <= now;
                    if flights.iter().any(|flight| due(flight) && !answers(flight)) {
                        return self.leave(Left::Late, link).await;
                    }
                    for flight in flights.extract_if(.., |flight| due(flight)) {
                        *late.entry(flight.sequence).or_default() += 1;
                    }
                }
                Err(left) => return self.leave(left, link).await,
            }
        }
    }

    /// How long to wait for a verdict that was late so often: the time for an answer, doubled each
    /// time up to the longest wait, and up to half of it more.
    fn patience(&self, late: u32) -> Duration {
        let whole = self.settings.answer_within;
        if late == 0 {
            return whole;
        }
        let last = self.settings.wait_last.max(whole);
        let wait = whole.saturating_mul(2_u32.saturating_pow(late)).min(last);
        wait + wait.saturating_sub(jitter(wait))
    }
}
