//! Synthetic prints and days: plausible values from a seed, quantised like measured ones.

use imprimatur_proto::telemetry::v1::{
    DayMachine, DayPrintTime, DayReport, Excursion, FaultFamily, MaterialFamily, Outcome,
    PrintFaults, PrintLaser, PrintMaterial, PrintReport, PrintStatus, PrintTemperature, PrintTime,
    ReadingSource, StopPhase,
};
use imprimatur_proto::{contract, field};
use imprimatur_runtime::UtcDate;

/// A small generator with a fixed seed for each agent, so that two demos tell the same.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, 0 to below 1 (splitmix64).
    pub(super) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.roll() * (high - low)
    }
}

/// One print. Each sixth printer works with a laser.
pub(super) fn print(date: UtcDate, laser: bool, dice: &mut Dice) -> PrintReport {
    let failed = dice.roll() < 0.08;
    let seconds = 1_800.0 * 2_f64.powf(dice.between(0.0, 2.5));
    let petg = !laser && dice.roll() < 0.25;
    let family = match (laser, petg) {
        (true, _) => MaterialFamily::Pa,
        (false, true) => MaterialFamily::Petg,
        (false, false) => MaterialFamily::Pla,
    };
    let mut report = PrintReport {
        start_date: date.0,
        material: Some(PrintMaterial { amount: 0, family: family.into() }),
        temperature: Some(temperature(laser, petg, dice)),
        ..PrintReport::default()
    };
    let quantise = |field, value| contract().quantise(field, value);
    if failed {
        let stopped = quantise(field::PRINT_TIME_STOPPED_DURATION, seconds / 3.0);
        report.print_time = Some(PrintTime { stopped_duration: stopped, ..PrintTime::default() });
        let (outcome, phase) = (Outcome::Fault.into(), StopPhase::Early.into());
        report.status = Some(PrintStatus { outcome, stop_phase: phase });
        let family = FaultFamily::Adhesion.into();
        report.faults = Some(PrintFaults { family, ..PrintFaults::default() });
    } else {
        let completed = quantise(field::PRINT_TIME_COMPLETED_DURATION, seconds);
        let amount = quantise(field::PRINT_MATERIAL_AMOUNT, seconds / 300.0);
        report.print_time = Some(PrintTime { completed_duration: completed, stopped_duration: 0 });
        report.material = Some(PrintMaterial { amount, family: family.into() });
        let outcome = Outcome::Done.into();
        report.status = Some(PrintStatus { outcome, ..PrintStatus::default() });
    }
    if laser {
        let percent = quantise(field::PRINT_LASER_NOMINAL_SET_POINT, dice.between(40.0, 70.0));
        report.laser = Some(PrintLaser { nominal_set_point: percent });
    }
    report
}

fn temperature(laser: bool, petg: bool, dice: &mut Dice) -> PrintTemperature {
    let quantise = |field, value| contract().quantise(field, value);
    let excursion = if dice.roll() < 0.1 { Excursion::Occasional } else { Excursion::Rare }.into();
    if laser {
        let process = quantise(field::PRINT_TEMPERATURE_PROCESS_SET_POINT, 180.0);
        return PrintTemperature {
            process_set_point: process,
            process_excursion: excursion,
            ..PrintTemperature::default()
        };
    }
    let (nozzle, bed) = if petg { (235.0, 80.0) } else { (208.0, 60.0) };
    PrintTemperature {
        nozzle_set_point: quantise(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, nozzle),
        bed_set_point: quantise(field::PRINT_TEMPERATURE_BED_SET_POINT, bed),
        nozzle_excursion: excursion,
        bed_excursion: excursion,
        ..PrintTemperature::default()
    }
}

/// The day of a printer: catalogue numbers 1 (extruding) and 2 (laser), and the label that all of
/// it is synthetic.
pub(super) fn day(date: UtcDate, laser: bool, prints: u32) -> DayReport {
    let started = f64::from(prints);
    let busy = contract().quantise(field::DAY_PRINT_TIME_BUSY_TIME, started * 3_600.0);
    let prints_started = contract().quantise(field::DAY_PRINT_TIME_PRINTS_STARTED, started);
    DayReport {
        date: date.0,
        machine: Some(DayMachine {
            model: if laser { 2 } else { 1 },
            firmware: 1,
            source: ReadingSource::Synthetic.into(),
            ..DayMachine::default()
        }),
        print_time: Some(DayPrintTime {
            busy_time: busy,
            prints_started,
            ..DayPrintTime::default()
        }),
        ..DayReport::default()
    }
}
