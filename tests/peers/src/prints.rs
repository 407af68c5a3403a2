//! Prints that can be told apart: an id as the values of one print, and back from a row of the lake.
//!
//! A row names neither its batch nor its device, so what it says must be its name. Five values of the
//! contract give 52,800 prints, each unlike all others.

use imprimatur_lake::Row;
use imprimatur_proto::contract;
use imprimatur_proto::telemetry::v1::{PrintReport, PrintTemperature, PrintTime};

/// Columns of the five values, how many each can take, and its lowest.
const DIGITS: [(&str, u32, u32); 5] = [
    ("print_time_completed_duration", 20, 1),
    ("temperature_nozzle_set_point", 15, 1),
    ("temperature_bed_set_point", 11, 1),
    ("temperature_nozzle_excursion", 4, 0),
    ("temperature_bed_excursion", 4, 0),
];

/// Ids are below this.
pub(crate) const IDS: u64 = 20 * 15 * 11 * 4 * 4;

/// The values of an id below [`IDS`], in the order of [`DIGITS`].
fn digits(id: u64) -> [u32; 5] {
    let mut rest = id;
    DIGITS.map(|(_, states, lowest)| {
        let digit = u32::try_from(rest % u64::from(states)).unwrap_or_default();
        rest /= u64::from(states);
        digit + lowest
    })
}

/// The print that an id stands for, on a date.
pub(crate) fn print(id: u64, start_date: u32) -> PrintReport {
    let [completed_duration, nozzle_set_point, bed_set_point, nozzle, bed] = digits(id);
    let excursion = |value| i32::try_from(value).unwrap_or_default();
    PrintReport {
        start_date,
        print_time: Some(PrintTime { completed_duration, ..Default::default() }),
        temperature: Some(PrintTemperature {
            nozzle_set_point,
            bed_set_point,
            nozzle_excursion: excursion(nozzle),
            bed_excursion: excursion(bed),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The id whose print a row tells, and all that the row says, as text.
pub(crate) fn read(row: &Row) -> (u64, String) {
    let mut values: Vec<(String, u32)> = row
        .sections
        .iter()
        .flat_map(|section| &section.values)
        .map(|&(field, value)| (contract().rule(field).column.clone(), value))
        .collect();
    values.sort_unstable();
    let value =
        |name: &str| values.iter().find(|(column, _)| column == name).map_or(0, |one| one.1);
    let id = DIGITS.iter().rev().fold(0, |id, &(column, states, lowest)| {
        id * u64::from(states) + u64::from(value(column).saturating_sub(lowest))
    });
    (id, text(row.date.0, &values))
}

/// All that the row of an id must say, as text.
pub(crate) fn expected(id: u64, date: u32) -> String {
    let known = DIGITS.iter().zip(digits(id)).filter(|(_, value)| *value > 0);
    let mut values: Vec<_> = known.map(|(&(name, ..), value)| (name.to_owned(), value)).collect();
    values.sort_unstable();
    text(date, &values)
}

fn text(date: u32, values: &[(String, u32)]) -> String {
    format!("{date} {values:?}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_id_has_a_print_of_its_own_within_the_contract() {
        let all: BTreeSet<_> = (0..IDS).map(digits).collect();
        assert_eq!(u64::try_from(all.len()).unwrap(), IDS);
        for digits in all {
            for (digit, (column, states, lowest)) in digits.into_iter().zip(DIGITS) {
                assert!((lowest..lowest + states).contains(&digit), "{column}");
            }
        }
    }
}
