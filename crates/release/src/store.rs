//! The folder of releases: each is paid for, written once, told again as it is, or withdrawn.
//!
//! ```text
//! lock                            held while anything is decided
//! budget.jsonl                    see `budget`
//! releases/ID.json                a release, as it was first told
//! releases/ID.made.json           the marks of its categories when it was made; never told
//! releases/ID.withdrawn.json      that it is told no more, since when and why
//! ```
//!
//! Whoever shares the folder shares the budget: every decision is made under an exclusive lock of the
//! file `lock` and from what is on the disk, never from memory. The order is: is it there already,
//! does it fit, the line in the budget and its fsync, the noise, the marks and their fsync, the release and
//! its fsync. A crash between them leaves something spent and nothing told.
//!
//! A mark is the position, in the ledger's one order, of the newest event by which somebody's rows of a
//! category stopped being used. Who reads a release brings the marks of now, and what was made at an older
//! one is withdrawn before anything is told.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use imprimatur_consent::Digest;
use imprimatur_runtime::{UnixSeconds, durable};

use crate::budget::{Account, Budget, DamagedLine, On};
use crate::error::ReleaseError;
use crate::limits::{Limits, MicroEpsilon};
use crate::marks::{Made, Marks, Population};
use crate::question::{Question, Table};
use crate::release::{Listed, Reason, Release, Standing, Tombstone};
use crate::settle::Plan;

/// Ending of a release.
pub(crate) const RELEASE: &str = ".json";

/// Ending of a tombstone.
pub(crate) const TOMBSTONE: &str = ".withdrawn.json";

/// Ending of the marks that a release was made at.
pub(crate) const MADE: &str = ".made.json";

/// Releases of which each whose population changed is withdrawn: the only way to read any.
#[derive(Debug)]
pub struct Current<'a>(&'a Releases);

/// The folder, and what releases are held to.
#[derive(Clone, Debug)]
pub struct Releases {
    folder: PathBuf,
    limits: Limits,
}

impl Releases {
    /// Opens the folder, creates it if need be, and removes what a crash left half written.
    ///
    /// # Errors
    /// [`ReleaseError::File`].
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, ReleaseError> {
        let releases = Self { folder: folder.to_owned(), limits };
        let inner = releases.inner();
        durable::private_folder(&inner).map_err(at(&inner))?;
        let _lock = releases.lock()?;
        for left in durable::remove_unfinished(&inner, false).map_err(at(&inner))? {
            tracing::warn!(path = %left.path.display(), bytes = left.bytes, "removed what was half written");
        }
        Ok(releases)
    }

