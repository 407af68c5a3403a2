//! What the contract can say at all: a table, JSON, or the data dictionary as a page, from the contract alone.

use imprimatur_proto::capacity::{
    Capacity, DAY_BITS, PRINT_BITS, PRINT_GEOMETRY_BITS, PRINTS_A_DAY,
};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::{Alternative, Correlation, FieldRule};
use imprimatur_proto::{FieldId, contract};

use super::json;
use crate::cli::Schema;
use crate::say;

/// Most meanings that are listed of a field; of more, the first and the last.
const MEANINGS_MAX: u32 = 8;

pub(super) fn run(asked: &Schema) {
    say::line(&if asked.json {
        as_json()
    } else if asked.page {
        page().trim_end().to_owned()
    } else {
        table()
    });
}

fn fields() -> impl Iterator<Item = (RecordKind, FieldId, &'static FieldRule)> {
    let of = |kind| {
        let columns = contract().columns(kind).into_iter();
        columns.map(move |field| (kind, field, contract().rule(field)))
    };
    RecordKind::ALL.into_iter().flat_map(of)
}

/// Bits of one field alone.
fn bits(rule: &FieldRule) -> f64 {
    f64::from(rule.domain()).log2()
}

/// What a device's day can tell that is correlated with geometry, bits.
fn day_geometry(capacity: &Capacity) -> f64 {
    capacity.day_report_geometry_bits + f64::from(PRINTS_A_DAY) * capacity.print_geometry_bits
}

fn as_json() -> String {
    let one = |(kind, _, rule): (RecordKind, FieldId, &FieldRule)| {
        serde_json::json!({
            "table": kind.table(),
            "column": rule.column,
            "category": rule.category,
            "purpose": rule.purpose,
            "unit": rule.unit,
            "domain": rule.domain(),
            "bits": bits(rule),
            "correlation": rule.correlation,
            "necessity": rule.necessity,
        })
    };
    let capacity = contract().capacity();
    json(&serde_json::json!({
        "capacity": capacity,
        "device_day_geometry_bits": day_geometry(&capacity),
        "device_hour_bits": capacity.device_day_bits / 24.0,
        "fields": fields().map(one).collect::<Vec<_>>(),
    }))
}

fn table() -> String {
    let mut lines = Vec::new();
    for kind in RecordKind::ALL {
        lines.push(format!("table `{}`", kind.table()));
        for (_, _, rule) in fields().filter(|field| field.0 == kind) {
            let geometry = if is_geometry(rule) { "geometry" } else { "" };
            lines.push(format!(
                "  {:<32} {:>4} states {:>5.2} bits  {:<8}  {}",
                rule.column,
                rule.domain(),
                bits(rule),
                geometry,
                rule.necessity
            ));
        }
    }
    let capacity = contract().capacity();
    lines.push(format!(
        "a print tells {:.2} bits of 40, {:.2} of 9 correlated with geometry; a device's day {:.2} \
         of 512, {:.2} correlated with geometry",
        capacity.print_bits,
        capacity.print_geometry_bits,
        capacity.device_day_bits,
        day_geometry(&capacity)
    ));
    lines.join("\n")
}

fn is_geometry(rule: &FieldRule) -> bool {
    rule.correlation == Some(Correlation::Geometry)
}

