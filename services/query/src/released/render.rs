//! A release for eyes: a table with the intervals that go with every number.

use std::fmt::Write as _;

use imprimatur_release::{Counted, Number, Release, Told};

/// A release as text, as `imprimatur release show` prints it.
pub fn readable(release: &Release) -> String {
    let asked = &release.question;
    let mut text = format!("{} [{}], {} to {}\n", asked.title, asked.unit, asked.first, asked.last);
    if asked.synthetic {
        text.push_str("Synthetic fleet: no printer told any of this.\n");
    }
    text.push('\n');
    let mut table = vec![asked.by.clone()];
    if let Some(head) = table.first_mut() {
        head.extend(["principals", "number, 95 % interval"].map(str::to_owned));
    }
    for told in &release.groups {
        let mut row = told.group.clone();
        row.extend([counted(told.principals), number(told)]);
        table.push(row);
    }
    push_table(&mut text, &table);
    if let [Told { number: Number::Histogram { bins }, .. }] = release.groups.as_slice() {
        let bins = bins.iter().map(|bin| vec![format!("  {}", bin.bin), counted(bin.rows)]);
        push_table(&mut text, &bins.collect::<Vec<_>>());
    }
    let (told, withheld) = (release.groups.len(), release.withheld_groups);
    let (id, epsilon) = (release.id, release.privacy.epsilon_micro);
    let statement = &release.privacy.statement;
    // Writing to a text does not fail.
    let written = write!(
        text,
        "\n{told} of {} groups told, {withheld} withheld: few principals, or none, are in them.\n\
         {}\n{statement}\n\nrelease {id}\nmade on {}, costs {epsilon} of epsilon\n",
        told.saturating_add(withheld),
        asked.estimand,
        release.released,
    );
    if written.is_err() {
        return text;
    }
    let replaced = release.replaces.map(|replaced| format!("replaces {replaced}\n"));
    text + &replaced.unwrap_or_default()
}

fn counted(one: Counted) -> String {
    format!("{} ({} to {})", one.value, one.low, one.high)
}

fn number(told: &Told) -> String {
    let ratio = |value: Option<f64>, low: f64, high: f64, rows: Counted| {
        let value = value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        format!("{value} ({low} to {high}), of {} rows", counted(rows))
    };
    match &told.number {
        Number::Rows { rows } => format!("{} rows", counted(*rows)),
        Number::Printers { printers } => format!("{} printers", counted(*printers)),
        Number::Histogram { bins } => format!("{} bins", bins.len()),
        Number::Mean { mean, low, high, rows } => ratio(*mean, *low, *high, *rows),
        Number::Rate { rate, low, high, rows } => ratio(*rate, *low, *high, *rows),
    }
}

/// Columns of equal width.
fn push_table(text: &mut String, table: &[Vec<String>]) {
    let width = |at: usize| {
        let cells = table.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    for row in table {
        let cells = row.iter().enumerate();
        let cells = cells.map(|(at, cell)| format!("{cell:width$}", width = width(at)));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
}
