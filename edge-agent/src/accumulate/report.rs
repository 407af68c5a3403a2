//! From finished prints and days to reports: quantised by the contract, unknown left out.
//!
//! Nothing leaves this file but bounded integers and closed enums. A field that exists in one
//! alternative only is filled there only, and a section without a value is absent.

use imprimatur_proto::telemetry::v1::{
    BrandShare, CalibrationAge, ConsumableAge, DayExperience, DayFaults, DayLaser, DayMachine,
    DayMaterial, DayPrintTime, DayReport, DaySettings, DaySlicing, DayStatus, DayTemperature,
    ElectronicsClass, Excursion, FaultCount, FaultFamily, FirmwareChange, LayerHeightClass,
    ObservedShare, Outcome, PauseCount, PrintExperience, PrintFaults, PrintLaser, PrintMaterial,
    PrintReport, PrintSettings, PrintStatus, PrintTemperature, PrintTime, PrintVerdict,
    ReadingSource, ReplacedPart, RestartCount, Satisfaction, SpeedClass, SupportShare,
};
use imprimatur_proto::{FieldId, contract, field};

use super::{FinishedDay, FinishedPrint};
use crate::catalogue::Technology;

/// What the owner adds to a print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintContext {
    /// How the machine makes parts; a print with a light value is of [`Technology::Light`] anyway.
    pub technology: Technology,
    /// The owner's verdict.
    pub verdict: PrintVerdict,
}

/// What the owner and the settings add to a day; everything is unknown by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DayContext {
    /// Machine model: catalogue number.
    pub model: Option<u32>,
    /// Firmware: catalogue number.
    pub firmware: Option<u32>,
    /// Whether the firmware changed that day.
    pub firmware_change: FirmwareChange,
    /// Machine age in working hours.
    pub age_hours: Option<f64>,
    /// Life of the light source in hours.
    pub laser_life_hours: Option<f64>,
    /// Measured over nominal output, percent.
    pub calibration_ratio: Option<f64>,
    /// Time since calibration.
    pub calibration_age: CalibrationAge,
    /// Share of own-brand material.
    pub own_brand: BrandShare,
    /// Age of the consumable.
    pub consumable_age: ConsumableAge,
    /// Speed of most prints.
    pub speed: SpeedClass,
    /// Satisfaction.
    pub satisfaction: Satisfaction,
    /// Part replaced.
    pub replaced_part: ReplacedPart,
}

/// The report of a print.
pub fn print_report(print: &FinishedPrint, context: PrintContext) -> PrintReport {
    let done = print.outcome == Outcome::Done;
    let light = context.technology == Technology::Light || print.laser.is_some();
    let completed = |value: Option<f64>| value.filter(|_| done);
    PrintReport {
        start_date: print.started.date().0,
        print_time: section(PrintTime {
            completed_duration: index(
                field::PRINT_TIME_COMPLETED_DURATION,
                completed(print.seconds),
            ),
            stopped_duration: index(
                field::PRINT_TIME_STOPPED_DURATION,
                print.seconds.filter(|_| !done),
            ),
        }),
        material: section(PrintMaterial {
            amount: index(
                field::PRINT_MATERIAL_AMOUNT,
                completed(print.amount).filter(|amount| *amount > 0.0),
            ),
            family: print.family.map_or(0, Into::into),
        }),
        status: section(PrintStatus {
            outcome: print.outcome.into(),
            stop_phase: if done { 0 } else { print.phase.into() },
        }),
        faults: section(PrintFaults {
            family: print.fault.map_or(0, Into::into),
            recent: print.recent.into(),
        }),
        settings: section(PrintSettings {
            layer_height: print.layer_height.map_or(0, |mm| layer_height_class(mm).into()),
            adhesion_aid: print.adhesion.filter(|_| !light).map_or(0, Into::into),
        }),
        experience: section(PrintExperience { verdict: context.verdict.into() }),
        temperature: section(if light { light_heat(print) } else { extrusion_heat(print) }),
        laser: section(PrintLaser {
            nominal_set_point: index(
                field::PRINT_LASER_NOMINAL_SET_POINT,
                print.laser.filter(|_| light),
            ),
        }),
    }
}

