//! What engineers are told, and what is true.

use std::collections::BTreeMap;
use std::process::Output;

use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{
    FaultFamily, MaterialFamily, Outcome, PrintMaterial, PrintReport, StopPhase,
};
use serde_json::Value;

use crate::owner::Owner;
use crate::world::{World, imprimatur};

/// An answer, or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) json: Value,
    /// All that was said.
    pub(crate) text: String,
}

/// Asks as an engineer does.
pub(crate) fn ask(data: &std::path::Path, question: &[&str]) -> Told {
    let data = data.to_str().unwrap();
    Told::of(&imprimatur(&[&["query"], question, &["--data", data, "--json"]].concat()))
}

impl Told {
    /// What a program said.
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let json = serde_json::from_str(&out).unwrap_or(Value::Null);
        Self { code: output.status.code().unwrap(), json, text: out + &err }
    }

    pub(crate) fn cells(&self) -> &[Value] {
        self.json["cells"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The group with these values, in the order of the question.
    pub(crate) fn cell(&self, values: &[&str]) -> Option<&Value> {
        self.cells().iter().find(|cell| self.place(cell) == values)
    }

    /// A group's values, in the order of the question.
    pub(crate) fn place<'a>(&'a self, cell: &'a Value) -> Vec<&'a str> {
        let by = self.json["by"].as_array().unwrap().iter();
        by.map(|name| cell["dimensions"][name.as_str().unwrap()].as_str().unwrap()).collect()
    }
}

/// A number of a told group.
pub(crate) fn number(cell: &Value, key: &str) -> f64 {
    let found = if cell[key].is_null() { &cell["value"][key] } else { &cell[key] };
    found.as_f64().unwrap_or_else(|| panic!("no `{key}` in {cell}"))
}

/// What a print adds to a metric: `None` where it is left out.
pub(crate) type Adds = fn(&PrintReport) -> Option<f64>;

pub(crate) fn one(print: &PrintReport) -> Option<f64> {
    print.status.map(|_| 1.0)
}

pub(crate) fn fails(print: &PrintReport) -> Option<f64> {
    let outcome = print.status.as_ref()?.outcome();
    (outcome != Outcome::StoppedByUser).then(|| f64::from(u8::from(outcome == Outcome::Fault)))
}

pub(crate) fn fails_in_the_first_layer(print: &PrintReport) -> Option<f64> {
    fails(print)?;
    Some(f64::from(u8::from(print.status.as_ref()?.stop_phase() == StopPhase::FirstLayer)))
}

pub(crate) fn clogs(print: &PrintReport) -> Option<f64> {
    Some(f64::from(u8::from(print.faults.as_ref()?.family() == FaultFamily::Clog)))
}

pub(crate) fn minutes(print: &PrintReport) -> Option<f64> {
    let field = contract().column(RecordKind::Print, "print_time_completed_duration").unwrap();
    let index = print.print_time.as_ref()?.completed_duration;
    contract().representative(field, index).filter(|_| index > 0)
}

/// How a dimension's value is written of a print.
fn label(owner: &Owner, print: &PrintReport, dimension: &str) -> String {
    match dimension {
        "model" => owner.model.to_string(),
        "firmware" => format!("{}.{}", owner.model, owner.firmware),
        "machine_nozzle" => ["", "fine", "standard"][usize::try_from(owner.nozzle).unwrap()].into(),
        "material_family" => match print.material.as_ref().map(PrintMaterial::family) {
            Some(MaterialFamily::Petg) => "petg".into(),
            Some(_) => "pla".into(),
            None => "not_shared".into(),
        },
        "outcome" => match print.status.as_ref().unwrap().outcome() {
            Outcome::Done => "done".into(),
            Outcome::StoppedByUser => "stopped_by_user".into(),
            _ => "fault".into(),
        },
        "date" => imprimatur_runtime::UtcDate(print.start_date).to_string(),
        _ => panic!("no truth of `{dimension}`"),
    }
}

/// What is true of a group: prints that are looked at, the sum of what they add, and principals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) rows: f64,
    pub(crate) sum: f64,
    pub(crate) principals: std::collections::BTreeSet<[u8; 16]>,
}

/// The truth of each group of the owners who count.
pub(crate) fn truth(world: &World, by: &[&str], adds: Adds) -> BTreeMap<Vec<String>, Truth> {
    let mut groups: BTreeMap<Vec<String>, Truth> = BTreeMap::new();
    for owner in world.owners.iter().filter(|owner| owner.is_enrolled()) {
        for print in &owner.prints {
            let Some(value) = adds(print) else { continue };
            let place = by.iter().map(|dimension| label(owner, print, dimension)).collect();
            let group = groups.entry(place).or_default();
            group.rows += 1.0;
            group.sum += value;
            group.principals.insert(owner.principal.0);
        }
    }
    groups
}
