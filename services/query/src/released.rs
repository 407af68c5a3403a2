//! Releases: made from the lake by the operator, kept in a folder, and told only while nobody of their
//! population was excluded since.
//!
//! A release is computed like an answer, from the same rows of the same edition, and then handed to
//! `imprimatur-release` with the catalogue's marks of its categories. Whoever reads one compares these
//! with the catalogue of now first: no catalogue, nothing told. All of it blocks on a lock and on the disk,
//! so it runs on threads that may.

mod ask;
mod error;
mod render;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use imprimatur_consent::Digest;
use imprimatur_lake::Catalogue;
use imprimatur_release::{
    Budget, Limits, Listed, Marks, Population, Reason, Releases, Standing, Tombstone,
};
use imprimatur_runtime::UnixSeconds;

pub use ask::{ROWS_DEFAULT, ReleaseRequest};
pub use error::MakeError;
pub use render::readable;

use crate::engine::{Engine, blocking};

/// The releases of one collector's folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Released {
    lake: PathBuf,
    folder: PathBuf,
}

impl Released {
    /// Those of a lake, in a folder that the query service may write. Nothing is read or made yet.
    pub fn new(lake: &Path, folder: &Path) -> Self {
        Self { lake: lake.to_owned(), folder: folder.to_owned() }
    }

    /// Makes a release, or tells the one that there is of the same question over the same edition.
    ///
    /// # Errors
    /// [`MakeError`]; only what the disk or the noise did may have spent something.
    pub async fn make(
        &self,
        engine: &Engine,
        request: &ReleaseRequest,
        replaces: Option<Digest>,
        now: UnixSeconds,
    ) -> Result<Standing, MakeError> {
        let checked = request.check(engine.metrics(), now.date())?;
        let (found, state) = Box::pin(engine.groups(checked.question.clone())).await?;
        let catalogue = &state.catalogue;
        let limits = Limits::of(&catalogue.rules.limits())?;
        let epsilon = request.epsilon.unwrap_or(limits.release());
        let question = checked.released(&catalogue.rules, epsilon, catalogue.synthetic)?;
        let table = table::table(&checked, &found)?;
        let of = |category| (category, catalogue.excluded_at.get(&category).copied().unwrap_or(0));
        let excluded_at: Marks = checked.categories().into_iter().map(of).collect();
        let edition = state.edition.digest(catalogue.contract_hash);
        let population = Population { edition, excluded_at };
        self.blocking(move |here| {
            let releases = Releases::open(&here.folder, limits)?;
            let made = releases.release(&question, &population, &table, replaces, now)?;
            // Somebody may have been excluded while it was computed.
            here.show_now(&made.release.id, now)
        })
        .await
    }

    /// A release that stands.
    ///
    /// # Errors
    /// [`MakeError`]; `Withdrawn` also when it was withdrawn by looking at it.
    pub async fn show(&self, id: Digest, now: UnixSeconds) -> Result<Standing, MakeError> {
        self.blocking(move |here| here.show_now(&id, now)).await
    }

    /// All releases, the oldest first, with the tombstones of those that are told no more.
    ///
    /// # Errors
    /// [`MakeError`].
    pub async fn list(&self, now: UnixSeconds) -> Result<Vec<Listed>, MakeError> {
        self.blocking(move |here| {
            let (releases, marks) = here.open()?;
            Ok(releases.current(&marks, now)?.list()?)
        })
        .await
    }

    /// Withdraws a release at once and for good; the first reason stays.
    ///
    /// # Errors
    /// [`MakeError`].
    pub async fn withdraw(
        &self,
        id: Digest,
        reason: Reason,
        now: UnixSeconds,
    ) -> Result<Tombstone, MakeError> {
        self.blocking(move |here| {
            let (releases, marks) = here.open()?;
            releases.current(&marks, now)?;
            Ok(releases.withdraw(&id, reason, now)?)
        })
        .await
    }

    /// What was spent, and of what.
    ///
    /// # Errors
    /// [`MakeError`].
    pub async fn budget(&self, now: UnixSeconds) -> Result<Budget, MakeError> {
        self.blocking(move |here| Ok(here.open()?.0.budget(now)?)).await
    }

    fn show_now(&self, id: &Digest, now: UnixSeconds) -> Result<Standing, MakeError> {
        let (releases, marks) = self.open()?;
        Ok(releases.current(&marks, now)?.show(id)?)
    }

    /// The folder, and the marks of the catalogue as it is now.
    fn open(&self) -> Result<(Releases, Marks), MakeError> {
        let catalogue = Catalogue::load(&self.lake).map_err(MakeError::Catalogue)?;
        let limits = Limits::of(&catalogue.rules.limits())?;
        Ok((Releases::open(&self.folder, limits)?, catalogue.excluded_at))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, MakeError> + Send + 'static,
    ) -> Result<T, MakeError> {
        let here = self.clone();
        blocking(move || Ok(work(&here))).await?
    }
}
