//! What is written is read back; whatever else is in a file is named.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema};
use imprimatur_consent::{Category, Digest, Pseudonym};
use imprimatur_proto::contract;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_proto::rules::Alternative;
use imprimatur_runtime::{UnixSeconds, UtcDate};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const DATE: UtcDate = UtcDate(20_778);

fn lake() -> (TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().join("lake")).unwrap();
    (folder, lake)
}

fn print(commit: u64, outcome: u32) -> Row {
    let field = contract().column(RecordKind::Print, "status_outcome").unwrap();
    Row {
        kind: RecordKind::Print,
        date: DATE,
        epoch: DATE.month(),
        commit,
        ordinal: 0,
        subject: Pseudonym([7; 16]),
        principal: Pseudonym([9; 16]),
        sections: vec![Section { category: Category::Status, values: vec![(field, outcome)] }],
    }
}

/// Rows of any kind that the contract allows, built from random numbers.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (any::<bool>(), 0..3_u32, any::<u64>(), any::<[u8; 16]>(), vec_of(90));
    let row = row.prop_map(|(print, day, commit, subject, numbers)| {
        let kind = if print { RecordKind::Print } else { RecordKind::Day };
        let date = UtcDate(DATE.0 + day);
        let sections = sections(kind, &numbers);
        let (subject, principal) = (Pseudonym(subject), Pseudonym([3; 16]));
        Row { kind, date, epoch: date.month(), commit, ordinal: 4, subject, principal, sections }
    });
    proptest::collection::vec(row, 1..30)
}

fn vec_of(length: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), length)
}

fn sections(kind: RecordKind, numbers: &[u32]) -> Vec<Section> {
    let mut numbers = numbers.iter().copied().cycle();
    let mut next = move || numbers.next().unwrap();
    let forbidden: Vec<Alternative> = Alternative::AXES
        .into_iter()
        .map(|[one, other]| if next() % 2 == 0 { one } else { other })
        .collect();
    let layout = layout::Layout::of(kind);
    let mut sections = Vec::new();
    for group in &layout.groups {
        let mut values = Vec::new();
        for column in &layout.columns[group.range.clone()] {
            let told = contract().rule(column.field).only;
            let index = next() % column.domain;
            if index > 0 && told.is_none_or(|told| !forbidden.contains(&told)) {
                values.push((column.field, index));
            }
        }
        if !values.is_empty() && next() % 4 > 0 {
            sections.push(Section { category: group.category, values });
        }
    }
    sections
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.retain(|row| !row.sections.is_empty());
    rows.sort_by_key(|row| (row.kind, row.date, row.commit, row.subject));
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_written_are_rows_read(rows in rows()) {
        let (_folder, lake) = lake();
        let files = lake.write(&rows).unwrap();
        let mut read = Vec::new();
        for file in &files {
            let part = lake.read(file).unwrap();
            prop_assert!(lake.reproduces(file, &part).unwrap());
            read.extend(part);
        }
        prop_assert_eq!(sorted(read), sorted(rows.clone()));
        let reversed: Vec<Row> = rows.into_iter().rev().collect();
        prop_assert_eq!(lake.write(&reversed).unwrap(), files);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let (_folder, lake) = lake();
        let rows: Vec<Row> = (0..40).map(|commit| print(commit, 1)).collect();
        let entry = lake.write(&rows).unwrap().remove(0);
        let path = lake.locate(&entry).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        *at.get_mut(&mut bytes) ^= flip;
        fs::write(&path, &bytes).unwrap();
        let caught = matches!(lake.read(&entry), Err(ReadError::HashMismatch { .. }));
        prop_assert!(caught);
        // Also when the catalogue was forged to fit: rows or a typed error.
        drop(lake.read(&FileEntry { sha256: Digest::of(&bytes), ..entry }));
    }
}

/// Puts a Parquet file of other columns in the place of a published one, with a catalogue to fit.
fn forge(lake: &Lake, batch: &RecordBatch, metadata: Option<Vec<KeyValue>>) -> FileEntry {
    let entry = lake.write(&[print(5, 1)]).unwrap().remove(0);
    let properties = WriterProperties::builder()
        .set_key_value_metadata(metadata)
        .set_offset_index_disabled(true)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::Chunk)
        .build();
    let options =
        ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    fs::write(lake.locate(&entry).unwrap(), &bytes).unwrap();
    let length = u64::try_from(bytes.len()).unwrap();
    FileEntry { bytes: length, sha256: Digest::of(&bytes), ..entry }
}

