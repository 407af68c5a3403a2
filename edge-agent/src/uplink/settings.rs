//! Where the broker is, and how the uplink behaves.

use std::time::Duration;

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// How the uplink behaves.
#[derive(Clone, Debug)]
pub struct UplinkSettings {
    /// Where the broker is.
    pub broker: Broker,
    /// How long an answer may take before what it answers is sent again.
    pub answer_within: Duration,
    /// How long a connection without an errand stays.
    pub idle: Duration,
    /// Frames that may wait for their verdicts at once.
    pub window: usize,
    /// First wait after a failure; doubled at each.
    pub wait_first: Duration,
    /// Longest wait after a failure.
    pub wait_last: Duration,
}

impl UplinkSettings {
    /// The settings of an agent in the field: 10 s for an answer (a collector that is there takes
    /// milliseconds, and says so when it is busy), 3 s idle, 8 frames, waits from
    /// 1 s to 5 minutes.
    pub fn new(broker: Broker) -> Self {
        Self {
            broker,
            answer_within: Duration::from_secs(10),
            idle: Duration::from_secs(3),
            window: 8,
            wait_first: Duration::from_secs(1),
            wait_last: Duration::from_mins(5),
        }
    }
}
