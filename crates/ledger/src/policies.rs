//! Policies: archived with their texts, announced in the log before anybody can consent to them.

use imprimatur_consent::event::Public;
use imprimatur_consent::policy::PolicyError;
use imprimatur_consent::{Digest, Policy};
use imprimatur_runtime::UnixSeconds;

use crate::book::Book;
use crate::error::BookError;
use crate::tables::POLICIES;

/// A policy that cannot be published. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The document cannot be used.
    #[error("the policy cannot be used")]
    Policy(#[from] PolicyError),
    /// Its name and version are taken by another document: consent is to a version.
    #[error(
        "version {version} of policy `{name}` was published with another text; give the changed \
         policy a new version that says what it supersedes"
    )]
    Changed {
        /// Its name.
        name: String,
        /// Its version.
        version: u32,
    },
    /// It says that it supersedes a policy that was never published.
    #[error("policy `{name}` supersedes a policy that was never published; publish that one first")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// The book failed.
    #[error("the book failed")]
    Book(#[from] BookError),
}

impl Book {
    /// Archives a policy with its notices and announces it in the log. Publishing it again changes
    /// nothing.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn publish_policy(&self, text: &str, now: UnixSeconds) -> Result<Policy, PublishError> {
        let policy = Policy::read(text)?;
        let archived = self.policies()?;
        if archived.contains_key(&policy.hash) {
            return Ok(policy);
        }
        for known in archived.values().map(|text| Policy::read(text)) {
            let known = known?;
            if (&known.name, known.version) == (&policy.name, policy.version) {
                let (name, version) = (policy.name, policy.version);
                return Err(PublishError::Changed { name, version });
            }
        }
        let superseded = policy.change.as_ref().map(|change| change.supersedes);
        if superseded.is_some_and(|hash| !archived.contains_key(&hash)) {
            return Err(PublishError::Unknown { name: policy.name });
        }
        self.archive(&policy, text, now)?;
        self.load_terms()?;
        Ok(policy)
    }

    fn archive(&self, policy: &Policy, text: &str, now: UnixSeconds) -> Result<(), BookError> {
        let Digest(hash) = policy.hash;
        let txn = self.begin()?;
        txn.raw.open_table(POLICIES)?.insert(hash, text.as_bytes())?;
        let today = now.date();
        let change = policy.change.as_ref();
        txn.log_public(&Public::PolicyPublished {
            hash: policy.hash,
            name: policy.name.clone(),
            version: policy.version,
            announced: change.map_or(today, |change| change.announced),
            effective: change.map_or(today, |change| change.effective),
            notices: policy
                .notices
                .iter()
                .map(|(language, notice)| (language.clone(), notice.hash))
                .collect(),
        })?;
        txn.commit()
    }
}
