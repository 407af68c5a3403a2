//! Tests of the contract: its budget, its canonical form, its quantisers, its stripper.

use proptest::prelude::*;
use prost::Message;

use crate::canonical::Fault;
use crate::consent::v1::ConsentEvent;
use crate::record::RecordKind;
use crate::rules::{RuleError, Rules, Unit};
use crate::telemetry::v1::{
    Batch, BatchHeader, DayPrintTime, DayReport, MaterialFamily, Outcome, PrintLaser,
    PrintMaterial, PrintReport, PrintStatus, PrintTemperature, PrintTime,
};
use crate::{Category, FieldId, capacity, contract, field, frame};

fn print() -> PrintReport {
    PrintReport {
        start_date: 20_778,
        print_time: Some(PrintTime { completed_duration: 7, ..Default::default() }),
        material: Some(PrintMaterial { amount: 5, family: MaterialFamily::Petg.into() }),
        status: Some(PrintStatus { outcome: Outcome::Done.into(), ..Default::default() }),
        temperature: Some(PrintTemperature { nozzle_set_point: 8, ..Default::default() }),
        ..Default::default()
    }
}

fn batch() -> Batch {
    let header = BatchHeader {
        subject: vec![1; 16],
        sequence: 9,
        policy_hash: vec![2; 32],
        contract_hash: contract().hash().to_vec(),
        identity_tag: Vec::new(),
        dropped: 0,
    };
    let day = DayReport {
        date: 20_778,
        print_time: Some(DayPrintTime { prints_started: 2, ..Default::default() }),
        ..Default::default()
    };
    Batch { header: Some(header), prints: vec![print(), print()], days: vec![day] }
}

#[track_caller]
fn refused(bytes: &[u8], expected: Fault) {
    assert_eq!(contract().decode::<Batch>(bytes).unwrap_err(), expected);
}

#[test]
fn the_contract_keeps_its_budget() {
    let capacity = contract().capacity();
    let shown = |bits: f64| format!("{bits:.2}");
    assert_eq!(shown(capacity.print_bits), "39.48");
    assert_eq!(shown(capacity.print_geometry_bits), "8.99");
    assert_eq!(shown(capacity.day_report_bits), "101.52");
    assert_eq!(shown(capacity.day_report_geometry_bits), "10.71");
    assert_eq!(shown(capacity.device_day_bits), "509.40");
    assert_eq!(capacity.within_budget(), Ok(()));
}

/// Compiles the contract with one line of the telemetry file replaced, as the build would.
fn altered(old: &str, new: &str) -> Result<capacity::Capacity, RuleError> {
    let folder = tempfile::tempdir().unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/imprimatur");
    let mut files = Vec::new();
    for area in ["policy", "telemetry", "consent", "ingest"] {
        let name = format!("imprimatur/{area}/v1/{area}.proto");
        let text = std::fs::read_to_string(format!("{root}/{area}/v1/{area}.proto")).unwrap();
        let text = if area == "telemetry" {
            assert!(text.contains(old), "nothing to replace");
            text.replacen(old, new, 1)
        } else {
            text
        };
        let path = folder.path().join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        files.push(name);
    }
    let mut compiler = protox::Compiler::new([folder.path()]).unwrap();
    compiler.include_imports(true).open_files(files).unwrap();
    Rules::read(&compiler.descriptor_pool()).map(|rules| capacity::Capacity::of(&rules))
}

const VERDICT: &str = "  PrintVerdict verdict = 1 ";