/// The one row of [`print`] as a batch.
fn honest(lake: &Lake) -> RecordBatch {
    let entry = lake.write(&[print(5, 1)]).unwrap().remove(0);
    let file = fs::File::open(lake.locate(&entry).unwrap()).unwrap();
    let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
    builder.unwrap().build().unwrap().next().unwrap().unwrap()
}

fn with_column(batch: &RecordBatch, field: Field, column: ArrayRef) -> RecordBatch {
    let mut fields: Vec<Field> =
        batch.schema().fields.iter().map(|field| field.as_ref().clone()).collect();
    let mut columns = batch.columns().to_vec();
    if let Some(at) = fields.iter().position(|one| one.name() == field.name()) {
        (fields[at], columns[at]) = (field, column);
    } else {
        fields.push(field);
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[track_caller]
fn finds(field: Field, column: ArrayRef, expected: &str) {
    let (_folder, lake) = lake();
    let batch = with_column(&honest(&lake), field, column);
    let error = lake.read(&forge(&lake, &batch, None)).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}

fn bytes_of(values: Vec<Option<u8>>) -> ArrayRef {
    Arc::new(UInt8Array::from(values))
}

#[test]
fn forged_columns_are_named() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["benchy.gcode"]));
    finds(Field::new("file_name", DataType::Utf8, true), Arc::clone(&text), "`file_name` (Utf8)");
    finds(Field::new("status_outcome", DataType::Utf8, true), text, "`status_outcome` is Utf8");
    let outcome =
        |value| (Field::new("status_outcome", DataType::UInt8, true), bytes_of(vec![value]));
    let (field, column) = outcome(Some(6));
    finds(field, column, "`status_outcome` is 6 in row 0; the contract knows 0 to 5");
    let (field, column) = outcome(Some(0));
    finds(field, column, "the section of `status_outcome` knows nothing in row 0");
    let (field, column) = outcome(None);
    finds(field, column, "the section of `status_outcome` is only partly absent in row 0");
    let amount = Field::new("material_amount", DataType::UInt8, true);
    finds(amount, bytes_of(vec![Some(3)]), "only partly absent");
}

#[test]
fn bytes_beside_the_columns_are_found() {
    let (_folder, lake) = lake();
    let batch = honest(&lake);
    let entry = forge(&lake, &batch, None);
    assert_eq!(lake.read(&entry).unwrap(), [print(5, 1)]);
    let hidden = Some(vec![KeyValue::new("mesh".to_owned(), "solid".to_owned())]);
    let error = lake.read(&forge(&lake, &batch, hidden)).unwrap_err();
    assert!(matches!(error, ReadError::HiddenBytes { what: "key-value metadata" }), "{error}");

    let entry = lake.write(&[print(5, 1)]).unwrap().remove(0);
    let path = lake.locate(&entry).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap());
    let at = bytes.len() - 8 - usize::try_from(footer).unwrap();
    bytes.splice(at..at, *b"solid");
    fs::write(&path, &bytes).unwrap();
    let entry = FileEntry {
        bytes: u64::try_from(bytes.len()).unwrap(),
        sha256: Digest::of(&bytes),
        ..entry
    };
    let error = lake.read(&entry).unwrap_err();
    assert!(matches!(error, ReadError::HiddenBytes { .. }), "{error}");
}

#[test]
fn a_catalogue_that_lies_about_a_file_is_caught() {
    let (_folder, lake) = lake();
    let entry = lake.write(&[print(5, 1), print(6, 2)]).unwrap().remove(0);
    let read = |entry: FileEntry| lake.read(&entry).unwrap_err();
    assert!(matches!(read(FileEntry { rows: 3, ..entry.clone() }), ReadError::RowCount { .. }));
    assert!(matches!(read(FileEntry { bytes: 3, ..entry.clone() }), ReadError::Length { .. }));
    let narrow = FileEntry { last_commit: 5, ..entry.clone() };
    assert!(matches!(read(narrow), ReadError::Misfiled { row: 1, column: "commit" }));
    for path in ["../print.parquet", "/etc/passwd", "day/date=2026-11-21/a.parquet", ""] {
        let error = read(FileEntry { path: path.to_owned(), ..entry.clone() });
        assert!(matches!(error, ReadError::Misplaced { .. }), "{path}: {error}");
    }
    fs::remove_file(lake.locate(&entry).unwrap()).unwrap();
    assert!(matches!(read(entry), ReadError::Io { .. }));
}

