//! The ten states of a consent by ISO/IEC TS 27560:2023, of which two permit.

/// Where the consent to one category stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is known: never asked, as far as is known here.
    Unknown,
    /// Asked, not answered. Held on the device only.
    Requested,
    /// Put off. Held on the device only.
    Deferred,
    /// No. Before the first grant held on the device only.
    Refused,
    /// Yes.
    Given,
    /// Yes, again.
    Renewed,
    /// Taken back by the owner.
    Withdrawn,
    /// Past its validity, or overtaken by a policy that asks for more.
    Expired,
    /// Ended because the printer changed hands or was reset.
    Terminated,
    /// Found not to be valid, for example given on other hardware.
    Invalidated,
}

impl State {
    /// All states.
    pub const ALL: [Self; 10] = [
        Self::Unknown,
        Self::Requested,
        Self::Deferred,
        Self::Refused,
        Self::Given,
        Self::Renewed,
        Self::Withdrawn,
        Self::Expired,
        Self::Terminated,
        Self::Invalidated,
    ];

    /// Whether data may be collected in this state.
    pub fn permits(self) -> bool {
        match self {
            Self::Given | Self::Renewed => true,
            Self::Unknown
            | Self::Requested
            | Self::Deferred
            | Self::Refused
            | Self::Withdrawn
            | Self::Expired
            | Self::Terminated
            | Self::Invalidated => false,
        }
    }

    /// The name in exports and pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Requested => "requested",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
            Self::Given => "given",
            Self::Renewed => "renewed",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Terminated => "terminated",
            Self::Invalidated => "invalidated",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_ten_states_permit() {
        let permitting: Vec<_> = State::ALL.into_iter().filter(|state| state.permits()).collect();
        assert_eq!(permitting, [State::Given, State::Renewed]);
    }
}
