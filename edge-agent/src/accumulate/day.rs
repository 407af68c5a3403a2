//! One UTC day of one printer, as it runs and when it is over.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_proto::telemetry::v1::{FaultFamily, InfillClass, NozzleClass, ReadingSource};
use imprimatur_runtime::UtcDate;

use super::heater::HeatUp;
use super::print::FinishedPrint;
use crate::catalogue::model_by_number;
use crate::reading::{Heaters, Sliced, UnixSeconds};

/// Seconds of a day.
const DAY_SECONDS: f64 = 86_400.0;

/// A day that is over: exact values, in memory only, never stored and never sent as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FinishedDay {
    /// The UTC date.
    pub date: UtcDate,
    /// What gave the readings; more than one is `Mixed`.
    pub source: Option<ReadingSource>,
    /// Share of the day in which a source answered, 0 to 1.
    pub observed: f64,
    /// Time spent printing, pauses left out.
    pub busy_seconds: f64,
    /// Prints whose start was seen.
    pub prints_started: u32,
    /// Prints that ended and were not reported, because ten others of their date were.
    pub prints_not_reported: u32,
    /// Time that the light source was on; `None` when no light source is read.
    pub laser_seconds: Option<f64>,
    /// Nozzle heat-up, seconds per 100 degrees Celsius.
    pub nozzle_heat_up: Option<f64>,
    /// Bed heat-up, seconds per 100 degrees Celsius.
    pub bed_heat_up: Option<f64>,
    /// Highest electronics temperature, degrees Celsius.
    pub electronics: Option<f64>,
    /// Pauses by a person.
    pub pauses_by_user: u32,
    /// Pauses because material ran out.
    pub pauses_by_run_out: u32,
    /// Faults by family, the commonest first.
    pub faults: Vec<(FaultFamily, u32)>,
    /// Restarts of the controller.
    pub restarts: u32,
    /// Infill of most prints; of most files sliced when no print told.
    pub infill: Option<InfillClass>,
    /// Nozzle of all prints, or `Mixed`; of all files sliced when no print told.
    pub nozzle: Option<NozzleClass>,
    /// Model that all files were sliced for: catalogue number; `None` when they differ.
    pub model: Option<u32>,
    /// Files sliced, where a slicer or its output folder tells.
    pub slices: u32,
    /// Slicer of most files: catalogue number.
    pub slicer: Option<u32>,
    /// Share of files with supports, 0 to 1.
    pub supports: Option<f64>,
    /// Material of stopped prints, grams or millilitres; `None` when one of them is unknown.
    pub waste: Option<f64>,
}

/// A day that runs.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenDay {
    date: UtcDate,
    source: Option<ReadingSource>,
    observed_seconds: f64,
    pub(super) busy_seconds: f64,
    pub(super) prints_started: u32,
    pub(super) prints_not_reported: u32,
    laser_seconds: Option<f64>,
    nozzle_heat_up: HeatUp,
    bed_heat_up: HeatUp,
    electronics: Option<f64>,
    pub(super) pauses_by_user: u32,
    pub(super) pauses_by_run_out: u32,
    faults: BTreeMap<FaultFamily, u32>,
    pub(super) restarts: u32,
    printed: Settings,
    files: Settings,
    models: BTreeSet<u32>,
    slices: u32,
    slicers: BTreeMap<u32, u32>,
    supports_told: u32,
    supports_used: u32,
    stopped: u32,
    waste: Option<f64>,
}

impl OpenDay {
    pub(super) fn new(date: UtcDate) -> Self {
        Self { date, ..Self::default() }
    }

    /// The day after, with what goes on over midnight.
    pub(super) fn next(&self, date: UtcDate, online: bool) -> Self {
        Self {
            date,
            source: self.source.filter(|_| online),
            laser_seconds: self.laser_seconds.filter(|_| online).map(|_| 0.0),
            nozzle_heat_up: self.nozzle_heat_up.next_day(),
            bed_heat_up: self.bed_heat_up.next_day(),
            ..Self::default()
        }
    }

    pub(super) fn date(&self) -> UtcDate {
        self.date
    }

    pub(super) fn is_empty(&self) -> bool {
        let nothing_came = self.observed_seconds == 0.0
            && self.faults.is_empty()
            && self.slices == 0
            && self.restarts == 0;
        nothing_came && self.prints_started == 0 && self.prints_not_reported == 0
    }

    pub(super) fn online(&mut self, source: ReadingSource) {
        self.source = match self.source {
            None => Some(source),
            Some(known) if known == source => Some(known),
            Some(_) => Some(ReadingSource::Mixed),
        };
    }

    pub(super) fn offline(&mut self) {
        self.nozzle_heat_up.interrupt();
        self.bed_heat_up.interrupt();
    }

    /// Adds time that was observed.
    pub(super) fn pass(&mut self, seconds: f64, busy: bool, laser: f64) {
        self.observed_seconds += seconds;
        if busy {
            self.busy_seconds += seconds;
        }
        if laser > 0.0 {
            *self.laser_seconds.get_or_insert(0.0) += seconds;
        }
    }

