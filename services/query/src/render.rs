//! An answer for eyes: a table with sparklines.

use std::fmt;

use crate::answer::{Answer, Bin, Cell, Difference, Quantile, Value};

/// Eight heights of a sparkline.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bin that is not told.
const WITHHELD: char = '·';

impl Answer {
    fn start(&self, cell: &Cell) -> Vec<String> {
        let places =
            self.by.iter().map(|one| cell.dimensions.get(one).cloned().unwrap_or_default());
        places.chain([cell.principals.to_string(), cell.rows.to_string()]).collect()
    }
}

fn rows_text(bin: &Bin) -> String {
    bin.rows.map_or_else(|| "withheld".to_owned(), |rows| rows.to_string())
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} [{}]", self.title, self.unit)?;
        if self.synthetic {
            writeln!(f, "Synthetic fleet: no printer told any of this.")?;
        }
        writeln!(f)?;
        let mut table = vec![self.by.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>()];
        if let Some(head) = table.first_mut() {
            head.extend(["principals", "rows", "value"].map(str::to_owned));
        }
        for cell in &self.cells {
            table.push([self.start(cell), vec![summary(&cell.value)]].concat());
        }
        write_table(f, &table, self.by.len())?;
        if let [Cell { value: Value::Histogram { bins, quantiles, withheld }, .. }] =
            self.cells.as_slice()
        {
            writeln!(f)?;
            write_bins(f, bins)?;
            write_quantiles(f, bins, quantiles, *withheld)?;
        }
        if let Some(difference) = &self.difference {
            let is_rate = self.cells.iter().all(|cell| matches!(cell.value, Value::Rate { .. }));
            write_difference(f, difference, is_rate)?;
        }
        writeln!(f, "\n{}\n{}", self.estimand, self.privacy)
    }
}

/// One line for how two groups differ; shares in percent points.
fn write_difference(f: &mut fmt::Formatter<'_>, one: &Difference, is_rate: bool) -> fmt::Result {
    let (times, unit) = if is_rate { (100.0, " points") } else { (1.0, "") };
    let [difference, low, high] = [one.difference, one.low, one.high].map(|end| end * times);
    let (from, to) = (&one.from, &one.to);
    let ends = format!("{low:.2} to {high:.2}{unit}");
    writeln!(f, "\n{to} less {from}: {difference:+.2}{unit} ({ends}, 95 %)")
}

/// One line for a value.
fn summary(value: &Value) -> String {
    match value {
        Value::Count { count } => count.to_string(),
        Value::Mean { mean, low, high, .. } => match low.zip(*high) {
            Some((low, high)) => format!("{mean:.2} ({low:.2} to {high:.2})"),
            None => format!("{mean:.2}"),
        },
        Value::Rate { rate, low, high } => {
            let percent = [rate, low, high].map(|share| share * 100.0);
            format!("{:.1} % ({:.1} to {:.1} %)", percent[0], percent[1], percent[2])
        }
        Value::Histogram { bins, .. } => {
            let most = bins.iter().filter(|bin| bin.rows.is_some()).max_by_key(|bin| bin.rows);
            let most = most.map(|bin| bin.meaning.as_str()).unwrap_or_default();
            format!("{}  mostly {most}", sparkline(bins))
        }
    }
}

/// One character a bin, its height by rows; a dot where the bin is not told.
fn sparkline(bins: &[Bin]) -> String {
    let most = bins.iter().filter_map(|bin| bin.rows).max().unwrap_or(0).max(1);
    let level = |rows: u64| usize::try_from(rows.saturating_mul(7) / most).unwrap_or(0);
    let height = |bin: &Bin| bin.rows.and_then(|rows| LEVELS.get(level(rows)).copied());
    bins.iter().map(|bin| height(bin).unwrap_or(WITHHELD)).collect()
}

/// One line a bin; neighbours that are not told share a line, which tells no more.
fn write_bins(f: &mut fmt::Formatter<'_>, bins: &[Bin]) -> fmt::Result {
    let most = bins.iter().filter_map(|bin| bin.rows).max().unwrap_or(0).max(1);
    let width = bins.iter().map(|bin| bin.meaning.chars().count()).max().unwrap_or(0);
    for run in bins.chunk_by(|one, next| one.rows.is_none() && next.rows.is_none()) {
        let [bin, .., last] = run else {
            let [bin] = run else { continue };
            let bar = bin.rows.unwrap_or(0).saturating_mul(40) / most;
            let bar = "█".repeat(usize::try_from(bar).unwrap_or(0));
            let text = format!("  {:width$}  {:>8}  {bar}", bin.meaning, rows_text(bin));
            writeln!(f, "{}", text.trim_end())?;
            continue;
        };
        let (from, to) = (&bin.meaning, &last.meaning);
        writeln!(f, "  {} bins, {from} .. {to}: withheld", run.len())?;
    }
    Ok(())
}

/// One line for the quarters: of each the bin in which it is, or the first and the last that could hold it.
fn write_quantiles(
    f: &mut fmt::Formatter<'_>,
    bins: &[Bin],
    quantiles: &[Quantile],
    withheld: usize,
) -> fmt::Result {
    if quantiles.is_empty() {
        return Ok(());
    }
    let meaning = |index: u32| {
        let found = bins.iter().find(|bin| bin.index == index);
        found.map(|bin| bin.meaning.as_str()).unwrap_or_default()
    };
    let text = |one: &Quantile| {
        let (first, last) = (meaning(one.first_bin), meaning(one.last_bin));
        let bins = if first == last { first.to_owned() } else { format!("{first} .. {last}") };
        format!("{:.0} % in {bins}", one.share * 100.0)
    };
    let of = if withheld == 0 { "all rows" } else { "the rows told" };
    let texts: Vec<String> = quantiles.iter().map(text).collect();
    writeln!(f, "\n  Of {of}: {}", texts.join("; "))
}

/// Columns of equal width: names to the left, the two numbers after them to the right.
fn write_table(f: &mut fmt::Formatter<'_>, table: &[Vec<String>], names: usize) -> fmt::Result {
    let width = |at: usize| {
        let cells = table.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    for row in table {
        let cells = row.iter().enumerate().map(|(at, cell)| {
            let width = width(at);
            let is_number = (names..names + 2).contains(&at);
            if is_number { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        let text = cells.collect::<Vec<_>>().join("  ");
        writeln!(f, "{}", text.trim_end())?;
    }
    Ok(())
}
