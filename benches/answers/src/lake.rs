//! Writes the lake: days side by side on all processors, one day's rows in memory at a time on each.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use imprimatur_lake::{Catalogue, Exclusion, FileEntry, Lake, Row};
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::draw::Draw;
use crate::fleet::{Fleet, Of};
use crate::{BenchError, tell, told};

/// Rows of a file, as compaction leaves it: it merges what has fewer than 8192 as soon as more than a few
/// files have, so that a file ends with that number and what the last small ones bring.
pub(crate) const FILE_ROWS: u64 = 8_500;

/// The first date: three months of different length follow.
const FIRST: UtcDate = UtcDate(20_666);

/// Where it is written what a lake was made of.
const NAME: &str = "made.json";

/// What a lake is made of; the same gives the same lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    /// Rows of both tables, about.
    pub(crate) rows: u64,
    /// Days from [`FIRST`].
    pub(crate) days: u32,
    /// Rows of a file.
    pub(crate) file_rows: u64,
    /// Where all draws come from.
    pub(crate) seed: u64,
}

/// Makes the lake, unless it is there.
pub(crate) fn make(folder: &Path, made: Made) -> Result<(), BenchError> {
    let marker = folder.join(NAME);
    let failed = |source| BenchError::Io { what: marker.display().to_string(), source };
    if let Ok(text) = fs::read(&marker) {
        if serde_json::from_slice::<Made>(&text).is_ok_and(|there| there == made) {
            return Ok(());
        }
        let what = folder.display();
        return Err(BenchError::Wrong(format!("`{what}` holds another lake; name another folder")));
    }
    let (catalogue, rows) = write(folder, made)?;
    catalogue.store(folder).map_err(lake_error)?;
    let text = serde_json::to_vec(&made)
        .map_err(|source| BenchError::Json { what: NAME.to_owned(), source })?;
    fs::write(&marker, text).map_err(failed)?;
    tell(&format!("lake: {rows} rows in {} files", catalogue.files.len()));
    Ok(())
}

/// Writes all files, and gives the catalogue and the number of rows.
pub(crate) fn write(folder: &Path, made: Made) -> Result<(Catalogue, u64), BenchError> {
    let lake = Lake::open(folder).map_err(lake_error)?;
    let fleet = Fleet::new(made.seed, made.rows, made.days);
    let (next, done) = (AtomicU32::new(0), AtomicU32::new(0));
    let files: Mutex<Vec<FileEntry>> = Mutex::default();
    let work = || -> Result<(), BenchError> {
        loop {
            let day = next.fetch_add(1, Ordering::Relaxed);
            if day >= made.days {
                return Ok(());
            }
            let written = write_day(&lake, &fleet, made, day)?;
            files.lock().unwrap_or_else(PoisonError::into_inner).extend(written);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            tell(&format!("lake: {done} of {} days", made.days));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let ended: Vec<Result<(), BenchError>> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let gone = || BenchError::Wrong("a thread ended in a panic".to_owned());
        running.into_iter().map(|one| one.join().unwrap_or_else(|_panic| Err(gone()))).collect()
    });
    ended.into_iter().collect::<Result<(), _>>()?;
    let mut files = files.into_inner().unwrap_or_else(PoisonError::into_inner);
    files.sort_by_key(|file| (file.table, file.first_commit));
    let rows = files.iter().map(|file| file.rows).sum();
    Ok((catalogue(&fleet, made, files), rows))
}

fn lake_error(error: impl std::error::Error + Send + Sync + 'static) -> BenchError {
    BenchError::Lake(Box::new(error))
}

/// The day `day` from the first.
fn date(day: u32) -> UtcDate {
    UtcDate(FIRST.0 + day)
}

