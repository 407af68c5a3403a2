//! The farm's list: a yes that the owner of many printers signed once, applied where it names this
//! one.
//!
//! Only the signed list can say yes, and only once: what is withdrawn here afterwards stays withdrawn.
//! A list that is gone, changed, over, or of another policy grants nothing, and what it granted is
//! withdrawn. A printer that was handed over heeds no list that was applied before.

use std::path::PathBuf;

use imprimatur_consent::mandate::{Mandate, NotAMandate};
use imprimatur_consent::{Category, Digest, PrincipalId, VerifyingKey};

use super::consent::sorted;
use super::{Agent, AgentError, Core, Granted};

/// Where the list is, whose it must be, and what this printer is called in it.
#[derive(Clone, Debug)]
pub struct Farm {
    /// The file.
    pub mandate: PathBuf,
    /// The key of the farm's owner.
    pub key: VerifyingKey,
    /// The local name of this printer.
    pub printer: String,
}

/// What a signed list says for this printer.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) hash: Digest,
    pub(super) principal: PrincipalId,
    pub(super) language: String,
}

/// What a list granted here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Applied {
    /// SHA-256 of the list.
    hash: Digest,
    /// What it granted.
    categories: Vec<Category>,
    /// Whether it is in force.
    live: bool,
}

impl Applied {
    /// After a handover: the list has no say here any more.
    pub(super) fn spent(self) -> Self {
        Self { categories: Vec::new(), live: true, ..self }
    }
}

/// Why a list grants nothing.
#[derive(Debug, thiserror::Error)]
enum Unheeded {
    #[error("the farm's list cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error(transparent)]
    NotAMandate(#[from] NotAMandate),
    #[error("the farm's list does not name this printer, or not today")]
    NotNamed,
    #[error("the farm's list was signed for another policy")]
    OtherPolicy,
    #[error("somebody else has granted on this printer: withdraw all before the list can")]
    OtherPrincipal,
}

impl Agent {
    /// Looks at the farm's list and does what it says: grants once, or withdraws what it granted.
    /// Without `[farm]` in the settings, what a list granted before is withdrawn.
    ///
    /// # Errors
    /// [`AgentError`]; a list that grants nothing is logged, not an error.
    pub fn heed_mandate(&self) -> Result<(), AgentError> {
        let ended = self.with(Core::heed)?;
        if !ended.is_empty() {
            self.withdraw(Some(&ended))?;
            self.with(Core::mandate_ended)?;
        }
        Ok(())
    }
}

impl Core {
    /// Grants what the list grants; gives what is to be withdrawn because it does not any more.
    fn heed(&mut self) -> Result<Vec<Category>, AgentError> {
        let applied = self.state.mandate.clone();
        let listed = self.listed();
        let by_date = matches!(listed, Some(Ok(_) | Err(Unheeded::NotNamed)));
        if by_date && self.may_date().is_err() {
            // What it says today is known when today is.
            return Ok(Vec::new());
        }
        let (signed, granted) = match listed {
            Some(Ok(listed)) => listed,
            None => return Ok(self.to_end(applied)),
            Some(Err(why)) => {
                if applied.as_ref().is_none_or(|applied| applied.live) && !self.told.unheeded {
                    self.told.unheeded = true;
                    tracing::warn!(why = %crate::told::chain(&why), "the farm's list grants nothing");
                }
                return Ok(self.to_end(applied));
            }
        };
        self.told.unheeded = false;
        let same = applied.as_ref().filter(|applied| applied.hash == signed.hash);
        let wanted = match same {
            Some(applied) if applied.live => return Ok(Vec::new()),
            // It was away: what was withdrawn before stays so.
            Some(applied) => sorted(&granted, |category| applied.categories.contains(&category)),
            None => granted,
        };
        let categories = match self.grant(&wanted, None, Some(&signed))? {
            Granted::New { categories, .. } => categories,
            Granted::Already => Vec::new(),
        };
        // What the list before granted and this one does not.
        let before = applied.map(|applied| applied.categories).unwrap_or_default();
        let ended = sorted(&before, |category| !wanted.contains(&category));
        let kept = sorted(&before, |category| wanted.contains(&category));
        let categories = sorted(&Category::ALL, |c| categories.contains(&c) || kept.contains(&c));
        let mut draft = self.draft();
        draft.state.mandate = Some(Applied { hash: signed.hash, categories, live: true });
        self.commit(draft)?;
        Ok(sorted(&ended, |category| self.state.flags.granted(category)))
    }

    /// What the list says for this printer today; `None` without a list.
    fn listed(&self) -> Option<Result<(Signed, Vec<Category>), Unheeded>> {
        let farm = self.settings.farm.as_ref()?;
        Some(self.read(farm))
    }

    fn read(&self, farm: &Farm) -> Result<(Signed, Vec<Category>), Unheeded> {
        let bytes = std::fs::read(&farm.mandate).map_err(Unheeded::Unreadable)?;
        let list = Mandate::open(&bytes, farm.key)?;
        let granted = list.grants(&farm.printer, self.clock.today());
        if granted.is_empty() {
            return Err(Unheeded::NotNamed);
        }
        if list.policy != self.settings.policy.hash {
            return Err(Unheeded::OtherPolicy);
        }
        let held = self.state.identity.as_ref();
        if held.is_some_and(|held| held.principal != list.principal) {
            return Err(Unheeded::OtherPrincipal);
        }
        let may = |category: Category| {
            let denied = self.settings.deny.contains(&category);
            granted.contains(&category) && self.settings.policy.offers(category) && !denied
        };
        let (hash, principal) = (list.hash(), list.principal);
        let signed = Signed { hash, principal, language: list.notice_language };
        Ok((signed, sorted(&Category::ALL, may)))
    }

    fn to_end(&self, applied: Option<Applied>) -> Vec<Category> {
        let live = applied.filter(|applied| applied.live);
        let categories = live.map(|applied| applied.categories).unwrap_or_default();
        sorted(&categories, |category| self.state.flags.granted(category))
    }

    fn mandate_ended(&mut self) -> Result<(), AgentError> {
        if matches!(self.listed(), Some(Ok(_))) {
            return Ok(());
        }
        let mut draft = self.draft();
        if let Some(applied) = &mut draft.state.mandate {
            applied.live = false;
        }
        self.commit(draft)
    }
}
