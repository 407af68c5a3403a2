//! What the catalogue tells readers to obey: the limits of the policies, and since when somebody's rows of a
//! category are used no more. Both are computed anew.
//!
//! What erased subjects said does not open any more, and a restore moves all marks, so a mark may be later
//! than what can be counted. It is never earlier, and never beyond the position that the catalogue knows.

use std::collections::BTreeMap;
use std::path::Path;

use imprimatur_consent::Category;
use imprimatur_lake::{Catalogue, Rules};

use crate::ledger::Ledger;
use crate::report::Check;

/// The catalogue's own place in reports.
const PLACE: &str = "lake/catalogue.json";

/// Compares with what events and policies add up to.
pub(crate) fn check(
    catalogue: &Catalogue,
    ledger: &Ledger<'_>,
    counted: &BTreeMap<Category, u64>,
    permits: &mut Check,
) {
    let rules = Rules::of(ledger.terms.policies());
    let problem = "tells other limits than the policies have";
    permits.expect(catalogue.rules == rules, PLACE, problem);
    for category in Category::ALL {
        let told = catalogue.excluded_at.get(&category).copied();
        let counted = counted.get(&category).copied().unwrap_or(0);
        let fits = told.is_some_and(|told| (counted..=catalogue.position).contains(&told));
        let place = format!("{PLACE}, mark of `{category}`");
        permits.expect(
            fits,
            &place,
            "is not that of the events: releases would outlive an exclusion",
        );
    }
}

/// No release stands that a mark has outlived, and each is its own and paid for.
pub(crate) fn releases(data: &Path, catalogue: &Catalogue, permits: &mut Check) {
    let folder = data.join("query").join("released");
    for one in imprimatur_release::audit(&folder, &catalogue.excluded_at) {
        let place = format!("query/released/{}", one.file);
        match one.problem {
            Some(problem) => permits.found(&place, problem),
            None => permits.passed(1),
        }
    }
}