/// Calls `each` with every printer's number, in the order in which its batch of a day arrives, and the
/// number of the commit.
fn arrivals(
    fleet: &Fleet,
    made: Made,
    day: u32,
    mut each: impl FnMut(u32, u64) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    let count = u32::try_from(fleet.printers.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).collect();
    let mut draw = Draw::of(&[made.seed, 4, u64::from(day)]);
    for (at, left) in (0..order.len()).zip((1..=count).rev()) {
        order.swap(at, at + usize::try_from(draw.below(left)).unwrap_or(0));
    }
    let first = u64::from(day) * u64::from(count) + 1;
    (first..).zip(order).try_for_each(|(commit, number)| each(number, commit))
}

/// The rows of one printer's batch: its prints of a day, then the day.
fn batch(fleet: &Fleet, made: Made, day: u32, number: u32, commit: u64) -> Vec<Row> {
    let at = usize::try_from(number).unwrap_or(usize::MAX);
    let Some(printer) = fleet.printers.get(at) else { return Vec::new() };
    let mut draw = Draw::of(&[made.seed, 5, u64::from(day), u64::from(number)]);
    let date = date(day);
    let epoch = date.month();
    let subject = fleet.pseudonym(epoch, Of::Subject, number);
    let principal = fleet.pseudonym(epoch, Of::Principal, printer.owner);
    let row = |kind, ordinal, sections| Row {
        kind,
        date,
        epoch,
        commit,
        ordinal,
        subject,
        principal,
        sections,
    };
    let prints = draw.of_ten(printer.busy);
    let mut rows: Vec<Row> = (0..prints)
        .map(|at| row(RecordKind::Print, at, told::print(printer, day, &mut draw)))
        .collect();
    let told = told::day(printer, day, prints, &mut draw);
    rows.push(row(RecordKind::Day, prints, told));
    rows.retain(|row| !row.sections.is_empty());
    rows
}

fn write_day(
    lake: &Lake,
    fleet: &Fleet,
    made: Made,
    day: u32,
) -> Result<Vec<FileEntry>, BenchError> {
    let most = usize::try_from(made.file_rows).unwrap_or(usize::MAX);
    let (mut files, mut tables) = (Vec::new(), [Vec::new(), Vec::new()]);
    arrivals(fleet, made, day, |number, commit| {
        for row in batch(fleet, made, day, number, commit) {
            let [prints, days] = &mut tables;
            let table = if row.kind == RecordKind::Print { prints } else { days };
            table.push(row);
        }
        for table in tables.iter_mut().filter(|table| table.len() >= most) {
            files.extend(lake.write(table).map_err(lake_error)?);
            table.clear();
        }
        Ok(())
    })?;
    for table in tables {
        files.extend(lake.write(&table).map_err(lake_error)?);
    }
    Ok(files)
}

/// Who counts and who is left out, in each month that the lake has.
fn catalogue(fleet: &Fleet, made: Made, files: Vec<FileEntry>) -> Catalogue {
    let epochs: BTreeSet<u32> = (0..made.days).map(|day| date(day).month()).collect();
    let last = files.iter().map(|file| file.last_commit).max().unwrap_or(0);
    let enrolled = (0..fleet.owners).filter(|owner| fleet.is_enrolled(*owner));
    let enrolled = enrolled.flat_map(|owner| {
        epochs.iter().map(move |epoch| fleet.pseudonym(*epoch, Of::Principal, owner))
    });
    let printers = u32::try_from(fleet.printers.len()).unwrap_or(u32::MAX);
    let excluded = (0..printers).flat_map(|number| {
        let categories = fleet.excluded(number);
        // Who said yes again is left out only up to then.
        let up_to = if number % 2 == 0 { u64::MAX } else { last / 2 };
        let each = categories.into_iter().flat_map(|category| {
            let of = |epoch: &u32| Exclusion {
                subject: fleet.pseudonym(*epoch, Of::Subject, number),
                category,
                up_to,
            };
            epochs.iter().map(of).collect::<Vec<_>>()
        });
        each.collect::<Vec<_>>()
    });
    let published: UnixSeconds = date(made.days).start();
    Catalogue {
        files,
        enrolled: enrolled.collect(),
        excluded: excluded.collect(),
        synthetic: true,
        ..Catalogue::empty(published)
    }
}
