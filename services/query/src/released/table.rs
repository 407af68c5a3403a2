//! From the groups that the engine counted to the exact sums that noise is added to.
//!
//! Only groups with all coordinates set are taken, and of a histogram beside them its bins; margins are
//! the same rows again. No gate is passed: the noise protects.

use imprimatur_proto::contract;
use imprimatur_release::{Sums, Table};

use super::ask::Checked;
use super::error::MakeError;
use crate::gate::Stat;
use crate::metric::Measure;
use crate::settle::{Groups, Place};

/// The sums of a question's groups.
pub(crate) fn table(checked: &Checked, found: &Groups) -> Result<Table, MakeError> {
    let width = checked.question.dimensions.len();
    let is_histogram = checked.question.metric.measure == Measure::Histogram;
    let mut table = Table::new();
    for (place, epochs) in found {
        let Some(group) = group(checked, place, width)? else { continue };
        let bin = place.get(width).copied().flatten();
        if place.len() > width && bin.is_none() || !is_histogram {
            for stat in epochs {
                let sums = table.entry((group, stat.epoch)).or_default();
                whole(sums, stat, is_histogram.then(|| bins(checked)))?;
            }
            continue;
        }
        let at = bin.and_then(|bin| usize::try_from(bin).ok()?.checked_sub(1));
        let at = at.ok_or(MakeError::Sums)?;
        for stat in epochs {
            let sums = table.entry((group, stat.epoch)).or_default();
            sums.bins.resize(bins(checked), 0);
            *sums.bins.get_mut(at).ok_or(MakeError::Sums)? = number(stat.rows.total)?;
        }
    }
    Ok(table)
}

/// The index of a place's group; `None` for a margin, and for a group that is not asked for.
fn group(checked: &Checked, place: &Place, width: usize) -> Result<Option<usize>, MakeError> {
    let own = place.get(..width).ok_or(MakeError::Sums)?;
    // Before the dimension that is grouped by stand those that follow from it.
    match own.last() {
        None => Ok(Some(0)),
        Some(None) => Ok(None),
        Some(Some(value)) => Ok(checked.values.iter().position(|one| one == value)),
    }
}

fn bins(checked: &Checked) -> usize {
    let domain = contract().rule(checked.question.metric.field_id).domain();
    usize::try_from(domain.saturating_sub(1)).unwrap_or(0)
}

fn whole(sums: &mut Sums, stat: &Stat, bins: Option<usize>) -> Result<(), MakeError> {
    sums.principals = stat.principals;
    sums.rows = number(stat.rows.total)?;
    sums.value_millionths = stat.value.total;
    if let Some(bins) = bins {
        sums.bins.resize(bins, 0);
    }
    Ok(())
}

fn number(exact: u128) -> Result<u64, MakeError> {
    u64::try_from(exact).map_err(|_too_many| MakeError::Sums)
}
