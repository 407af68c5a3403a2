//! What a made-up printer tells: the sections of its prints and of its day, plausible and skewed.

use imprimatur_proto::record::Section;
use imprimatur_proto::{Category, FieldId, field};

use crate::draw::Draw;
use crate::fleet::Printer;

/// Indices of `status_outcome`.
const DONE: u32 = 1;
const STOPPED_BY_USER: u32 = 2;
const FAULT: u32 = 3;

/// The model and firmware of which prints fail more often than of the others.
const BAD: (u32, u32) = (12, 3);

/// Sections of one record, of the categories that its owner shares.
#[derive(Debug)]
struct Told<'a> {
    printer: &'a Printer,
    sections: Vec<Section>,
}

impl<'a> Told<'a> {
    fn of(printer: &'a Printer) -> Self {
        Self { printer, sections: Vec::with_capacity(10) }
    }

    /// A section with the known of its values; none where nothing is known.
    fn tell(&mut self, category: Category, values: &[(FieldId, u32)]) {
        if !self.printer.shares(category) {
            return;
        }
        let values: Vec<(FieldId, u32)> =
            values.iter().copied().filter(|(_, index)| *index > 0).collect();
        if !values.is_empty() {
            self.sections.push(Section { category, values });
        }
    }
}

/// The firmware of a printer on a day, and whether it changed on it.
fn firmware(printer: &Printer, day: u32) -> (u32, bool) {
    (printer.firmware + u32::from(day >= printer.update_on), day == printer.update_on)
}

/// How a print ended.
fn outcome(printer: &Printer, day: u32, draw: &mut Draw) -> u32 {
    let of_model = 20 + printer.model * 7 % 40 + printer.age * 3;
    let is_bad = (printer.model, firmware(printer, day).0) == BAD;
    let faults = if is_bad { of_model + 60 } else { of_model };
    // Done, stopped, fault, host lost, power; the rest is unknown.
    let weights = [910_u32.saturating_sub(faults), 55, faults, 15, 5, 15];
    match draw.index(&weights) {
        6 => 0,
        known => known,
    }
}

/// The sections of one print.
pub(crate) fn print(printer: &Printer, day: u32, draw: &mut Draw) -> Vec<Section> {
    let mut told = Told::of(printer);
    let laser = printer.has_laser();
    let outcome = outcome(printer, day, draw);
    let done = outcome == DONE;
    let stopped = (STOPPED_BY_USER..=5).contains(&outcome);
    let size = draw.near(6, 5, 20);
    let family = if laser {
        10 + draw.index(&[60, 25, 10, 5])
    } else {
        draw.index(&[520, 220, 60, 45, 60, 25, 12, 8, 8, 22, 0, 0, 0, 0, 20])
    };
    let only = |is: bool, index: u32| if is { index } else { 0 };
    let duration = only(done, size);
    let stopped_duration = only(stopped, draw.index(&[40, 25, 15, 10, 5, 3, 2]));
    told.tell(
        Category::PrintTime,
        &[
            (field::PRINT_TIME_COMPLETED_DURATION, duration),
            (field::PRINT_TIME_STOPPED_DURATION, stopped_duration),
        ],
    );
    let amount = only(done, draw.near(size + 1, 2, 21));
    told.tell(
        Category::Material,
        &[(field::PRINT_MATERIAL_AMOUNT, amount), (field::PRINT_MATERIAL_FAMILY, family)],
    );
    let phase = only(stopped, draw.index(&[10, 40, 20, 20, 10]));
    told.tell(
        Category::Status,
        &[(field::PRINT_STATUS_OUTCOME, outcome), (field::PRINT_STATUS_STOP_PHASE, phase)],
    );
    let fault =
        only(outcome == FAULT, draw.index(&[8, 6, 22, 18, 24, 6, 5, 4, 1, 1, 1, 2, 1, 1, 2]));
    let recent = draw.index(&[85, 11, 4]);
    told.tell(
        Category::Faults,
        &[(field::PRINT_FAULTS_FAMILY, fault), (field::PRINT_FAULTS_RECENT, recent)],
    );
    let height = draw.index(&[5, 25, 55, 12, 3]);
    let aid = only(!laser, draw.index(&[70, 30]));
    told.tell(
        Category::Settings,
        &[(field::PRINT_SETTINGS_LAYER_HEIGHT, height), (field::PRINT_SETTINGS_ADHESION_AID, aid)],
    );
    let verdict = only(draw.happens(40), draw.index(&[85, 8, 7]));
    told.tell(Category::Experience, &[(field::PRINT_EXPERIENCE_VERDICT, verdict)]);
    if laser {
        powered(&mut told, draw);
    } else {
        heated(&mut told, family, draw);
    }
    told.sections
}

