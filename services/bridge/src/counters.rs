//! Counters: how much was carried, and why the rest was not; never whose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of one bridge, shared with whoever shows them.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Cells>);

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Default)]
        pub(crate) struct Cells {
            $(pub(crate) $name: Cell,)*
        }

        /// What the counters showed at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            pub(crate) fn cells(&self) -> &Cells {
                &self.0
            }

            /// What they show now.
            pub fn counts(&self) -> Counts {
                Counts { $($name: self.0.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Batches given to the collector.
    batches_forwarded,
    /// Verdicts published.
    batches_answered,
    /// Consent events given to the collector.
    consents_forwarded,
    /// Receipts published.
    consents_answered,
    /// Rights requests given to the collector.
    requests_forwarded,
    /// Answers to rights requests published.
    requests_answered,
    /// Messages dropped because their topic is not one that agents write to.
    dropped_topic,
    /// Messages dropped because they are larger than anything that agents send.
    dropped_oversize,
    /// Messages dropped because they were not sent at least once (`QoS` 1), so nothing bounds them.
    dropped_quality,
    /// Consent events and rights requests dropped because the collector refused them without an
    /// answer.
    dropped_refused,
    /// Messages answered busy because as many of their kind as may be were under way.
    busy_window,
    /// Messages answered busy because the collector said so of itself.
    busy_collector,
    /// Answers of the collector to nothing that was asked.
    answers_unmatched,
    /// Answers that the broker did not take.
    answers_refused,
    /// Messages that were under way when a side was lost; their agents send again.
    left_unanswered,
    /// Attempts to connect to the collector.
    collector_attempts,
    /// Attempts to connect to the broker.
    broker_attempts,
    /// Times that a side was lost after the bridge had been at work, or was not there at first.
    outages,
    /// Sessions in which both sides were connected and subscribed.
    sessions,
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn up(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    /// All messages that were dropped, whatever the reason.
    pub fn dropped(&self) -> u64 {
        self.dropped_topic + self.dropped_oversize + self.dropped_quality + self.dropped_refused
    }
}