#[test]
fn a_field_over_budget_fails_the_build() {
    let extra = "  uint32 layers = 2 [(imprimatur.policy.v1.field) = {role: ROLE_VALUE \
                 category: CATEGORY_EXPERIENCE purpose: \"satisfaction\" unit: UNIT_COUNT min: 1 \
                 max: 3 quantum: 1 correlation: CORRELATION_NONE necessity: \"none\"}];\n";
    let over = altered(VERDICT, &format!("{extra}{VERDICT}")).unwrap().within_budget();
    assert_eq!(over.unwrap_err().to_string(), "a print can tell 41.48 bits, the budget is 40 bits");

    // The same states, but correlated with geometry, break the smaller budget first.
    let geometry = "correlation: CORRELATION_GEOMETRY";
    let over = altered("correlation: CORRELATION_NONE", geometry).unwrap().within_budget();
    assert!(over.unwrap_err().to_string().starts_with("a print's geometry-correlated part"));
}

#[track_caller]
fn unfit(extra: &str, expected: &str) {
    let error = altered(VERDICT, &format!("{extra}\n{VERDICT}")).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_field_without_fitting_options_fails_the_build() {
    unfit("  uint32 layers = 2;", "PrintExperience.layers` has no option");
    unfit(
        "  string note = 2 [(imprimatur.policy.v1.field) = {role: ROLE_VALUE}];",
        "this type may not stand",
    );
    unfit(
        "  bytes note = 2 [(imprimatur.policy.v1.field) = {role: ROLE_VALUE category: \
         CATEGORY_EXPERIENCE purpose: \"satisfaction\" correlation: CORRELATION_NONE necessity: \
         \"x\"}];",
        "strings, bytes, floats and lists may not stand in a section",
    );
    unfit(
        "  uint32 note = 2 [(imprimatur.policy.v1.field) = {role: ROLE_VALUE category: \
         CATEGORY_LASER purpose: \"laser_health\" unit: UNIT_COUNT min: 1 max: 2 quantum: 1 \
         correlation: CORRELATION_NONE necessity: \"x\"}];",
        "in a section of another category",
    );
    unfit(
        "  uint32 note = 2 [(imprimatur.policy.v1.field) = {role: ROLE_VALUE category: \
         CATEGORY_EXPERIENCE purpose: \"satisfaction\" unit: UNIT_COUNT correlation: \
         CORRELATION_NONE necessity: \"x\"}];",
        "needs `quantum` or `log_bins`",
    );
}

#[test]
fn a_bound_stands_on_an_envelopes_integer_only() {
    let tag = "role: ROLE_ENVELOPE length: 16 correlation";
    let error = altered(tag, "role: ROLE_ENVELOPE length: 16 max: 3 correlation").unwrap_err();
    assert!(error.to_string().contains("only a uint32 of an envelope has `max`"), "{error}");
    let wider = altered("ROLE_ENVELOPE max: 255", "ROLE_ENVELOPE max: 2047").unwrap();
    assert!(wider.within_budget().unwrap_err().to_string().starts_with("a device's day"));
}

#[test]
fn a_canonical_batch_is_decoded_to_what_was_encoded() {
    let bytes = batch().encode_to_vec();
    assert_eq!(contract().decode::<Batch>(&bytes), Ok(batch()));
}

#[test]
fn a_header_tells_up_to_255_drops_in_three_bytes() {
    let telling = |dropped| {
        let header = BatchHeader { dropped, ..batch().header.unwrap() };
        Batch { header: Some(header), ..batch() }
    };
    for dropped in [0, 1, 127, 128, 255] {
        let bytes = telling(dropped).encode_to_vec();
        assert_eq!(contract().decode::<Batch>(&bytes), Ok(telling(dropped)));
        assert!(bytes.len() <= batch().encode_to_vec().len() + 3);
    }
}

/// prost takes a field with options for unpacked unless it says `packed = true`.
#[test]
fn lists_of_categories_are_packed() {
    let event = ConsentEvent { categories: vec![2, 3], ..Default::default() };
    assert_eq!(event.encode_to_vec(), [0x2a, 2, 2, 3]);
    assert_eq!(contract().decode::<ConsentEvent>(&event.encode_to_vec()), Ok(event));
    let decode = |bytes: &[u8]| contract().decode::<ConsentEvent>(bytes).map(|_| ());
    assert_eq!(decode(&[0x2a, 2, 3, 2]), Err(Fault::NonCanonical));
    assert_eq!(decode(&[0x2a, 1, 12]), Err(Fault::UnknownEnum));
    assert_eq!(decode(&[0x28, 2, 0x28, 3]), Err(Fault::Malformed));
}

#[test]
fn each_fault_is_named() {
    let good = batch().encode_to_vec();
    refused(&good[..good.len() - 1], Fault::Malformed);
    let with = |more: &[u8]| [&good[..], more].concat();
    refused(&with(&[0xf8, 0x01, 1]), Fault::UnknownField);
    refused(&with(&[0x0b]), Fault::NonCanonical);
    refused(&with(&[0x1b]), Fault::Malformed);

    let altered = |alter: fn(&mut Batch)| {
        let mut batch = batch();
        alter(&mut batch);
        batch.encode_to_vec()
    };
    let time =
        |batch: &mut Batch| batch.prints[0].print_time.as_mut().unwrap().completed_duration = 21;
    refused(&altered(time), Fault::OutOfRange);
    let family = |batch: &mut Batch| batch.prints[1].material.as_mut().unwrap().family = 16;
    refused(&altered(family), Fault::UnknownEnum);
    let both = |batch: &mut Batch| {
        batch.prints[0].print_time.as_mut().unwrap().completed_duration = 0;
        batch.prints[0].print_time.as_mut().unwrap().stopped_duration = 2;
    };
    refused(&altered(both), Fault::Contradiction);
    let dropped = |batch: &mut Batch| batch.header.as_mut().unwrap().dropped = 256;
    refused(&altered(dropped), Fault::OutOfRange);
    let laser = |batch: &mut Batch| {
        batch.prints[0].laser = Some(PrintLaser { nominal_set_point: 3 });
    };
    refused(&altered(laser), Fault::Contradiction);
    refused(&altered(|batch| batch.prints = vec![print(); 11]), Fault::TooMany);
    refused(
        &altered(|batch| batch.prints[0].status = Some(PrintStatus::default())),
        Fault::NonCanonical,
    );
    refused(&altered(|batch| batch.prints[0].start_date = 20_779), Fault::NonCanonical);
    refused(
        &altered(|batch| batch.header.as_mut().unwrap().subject = vec![1; 15]),
        Fault::OutOfRange,
    );
}

#[test]
fn second_encodings_of_the_same_value_are_refused() {
    let header = batch().header.unwrap();
    // A batch of the header alone: its sequence 9 is the last but two fields.
    let good = Batch { header: Some(header), ..Default::default() }.encode_to_vec();
    let at = good.windows(2).position(|pair| pair == [0x10, 9]).unwrap();
    let mut long = good.clone();
    long.splice(at + 1..at + 2, [0x89, 0x00]);
    long[1] += 1;
    refused(&long, Fault::NonCanonical);
    let mut twice = good.clone();
    twice.splice(at..at, [0x10, 9]);
    twice[1] += 2;
    refused(&twice, Fault::DuplicateField);
    let mut zero = good.clone();
    zero[at + 1] = 0;
    refused(&zero, Fault::NonCanonical);
    let mut wrong_type = good;
    wrong_type[at] = 0x15;
    refused(&wrong_type, Fault::Malformed);
}

#[test]
fn frames_have_three_sizes_and_zero_padding() {
    for records in 0..=10 {
        let batch = Batch { prints: vec![print(); records], ..batch() }.encode_to_vec();
        let sealed = frame::seal(batch.clone(), vec![7; 64]).unwrap();
        assert!(frame::SIZES.contains(&sealed.len()));
        assert_eq!(frame::open(contract(), &sealed).unwrap().batch, batch);
        let mut marked = sealed.clone();
        *marked.last_mut().unwrap() = 1;
        assert_eq!(frame::open(contract(), &marked), Err(Fault::NonCanonical));
        let mut cut = sealed;
        cut.pop();
        assert!(frame::open(contract(), &cut).is_err());
    }
    assert!(frame::seal(vec![1; 2048], vec![7; 64]).is_err());
}

/// Ten prints and ten days with every value take 1,550 bytes with the header.
#[test]
fn every_batch_size_finds_a_frame() {
    for length in 1..=1_600 {
        assert!(frame::seal(vec![1; length], vec![7; 64]).is_ok(), "{length}");
    }
}

#[test]
fn the_stripper_leaves_what_is_granted_and_no_more() {
    let bytes = print().encode_to_vec();
    let kept = |allowed: &[Category]| {
        let bytes = contract()
            .strip(RecordKind::Print, &bytes, |category| allowed.contains(&category))
            .unwrap()?;
        let record = contract().record(RecordKind::Print, &bytes).unwrap();
        Some(record.sections.iter().map(|section| section.category).collect::<Vec<_>>())
    };
    assert_eq!(kept(&[]), None);
    assert_eq!(kept(&[Category::Laser]), None);
    let some = [Category::PrintTime, Category::Temperature];
    assert_eq!(kept(&some), Some(some.to_vec()));
    assert_eq!(kept(&Category::ALL).map(|all| all.len()), Some(4));
}

#[test]
fn columns_are_named_after_section_and_field() {
    let fields = contract().columns(RecordKind::Print);
    let names: Vec<&str> = fields.iter().map(|&at| contract().rule(at).column.as_str()).collect();
    assert_eq!(names.len(), 18);
    assert!(names.contains(&"print_time_completed_duration") && names.contains(&"status_outcome"));
    assert_eq!(contract().columns(RecordKind::Day).len(), 34);
    assert_eq!(
        contract().column(RecordKind::Print, "laser_nominal_set_point"),
        Some(field::PRINT_LASER_NOMINAL_SET_POINT)
    );
}

#[test]
fn meanings_are_readable() {
    let say = |field, index| contract().meaning(field, index);
    assert_eq!(say(field::PRINT_STATUS_OUTCOME, 1), "done");
    assert_eq!(say(field::PRINT_TIME_COMPLETED_DURATION, 2), "450 to 675 s");
    assert_eq!(say(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, 6), "205 to 215 degC");
    assert_eq!(say(field::DAY_PRINT_TIME_PRINTS_STARTED, 13), "13 and more");
}

fn values() -> Vec<FieldId> {
    let kinds = RecordKind::ALL.into_iter();
    kinds.flat_map(|kind| contract().columns(kind)).collect()
}

proptest! {
    #[test]
    fn quantising_is_monotone_idempotent_and_inside_its_bin(
        place in 0..52_usize,
        mut pair in proptest::array::uniform2(0.0..1_000_000_f64),
    ) {
        let field = values()[place];
        pair.sort_by(f64::total_cmp);
        let index = pair.map(|value| contract().quantise(field, value));
        prop_assert!(index[0] <= index[1]);
        prop_assert!(index[1] < contract().rule(field).domain());
        for (value, index) in pair.into_iter().zip(index) {
            let measured = !matches!(contract().rule(field).unit, Some(Unit::Count | Unit::Catalogue));
            if let Some((low, high)) = contract().bounds(field, index).filter(|_| measured) {
                prop_assert!(low <= value && value <= high, "{value} in {low} to {high}");
            }
            if let Some(middle) = contract().representative(field, index) {
                prop_assert_eq!(contract().quantise(field, middle), index);
            }
        }
    }

    #[test]
    fn any_bytes_are_answered_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(batch) = contract().decode::<Batch>(&bytes) {
            prop_assert_eq!(batch.encode_to_vec(), bytes);
        }
    }

    #[test]
    fn one_changed_byte_is_refused_or_still_canonical(at in 0..180_usize, value in any::<u8>()) {
        let mut bytes = batch().encode_to_vec();
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(batch) = contract().decode::<Batch>(&bytes) {
            prop_assert_eq!(batch.encode_to_vec(), bytes);
        }
    }
}
