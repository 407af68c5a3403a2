//! A plan: how long a run lasts and how likely each fault is.

use std::time::Duration;

/// How likely each fault of the networks is, of 1,000 messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Messages that vanish.
    pub lost: u32,
    /// Messages that come twice.
    pub doubled: u32,
    /// Messages that come a minute late.
    pub late: u32,
    /// Answers of which one byte is another.
    pub forged: u32,
}

impl Faults {
    /// A network that does what it should.
    pub const NONE: Self = Self { lost: 0, doubled: 0, late: 0, forged: 0 };

    /// Any network, from good to useless.
    pub fn any(rng: &mut fastrand::Rng) -> Self {
        let mut up_to = |most: u32| if rng.bool() { 0 } else { rng.u32(0..=most) };
        Self { lost: up_to(300), doubled: up_to(300), late: up_to(100), forged: up_to(50) }
    }
}

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Agents, 1 ..= 3.
    pub agents: usize,
    /// Things that happen before the faults stop.
    pub steps: usize,
    /// Longest time between two of them.
    pub pause: Duration,
    /// A collector that answers before it is durable: its crashes lose the last hour. A run must fail.
    pub forgetful: bool,
    /// Whether the lines of the trace are kept.
    pub keep_trace: bool,
}

impl Default for Plan {
    /// Two agents, 60 things within the hour around midnight.
    fn default() -> Self {
        Self {
            agents: 2,
            steps: 60,
            pause: Duration::from_mins(4),
            forgetful: false,
            keep_trace: false,
        }
    }
}