/// The data dictionary: what each value is, and how much all of them can tell.
fn page() -> String {
    let capacity = contract().capacity();
    let mut lines = vec![HEAD.to_owned()];
    let day_none = capacity.device_day_bits - day_geometry(&capacity);
    let rows = [
        ("a print", capacity.print_bits, capacity.print_geometry_bits, PRINT_BITS),
        ("a day report", capacity.day_report_bits, capacity.day_report_geometry_bits, f64::NAN),
        ("a device's day", capacity.device_day_bits, day_geometry(&capacity), DAY_BITS),
        (
            "an hour of it, on average",
            capacity.device_day_bits / 24.0,
            day_geometry(&capacity) / 24.0,
            f64::NAN,
        ),
    ];
    for (what, all, geometry, budget) in rows {
        let budget = if budget.is_nan() { String::new() } else { format!("{budget:.0}") };
        let none = all - geometry;
        lines.push(format!("| {what} | {all:.2} | {geometry:.2} | {none:.2} | {budget} |"));
    }
    lines.push(format!(
        "\nOf a print at most {PRINT_GEOMETRY_BITS:.0} bits may be correlated with geometry. A device's day is a day report, \
         {PRINTS_A_DAY} prints, how many\nthey are, the frame's size and the counts of the header: {day_none:.2} bits of it are \
         not correlated. No record is made by the hour.\n{BUYS}"
    ));
    for kind in RecordKind::ALL {
        lines.push(format!(
            "\n## Of a {}\n\n| value | category | states | bits | correlated | what it holds | why |\n\
             | --- | --- | ---: | ---: | --- | --- | --- |",
            kind.table()
        ));
        for (_, field, rule) in fields().filter(|field| field.0 == kind) {
            let category = rule.category.map_or("", |category| category.name());
            let geometry = if is_geometry(rule) { "geometry" } else { "no" };
            lines.push(format!(
                "| `{}` | {category} | {} | {:.2} | {geometry} | {}{} | {} |",
                rule.column,
                rule.domain(),
                bits(rule),
                meanings(field, rule),
                only(rule),
                rule.necessity
            ));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// What the indices of a field mean, the first and the last where they are many.
fn meanings(field: FieldId, rule: &FieldRule) -> String {
    let last = rule.domain().saturating_sub(1);
    let meaning = |index| contract().meaning(field, index);
    if last <= MEANINGS_MAX {
        return (1..=last).map(meaning).collect::<Vec<_>>().join("; ");
    }
    format!("{}; {}; ...; {}", meaning(1), meaning(2), meaning(last))
}

/// In which alternative alone a field exists.
fn only(rule: &FieldRule) -> &'static str {
    match rule.only {
        None => "",
        Some(Alternative::Completed) => " (completed prints only)",
        Some(Alternative::Stopped) => " (stopped prints only)",
        Some(Alternative::Fff) => " (extrusion only)",
        Some(Alternative::Laser) => " (laser only)",
    }
}

const HEAD: &str = "\
# Data dictionary

Every value that can be told, from the contract alone: `imprimatur compliance schema --page` writes this page, and a
test holds it true. The wire has no other place for a value: inside a section there is no text, no bytes, no floating-point number, no map, no
`Any`, no extension and no list; the build refuses a contract that has one, a field without its options, and one over
its budget. Each value may be unknown, which is one of its states and costs nothing on the wire.

## How much that is

A value tells the logarithm of its states, in bits; values that exclude each other add their states instead.

| | bits | correlated with geometry | not correlated | budget |
| --- | ---: | ---: | ---: | ---: |";

const BUYS: &str = "
What the budget buys: the smallest picture that a slicer puts into a file was 16 x 16 points in some 3,300 bits; through these values it
takes at least six and a half days of a device that somebody controls wholly. A mesh of 20,000 bits takes 39 days. What it cannot buy: the
number of a public model among eight million has 23 bits and fits into one print. Against that stand groups of at least 20
owners in each answer, the short life of rows, and that honest agents put no such number in (see [cases.md](cases.md)).";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_documents_is_what_the_contract_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dictionary.md");
        let kept = std::fs::read_to_string(path).unwrap();
        assert_eq!(kept, page(), "run `imprimatur compliance schema --page > docs/dictionary.md`");
    }

    #[test]
    fn every_value_has_a_row_with_its_meaning() {
        let page = page();
        for (_, _, rule) in fields() {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", rule.column)));
            let row = row.unwrap_or_else(|| panic!("no row for {}", rule.column));
            assert_eq!(row.matches(" | ").count(), 6, "{row}");
            assert!(!row.contains("| |") && !row.contains("out of range"), "{row}");
        }
        assert!(as_json().contains("device_day_geometry_bits") && table().contains("of 512"));
    }
}