#[test]
fn rows_outside_the_contract_are_not_written() {
    let (_folder, lake) = lake();
    let column = |name| contract().column(RecordKind::Print, name).unwrap();
    let (outcome, amount) = (column("status_outcome"), column("material_amount"));
    let refused = |category, values| {
        let row = Row { sections: vec![Section { category, values }], ..print(1, 1) };
        lake.write(&[row]).unwrap_err().to_string()
    };
    assert!(refused(Category::Status, vec![(outcome, 6)]).contains("cannot be 6"));
    assert!(refused(Category::Status, vec![(outcome, 0)]).contains("cannot be 0"));
    assert!(refused(Category::Status, vec![(amount, 1)]).contains("`material_amount`"));
    assert!(refused(Category::Status, vec![]).contains("empty"));
    assert!(refused(Category::Machine, vec![(outcome, 1)]).contains("without a place"));
    let (completed, stopped) =
        (column("print_time_completed_duration"), column("print_time_stopped_duration"));
    let both = refused(Category::PrintTime, vec![(completed, 1), (stopped, 1)]);
    assert!(both.contains("tells both"), "{both}");
}

#[test]
fn a_sweep_leaves_only_what_the_catalogue_names() {
    let (_folder, lake) = lake();
    let kept = lake.write(&[print(1, 1)]).unwrap().remove(0);
    let other = Row { date: UtcDate(DATE.0 + 1), ..print(2, 1) };
    let lost = lake.write(&[other]).unwrap().remove(0);
    fs::write(lake.folder().join("print/date=2026-11-21/x.tmp"), b"torn").unwrap();
    let catalogue = Catalogue { files: vec![kept.clone()], ..Catalogue::empty(UnixSeconds(1)) };
    assert_eq!(lake.sweep(&catalogue).unwrap(), 2);
    assert_eq!(lake.sweep(&catalogue).unwrap(), 0);
    assert!(lake.read(&kept).is_ok());
    assert!(!lake.locate(&lost).unwrap().parent().unwrap().exists());
}

#[test]
fn an_erasure_rewrites_a_file_beside_the_old_one() {
    let (_folder, lake) = lake();
    let old = lake.write(&[print(1, 1), print(2, 2), print(3, 3)]).unwrap().remove(0);
    let new = lake.rewrite(&old, |row| (row.commit != 2).then_some(row)).unwrap().unwrap();
    assert_ne!(old.path, new.path);
    assert_eq!(lake.read(&old).unwrap().len(), 3);
    assert_eq!(lake.read(&new).unwrap(), [print(1, 1), print(3, 3)]);
    assert_eq!(lake.rewrite(&new, Some).unwrap(), Some(new.clone()), "nothing to change");
    assert_eq!(lake.rewrite(&new, |_| None).unwrap(), None);
}

#[test]
fn a_rectification_rewrites_rows_and_writes_nothing_outside_the_contract() {
    let (_folder, lake) = lake();
    let old = lake.write(&[print(1, 1), print(2, 2)]).unwrap().remove(0);
    let outcome = contract().column(RecordKind::Print, "status_outcome").unwrap();
    let told = |index| Section { category: Category::Status, values: vec![(outcome, index)] };
    let second = |index| {
        move |row: Row| {
            let sections = if row.commit == 2 { vec![told(index)] } else { row.sections };
            Some(Row { sections, ..row })
        }
    };
    let new = lake.rewrite(&old, second(2)).unwrap().unwrap();
    let expected = [print(1, 1), Row { sections: vec![told(2)], ..print(2, 2) }];
    assert_eq!(lake.read(&new).unwrap(), expected);
    assert!(matches!(lake.rewrite(&old, second(6)), Err(RewriteError::Write(_))));
    assert_eq!(lake.read(&old).unwrap().len(), 2, "the old file is untouched");
}

