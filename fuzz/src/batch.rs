//! What an agent sends: a frame, the batch in it, and its records.

use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{
    Batch, BatchHeader, DayMachine, DayReport, PrintMaterial, PrintReport, PrintTime,
};
use imprimatur_proto::{canonical, contract, frame};

/// Frames of one, of no and of ten records.
pub fn seeds() -> Vec<Vec<u8>> {
    [0, 1, 10].into_iter().map(|prints| sealed(&sample(prints))).collect()
}

/// A batch of so many prints.
pub(crate) fn sample(prints: u32) -> Batch {
    let date = 20_778;
    let print = |number: u32| PrintReport {
        start_date: date,
        print_time: Some(PrintTime { completed_duration: 1 + number, ..PrintTime::default() }),
        material: Some(PrintMaterial { amount: 5, family: 1 }),
        ..PrintReport::default()
    };
    Batch {
        header: Some(BatchHeader {
            subject: vec![7; 16],
            sequence: 3,
            policy_hash: vec![9; 32],
            contract_hash: contract().hash().to_vec(),
            ..BatchHeader::default()
        }),
        prints: (0..prints).map(print).collect(),
        days: vec![DayReport {
            date,
            machine: Some(DayMachine { model: 2, ..DayMachine::default() }),
            ..DayReport::default()
        }],
    }
}

fn sealed(batch: &Batch) -> Vec<u8> {
    frame::seal(canonical::encode(batch), vec![5; 64]).unwrap()
}

/// A frame that is opened is made again byte for byte, and so is all that is in it.
pub fn run(data: &[u8]) {
    let Ok(signed) = frame::open(contract(), data) else { return };
    let again = frame::seal(signed.batch.clone(), signed.signature.clone()).unwrap();
    assert_eq!(again, data, "two frames for one batch");
    let Ok(batch) = contract().decode::<Batch>(&signed.batch) else { return };
    assert_eq!(canonical::encode(&batch), signed.batch, "two encodings of one batch");
    for print in &batch.prints {
        record(RecordKind::Print, &canonical::encode(print));
    }
    for day in &batch.days {
        record(RecordKind::Day, &canonical::encode(day));
    }
}

/// A record is told as values within their domains, and nothing is left of it when all is taken out.
fn record(kind: RecordKind, bytes: &[u8]) {
    let Ok(record) = contract().record(kind, bytes) else { return };
    for section in &record.sections {
        for &(field, value) in &section.values {
            assert!(value < contract().rule(field).domain(), "a value outside its domain");
        }
    }
    assert_eq!(contract().strip(kind, bytes, |_| false), Ok(None), "something was left");
    if !record.sections.is_empty() {
        assert_eq!(contract().strip(kind, bytes, |_| true), Ok(Some(bytes.to_vec())));
    }
}
