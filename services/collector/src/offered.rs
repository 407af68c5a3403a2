//! The policies to which consent is taken: the one that the collector was started with and those in
//! `DATA/policies`, each from the day on which it takes effect until another replaces it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use imprimatur_consent::{Digest, Policy};
use imprimatur_ledger::{Book, PublishError};
use imprimatur_runtime::{UnixSeconds, UtcDate, durable};

use crate::error::CollectorError;
use crate::region::Region;

/// The policies to which consent is taken.
#[derive(Debug)]
pub struct Offered {
    book: Book,
    folder: PathBuf,
    /// Where the collector stands; `None` while nobody serves.
    region: Option<Region>,
    hashes: RwLock<BTreeSet<Digest>>,
}

impl Offered {
    /// Archives and announces these texts and those of the folder; each after the one that it
    /// supersedes.
    ///
    /// # Errors
    /// [`CollectorError::Policy`] names the file; a collector that offers less than it was told to
    /// must not start.
    pub fn open(
        book: &Book,
        texts: &[String],
        folder: PathBuf,
        now: UnixSeconds,
    ) -> Result<Self, CollectorError> {
        let offered = Self { book: book.clone(), folder, region: None, hashes: RwLock::default() };
        let given = texts.iter().map(|text| (PathBuf::from("--policy"), text.clone()));
        let mut waiting: BTreeMap<PathBuf, String> = offered.published()?;
        let mut waiting: Vec<(PathBuf, String)> =
            given.chain(std::mem::take(&mut waiting)).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut later = Vec::new();
            for (path, text) in waiting {
                match book.publish_policy(&text, now) {
                    Ok(policy) => offered.add(policy.hash),
                    Err(error @ PublishError::Unknown { .. }) => later.push((path, text, error)),
                    Err(source) => return Err(refused(path, source)),
                }
            }
            if later.len() == before {
                return match later.into_iter().next() {
                    Some((path, _, source)) => Err(refused(path, source)),
                    None => Ok(offered),
                };
            }
            waiting = later.into_iter().map(|(path, text, _)| (path, text)).collect();
        }
        Ok(offered)
    }

    /// Says where the collector stands: every policy that it offers must promise this region.
    ///
    /// # Errors
    /// [`CollectorError::Region`]; it must not start.
    pub fn within(self, region: Region) -> Result<Self, CollectorError> {
        let terms = self.book.terms();
        for hash in self.hashes.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(policy) = terms.policy(*hash) {
                stands_within(&region, policy)?;
            }
        }
        Ok(Self { region: Some(region), ..self })
    }

    /// Whether a yes to this policy is taken today.
    pub fn takes(&self, hash: Digest, today: UtcDate) -> bool {
        let terms = self.book.terms();
        let named = self.hashes.read().unwrap_or_else(PoisonError::into_inner).contains(&hash);
        let begun =
            |policy: &Policy| policy.change.as_ref().is_none_or(|change| change.effective <= today);
        named && terms.offered(hash, today) && terms.policy(hash).is_some_and(begun)
    }

    /// Archives and announces a policy, and keeps its file for the next start. Publishing it again
    /// changes nothing.
    ///
    /// # Errors
    /// [`CollectorError::Policy`] when it cannot be used, [`CollectorError::Path`] when its file
    /// cannot be written.
    pub fn publish(&self, text: &str, now: UnixSeconds) -> Result<Policy, CollectorError> {
        if let (Some(region), Ok(policy)) = (&self.region, Policy::read(text)) {
            stands_within(region, &policy)?;
        }
        let published = self.book.publish_policy(text, now);
        let policy = published.map_err(|source| refused(PathBuf::from("the policy"), source))?;
        let path = self.folder.join(format!("{}-{}.toml", policy.name, policy.version));
        let failed = |source| CollectorError::Path { path: path.clone(), source };
        durable::private_folder(&self.folder).map_err(failed)?;
        durable::write(&path, text.as_bytes()).map_err(failed)?;
        self.add(policy.hash);
        Ok(policy)
    }

    fn add(&self, hash: Digest) {
        self.hashes.write().unwrap_or_else(PoisonError::into_inner).insert(hash);
    }

    /// The policy files of the folder.
    fn published(&self) -> Result<BTreeMap<PathBuf, String>, CollectorError> {
        let failed = |path: &Path, source| CollectorError::Path { path: path.to_owned(), source };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(BTreeMap::new());
            }
            Err(error) => return Err(failed(&self.folder, error)),
        };
        let mut texts = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(&self.folder, error))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
                texts.insert(path, text);
            }
        }
        Ok(texts)
    }
}

fn stands_within(region: &Region, policy: &Policy) -> Result<(), CollectorError> {
    if region.is_within(&policy.regions) {
        return Ok(());
    }
    let (promised, region) = (policy.regions.join(", "), region.clone());
    Err(CollectorError::Region { policy: policy.name.clone(), promised, region })
}
/// Why a policy is not offered: a book that failed is no fault of the policy's.
fn refused(path: PathBuf, source: PublishError) -> CollectorError {
    match source {
        PublishError::Book(error) => CollectorError::Book(error),
        source => CollectorError::Policy { path, source },
    }
}
