//! The faults of the last seven days, which a print tells as none, one or several.

use imprimatur_proto::telemetry::v1::FaultHistory;

use crate::reading::UnixSeconds;

/// How far back a print looks, seconds.
const LOOK_BACK: u64 = 7 * 86_400;

/// Faults that are kept: more than two are told alike.
const KEPT_MAX: usize = 4;

/// When faults came, and since when they are watched.
///
/// It holds nothing from before the grant: the agent makes a new one at the grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultLog {
    watched_since: Option<UnixSeconds>,
    /// Whether nothing from before counts at all, because consent began then.
    from_grant: bool,
    times: Vec<UnixSeconds>,
}

impl FaultLog {
    /// Starts at a grant: what was before does not count, so that the history is known at once.
    pub fn from_grant(at: UnixSeconds) -> Self {
        Self { watched_since: Some(at), from_grant: true, times: Vec::new() }
    }

    pub(super) fn watch(&mut self, at: UnixSeconds) {
        self.watched_since.get_or_insert(at);
    }

    /// The same faults on a clock that was moved.
    pub(super) fn move_by(&mut self, moved: impl Fn(UnixSeconds) -> UnixSeconds) {
        self.watched_since = self.watched_since.map(&moved);
        self.times.iter_mut().for_each(|time| *time = moved(*time));
    }

    pub(super) fn add(&mut self, at: UnixSeconds) {
        if self.times.len() >= KEPT_MAX {
            self.times.remove(0);
        }
        self.times.push(at);
    }

    /// Faults in the seven days before an instant.
    pub(super) fn before(&self, at: UnixSeconds) -> FaultHistory {
        let from = at.0.saturating_sub(LOOK_BACK);
        let count = self.times.iter().filter(|time| (from..=at.0).contains(&time.0)).count();
        let whole_week = self.watched_since.is_some_and(|since| since.0 <= from);
        match count {
            0 if whole_week || self.from_grant => FaultHistory::None,
            1 if whole_week || self.from_grant => FaultHistory::One,
            // Others may have come before they were watched.
            0 | 1 => FaultHistory::Unspecified,
            _ => FaultHistory::Several,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn a_week_that_was_not_watched_is_unknown_and_a_grant_makes_it_known() {
        let now = UnixSeconds(100 * DAY);
        let mut young = FaultLog::default();
        young.watch(UnixSeconds(99 * DAY));
        assert_eq!(young.before(now), FaultHistory::Unspecified);
        assert_eq!(FaultLog::from_grant(UnixSeconds(99 * DAY)).before(now), FaultHistory::None);
        let mut old = FaultLog::default();
        old.watch(UnixSeconds(90 * DAY));
        assert_eq!(old.before(now), FaultHistory::None);
        old.add(UnixSeconds(98 * DAY));
        assert_eq!(old.before(now), FaultHistory::One);
        old.add(UnixSeconds(99 * DAY));
        assert_eq!(old.before(now), FaultHistory::Several);
        assert_eq!(old.before(UnixSeconds(107 * DAY)), FaultHistory::None);
    }
}
