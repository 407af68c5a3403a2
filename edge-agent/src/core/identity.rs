//! Who the agent is to a collector: the key of a grant, and what is left of it after its end.

use std::collections::BTreeSet;
use std::fmt;

use imprimatur_consent::{Category, Digest, PrincipalId, SigningSeed, SubjectId};
use imprimatur_runtime::UtcDate;
use imprimatur_runtime::entropy::{self, NoEntropy};

use super::fingerprint::Fingerprint;
use super::principal::Holder;

/// 32 bytes that are never shown.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(Digest);

impl Secret {
    pub(super) fn of(key: &SigningSeed) -> Self {
        Self(Digest(key.seed()))
    }

    pub(super) fn key(&self) -> SigningSeed {
        SigningSeed::from_seed(self.bytes())
    }

    fn draw() -> Result<Self, NoEntropy> {
        Ok(Self(Digest(entropy::bytes()?)))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What was drawn at the first grant.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Identity {
    seed: Secret,
    pub(super) principal: PrincipalId,
    /// Key of the identity tag; never leaves the device, in no form but the tag.
    pub(super) tag_key: Secret,
    /// Public key of the recovery code that was shown; the code itself is never kept.
    pub(super) recovery: Option<Digest>,
    /// Under which it holds the principal that it may share.
    pub(super) holder: Holder,
    /// The hardware that the grant was given on.
    pub(super) hardware: Fingerprint,
    /// Policy of the last event that the collector recorded, under which it takes batches; before
    /// any, that of the first grant.
    pub(super) policy: Digest,
    /// Number of the next consent event.
    pub(super) next_event: u64,
    /// Number of the next batch.
    pub(super) next_batch: u64,
    /// Drops of the full spool that no header has told yet.
    #[serde(default)]
    pub(super) untold: u64,
    /// Whether the wire has seen this subject: if not, a full withdrawal leaves nothing to say.
    pub(super) offered: bool,
    /// Whether a receipt of a grant is held: no batch is offered before.
    pub(super) receipted: bool,
    /// Date on which the first grant ends, by the newest receipt.
    pub(super) valid_until: Option<UtcDate>,
    /// Granted categories that the collector calls expired.
    pub(super) lapsed: BTreeSet<Category>,
    /// Whether the owner restricted: nothing is kept or offered until the release is answered.
    pub(super) restricted: bool,
    /// Date on which the collector said that it keeps nothing while a hold lasts.
    pub(super) held: Option<UtcDate>,
    /// Date on which the collector said that it does not take this contract.
    pub(super) contract_refused: Option<UtcDate>,
}

impl Identity {
    pub(super) fn draw(
        policy: Digest,
        principal: PrincipalId,
        holder: Holder,
    ) -> Result<Self, NoEntropy> {
        Ok(Self {
            seed: Secret::draw()?,
            principal,
            tag_key: Secret::draw()?,
            recovery: None,
            holder,
            hardware: Fingerprint::default(),
            policy,
            next_event: 1,
            next_batch: 1,
            untold: 0,
            offered: false,
            receipted: false,
            valid_until: None,
            lapsed: BTreeSet::new(),
            restricted: false,
            held: None,
            contract_refused: None,
        })
    }

    pub(super) fn key(&self) -> SigningSeed {
        self.seed.key()
    }

    pub(super) fn subject(&self) -> SubjectId {
        self.key().subject()
    }

    /// Whether a granted category needs a new yes before the collector takes it.
    pub(super) fn lapsed(&self, category: Category, today: UtcDate) -> bool {
        let over = self.valid_until.is_some_and(|until| until < today);
        over || self.lapsed.contains(&category)
    }
}

/// What signs consent events; all that is left of a key after a full withdrawal or a transfer. It
/// signs no batch.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Retired {
    seed: Secret,
    pub(super) principal: PrincipalId,
    pub(super) policy: Digest,
    pub(super) next_event: u64,
    /// Public key of the recovery code, as long as no grant was recorded.
    pub(super) recovery: Option<Digest>,
    /// Whether it signs rights requests. After a transfer it does not: the device may be another's.
    pub(super) rights: bool,
}

impl Retired {
    pub(super) fn of(identity: &Identity) -> Self {
        let &Identity { seed, principal, policy, next_event, recovery, receipted, .. } = identity;
        let recovery = recovery.filter(|_| !receipted);
        Self { seed, principal, policy, next_event, recovery, rights: true }
    }

    pub(super) fn subject(&self) -> SubjectId {
        self.key().subject()
    }

    pub(super) fn key(&self) -> SigningSeed {
        self.seed.key()
    }
}
