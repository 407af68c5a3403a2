//! The lines of a Marlin serial port: what may be sent, and what is read of what comes.
//!
//! Keeps true: nothing is sent that acts on the machine. What comes is cut into lines in a bounded
//! buffer, and a line is only what follows the last byte that no line has, so that noise costs a
//! line and never the next. Positions, file names and texts have no place in [`Line`].

use imprimatur_proto::telemetry::v1::FaultFamily;

use crate::reading::{Heater, Heaters};

/// Longest line that is kept, bytes. Marlin's own longest, with eight hot ends, is below 300.
pub const LINE_BYTES_MAX: usize = 512;

/// No sensor of a printer that runs Marlin shows more, degrees Celsius: a reading beyond is noise.
const CELSIUS: std::ops::RangeInclusive<f64> = -50.0..=600.0;

/// What may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Tell the temperatures each 2 s from now on, also while a command waits.
    Report,
    /// Tell the temperatures.
    Temperatures,
    /// Tell whether a print from the card runs.
    Card,
    /// Tell the time of the print.
    Time,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line {
    /// Heaters as they are now.
    Heaters(Heaters),
    /// A print from the card runs.
    Printing,
    /// No print from the card runs, or it is paused: older firmware says the same of both.
    NotPrinting,
    /// The card's file was printed to its end.
    Done,
    /// Printing time so far, seconds, pauses left out.
    Seconds(f64),
    /// The firmware works on a command.
    Busy,
    /// The firmware waits for a person.
    Waits,
    /// The print was paused.
    Paused,
    /// Material ran out.
    RanOut,
    /// The print goes on.
    Resumed,
    /// A person stopped the print.
    Stopped,
    /// A fault, by family.
    Fault(FaultFamily),
    /// The firmware halted and takes no command any more.
    Halted,
    /// The board started.
    Started,
    /// Nothing that concerns the agent.
    Nothing,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Whether it says that the next command may be sent.
    pub ready: bool,
    /// What else it says.
    pub line: Line,
}

/// Cuts bytes into lines.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    held: Vec<u8>,
    too_long: bool,
}

impl Query {
    /// The line that is sent, with its end.
    pub fn text(self) -> &'static str {
        match self {
            Self::Report => "M155 S2\n",
            Self::Temperatures => "M105\n",
            Self::Card => "M27\n",
            Self::Time => "M31\n",
        }
    }
}

impl Lines {
    /// Takes bytes; gives what the lines say that they complete.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    if !self.too_long && !self.held.is_empty() {
                        heard.push(parse(&self.held));
                    }
                    self.held.clear();
                    self.too_long = false;
                }
                b' '..=b'~' if self.held.len() < LINE_BYTES_MAX => self.held.push(byte),
                b' '..=b'~' => self.too_long = true,
                // What stands before noise is not whole.
                _ => self.held.clear(),
            }
        }
        heard
    }
}

/// Faults by the beginning of what follows `Error:`; from Marlin's own list of texts.
const FAULTS: &[(&str, FaultFamily)] = &[
    ("Heating failed", FaultFamily::Heater),
    ("Thermal Runaway", FaultFamily::Heater),
    ("THERMAL RUNAWAY", FaultFamily::Heater),
    ("MAXTEMP", FaultFamily::Heater),
    ("MINTEMP", FaultFamily::Heater),
    ("Heater switched off", FaultFamily::Sensor),
    ("Temp Malfunction", FaultFamily::Sensor),
    ("THERMAL MALFUNCTION", FaultFamily::Sensor),
    ("Probing Failed", FaultFamily::Levelling),
    ("Probing failed", FaultFamily::Levelling),
    ("Bed leveling failed", FaultFamily::Levelling),
    ("Homing Failed", FaultFamily::Levelling),
    ("Homing failed", FaultFamily::Levelling),
    ("Driver error", FaultFamily::Motion),
    ("TMC CONNECTION ERROR", FaultFamily::Motion),
];

/// Errors that follow from a line that the firmware did not understand: it goes on.
const GARBLED: &[&str] = &[
    "Line Number",
    "No Line Number",
    "No Checksum",
    "checksum mismatch",
    "Missing checksum",
    "Wrong checksum",
];