/// Temperatures of an extruding printer, as its material wants them.
fn heated(told: &mut Told<'_>, family: u32, draw: &mut Draw) {
    let (nozzle, bed) = match family {
        1 => (6, 5),
        2 => (8, 6),
        3 | 4 => (9, 9),
        5 => (7, 4),
        6 | 7 => (11, 10),
        _ => (7, 6),
    };
    told.tell(
        Category::Temperature,
        &[
            (field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, draw.near(nozzle, 2, 15)),
            (field::PRINT_TEMPERATURE_BED_SET_POINT, draw.near(bed, 1, 11)),
            (field::PRINT_TEMPERATURE_NOZZLE_EXCURSION, draw.index(&[93, 5, 2])),
            (field::PRINT_TEMPERATURE_BED_EXCURSION, draw.index(&[95, 4, 1])),
        ],
    );
}

/// What a printer with a laser tells instead.
fn powered(told: &mut Told<'_>, draw: &mut Draw) {
    told.tell(
        Category::Temperature,
        &[
            (field::PRINT_TEMPERATURE_PROCESS_SET_POINT, draw.near(2, 1, 11)),
            (field::PRINT_TEMPERATURE_PROCESS_EXCURSION, draw.index(&[94, 4, 2])),
        ],
    );
    told.tell(Category::Laser, &[(field::PRINT_LASER_NOMINAL_SET_POINT, draw.near(14, 5, 20))]);
}

/// The sections of one day with so many prints.
pub(crate) fn day(printer: &Printer, day: u32, prints: u32, draw: &mut Draw) -> Vec<Section> {
    let mut told = Told::of(printer);
    let (firmware, changed) = firmware(printer, day);
    let printed = prints > 0;
    let only = |is: bool, index: u32| if is { index } else { 0 };
    told.tell(
        Category::Machine,
        &[
            (field::DAY_MACHINE_MODEL, printer.model),
            (field::DAY_MACHINE_FIRMWARE, firmware),
            (field::DAY_MACHINE_FIRMWARE_CHANGE, u32::from(changed)),
            (field::DAY_MACHINE_SOURCE, printer.source),
            (field::DAY_MACHINE_NOZZLE, printer.nozzle),
            (field::DAY_MACHINE_AGE, printer.age),
        ],
    );
    let busy = only(printed, draw.near(prints.div_ceil(2), 1, 6));
    let more = only(prints == 10, draw.index(&[80, 15, 5]) - 1);
    told.tell(
        Category::PrintTime,
        &[
            (field::DAY_PRINT_TIME_BUSY_TIME, busy),
            (field::DAY_PRINT_TIME_PRINTS_STARTED, only(printed, prints + more)),
            (field::DAY_PRINT_TIME_PRINTS_NOT_REPORTED, more),
        ],
    );
    if printer.has_laser() {
        told.tell(
            Category::Laser,
            &[
                (field::DAY_LASER_ON_TIME, only(printed, draw.near(prints.div_ceil(2), 1, 7))),
                (field::DAY_LASER_LIFE_HOURS, (printer.age + 1).min(9)),
                (field::DAY_LASER_CALIBRATION_RATIO, draw.near(12 - printer.age / 2, 2, 21)),
                (field::DAY_LASER_CALIBRATION_AGE, draw.index(&[20, 40, 30, 10])),
            ],
        );
    } else {
        let heat_up = only(printed, draw.near(2 + printer.age / 3, 1, 7));
        told.tell(
            Category::Temperature,
            &[
                (field::DAY_TEMPERATURE_NOZZLE_HEAT_UP, heat_up),
                (field::DAY_TEMPERATURE_BED_HEAT_UP, only(printed, draw.near(3, 1, 7))),
                (field::DAY_TEMPERATURE_ELECTRONICS, draw.index(&[40, 40, 15, 4, 1])),
            ],
        );
    }
    let waste = only(draw.happens(80), draw.index(&[40, 30, 20, 8, 2]));
    told.tell(
        Category::Material,
        &[
            (field::DAY_MATERIAL_OWN_BRAND, only(printed, printer.brand)),
            (field::DAY_MATERIAL_CONSUMABLE_AGE, draw.index(&[30, 40, 25, 5])),
            (field::DAY_MATERIAL_WASTE, only(printed, waste)),
        ],
    );
    used(&mut told, printed, draw);
    told.sections
}

