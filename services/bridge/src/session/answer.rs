//! What goes back to an agent, and the acknowledgement that frees its message's place: always both, in
//! this order, on one connection.

use std::time::Duration;

use imprimatur_proto::canonical;
use imprimatur_proto::ingest::v1::{Busy, SubmitResponse};
use tokio::time::Instant;

use super::{Asked, HINT_MIN, Progress, Session};
use crate::config::ANSWER_BYTES_MAX;
use crate::counters::Cell;
use crate::error::Lost;
use crate::link::{Broker, Called, Collector, Full};
use crate::topic::Kind;

/// The longest that the collector's own hint is passed on for, as agents clamp it.
const COLLECTOR_HINT_MAX: Duration = Duration::from_mins(10);

impl<B: Broker, C: Collector> Session<'_, B, C> {
    /// Publishes a verdict, or that there is none now, and acknowledges its batch.
    pub(super) fn verdict(&mut self, answer: SubmitResponse) -> Result<(), Lost> {
        let Some(asked) = self.batches.remove(&answer.request) else {
            self.counters.cells().answers_unmatched.up();
            return Ok(());
        };
        self.batch_pace.answered(asked.since.elapsed(), self.batches.len());
        if answer.verdict.is_empty() {
            let hint = Duration::from_millis(u64::from(answer.retry_after_ms));
            self.busy(&asked, hint, &self.counters.cells().busy_collector)?;
        } else {
            self.answer(&asked, answer.verdict)?;
            self.counters.cells().batches_answered.up();
        }
        self.prove();
        Ok(())
    }

    /// Publishes a receipt or an answer and acknowledges what it answers.
    pub(super) fn called(
        &mut self,
        asked: &Asked,
        called: Result<Called, Lost>,
    ) -> Result<(), Lost> {
        let of_requests = asked.kind == Kind::Request;
        let (pace, under_way) = if of_requests {
            (&mut self.request_pace, &mut self.requests)
        } else {
            (&mut self.consent_pace, &mut self.consents)
        };
        *under_way = under_way.saturating_sub(1);
        pace.answered(asked.since.elapsed(), *under_way);
        let cells = self.counters.cells();
        match called {
            Ok(Called::Answer(answer)) => {
                self.answer(asked, answer)?;
                if of_requests { &cells.requests_answered } else { &cells.consents_answered }.up();
            }
            Ok(Called::Busy(hint)) => self.busy(asked, hint, &cells.busy_collector)?,
            Ok(Called::Refused) => {
                cells.dropped_refused.up();
                self.acknowledge(asked.id)?;
            }
            Err(lost) => {
                cells.left_unanswered.up();
                return Err(lost);
            }
        }
        self.prove();
        Ok(())
    }

    /// The answer goes out before the acknowledgement, on one connection and in this order. Every
    /// broker takes it: one whose largest packet is below [`ANSWER_BYTES_MAX`] is refused at the start.
    fn answer(&mut self, asked: &Asked, payload: Vec<u8>) -> Result<(), Lost> {
        debug_assert!(payload.len() <= ANSWER_BYTES_MAX, "the client's decoding limit");
        self.publish(asked.subject.answer_topic(asked.kind), payload)?;
        self.acknowledge(asked.id)
    }

    /// Says "not now" and acknowledges: the agent has its data still, and comes again.
    pub(super) fn busy(
        &mut self,
        asked: &Asked,
        hint: Duration,
        counter: &Cell,
    ) -> Result<(), Lost> {
        let hint = hint.clamp(HINT_MIN, COLLECTOR_HINT_MAX);
        let retry_after_ms = u32::try_from(hint.as_millis()).unwrap_or(u32::MAX);
        let payload = canonical::encode(&Busy { retry_after_ms });
        self.publish(asked.subject.busy_topic(), payload)?;
        self.acknowledge(asked.id)?;
        counter.up();
        Ok(())
    }

    fn publish(&mut self, topic: String, payload: Vec<u8>) -> Result<(), Lost> {
        self.broker.publish(topic, payload).map_err(|Full| Lost::Window)?;
        self.untaken.push_back(Instant::now());
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, id: u16) -> Result<(), Lost> {
        self.broker.acknowledge(id).map_err(|Full| Lost::Window)
    }

    pub(super) fn prove(&mut self) {
        if !self.proved {
            self.proved = true;
            (self.told)(Progress::Proved);
        }
    }
}