    /// What releases are held to.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The release of this question over this edition, if there is one. It costs nothing.
    ///
    /// # Errors
    /// [`ReleaseError::Withdrawn`], or the disk's.
    pub(crate) fn find(
        &self,
        question: &Question,
        edition: &Digest,
    ) -> Result<Option<Standing>, ReleaseError> {
        match self.show(&question.id(edition)) {
            Ok(standing) => Ok(Some(standing)),
            Err(ReleaseError::Unknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Releases the answer to a question over an edition, or tells the one that there is.
    ///
    /// `replaces` names a withdrawn release of the same question over another edition. Blocks while
    /// another process decides, and writes to the disk.
    ///
    /// # Errors
    /// [`ReleaseError`]; of these only `Noise` and `File` may have spent something.
    pub fn release(
        &self,
        question: &Question,
        population: &Population,
        table: &Table,
        replaces: Option<Digest>,
        now: UnixSeconds,
    ) -> Result<Standing, ReleaseError> {
        question.check()?;
        let edition = &population.edition;
        let _lock = self.lock()?;
        self.withdraw_outlived(&population.excluded_at, now)?;
        if let Some(standing) = self.find(question, edition)? {
            return Ok(standing);
        }
        if question.epsilon > self.limits.release() {
            let most = self.limits.release();
            return Err(ReleaseError::TooMuch { wanted: question.epsilon, most });
        }
        let exact = question.exact(table)?;
        if let Some(id) = replaces {
            self.replaceable(&id, question)?;
        }
        let id = question.id(edition);
        self.spend(id, question.epsilon, now)?;
        let plan = Plan::of(question);
        let settled = plan.settle(question, self.limits.k(), &plan.draw(&exact)?);
        let release = Release {
            id,
            question: question.clone(),
            edition: *edition,
            released: now.date(),
            replaces,
            groups: settled.groups,
            withheld_groups: settled.withheld,
            privacy: plan.privacy(question, self.limits.k()),
        };
        let made = Made { release: id, excluded_at: population.excluded_at.clone() };
        written(&self.file(&id, MADE), &made)?;
        let bytes = written(&self.file(&id, RELEASE), &release)?;
        Ok(Standing { release, bytes })
    }

    /// Withdraws every release that was made before one of the marks of now moved, and lets the others be
    /// read.
    ///
    /// # Errors
    /// [`ReleaseError::NotARelease`], or the disk's: then nothing may be told.
    pub fn current(
        &self,
        now_marks: &Marks,
        now: UnixSeconds,
    ) -> Result<Current<'_>, ReleaseError> {
        let _lock = self.lock()?;
        self.withdraw_outlived(now_marks, now)?;
        Ok(Current(self))
    }

    /// The lock is held.
    fn withdraw_outlived(&self, marks: &Marks, now: UnixSeconds) -> Result<(), ReleaseError> {
        for id in self.ids()? {
            if self.tombstone(&id)?.is_none() && self.made(&id)?.is_outlived(marks) {
                let reason = Reason::Excluded;
                let tombstone = Tombstone { release: id, withdrawn: now.date(), reason };
                written(&self.file(&id, TOMBSTONE), &tombstone)?;
            }
        }
        Ok(())
    }

    fn made(&self, id: &Digest) -> Result<Made, ReleaseError> {
        let path = self.file(id, MADE);
        let read = read_if_there(&path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let own = read.filter(|made: &Made| made.release == *id);
        own.ok_or(ReleaseError::NotARelease { path })
    }

    /// A release, as it was first told.
    ///
    /// # Errors
    /// [`ReleaseError::Unknown`], [`ReleaseError::Withdrawn`], [`ReleaseError::NotARelease`], or the
    /// disk's.
    pub(crate) fn show(&self, id: &Digest) -> Result<Standing, ReleaseError> {
        if let Some(Tombstone { withdrawn, reason, .. }) = self.tombstone(id)? {
            return Err(ReleaseError::Withdrawn { id: *id, withdrawn, reason });
        }
        self.read(id)
    }

    /// All releases, the oldest first.
    ///
    /// # Errors
    /// Those of [`Self::show`] but [`ReleaseError::Withdrawn`].
    pub(crate) fn list(&self) -> Result<Vec<Listed>, ReleaseError> {
        let mut all = Vec::new();
        for id in self.ids()? {
            let release = self.read(&id)?.release;
            all.push(Listed {
                id,
                metric: release.question.metric,
                released: release.released,
                epsilon_micro: release.privacy.epsilon_micro,
                withdrawn: self.tombstone(&id)?,
            });
        }
        all.sort_by_key(|one| (one.released, one.id));
        Ok(all)
    }

    /// Withdraws a release at once and for good; the first reason stays.
    ///
    /// # Errors
    /// [`ReleaseError::Unknown`], or the disk's.
    pub fn withdraw(
        &self,
        id: &Digest,
        reason: Reason,
        now: UnixSeconds,
    ) -> Result<Tombstone, ReleaseError> {
        let _lock = self.lock()?;
        if let Some(tombstone) = self.tombstone(id)? {
            return Ok(tombstone);
        }
        if !self.ids()?.contains(id) {
            return Err(ReleaseError::Unknown { id: *id });
        }
        let tombstone = Tombstone { release: *id, withdrawn: now.date(), reason };
        written(&self.file(id, TOMBSTONE), &tombstone)?;
        Ok(tombstone)
    }

    /// What was spent, and of what.
    ///
    /// # Errors
    /// [`ReleaseError::Damaged`], [`ReleaseError::CutShort`], or the disk's.
    pub fn budget(&self, now: UnixSeconds) -> Result<Budget, ReleaseError> {
        let _lock = self.lock()?;
        Ok(self.account()?.budget(self.limits, now))
    }

    /// Whether a release of `wanted` fits now. Another may come between.
    ///
    /// # Errors
    /// [`ReleaseError::Spent`], or those of [`Self::budget`].
    pub fn fits(&self, wanted: MicroEpsilon, now: UnixSeconds) -> Result<(), ReleaseError> {
        let _lock = self.lock()?;
        Ok(self.account()?.fits(self.limits, now, wanted)?)
    }

    /// Writes the line that pays for a release. The lock is held.
    fn spend(
        &self,
        id: Digest,
        wanted: MicroEpsilon,
        now: UnixSeconds,
    ) -> Result<(), ReleaseError> {
        let mut account = self.account()?;
        while let Some(bytes) = account.mend(now) {
            tracing::warn!("the budget ends with half a line, which counts as spent");
            self.append(&bytes)?;
            account = self.account()?;
        }
        account.fits(self.limits, now, wanted)?;
        self.append(&account.next(now, wanted, On::Release(id)))
    }

    /// The account on the disk, which knows every release that there is.
    fn account(&self) -> Result<Account, ReleaseError> {
        let path = self.budget_file();
        let bytes = read_if_there(&path)?.unwrap_or_default();
        let account = Account::read(&bytes)
            .map_err(|DamagedLine(line)| ReleaseError::Damaged { path: path.clone(), line })?;
        let paid = |id: &Digest| account.lines.iter().any(|line| line.on == On::Release(*id));
        match self.ids()?.into_iter().find(|id| !paid(id)) {
            Some(id) => Err(ReleaseError::CutShort { path, id }),
            None => Ok(account),
        }
    }

    fn append(&self, bytes: &[u8]) -> Result<(), ReleaseError> {
        let path = self.budget_file();
        let mut options = OpenOptions::new();
        let opened = options.append(true).create(true).mode(0o600).open(&path);
        let written = opened.and_then(|mut file| file.write_all(bytes).map(|()| file));
        let synced = written.and_then(|file| durable::confirmed(file.sync_all()));
        synced.and_then(|()| durable::sync_folder(&self.folder)).map_err(at(&path))
    }

    fn replaceable(&self, id: &Digest, question: &Question) -> Result<(), ReleaseError> {
        let withdrawn = self.tombstone(id)?.is_some();
        if withdrawn && self.read(id)?.release.question == *question {
            Ok(())
        } else {
            Err(ReleaseError::NotReplaceable { id: *id })
        }
    }

    fn read(&self, id: &Digest) -> Result<Standing, ReleaseError> {
        let path = self.file(id, RELEASE);
        let bytes = read_if_there(&path)?.ok_or(ReleaseError::Unknown { id: *id })?;
        let release: Option<Release> = serde_json::from_slice(&bytes).ok();
        // The name is a digest of what was asked, so a file of another question is seen.
        let own = release.filter(|one| one.id == *id && one.question.id(&one.edition) == *id);
        let release = own.ok_or(ReleaseError::NotARelease { path })?;
        Ok(Standing { release, bytes })
    }

    fn tombstone(&self, id: &Digest) -> Result<Option<Tombstone>, ReleaseError> {
        let path = self.file(id, TOMBSTONE);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        let read = serde_json::from_slice(&bytes).ok();
        let own = read.filter(|one: &Tombstone| one.release == *id);
        own.map(Some).ok_or(ReleaseError::NotARelease { path })
    }

    /// Names of all releases, by the names of their files.
    fn ids(&self) -> Result<Vec<Digest>, ReleaseError> {
        let inner = self.inner();
        let mut ids = Vec::new();
        for entry in fs::read_dir(&inner).map_err(at(&inner))? {
            let name = entry.map_err(at(&inner))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(RELEASE));
            ids.extend(id.and_then(|id| id.parse::<Digest>().ok()));
        }
        Ok(ids)
    }

    fn lock(&self) -> Result<File, ReleaseError> {
        let path = self.folder.join("lock");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let locked = file.and_then(|file| file.lock().map(|()| file));
        locked.map_err(at(&path))
    }

    fn inner(&self) -> PathBuf {
        self.folder.join("releases")
    }

    fn budget_file(&self) -> PathBuf {
        self.folder.join("budget.jsonl")
    }

    fn file(&self, id: &Digest, ending: &str) -> PathBuf {
        self.inner().join(format!("{id}{ending}"))
    }
}

impl Current<'_> {
    /// A release, as it was first told.
    ///
    /// # Errors
    /// [`ReleaseError::Unknown`], [`ReleaseError::Withdrawn`], [`ReleaseError::NotARelease`], or the disk's.
    pub fn show(&self, id: &Digest) -> Result<Standing, ReleaseError> {
        self.0.show(id)
    }

    /// All releases, the oldest first.
    ///
    /// # Errors
    /// Those of [`Self::show`] but [`ReleaseError::Withdrawn`].
    pub fn list(&self) -> Result<Vec<Listed>, ReleaseError> {
        self.0.list()
    }
}

/// Writes a file in place of what a crash may have left.
fn written(path: &Path, what: &impl serde::Serialize) -> Result<Vec<u8>, ReleaseError> {
    let text = serde_json::to_vec_pretty(what).map_err(io::Error::from);
    let mut bytes = text.map_err(at(path))?;
    bytes.push(b'\n');
    durable::write(path, &bytes).map_err(at(path))?;
    Ok(bytes)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, ReleaseError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(at(path)),
    }
}

/// Names the file of an error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> ReleaseError {
    let path = path.to_owned();
    |source| ReleaseError::File { path, source }
}

#[cfg(test)]
mod tests;