/// Reads one line of printable characters.
fn parse(line: &[u8]) -> Heard {
    let text = std::str::from_utf8(line).unwrap_or_default().trim();
    if let Some(rest) =
        text.strip_prefix("ok").filter(|rest| rest.is_empty() || rest.starts_with(' '))
    {
        let line = heaters(rest.trim()).map_or(Line::Nothing, Line::Heaters);
        return Heard { ready: true, line };
    }
    Heard { ready: false, line: said(text) }
}

fn said(text: &str) -> Line {
    if let Some(error) = text.strip_prefix("Error:") {
        return fault(error.trim_start());
    }
    if let Some(action) = text.strip_prefix("//action:") {
        return acted(action);
    }
    if let Some(work) = text.strip_prefix("echo:busy:") {
        let waits = work.trim_start().starts_with("paused for");
        return if waits { Line::Waits } else { Line::Busy };
    }
    let text = text.strip_prefix("echo:").unwrap_or(text).trim_start();
    if let Some(time) = text.strip_prefix("Print time:") {
        return duration(time).map_or(Line::Nothing, Line::Seconds);
    }
    if let Some(bytes) = text.strip_prefix("SD printing byte ") {
        let is_count = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let whole = bytes.split_once('/').is_some_and(|(at, of)| is_count(at) && is_count(of));
        return if whole { Line::Printing } else { Line::Nothing };
    }
    match text {
        "start" => Line::Started,
        "Not SD printing" | "Not SD printing." => Line::NotPrinting,
        "Done printing file" => Line::Done,
        _ => heaters(text).map_or(Line::Nothing, Line::Heaters),
    }
}

fn fault(error: &str) -> Line {
    if error.starts_with("Printer halted") {
        return Line::Halted;
    }
    if GARBLED.iter().any(|known| error.starts_with(known)) {
        return Line::Nothing;
    }
    let known = FAULTS.iter().find(|(text, _)| error.starts_with(text));
    Line::Fault(known.map_or(FaultFamily::Other, |(_, family)| *family))
}

/// What Marlin asks its host to do, or says that it did.
fn acted(action: &str) -> Line {
    match action.split([' ', ':']).next() {
        Some("pause" | "paused") => Line::Paused,
        Some("resume" | "resumed") => Line::Resumed,
        Some("cancel") => Line::Stopped,
        Some("out_of_filament" | "filament_runout") => Line::RanOut,
        _ => Line::Nothing,
    }
}

/// `T:200.0 /210.0 B:60.0 /60.0 @:64`, also with `/` between other spaces; `None` unless it is
/// whole: the power `@:` or the wait `W:` stands last in every such line.
fn heaters(text: &str) -> Option<Heaters> {
    let text = text.replace(" /", "/").replace("/ ", "/");
    let mut found = Heaters::default();
    let mut active = None;
    let mut whole = false;
    for token in text.split_ascii_whitespace() {
        let Some((key, value)) = token.split_once(':') else { continue };
        match key {
            "T" if value.contains('/') => active = Some(heater(value)?),
            "T0" if value.contains('/') => found.nozzle = Some(heater(value)?),
            "B" if value.contains('/') => found.bed = Some(heater(value)?),
            "@" | "W" => whole = true,
            _ => {}
        }
    }
    found.nozzle = found.nozzle.or(active);
    (whole && found != Heaters::default()).then_some(found)
}

/// `200.0/210.0`.
fn heater(text: &str) -> Option<Heater> {
    let (actual, target) = text.split_once('/')?;
    let heater = Heater { actual: number(actual)?, target: number(target)? };
    let sane = CELSIUS.contains(&heater.actual) && (0.0..=*CELSIUS.end()).contains(&heater.target);
    sane.then_some(heater)
}

/// `1d 2h 3m 4s`, seconds; `None` unless each part is a number with its unit.
fn duration(text: &str) -> Option<f64> {
    let mut seconds = None;
    for part in text.split_ascii_whitespace() {
        let unit = match part.chars().next_back()? {
            'd' => 86_400.0,
            'h' => 3_600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => return None,
        };
        let count = number(part.get(..part.len() - 1)?)?;
        seconds = Some(seconds.unwrap_or(0.0) + count * unit);
    }
    seconds
}

/// A plain decimal number: no exponent, no infinity, none of the words that Rust reads.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    plain.then(|| text.parse().ok()).flatten()
}
