//! How much may be told: epsilon in whole millionths, and the limits that a policy sets.
//!
//! No limit is wider than its ceiling here, whatever was asked for: 0.1 for one release, 1 for one
//! principal in 30 days, 12 in a year.

use std::fmt;
use std::num::NonZeroU32;

use imprimatur_consent::policy::QueryDefaults;

/// Privacy loss in millionths of epsilon, so that adding it is exact.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct MicroEpsilon(pub u64);

impl MicroEpsilon {
    /// The least that one release may cost, 0.001: less is noise and nothing else, and the budget's
    /// file could grow without end.
    pub const LEAST: Self = Self(1_000);

    /// The most that one release may cost, 0.1: ceiling of the packs' `query.epsilon_release_milli`.
    pub const RELEASE: Self = Self(100_000);

    /// The most in 30 days, 1: ceiling of `query.epsilon_month_milli`.
    pub const MONTH: Self = Self(1_000_000);

    /// The most in a year, 12: ceiling of `query.epsilon_year_milli`.
    pub const YEAR: Self = Self(12_000_000);

    /// Of so many thousandths.
    pub fn from_milli(milli: u32) -> Self {
        Self(u64::from(milli) * 1_000)
    }

    /// Both, as basic composition adds them.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for MicroEpsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Limits that protect less than they must. Report and exit with 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {got}, expected {least} to {most}")]
pub struct LimitsError {
    /// The policy's key.
    pub key: &'static str,
    /// What was given, in principals or millionths of epsilon.
    pub got: u64,
    /// The least that is accepted.
    pub least: u64,
    /// The most that is accepted.
    pub most: u64,
}

/// Fewest principals in a group that leaves the operator's team.
///
/// Source: Chrome's k-anonymity server takes 50; every pack that is shipped says so.
pub const K_RELEASED: u32 = 50;

/// What releases are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    k: NonZeroU32,
    release: MicroEpsilon,
    month: MicroEpsilon,
    year: MicroEpsilon,
}

impl Limits {
    /// Limits from settings: principals in a group, epsilon for one release, in 30 days, in a year.
    ///
    /// # Errors
    /// [`LimitsError`] when one is beyond its ceiling, or below the one before it.
    pub fn new(
        k: u32,
        release: MicroEpsilon,
        month: MicroEpsilon,
        year: MicroEpsilon,
    ) -> Result<Self, LimitsError> {
        let within = |key, got: u64, least: u64, most: u64| {
            let fits = (least..=most).contains(&got);
            if fits { Ok(()) } else { Err(LimitsError { key, got, least, most }) }
        };
        let most_k = 1_000_000;
        within("k_released", u64::from(k), u64::from(K_RELEASED), most_k)?;
        let least = MicroEpsilon::LEAST.0;
        within("epsilon_release_milli", release.0, least, MicroEpsilon::RELEASE.0)?;
        within("epsilon_month_milli", month.0, release.0, MicroEpsilon::MONTH.0)?;
        within("epsilon_year_milli", year.0, month.0, MicroEpsilon::YEAR.0)?;
        Ok(Self { k: NonZeroU32::new(k).unwrap_or(NonZeroU32::MAX), release, month, year })
    }

    /// The limits of a policy; a `k_released` below [`K_RELEASED`] is taken as that.
    ///
    /// # Errors
    /// [`LimitsError`], for a policy that no pack's check would let pass.
    pub fn of(policy: &QueryDefaults) -> Result<Self, LimitsError> {
        Self::new(
            policy.k_released.max(K_RELEASED),
            MicroEpsilon::from_milli(policy.epsilon_release_milli),
            MicroEpsilon::from_milli(policy.epsilon_month_milli),
            MicroEpsilon::from_milli(policy.epsilon_year_milli),
        )
    }

    /// The stricter of each, where principals of several policies are in one lake.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            k: self.k.max(other.k),
            release: self.release.min(other.release),
            month: self.month.min(other.month),
            year: self.year.min(other.year),
        }
    }

    /// Principals in a group, at least.
    pub fn k(self) -> NonZeroU32 {
        self.k
    }

    /// The most for one release.
    pub fn release(self) -> MicroEpsilon {
        self.release
    }

    /// The most for one principal in any 30 days.
    pub fn month(self) -> MicroEpsilon {
        self.month
    }

    /// The most for one principal in any 365 days.
    pub fn year(self) -> MicroEpsilon {
        self.year
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKS: [&str; 7] = [
        include_str!("../../../policies/formlabs-dashboard-2018.toml"),
        include_str!("../../../policies/formlabs-install-2018.toml"),
        include_str!("../../../policies/pixeljet-2018.toml"),
        include_str!("../../../policies/stratasys-2018.toml"),
        include_str!("../../../policies/strictest.toml"),
        include_str!("../../../policies/ultimaker-account-2019.toml"),
        include_str!("../../../policies/ultimaker-cura-2020.toml"),
    ];

    #[test]
    fn every_pack_that_is_shipped_gives_limits() {
        for text in PACKS {
            let policy = imprimatur_consent::policy::check(text).unwrap();
            let limits = Limits::of(&policy.query).unwrap();
            assert_eq!(limits.k().get(), 50);
            assert_eq!(
                (limits.release(), limits.month(), limits.year()),
                (MicroEpsilon::RELEASE, MicroEpsilon::MONTH, MicroEpsilon::YEAR)
            );
        }
    }

    #[track_caller]
    fn refused(k: u32, release: u64, month: u64, year: u64, expected: &str) {
        let limits = Limits::new(k, MicroEpsilon(release), MicroEpsilon(month), MicroEpsilon(year));
        assert_eq!(limits.unwrap_err().to_string(), expected);
    }

    #[test]
    fn limits_that_protect_less_are_refused_by_name() {
        refused(49, 1_000, 1_000, 1_000, "`k_released` is 49, expected 50 to 1000000");
        let text = "`epsilon_release_milli` is 100001, expected 1000 to 100000";
        refused(50, 100_001, 1_000_000, 1_000_000, text);
        let text = "`epsilon_month_milli` is 1000001, expected 50000 to 1000000";
        refused(50, 50_000, 1_000_001, 2_000_000, text);
        let text = "`epsilon_year_milli` is 59999, expected 60000 to 12000000";
        refused(50, 50_000, 60_000, 59_999, text);
    }

    #[test]
    fn of_two_policies_the_stricter_holds() {
        let limits = |k, r, m, y| {
            let [r, m, y] = [r, m, y].map(MicroEpsilon);
            Limits::new(k, r, m, y).unwrap()
        };
        let both =
            limits(50, 100_000, 200_000, 9_000_000).and(limits(70, 50_000, 1_000_000, 2_000_000));
        assert_eq!(both, limits(70, 50_000, 200_000, 2_000_000));
    }

    #[test]
    fn epsilon_is_written_as_people_write_it() {
        for (micro, text) in [(100_000, "0.1"), (12_000_000, "12"), (33_333, "0.033333"), (0, "0")]
        {
            assert_eq!(MicroEpsilon(micro).to_string(), text);
        }
    }
}
