//! Capacity: how many bits a record can tell, counted from the rules alone, and the budget.
//!
//! A field tells log2 of its domain, its unknown state included. On each axis the alternatives add
//! their states. A day tells its own fields, ten prints, how many they are, the frame's size and
//! what the header of its batch counts; records are sorted by their bytes, so their order tells
//! nothing.

use crate::rules::{Alternative, Correlation, FieldRule, Role, Rules, Shape};

/// Bits that one print may tell.
pub const PRINT_BITS: f64 = 40.0;
/// Bits of one print that may be correlated with geometry.
pub const PRINT_GEOMETRY_BITS: f64 = 9.0;
/// Bits that one device may tell of one day.
pub const DAY_BITS: f64 = 512.0;
/// Prints that are reported of one day.
pub const PRINTS_A_DAY: u32 = 10;
/// Number of frame sizes; the choice among them is counted in full.
pub const FRAME_SIZES: u32 = 3;

/// What the contract can tell, in bits.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Capacity {
    /// One print.
    pub print_bits: f64,
    /// One print, correlated with geometry.
    pub print_geometry_bits: f64,
    /// The day report alone.
    pub day_report_bits: f64,
    /// The day report alone, correlated with geometry.
    pub day_report_geometry_bits: f64,
    /// A device's whole day: day report, ten prints, count and size choices, counts of the header.
    pub device_day_bits: f64,
}

/// The contract tells more than its budget. The build stops.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{what} can tell {bits:.2} bits, the budget is {budget} bits")]
pub struct OverBudget {
    /// What was counted.
    pub what: &'static str,
    /// What it can tell.
    pub bits: f64,
    /// What it may tell.
    pub budget: f64,
}

impl Capacity {
    /// Counts the contract.
    pub fn of(rules: &Rules) -> Self {
        let print_bits = record_bits(rules, "PrintReport", |_| true);
        let day_report_bits = record_bits(rules, "DayReport", |_| true);
        let prints = f64::from(PRINTS_A_DAY);
        let choices = (prints + 1.0).log2() + f64::from(FRAME_SIZES).log2();
        Self {
            print_bits,
            print_geometry_bits: record_bits(rules, "PrintReport", is_geometry),
            day_report_bits,
            day_report_geometry_bits: record_bits(rules, "DayReport", is_geometry),
            device_day_bits: day_report_bits + prints * print_bits + choices + header_bits(rules),
        }
    }

    /// Compares with the budget.
    ///
    /// # Errors
    /// The first count that is over it.
    pub fn within_budget(&self) -> Result<(), OverBudget> {
        let counts = [
            ("a print", self.print_bits, PRINT_BITS),
            ("a print's geometry-correlated part", self.print_geometry_bits, PRINT_GEOMETRY_BITS),
            ("a device's day", self.device_day_bits, DAY_BITS),
        ];
        let over = counts.into_iter().find(|&(_, bits, budget)| bits > budget);
        over.map_or(Ok(()), |(what, bits, budget)| Err(OverBudget { what, bits, budget }))
    }
}

/// What the bounded integers of a batch's header can tell.
fn header_bits(rules: &Rules) -> f64 {
    let header = rules.fields.iter().filter(|field| field.message == "BatchHeader");
    header.filter_map(|field| field.bound).map(|bound| (f64::from(bound) + 1.0).log2()).sum()
}

fn is_geometry(rule: &FieldRule) -> bool {
    rule.correlation == Some(Correlation::Geometry)
}

fn record_bits(rules: &Rules, record: &str, counts: impl Fn(&FieldRule) -> bool) -> f64 {
    let values: Vec<&FieldRule> = sections_of(rules, record)
        .filter_map(|section| rules.messages.get(section))
        .flat_map(|message| message.by_number.iter().flatten())
        .filter_map(|&field| rules.fields.get(field))
        .filter(|rule| counts(rule))
        .collect();
    let bits = |only: Option<Alternative>| -> f64 {
        let of_it = values.iter().filter(|rule| rule.only == only);
        of_it.map(|rule| f64::from(rule.domain()).log2()).sum()
    };
    let axes = Alternative::AXES.iter().map(|axis| {
        axis.iter().map(|&alternative| bits(Some(alternative)).exp2()).sum::<f64>().log2()
    });
    // An axis of which nothing counts has one state for each alternative, and no choice between
    // them can be seen: it adds nothing.
    let told = Alternative::AXES
        .iter()
        .map(|axis| values.iter().any(|rule| rule.only.is_some_and(|only| axis.contains(&only))));
    let axes: f64 = axes.zip(told).filter_map(|(bits, told)| told.then_some(bits)).sum();
    bits(None) + axes
}

fn sections_of(rules: &Rules, record: &str) -> impl Iterator<Item = usize> {
    rules.fields.iter().filter(move |field| field.message == record).filter_map(|field| {
        match (field.role, &field.shape) {
            (Role::Section, Shape::Message(place)) => Some(*place),
            _ => None,
        }
    })
}
