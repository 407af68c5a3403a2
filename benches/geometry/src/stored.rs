//! What Imprimatur stores of one print: the agent's own accumulator and reports, read back by column.
//!
//! The printer is watched from midnight to midnight and prints one model, so that the day's row is of
//! that print alone: the worst case. Columns that the contract declares correlated with geometry are the bins;
//! the experiment asks whether the others tell more.

use imprimatur_agent::accumulate::report::{DayContext, PrintContext, day_report, print_report};
use imprimatur_agent::accumulate::{Accumulator, FaultLog, Finished};
use imprimatur_agent::reading::{Ended, Heater, Heaters, Reading, Said, Sliced, UnixSeconds};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::Correlation;
use imprimatur_proto::telemetry::v1::{AdhesionAid, MaterialFamily, Outcome, ReadingSource};
use imprimatur_proto::{FieldId, canonical, contract};
use imprimatur_testkit::chance::Chance;

use crate::number::{normal, whole};
use crate::print::{Heating, INFILL, Job, Run, SET_POINTS};
use crate::shape::LAYER;

/// A midnight: 20,000 days after 1970-01-01.
const MIDNIGHT: u64 = 20_000 * 86_400;
/// Seconds between two looks at a printer that does nothing; the accumulator bridges at most 600.
const IDLE: u64 = 600;
/// Seconds of heating before the first layer, in steps.
const HEATING: [u64; 2] = [180, 10];

/// Values of columns: how many days after the print's date, column, index.
pub type Columns = Vec<(u32, FieldId, u32)>;

/// The rows of one print.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// The print's row.
    pub print: Columns,
    /// The rows of the days on which it ran.
    pub days: Columns,
}

impl Stored {
    /// The row of the print alone.
    pub fn row(&self) -> Columns {
        self.print.clone()
    }

    /// The rows of the print and of its days.
    pub fn rows(&self) -> Columns {
        self.print.iter().chain(&self.days).copied().collect()
    }
}

/// The values that the contract declares correlated with geometry.
pub fn bins(columns: &Columns) -> Columns {
    let declared = |field| contract().rule(field).correlation == Some(Correlation::Geometry);
    columns.iter().filter(|(_, field, _)| declared(*field)).copied().collect()
}

/// Prints a job and gives what is stored of it.
pub fn print(job: &Job, run: Run, heating: Heating, chance: &mut Chance) -> Stored {
    let mut watch = Watch::new();
    let facts = Sliced {
        seconds: Some(job.seconds()),
        amount: Some(job.grams()),
        family: Some(MaterialFamily::Pla),
        layer_height: Some(LAYER),
        adhesion: Some(AdhesionAid::None),
        infill: Some(INFILL),
        nozzle: Some(0.4),
        supports: Some(job.supports),
        ..Sliced::default()
    };
    watch.tell(Said::Online(ReadingSource::Octoprint));
    watch.tell(Said::SlicedFile(facts));
    watch.tell(Said::Started);
    watch.tell(Said::Sliced(facts));
    let [warm, step] = HEATING;
    for second in (0..warm).step_by(usize::try_from(step).unwrap_or(1)) {
        let share = std::time::Duration::from_secs(second).as_secs_f64() / 150.0;
        let [nozzle, bed] = SET_POINTS.map(|target| 20.0 + (target - 20.0) * share.min(1.0));
        watch.heat([nozzle, bed], SET_POINTS);
        watch.now.0 += step;
    }
    let began = watch.now.0;
    for look in job.looks(run, heating, chance) {
        watch.now.0 = began + whole(look.at);
        watch.heat([look.nozzle, SET_POINTS[1] + 0.3 * normal(chance)], SET_POINTS);
    }
    let seconds = job.seconds() * run.time;
    watch.now.0 = began + whole(seconds);
    watch.tell(Said::Ended(Ended {
        outcome: Outcome::Done,
        seconds: Some(seconds),
        amount: Some(job.grams() * run.material),
        phase: None,
    }));
    watch.rest();
    watch.stored
}

/// The agent's eye on one printer.
struct Watch {
    accumulator: Accumulator,
    now: UnixSeconds,
    stored: Stored,
}

impl Watch {
    fn new() -> Self {
        let now = UnixSeconds(MIDNIGHT);
        let accumulator = Accumulator::new(FaultLog::from_grant(now));
        Self { accumulator, now, stored: Stored::default() }
    }

    fn tell(&mut self, said: Said) {
        for finished in self.accumulator.observe(Reading { at: self.now, said }) {
            match finished {
                Finished::Print(print) => {
                    let report = print_report(&print, PrintContext::default());
                    let bytes = canonical::encode(&report);
                    self.stored.print.extend(columns(RecordKind::Print, &bytes));
                }
                Finished::Day(day) => {
                    let bytes = canonical::encode(&day_report(&day, &DayContext::default()));
                    self.stored.days.extend(columns(RecordKind::Day, &bytes));
                }
            }
        }
    }

    fn heat(&mut self, actual: [f64; 2], target: [f64; 2]) {
        let [nozzle, bed] = [0, 1].map(|heater: usize| {
            actual
                .get(heater)
                .zip(target.get(heater))
                .map(|(&actual, &target)| Heater { actual, target })
        });
        self.tell(Said::Heaters(Heaters { nozzle, bed, ..Heaters::default() }));
    }

    /// The rest of the day, with the heaters off.
    fn rest(&mut self) {
        let date = self.now.date();
        while self.now.date() == date {
            self.heat([25.0, 25.0], [0.0, 0.0]);
            self.now.0 += IDLE;
        }
        self.heat([25.0, 25.0], [0.0, 0.0]);
    }
}

/// The columns of a row as the lake has them; none of a row that the gate would refuse.
fn columns(kind: RecordKind, bytes: &[u8]) -> Columns {
    let first = u32::try_from(MIDNIGHT / 86_400).unwrap_or(0);
    let Ok(record) = contract().record(kind, bytes) else { return Columns::new() };
    let day = record.date.saturating_sub(first) + u32::from(kind == RecordKind::Day);
    let values = record.sections.into_iter().flat_map(|section| section.values);
    values.map(|(field, index)| (day, field, index)).collect()
}
