//! Who counts and what is used no more: what the catalogue tells the query service, by pseudonym.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::{Category, Pseudonym, SubjectId};
use imprimatur_runtime::UtcDate;
use redb::ReadableTable as _;

use crate::error::BookError;
use crate::index::Coverage;
use crate::subject::Held;
use crate::tables::EPOCHS;
use crate::txn::Txn;

/// A category of a subject that no answer uses, by pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Withdrawn {
    /// The subject's pseudonym in one epoch.
    pub subject: Pseudonym,
    /// The category.
    pub category: Category,
    /// Commits up to this position are out; the largest number while it is not granted again, or
    /// while the subject is restricted or about to be erased.
    pub up_to: u64,
}

impl Txn {
    /// Pseudonyms of enrolled principals, and of what is used no more, for all epochs with data.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn population(
        &self,
        today: UtcDate,
    ) -> Result<(BTreeSet<Pseudonym>, BTreeSet<Withdrawn>), BookError> {
        let (mut enrolled, mut withdrawn) = (BTreeSet::new(), BTreeSet::new());
        for (slot, epochs) in self.all_epochs()? {
            let Some(held) = self.held(slot)? else { continue };
            let out = used_no_more(&held, today);
            for epoch in epochs {
                let pepper = self.pepper(epoch)?;
                // Who is about to be erased vouches for nothing any more; so the enrolment ends with the event.
                if held.enrolled && !is_erased(&held) {
                    enrolled.insert(pepper.principal(held.standing.principal));
                }
                let subject = pepper.subject(held.standing.subject());
                let of_epoch =
                    out.iter().map(|(&category, &up_to)| Withdrawn { subject, category, up_to });
                withdrawn.extend(of_epoch);
            }
        }
        Ok((enrolled, withdrawn))
    }

    /// How many enrolled principals agree to what today, as committed before this transaction: while it is
    /// open nobody writes, so it is the state at [`crate::Book::positions`].
    pub fn coverage(&self, today: UtcDate) -> Coverage {
        self.book.index().coverage(today)
    }

    pub(crate) fn all_epochs(&self) -> Result<BTreeMap<u64, Vec<u32>>, BookError> {
        let mut all: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for entry in self.raw.open_table(EPOCHS)?.iter()? {
            let (slot, epoch) = entry?.0.value();
            all.entry(slot).or_default().push(epoch);
        }
        Ok(all)
    }

    /// Subjects whose grants ended by time, with the categories: the clock records that.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn lapsed(&self, today: UtcDate) -> Result<Vec<(SubjectId, Vec<Category>)>, BookError> {
        let (terms, mut lapsed) = (self.terms(), Vec::new());
        let suspects = self.book.index().lapsing(today);
        for slot in suspects {
            let Some(held) = self.held(slot)? else { continue };
            let categories = held.standing.lapsed(&terms, today);
            if !categories.is_empty() {
                lapsed.push((held.standing.subject(), categories));
            }
        }
        Ok(lapsed)
    }

    /// Subjects that ended longer ago than evidence is kept: they are to be erased.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn outlived(&self, today: UtcDate) -> Result<Vec<SubjectId>, BookError> {
        let kept_days = self.terms().retention().evidence_months.saturating_mul(31);
        let (ended, mut outlived) = (self.book.index().ended(), Vec::new());
        for slot in ended {
            let Some(held) = self.held(slot)? else { continue };
            let over = held
                .standing
                .ended
                .as_ref()
                .is_some_and(|(_, on)| on.0.saturating_add(kept_days) < today.0);
            if over {
                outlived.push(held.standing.subject());
            }
        }
        Ok(outlived)
    }
}

fn is_erased(held: &Held) -> bool {
    matches!(held.standing.ended, Some((imprimatur_consent::standing::Ended::Erased, _)))
}

/// The categories of a subject that no answer uses, with the last position that is out.
fn used_no_more(held: &Held, today: UtcDate) -> BTreeMap<Category, u64> {
    if is_erased(held) || held.standing.restricted(today) {
        return Category::ALL.into_iter().map(|category| (category, u64::MAX)).collect();
    }
    let again = |category: &Category| held.standing.granted.contains_key(category);
    let up_to = |(category, position): (&Category, &u64)| {
        (*category, if again(category) { *position } else { u64::MAX })
    };
    held.withdrawn.iter().map(up_to).collect()
}
