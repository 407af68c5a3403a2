//! Signature checks: how many at once, and how many frames may wait for one.
//!
//! A check is work of one core and no waiting (one lookup in memory, one Ed25519 verification), so it
//! runs where the frame is read: handing it to another thread bounds nothing. What is bounded is how
//! many run at once: all cores but one, so that a flood of frames that nobody signed leaves a core
//! to the writer, to consent and to health.

use std::num::NonZero;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Frames that may wait for their check; a megabyte of frames.
const WAITING: usize = 512;

/// Turns at checking signatures.
#[derive(Debug)]
pub struct Checks {
    room: Semaphore,
    turns: Semaphore,
}

/// One turn; given back when it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    _room: SemaphorePermit<'a>,
    _turn: SemaphorePermit<'a>,
}

impl Default for Checks {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::of(WAITING, cores.saturating_sub(1).max(1))
    }
}

impl Checks {
    /// So many may wait, and so many have their turn at once.
    pub fn of(waiting: usize, turns: usize) -> Self {
        Self { room: Semaphore::new(waiting), turns: Semaphore::new(turns) }
    }

    /// Waits for a turn; `None` when too many wait.
    pub async fn turn(&self) -> Option<Turn<'_>> {
        let room = self.room.try_acquire().ok()?;
        let turn = self.turns.acquire().await.ok()?;
        Some(Turn { _room: room, _turn: turn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_room_is_bounded_and_turns_come_back() {
        let checks = Checks::of(2, 1);
        let first = checks.turn().await.unwrap();
        let mut waiting = Box::pin(checks.turn());
        assert!(futures::poll!(&mut waiting).is_pending(), "one at once");
        assert!(checks.turn().await.is_none(), "no room");
        drop(first);
        assert!(waiting.await.is_some());
        assert!(checks.turn().await.is_some());
    }
}
