//! A synthetic fleet as the collector would have published it: large enough that most groups may be told.
//!
//! Planted: firmware 4 of model 12 fails three times as often as firmware 3; PETG is run hotter than PLA; only
//! eight principals print TPU, so nothing is told of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use imprimatur_consent::{Category, Pseudonym};
use imprimatur_lake::{Catalogue, Lake, Row};
use imprimatur_proto::contract;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_runtime::{UnixSeconds, UtcDate};

/// A column and its index.
type Told = (&'static str, u32);

/// Principals, each with one printer.
const PRINCIPALS: u8 = 240;

/// 2026-11-22, 10:00 UTC.
pub(crate) const PUBLISHED: UnixSeconds = UnixSeconds(1_795_341_600);

const DATES: [&str; 14] = [
    "2026-10-02",
    "2026-10-06",
    "2026-10-10",
    "2026-10-14",
    "2026-10-18",
    "2026-10-22",
    "2026-10-26",
    "2026-11-02",
    "2026-11-05",
    "2026-11-08",
    "2026-11-11",
    "2026-11-14",
    "2026-11-17",
    "2026-11-20",
];

/// Writes the lake into `data`.
pub(crate) fn publish(data: &Path) {
    let folder = data.join("lake");
    fs::create_dir_all(&folder).unwrap();
    let mut catalogue = Catalogue::empty(PUBLISHED);
    catalogue.synthetic = true;
    let mut rows = Vec::new();
    for (round, text) in (0_u32..).zip(DATES) {
        let date: UtcDate = text.parse().unwrap();
        for number in 1..=PRINCIPALS {
            catalogue.enrolled.insert(pseudonym(2, number, date.month()));
            let commit = u64::try_from(rows.len()).unwrap();
            rows.push(row(RecordKind::Day, date, number, commit, &day(number)));
            rows.push(row(RecordKind::Print, date, number, commit + 1, &print(number, round)));
        }
    }
    catalogue.files = Lake::open(&folder).unwrap().write(&rows).unwrap();
    catalogue.store(&folder).unwrap();
}

/// A number below 100 that follows from all three: the mixing steps of `SplitMix64`.
fn chance(number: u8, round: u32, salt: u8) -> u32 {
    let seed = (u64::from(number) << 32) | (u64::from(round) << 8) | u64::from(salt);
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((mixed ^ (mixed >> 31)) % 100).unwrap()
}

fn is_model_12(number: u8) -> bool {
    number % 4 != 3
}

fn day(number: u8) -> Vec<Told> {
    let age = 1 + u32::from(number) % 6;
    let machine = if is_model_12(number) {
        [("machine_model", 12), ("machine_firmware", 3 + u32::from(number % 2))]
    } else {
        [("machine_model", 31), ("machine_firmware", 1)]
    };
    let nozzle = if number.is_multiple_of(5) { 3 } else { 2 };
    [&machine[..], &[("machine_nozzle", nozzle), ("machine_age", age)]].concat()
}

fn print(number: u8, round: u32) -> Vec<Told> {
    // PLA, PETG, ABS, TPU.
    let family = match (number, chance(number, round, 5)) {
        (1..=8, 0..50) => 5,
        (_, 0..20) => 3,
        (_, 20..55) => 2,
        _ => 1,
    };
    let warmer = u32::from(family == 2) * 3;
    let mut told = vec![
        ("material_family", family),
        ("temperature_nozzle_set_point", 5 + warmer + chance(number, round, 1) / 34),
        ("settings_layer_height", 2 + chance(number, round, 2) / 50),
        ("faults_recent", 1),
    ];
    let percent = if is_model_12(number) && number % 2 == 1 { 15 } else { 5 };
    match chance(number, round, 3) {
        luck if luck < percent => told.extend([("status_outcome", 3), ("status_stop_phase", 2)]),
        luck if luck > 92 => told.extend([("status_outcome", 2), ("status_stop_phase", 3)]),
        _ => told.extend([
            ("status_outcome", 1),
            ("print_time_completed_duration", 6 + chance(number, round, 4) / 20),
        ]),
    }
    told
}

fn row(kind: RecordKind, date: UtcDate, number: u8, commit: u64, values: &[Told]) -> Row {
    let mut sections: BTreeMap<Category, Section> = BTreeMap::new();
    for (column, index) in values {
        let field = contract().column(kind, column).unwrap();
        let category = contract().rule(field).category.unwrap();
        let section = sections.entry(category).or_insert(Section { category, values: Vec::new() });
        section.values.push((field, *index));
    }
    let epoch = date.month();
    Row {
        kind,
        date,
        epoch,
        commit,
        ordinal: 0,
        subject: pseudonym(1, number, epoch),
        principal: pseudonym(2, number, epoch),
        sections: sections.into_values().collect(),
    }
}

/// The pseudonym of subject (1) or principal (2) number `number` in a month.
fn pseudonym(what: u8, number: u8, epoch: u32) -> Pseudonym {
    let month = u8::try_from(epoch % 100).unwrap();
    Pseudonym([what, number, month, 0xab, 0xcd, 0xef, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
}