    pub(super) fn read(&mut self, heaters: &Heaters, at: UnixSeconds) {
        if let Some(nozzle) = heaters.nozzle {
            self.nozzle_heat_up.read(nozzle, at);
        }
        if let Some(bed) = heaters.bed {
            self.bed_heat_up.read(bed, at);
        }
        if let Some(celsius) = heaters.electronics.filter(|celsius| celsius.is_finite()) {
            self.electronics = Some(self.electronics.map_or(celsius, |old| old.max(celsius)));
        }
    }

    pub(super) fn light(&mut self) {
        self.laser_seconds.get_or_insert(0.0);
    }

    pub(super) fn fault(&mut self, family: FaultFamily) {
        if family != FaultFamily::Unspecified {
            let count = self.faults.entry(family).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Facts of a file that is printed.
    pub(super) fn printed(&mut self, sliced: &Sliced) {
        self.printed.take(sliced);
        self.slicer(sliced);
    }

    /// Facts of a file that a slicer wrote.
    pub(super) fn sliced(&mut self, sliced: &Sliced) {
        self.slices = self.slices.saturating_add(1);
        self.files.take(sliced);
        // The catalogue has 255 numbers, which bounds the set.
        self.models.extend(sliced.model.filter(|number| model_by_number(*number).is_some()));
        if let Some(supports) = sliced.supports {
            self.supports_told += 1;
            self.supports_used += u32::from(supports);
        }
        self.slicer(sliced);
    }

    fn slicer(&mut self, sliced: &Sliced) {
        // The catalogue has 31 numbers, which bounds the map.
        if let Some(number) = sliced.slicer.filter(|number| (1..=31).contains(number)) {
            *self.slicers.entry(number).or_default() += 1;
        }
    }

    /// A print whose end was stopped.
    pub(super) fn stopped(&mut self, print: &FinishedPrint) {
        let so_far = if self.stopped == 0 { Some(0.0) } else { self.waste };
        self.stopped = self.stopped.saturating_add(1);
        self.waste = so_far.zip(print.amount).map(|(sum, amount)| sum + amount);
    }

    pub(super) fn finish(&self) -> FinishedDay {
        let mut faults: Vec<_> = self.faults.iter().map(|(family, n)| (*family, *n)).collect();
        faults.sort_by_key(|(family, count)| (std::cmp::Reverse(*count), *family));
        let model = self.models.first().copied().filter(|_| self.models.len() == 1);
        FinishedDay {
            date: self.date,
            source: self.source,
            observed: (self.observed_seconds / DAY_SECONDS).clamp(0.0, 1.0),
            busy_seconds: self.busy_seconds,
            prints_started: self.prints_started,
            prints_not_reported: self.prints_not_reported,
            laser_seconds: self.laser_seconds,
            nozzle_heat_up: self.nozzle_heat_up.seconds_per_hundred(),
            bed_heat_up: self.bed_heat_up.seconds_per_hundred(),
            electronics: self.electronics,
            pauses_by_user: self.pauses_by_user,
            pauses_by_run_out: self.pauses_by_run_out,
            faults,
            restarts: self.restarts,
            infill: self.printed.infill().or_else(|| self.files.infill()),
            nozzle: self.printed.nozzle().or_else(|| self.files.nozzle()),
            model,
            slices: self.slices,
            slicer: commonest(&self.slicers),
            supports: (self.supports_told > 0)
                .then(|| f64::from(self.supports_used) / f64::from(self.supports_told)),
            waste: self.waste,
        }
    }
}

/// Classes of settings, counted.
#[derive(Clone, Debug, Default)]
struct Settings {
    infill: BTreeMap<InfillClass, u32>,
    nozzle: BTreeSet<NozzleClass>,
}

impl Settings {
    fn take(&mut self, sliced: &Sliced) {
        if let Some(class) = sliced.infill.and_then(infill_class) {
            let count = self.infill.entry(class).or_default();
            *count = count.saturating_add(1);
        }
        self.nozzle.extend(sliced.nozzle.and_then(nozzle_class));
    }

    fn infill(&self) -> Option<InfillClass> {
        commonest(&self.infill)
    }

    fn nozzle(&self) -> Option<NozzleClass> {
        if self.nozzle.len() > 1 { Some(NozzleClass::Mixed) } else { self.nozzle.first().copied() }
    }
}

/// The commonest key; of equal ones the first.
fn commonest<K: Copy>(counts: &BTreeMap<K, u32>) -> Option<K> {
    counts.iter().rev().max_by_key(|(_, count)| **count).map(|(key, _)| *key)
}

fn infill_class(percent: f64) -> Option<InfillClass> {
    if !(0.0..=100.0).contains(&percent) {
        return None;
    }
    Some(match percent {
        sparse if sparse < 15.0 => InfillClass::Sparse,
        light if light < 35.0 => InfillClass::Light,
        dense if dense < 75.0 => InfillClass::Dense,
        _ => InfillClass::Solid,
    })
}

fn nozzle_class(millimetres: f64) -> Option<NozzleClass> {
    if !(0.01..=5.0).contains(&millimetres) {
        return None;
    }
    Some(match millimetres {
        fine if fine < 0.35 => NozzleClass::Fine,
        standard if standard < 0.5 => NozzleClass::Standard,
        large if large < 0.7 => NozzleClass::Large,
        _ => NozzleClass::ExtraLarge,
    })
}
