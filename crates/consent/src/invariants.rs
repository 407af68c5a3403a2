//! The invariants, numbered once: type, test, verifier and metric use the same number.

/// What the system keeps true.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Invariant {
    /// No permit, no row.
    #[serde(rename = "INV-1")]
    NoPermitNoRow = 1,
    /// Silence before yes.
    #[serde(rename = "INV-2")]
    SilenceBeforeYes = 2,
    /// A withdrawal binds at once.
    #[serde(rename = "INV-3")]
    WithdrawalBinds = 3,
    /// The spool is freed only by a verdict.
    #[serde(rename = "INV-4")]
    VerdictFreesSpool = 4,
    /// Each batch counts once.
    #[serde(rename = "INV-5")]
    CountsOnce = 5,
    /// Refusals are final, typed and empty.
    #[serde(rename = "INV-6")]
    RefusalsEmpty = 6,
    /// No geometry, under any flag.
    #[serde(rename = "INV-7")]
    NoGeometry = 7,
    /// No hardware identifier on any wire.
    #[serde(rename = "INV-8")]
    NoHardwareIdentifier = 8,
    /// Evidence before effect.
    #[serde(rename = "INV-9")]
    EvidenceFirst = 9,
    /// Erasure is complete and provable.
    #[serde(rename = "INV-10")]
    ErasureProvable = 10,
    /// Only groups leave the query service.
    #[serde(rename = "INV-11")]
    OnlyGroups = 11,
    /// Bounded everything.
    #[serde(rename = "INV-12")]
    Bounded = 12,
}

impl Invariant {
    /// The invariant as one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoPermitNoRow => {
                "every stored section was covered by a grant in force on its date and at its commit"
            }
            Self::SilenceBeforeYes => "before the first grant the agent opens no connection",
            Self::WithdrawalBinds => "after a withdrawal nothing is collected or committed",
            Self::VerdictFreesSpool => "the spool is freed only by a signed, durable verdict",
            Self::CountsOnce => "each batch is stored once",
            Self::RefusalsEmpty => "a refusal keeps a count and nothing else",
            Self::NoGeometry => "only bounded integers and closed enums are held",
            Self::NoHardwareIdentifier => "no hardware identifier is on any wire",
            Self::EvidenceFirst => "evidence is durable before its effect",
            Self::ErasureProvable => "what was erased is nowhere",
            Self::OnlyGroups => "only groups of principals are answered about",
            Self::Bounded => "every queue, batch and store is bounded",
        }
    }
}

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = match self {
            Self::NoPermitNoRow => 1,
            Self::SilenceBeforeYes => 2,
            Self::WithdrawalBinds => 3,
            Self::VerdictFreesSpool => 4,
            Self::CountsOnce => 5,
            Self::RefusalsEmpty => 6,
            Self::NoGeometry => 7,
            Self::NoHardwareIdentifier => 8,
            Self::EvidenceFirst => 9,
            Self::ErasureProvable => 10,
            Self::OnlyGroups => 11,
            Self::Bounded => 12,
        };
        f.pad(&format!("INV-{number}"))
    }
}
