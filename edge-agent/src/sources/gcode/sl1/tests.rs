//! Archives as `PrusaSlicer` writes them, and others.

use std::io::{Cursor, Write};

use imprimatur_proto::telemetry::v1::MaterialFamily;
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const CONFIG: &str =
    include_str!("../../../../../fixtures/slicers/prusaslicer-2.5.0-sl1.config.ini");

/// Lengths and checksums stand behind the entries, as `PrusaSlicer` leaves them.
fn streamed(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new_stream(Vec::new());
    for (name, text) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Lengths and checksums stand before the entries.
fn whole(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn recorded() -> Sliced {
    Sliced {
        seconds: Some(1687.5),
        amount: Some(0.216),
        family: Some(MaterialFamily::Other),
        layer_height: Some(0.05),
        slicer: Some(catalogue::slicer("PrusaSlicer", "2.5.0")),
        model: catalogue::model("prusa-sl1").map(|model| model.number),
        ..Sliced::default()
    }
}

#[test]
fn the_settings_of_an_archive_are_read_and_nothing_behind_them() {
    let entries = [("config.ini", CONFIG), ("prusaslicer.ini", "layer_height = 9"), ("a.png", "x")];
    for archive in [streamed(&entries), whole(&entries)] {
        assert!(is_archive(&archive));
        assert_eq!(facts(&archive), recorded());
        let second = archive.windows(4).skip(1).position(|four| four == ENTRY).unwrap();
        let cut = archive.get(..second + 1).unwrap();
        assert_eq!(facts(cut), recorded(), "the rest was never there");
    }
}

#[test]
fn an_archive_that_begins_with_something_else_says_nothing() {
    let unknown = Sliced::default();
    for entries in [
        &[("a.png", "layerHeight = 0.05"), ("config.ini", CONFIG)][..],
        &[("folder/config.ini", CONFIG)],
        &[("config.ini", "")],
        &[("config.ini", "layerHeight: 0.05\n= 0.05\nlayerHeight = \n")],
        &[],
    ] {
        assert_eq!(facts(&streamed(entries)), unknown, "{entries:?}");
        assert_eq!(facts(&whole(entries)), unknown, "{entries:?}");
    }
}

#[test]
fn a_bomb_is_not_unpacked() {
    let room = usize::try_from(CONFIG_BYTES_MAX).unwrap() - CONFIG.len();
    let padded = |bytes: usize| format!("{CONFIG}{}", "\n".repeat(bytes));
    for (padding, expected) in
        [(room, recorded()), (room + 1, Sliced::default()), (4 << 20, Sliced::default())]
    {
        let archive = streamed(&[("config.ini", &padded(padding))]);
        assert!(archive.len() < 1 << 16, "{}", archive.len());
        assert_eq!(facts(&archive), expected, "{padding}");
    }
}

#[test]
fn values_that_no_print_has_are_unknown() {
    for line in [
        "printTime = 1e300",
        "printTime = NaN",
        "usedMaterial = -1",
        "usedMaterial = 99999",
        "layerHeight = 0",
        "layerHeight = inf",
        "prusaSlicerVersion = 4711",
        "printerModel = ",
        "materialName = ",
        "jobDir = AcmeCorp_secret-bracket_v3",
    ] {
        assert_eq!(facts(&streamed(&[("config.ini", line)])), Sliced::default(), "{line}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        facts(&[ENTRY, &bytes].concat());
    }

    #[test]
    fn a_damaged_archive_is_read_without_panic(at in 0_usize..300, byte in any::<u8>()) {
        let mut archive = streamed(&[("config.ini", CONFIG)]);
        if let Some(place) = archive.get_mut(at) {
            *place = byte;
        }
        facts(&archive);
    }
}