#[test]
fn a_catalogue_is_read_back_and_its_absence_is_named() {
    let (_folder, lake) = lake();
    let absent = Catalogue::load(lake.folder()).unwrap_err();
    assert!(absent.to_string().starts_with("nothing was published yet"), "{absent}");
    let subject = Pseudonym([1; 16]);
    let mut catalogue = Catalogue::empty(UnixSeconds(42));
    catalogue.files = lake.write(&[print(1, 1)]).unwrap();
    catalogue.enrolled.insert(Pseudonym([2; 16]));
    catalogue.excluded.insert(Exclusion { subject, category: Category::Laser, up_to: u64::MAX });
    catalogue.store(lake.folder()).unwrap();
    assert_eq!(Catalogue::load(lake.folder()).unwrap(), catalogue);
    let path = lake.folder().join("catalogue.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"synthetic\"", "\"surprise\"");
    fs::write(&path, text).unwrap();
    assert!(matches!(Catalogue::load(lake.folder()), Err(CatalogueError::Malformed { .. })));
}

fn word(text: &str) -> Word {
    Word::of(text).unwrap()
}

fn overview() -> Overview {
    let policy = Digest([3; 32]);
    let (date, log) = (DATE, Digest([4; 32]));
    Overview {
        published: UnixSeconds(42),
        position: 9,
        synthetic: true,
        principals: 7,
        coverage: vec![Coverage { category: Category::Laser, policy, version: 2, principals: 5 }],
        answers: vec![AnswerCount {
            date,
            outcome: word("refused"),
            reason: word("no_grant"),
            count: 3,
        }],
        batches_waiting: 1,
        requests: vec![Request {
            received: date,
            kind: word("erase"),
            due: UtcDate(DATE.0 + 30),
            done: None,
            held: false,
        }],
        log: LogState { size: 8, root: log, checkpoint: "a note".to_owned() },
    }
}

#[test]
fn an_overview_is_read_back_and_holds_no_text_and_no_field_beyond_its_own() {
    let (_folder, lake) = lake();
    let absent = Overview::load(lake.folder()).unwrap_err();
    assert!(matches!(absent, CatalogueError::Absent { .. }), "{absent}");
    let overview = overview();
    overview.store(lake.folder()).unwrap();
    assert_eq!(Overview::load(lake.folder()).unwrap(), overview);
    assert_eq!(lake.sweep(&Catalogue::empty(UnixSeconds(1))).unwrap(), 0, "it is no row");
    let path = lake.folder().join("overview.json");
    let text = fs::read_to_string(&path).unwrap();
    let changes = [
        ("\"no_grant\"", "\"Mallory\\u0027s printer\""),
        ("\"erase\"", "\"0123456789abcdef\""),
        ("\"erase\"", "\"a_word_of_more_than_forty_letters_is_no_word\""),
        ("\"principals\": 7", "\"principals\": 7, \"names\": []"),
        ("\"held\": false", "\"held\": false, \"number\": 1"),
        ("\"count\": 3", "\"count\": 3, \"subject\": \"x\""),
        ("\"version\": 2", "\"version\": 2, \"who\": 1"),
        ("\"size\": 8", "\"size\": 8, \"entry\": 1"),
    ];
    for (old, new) in changes {
        let changed = text.replacen(old, new, 1);
        assert_ne!(changed, text, "{old}");
        fs::write(&path, changed).unwrap();
        let read = Overview::load(lake.folder());
        assert!(matches!(read, Err(CatalogueError::Malformed { .. })), "{new}");
    }
    for no_word in ["NoGrant", "no-grant", "a b", "grant2", "\u{e4}", &"a".repeat(41)] {
        assert_eq!(Word::of(no_word), Err(NoWord), "{no_word}");
    }
    assert_eq!(word("").as_str(), "");
}

#[test]
fn a_report_is_read_back_and_holds_no_finding() {
    let (_folder, lake) = lake();
    let check = Checked {
        invariant: imprimatur_consent::Invariant::NoPermitNoRow,
        holds: false,
        checked: 12,
        failed: 1,
    };
    assert!(check.name().starts_with("every stored section"));
    let report = Report {
        made: UnixSeconds(42),
        verdict: Verdict::Fails,
        synthetic: false,
        rows: 3,
        log_size: 8,
        checks: vec![check],
    };
    report.store(lake.folder()).unwrap();
    assert_eq!(Report::load(lake.folder()).unwrap(), report);
    let path = lake.folder().join("report.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"failed\"", "\"findings\": [], \"failed\"", 1)).unwrap();
    assert!(matches!(Report::load(lake.folder()), Err(CatalogueError::Malformed { .. })));
}