/// Settings, slicing, status, faults and what the owner says of a day.
fn used(told: &mut Told<'_>, printed: bool, draw: &mut Draw) {
    let only = |is: bool, index: u32| if is { index } else { 0 };
    let slicer = told.printer.slicer;
    told.tell(
        Category::Settings,
        &[
            (field::DAY_SETTINGS_INFILL, only(printed, draw.index(&[25, 55, 15, 5]))),
            (field::DAY_SETTINGS_SPEED, only(printed, draw.index(&[20, 55, 25]))),
        ],
    );
    let slices = only(printed, draw.index(&[40, 30, 15, 8, 4, 2, 1]));
    let supports = only(printed, draw.index(&[60, 20, 10, 10]));
    told.tell(
        Category::Slicing,
        &[
            (field::DAY_SLICING_SLICES, slices),
            (field::DAY_SLICING_SLICER, only(printed, slicer)),
            (field::DAY_SLICING_SUPPORTS, supports),
        ],
    );
    let by_user = only(printed && draw.happens(90), draw.index(&[80, 20]));
    let by_run_out = only(printed && draw.happens(60), draw.index(&[85, 15]));
    told.tell(
        Category::Status,
        &[
            (field::DAY_STATUS_OBSERVED, draw.index(&[5, 10, 25, 60])),
            (field::DAY_STATUS_PAUSES_BY_USER, by_user),
            (field::DAY_STATUS_PAUSES_BY_RUN_OUT, by_run_out),
        ],
    );
    let faulty = printed && draw.happens(150);
    let family = draw.index(&[8, 6, 22, 18, 24, 6, 5, 4, 1, 1, 1, 2, 1, 1, 2]);
    told.tell(
        Category::Faults,
        &[
            (field::DAY_FAULTS_COMMONEST_FAMILY, only(faulty, family)),
            (field::DAY_FAULTS_COMMONEST_COUNT, only(faulty, draw.index(&[70, 25, 5]))),
            (field::DAY_FAULTS_RESTARTS, only(draw.happens(50), draw.index(&[85, 12, 3]))),
        ],
    );
    let satisfaction = only(draw.happens(5), draw.index(&[5, 10, 25, 40, 20]));
    let replaced = only(draw.happens(5), draw.index(&[50, 10, 10, 15, 5, 5, 5]));
    told.tell(
        Category::Experience,
        &[
            (field::DAY_EXPERIENCE_SATISFACTION, satisfaction),
            (field::DAY_EXPERIENCE_REPLACED_PART, replaced),
        ],
    );
}