/// The report of a day.
pub fn day_report(day: &FinishedDay, context: &DayContext) -> DayReport {
    DayReport {
        date: day.date.0,
        machine: section(machine(day, context)),
        print_time: section(DayPrintTime {
            busy_time: index(field::DAY_PRINT_TIME_BUSY_TIME, above_zero(day.busy_seconds)),
            prints_started: count(field::DAY_PRINT_TIME_PRINTS_STARTED, day.prints_started),
            prints_not_reported: count(
                field::DAY_PRINT_TIME_PRINTS_NOT_REPORTED,
                day.prints_not_reported,
            ),
        }),
        laser: section(DayLaser {
            on_time: index(field::DAY_LASER_ON_TIME, day.laser_seconds.and_then(above_zero)),
            life_hours: index(field::DAY_LASER_LIFE_HOURS, context.laser_life_hours),
            calibration_ratio: index(field::DAY_LASER_CALIBRATION_RATIO, context.calibration_ratio),
            calibration_age: context.calibration_age.into(),
        }),
        temperature: section(DayTemperature {
            nozzle_heat_up: index(field::DAY_TEMPERATURE_NOZZLE_HEAT_UP, day.nozzle_heat_up),
            bed_heat_up: index(field::DAY_TEMPERATURE_BED_HEAT_UP, day.bed_heat_up),
            electronics: day.electronics.map_or(0, |celsius| electronics_class(celsius).into()),
        }),
        material: section(DayMaterial {
            own_brand: context.own_brand.into(),
            consumable_age: context.consumable_age.into(),
            waste: index(field::DAY_MATERIAL_WASTE, day.waste.and_then(above_zero)),
        }),
        settings: section(DaySettings {
            infill: day.infill.map_or(0, Into::into),
            speed: context.speed.into(),
        }),
        slicing: section(DaySlicing {
            slices: count(field::DAY_SLICING_SLICES, day.slices),
            slicer: day.slicer.map_or(0, |n| count(field::DAY_SLICING_SLICER, n)),
            supports: day.supports.map_or(0, |share| support_share(share).into()),
        }),
        status: section(DayStatus {
            observed: observed_share(day.observed).into(),
            pauses_by_user: pause_count(day.pauses_by_user).into(),
            pauses_by_run_out: pause_count(day.pauses_by_run_out).into(),
        }),
        faults: section(faults(day)),
        experience: section(DayExperience {
            satisfaction: context.satisfaction.into(),
            replaced_part: context.replaced_part.into(),
        }),
    }
}

/// A section, unless all of it is unknown.
fn section<M: Default + PartialEq>(message: M) -> Option<M> {
    (message != M::default()).then_some(message)
}

/// The index of a known value; 0 when it is unknown.
fn index(field: FieldId, value: Option<f64>) -> u32 {
    value.filter(|value| value.is_finite()).map_or(0, |value| contract().quantise(field, value))
}

/// The index of a count or catalogue number; 0 for none.
fn count(field: FieldId, number: u32) -> u32 {
    index(field, above_zero(f64::from(number)))
}

fn above_zero(value: f64) -> Option<f64> {
    (value > 0.0).then_some(value)
}

fn extrusion_heat(print: &FinishedPrint) -> PrintTemperature {
    PrintTemperature {
        nozzle_set_point: index(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, print.nozzle),
        bed_set_point: index(field::PRINT_TEMPERATURE_BED_SET_POINT, print.bed),
        nozzle_excursion: print.nozzle_excursion.map_or(0, |share| excursion(share).into()),
        bed_excursion: print.bed_excursion.map_or(0, |share| excursion(share).into()),
        ..PrintTemperature::default()
    }
}

