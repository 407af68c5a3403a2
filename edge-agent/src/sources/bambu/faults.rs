//! Bambu Lab's error numbers as fault families: a small table, everything else is `Other`.
//!
//! Source: the maker's published lists of print errors and health messages. A health message has
//! `attr` = module, unit, part, 0 and `code` = severity, number, each a byte or two.

use imprimatur_proto::telemetry::v1::FaultFamily;

/// The print error that stands for a print which a person stopped.
pub const CANCELLED: u64 = 0x0300_400C;

/// The worst two of four severities: what is merely noted is no fault.
const SEVERITY_MAX: u64 = 2;

/// Module of motion, heaters and sensors.
const MOTION: u64 = 0x03;

/// Modules of the material units.
const UNITS: [u64; 2] = [0x07, 0x12];

/// The family of a print error; `None` when there is none, or a person stopped the print.
pub fn of_error(error: u64) -> Option<FaultFamily> {
    match error {
        0 | CANCELLED => None,
        // Ran out; in one of the units' trays; on the spool outside.
        0x0300_8004 | 0x0700_8011 | 0x0701_8011 | 0x0702_8011 | 0x0703_8011 | 0x07FF_8011 => {
            Some(FaultFamily::RunOut)
        }
        0x0300_800F => Some(FaultFamily::Door),
        _ => Some(FaultFamily::Other),
    }
}

/// The family of a health message; `None` when it is only a note.
pub fn of_health(attr: u64, code: u64) -> Option<FaultFamily> {
    let severity = code >> 16;
    if !(1..=SEVERITY_MAX).contains(&severity) {
        return None;
    }
    let (module, part, number) = (attr >> 24, attr >> 8 & 0xFF, code & 0xFFFF);
    Some(match (module, part, number) {
        (MOTION, 0x01 | 0x02 | 0x90..=0x94, _) => FaultFamily::Heater,
        (MOTION, 0x03 | 0x04 | 0x17, _) => FaultFamily::Cooling,
        (MOTION, 0x05..=0x09 | 0x10 | 0x11 | 0x1C, _) => FaultFamily::Motion,
        (MOTION, 0x0A..=0x0C | 0x0F | 0x18 | 0x19 | 0x1B | 0x1D, _) => FaultFamily::Sensor,
        (MOTION, 0x0D, _) => FaultFamily::Levelling,
        (MOTION, 0x1A, 0x0002) => FaultFamily::Clog,
        (module, 0x20..=0x23, 0x0001) if UNITS.contains(&module) => FaultFamily::RunOut,
        (module, 0x20..=0x23, 0x0006) if UNITS.contains(&module) => FaultFamily::Clog,
        _ => FaultFamily::Other,
    })
}