fn light_heat(print: &FinishedPrint) -> PrintTemperature {
    PrintTemperature {
        process_set_point: index(field::PRINT_TEMPERATURE_PROCESS_SET_POINT, print.process),
        process_excursion: print.process_excursion.map_or(0, |share| excursion(share).into()),
        ..PrintTemperature::default()
    }
}

fn machine(day: &FinishedDay, context: &DayContext) -> DayMachine {
    DayMachine {
        model: context.model.map_or(0, |n| count(field::DAY_MACHINE_MODEL, n)),
        firmware: context.firmware.map_or(0, |n| count(field::DAY_MACHINE_FIRMWARE, n)),
        firmware_change: context.firmware_change.into(),
        source: day.source.unwrap_or(ReadingSource::Unspecified).into(),
        nozzle: day.nozzle.map_or(0, Into::into),
        age: index(field::DAY_MACHINE_AGE, context.age_hours),
    }
}

fn faults(day: &FinishedDay) -> DayFaults {
    let place = |at: usize| day.faults.get(at).copied().unwrap_or((FaultFamily::Unspecified, 0));
    let (first, second) = (place(0), place(1));
    DayFaults {
        commonest_family: first.0.into(),
        commonest_count: fault_count(first.1).into(),
        second_family: second.0.into(),
        second_count: fault_count(second.1).into(),
        restarts: restart_count(day.restarts).into(),
    }
}

fn layer_height_class(millimetres: f64) -> LayerHeightClass {
    match millimetres {
        unknown if unknown.is_nan() || unknown <= 0.0 => LayerHeightClass::Unspecified,
        ultra if ultra < 0.08 => LayerHeightClass::UltraFine,
        fine if fine < 0.15 => LayerHeightClass::Fine,
        normal if normal < 0.25 => LayerHeightClass::Normal,
        coarse if coarse < 0.35 => LayerHeightClass::Coarse,
        _ => LayerHeightClass::VeryCoarse,
    }
}

fn excursion(share: f64) -> Excursion {
    match share {
        rare if rare <= 1.0 / 16.0 => Excursion::Rare,
        some if some <= 0.25 => Excursion::Occasional,
        _ => Excursion::Frequent,
    }
}

fn electronics_class(celsius: f64) -> ElectronicsClass {
    match celsius {
        cool if cool < 45.0 => ElectronicsClass::Cool,
        warm if warm < 60.0 => ElectronicsClass::Warm,
        hot if hot < 75.0 => ElectronicsClass::Hot,
        very if very < 90.0 => ElectronicsClass::VeryHot,
        _ => ElectronicsClass::Critical,
    }
}

fn support_share(share: f64) -> SupportShare {
    match share {
        quarter if quarter <= 0.25 => SupportShare::Quarter,
        half if half <= 0.5 => SupportShare::Half,
        most if most <= 0.75 => SupportShare::ThreeQuarters,
        _ => SupportShare::All,
    }
}

fn observed_share(share: f64) -> ObservedShare {
    match share {
        none if none <= 0.0 => ObservedShare::Unspecified,
        quarter if quarter <= 0.25 => ObservedShare::Quarter,
        half if half <= 0.5 => ObservedShare::Half,
        most if most <= 0.9 => ObservedShare::Most,
        _ => ObservedShare::Full,
    }
}

fn pause_count(count: u32) -> PauseCount {
    match count {
        0 => PauseCount::Unspecified,
        1 => PauseCount::One,
        _ => PauseCount::Several,
    }
}

fn fault_count(count: u32) -> FaultCount {
    match count {
        0 => FaultCount::Unspecified,
        1 => FaultCount::One,
        2..=4 => FaultCount::Few,
        _ => FaultCount::Many,
    }
}

fn restart_count(count: u32) -> RestartCount {
    match count {
        0 => RestartCount::Unspecified,
        1 => RestartCount::One,
        2..=4 => RestartCount::Few,
        _ => RestartCount::Many,
    }
}
