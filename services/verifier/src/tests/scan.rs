//! Geometry and canaries planted in every place and disguise must be found, and nothing else.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use imprimatur_consent::{Invariant, Pseudonym};
use proptest::prelude::*;

use super::world::World;
use super::{caught, caught_alone, proven};
use crate::scan::searcher::{Found, Own, Searcher};
use crate::{Canaries, CanaryError, Report, Wanted};

const NOTHING: [&str; 0] = [];

/// A facet of binary STL; its corners depend on the seed.
fn facet(seed: u8) -> Vec<u8> {
    let side = f32::from(seed) + 1.5;
    let floats = [0.0, 0.0, 1.0, 0.0, 0.0, side, side, 0.0, side, 0.0, 12.25, side];
    floats.iter().flat_map(|float: &f32| float.to_le_bytes()).chain([0, 0]).collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// One sample of each format, with the name under which it must be found.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let facets: Vec<u8> = (0..5).flat_map(facet).collect();
    let mut zip = b"PK\x03\x04\x14\0\0\0\x08\0\x21\x50\x21\x50".to_vec();
    zip.extend([7; 12]);
    zip.extend(b"\x13\0\0\x003D/3dmodel.model");
    let mut long = String::new();
    for number in 0..40 {
        writeln!(long, "G1 X{number}.5 Y2{number} E.0{number}").unwrap();
    }
    vec![
        ("STL (text)", text("  FACET NORMAL 0 0 -1\n    outer loop")),
        ("STL (binary facets)", facets),
        (
            "3MF",
            text("<model xmlns=\"http://schemas.microsoft.com/3dmanufacturing/core/2015/02\">"),
        ),
        ("3MF", text("<vertex x=\"1\" y=\"2\" z=\"3\"/>")),
        ("AMF", text("<coordinates>\n <x>1</x>")),
        ("PLY", text("ply\nformat ascii 1.0\n")),
        ("OBJ", text("o part\nv 1 2 3\nv 1.5 -2 3e-1\r\nv 0 0 0\nf 1 2 3")),
        ("STEP", text("ISO-10303-21;\nHEADER;")),
        ("G-code", text("G28\nG1 X1 Y2 E.1\nG1 X2.5 F900\nG0 Y-4 ; travel\n")),
        ("G-code", text("N1 G01X1.5Y2*99\\nN2 G1 F90 E2\\nN3 g1 x2 y3\\nN4 G0 X4")),
        ("a slicer's thumbnail", text("; thumbnail_QOI begin 16x16 556\n")),
        ("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        ("JPEG", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01".to_vec()),
        ("QOI", b"qoif\0\0\0\x10\0\0\0\x10\x04\0\xfe\xff".to_vec()),
        ("SVG", text("<svg width=\"10mm\" height=\"10mm\">")),
        ("SVG", text("xmlns=\"http://www.w3.org/2000/svg\"")),
        ("glTF", b"glTF\x02\0\0\0\0\x01\0\0JSON".to_vec()),
        ("glTF", text("{\"asset\":{},\"bufferViews\":[]}")),
        ("a zip archive", zip),
        ("a gzip stream", gzipped(long.as_bytes())),
        ("a gzip stream", gzipped(&random(4, 300_000))),
        ("a zstd frame", zstd::bulk::compress(long.as_bytes(), 3).unwrap()),
        ("a bzip2 stream", b"BZh91AY&SY\x12\x34".to_vec()),
        ("a 7z archive", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec()),
        ("an xz stream", b"\xfd7zXZ\0\0\x04".to_vec()),
    ]
}

/// What is found in these bytes, as the report names it.
fn found(bytes: &[u8]) -> Vec<String> {
    let searcher = Searcher::of(&Canaries::default()).unwrap();
    let mut found = Found::default();
    let mut stream = bytes;
    let length = u64::try_from(bytes.len()).ok();
    let read = searcher.stream(&mut stream, length, Own::Nothing, &mut found, &mut |_| {});
    assert_eq!(read.unwrap(), length.unwrap());
    found.hits().map(|(hit, places)| format!("{hit} at {}", places.first)).collect()
}

/// The same bytes are found at a place deep in others, whichever way they are written.
#[test]
fn every_format_is_found_plain_in_hex_and_in_base64_at_each_alignment() {
    for (name, sample) in samples() {
        for before in 0..3_usize {
            let mut padded = vec![b'\n'; before];
            padded.extend(&sample);
            let forms = [
                ("", padded.clone()),
                (" in hex", hex::encode(&padded).into_bytes()),
                (" in hex", hex::encode_upper(&padded).into_bytes()),
                (" in base64", STANDARD.encode(&padded).into_bytes()),
                (" in base64", URL_SAFE.encode(&padded).into_bytes()),
            ];
            for (form, written) in forms {
                let mut bytes = vec![b'\n'; 1000];
                bytes.extend(&written);
                bytes.extend(b"\n end");
                let found = found(&bytes);
                let expected = format!("{name}{form} at");
                let hit = found.iter().any(|one| one.starts_with(&expected));
                // Facets have no fixed byte: the module says so.
                let facets = name == "STL (binary facets)" && !form.is_empty();
                assert_eq!(hit, !facets, "{name}{form} after {before}: {found:?}");
            }
        }
    }
}

#[test]
fn a_place_is_exact_also_across_windows() {
    // A window is 1 MiB and more; signatures stand before, on and behind its end.
    for at in [0, 1_048_570, 1_048_576, 1_310_900, 1_311_000, 2_097_150, 3_000_000] {
        let mut bytes = vec![b'.'; at];
        bytes.extend(b"ISO-10303-21;");
        bytes.extend(vec![b'.'; 500_000]);
        assert_eq!(found(&bytes), [format!("STEP at {at}")]);
        let mut bytes = vec![0; at];
        (0..4).for_each(|seed| bytes.extend(facet(seed)));
        bytes.extend(vec![0; 500_000]);
        assert_eq!(found(&bytes), [format!("STL (binary facets) at {at}")]);
    }
}

#[test]
fn whole_files_are_known_by_their_first_line_and_by_their_length() {
    assert_eq!(found(b"solid bracket\n"), ["STL (text, by its first line) at 0"]);
    assert_eq!(found(b"solid \x01\x02"), NOTHING);
    // Zero facets: only the length tells.
    let mut bytes = vec![b' '; 80];
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend([7; 150]);
    assert_eq!(found(&bytes), ["STL (binary, by its length) at 0"]);
    bytes.push(7);
    assert_eq!(found(&bytes), NOTHING);
}

#[test]
fn what_only_resembles_a_format_is_not_found() {
    let texts = [
        "a facet normally looks like this",
        "<coordinates>8.5,52.1</coordinates>",
        "\nv 1 2 3\nv 1 2 3\nno third line",
        "G1 is a command, G0 another, G28 X Y the third; G1 X5 alone is no toolpath",
        "thumbnail begin now",
        "the words solid and PK and gltf and qoif",
        "PK\x03\x04 is written in a manual about archives",
        "a list of moves: G1 X, G1 Y, G0 X",
    ];
    for text in texts {
        assert_eq!(found(text.as_bytes()), NOTHING, "{text}");
    }
    for bytes in [&[0; 4096][..], &[0xff; 4096], b"qoif\0\x10\0\0\0\0\0\x10\x04\0", b"\x1f\x8b\x08"]
    {
        assert_eq!(found(bytes), NOTHING);
    }
}

/// Random bytes, the same on every run (`SplitMix64`).
fn random(seed: u64, count: usize) -> Vec<u8> {
    let (mut state, mut bytes) = (seed, Vec::with_capacity(count + 8));
    while bytes.len() < count {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

#[test]
fn random_bytes_their_hex_and_their_base64_hold_nothing() {
    assert_eq!(found(&random(1, 64 << 20)), NOTHING);
    assert_eq!(found(hex::encode(random(2, 4 << 20)).as_bytes()), NOTHING);
    assert_eq!(found(STANDARD.encode(random(3, 6 << 20)).as_bytes()), NOTHING);
}

/// Behind the fixed bytes of a header, chance is tried many more times than 64 MiB try it.
#[test]
fn random_bytes_behind_the_head_of_a_container_are_no_container() {
    let searcher = Searcher::of(&Canaries::default()).unwrap();
    let heads: [&[u8]; 2] = [b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd\0\x38"];
    for head in heads {
        for seed in 0..20_000 {
            let mut bytes = head.to_vec();
            bytes.extend(random(seed, 3000));
            let mut found = Found::default();
            searcher.bytes(&bytes, Own::Nothing, &mut found);
            assert_eq!(found.hits().next(), None, "try {seed} after {head:?}");
        }
    }
}

/// Finds planted in each file of the folder; all but the keys, which are sealed by their length.
#[test]
fn geometry_beside_the_evidence_is_caught_wherever_it_lies() {
    let world = World::honest();
    let model = b"ISO-10303-21;\nHEADER;";
    for place in ["part.step", "lake/print/part", "log/tile/part", "keys/part", "evidence/part"] {
        fs::write(world.path(place), model).unwrap();
        let report = world.verify();
        caught_alone(&report, Invariant::NoGeometry, "looks like STEP");
        caught_alone(&report, Invariant::NoGeometry, "no layout, catalogue or manifest names it");
        fs::remove_file(world.path(place)).unwrap();
    }
    // Behind the pages of the book, which is no whole one then.
    let mut book = fs::OpenOptions::new().append(true).open(world.path("book.redb")).unwrap();
    book.write_all(&STANDARD.encode(model).into_bytes()).unwrap();
    caught(&world.verify(), Invariant::NoGeometry, "looks like STEP in base64");
}

#[test]
fn a_container_is_caught_and_the_lakes_own_pages_are_not() {
    let world = World::honest();
    proven(&world.verify());
    // A file that its catalogue does not name yet has such pages as well; it is a stranger, no more.
    let named = world.path("lake").join(&world.catalogue.files[0].path);
    let unnamed = named.with_file_name("unnamed.parquet");
    fs::copy(&named, &unnamed).unwrap();
    let report = world.verify();
    caught_alone(&report, Invariant::NoGeometry, "is no file of a collector");
    assert!(!report.to_string().contains("zstd"), "{report}");
    fs::remove_file(&unnamed).unwrap();
    let page = zstd::bulk::compress(&[b'x'; 5000], 3).unwrap();
    fs::write(world.path("more"), &page).unwrap();
    caught_alone(&world.verify(), Invariant::NoGeometry, "looks like a zstd frame");
}

#[test]
fn a_stranger_is_caught_and_a_leftover_of_a_crash_is_not() {
    let world = World::honest();
    for name in ["notes.txt", "keys/keyring.bak", "log/tile/0/000.txt", "evidence/consent-a.jsonl"]
    {
        fs::write(world.path(name), b"nothing").unwrap();
        caught_alone(&world.verify(), Invariant::NoGeometry, "is no file of a collector");
        fs::remove_file(world.path(name)).unwrap();
    }
    // A segment that was written before the crash that kept the book from naming it.
    let segment = fs::read(world.path("evidence/commits-3-6.jsonl")).unwrap();
    fs::write(world.path("evidence/commits-3-5.jsonl"), &segment).unwrap();
    proven(&world.verify());
    fs::write(world.path("evidence/commits-3-5.jsonl"), b"{\"position\":1}\n").unwrap();
    caught_alone(&world.verify(), Invariant::NoGeometry, "named like evidence and is none");
    fs::remove_file(world.path("evidence/commits-3-5.jsonl")).unwrap();
    fs::create_dir(world.path("policies")).unwrap();
    fs::write(world.path("policies/a.toml"), imprimatur_consent::policy::STRICTEST).unwrap();
    proven(&world.verify());
    fs::write(world.path("policies/a.toml"), "geometry = true").unwrap();
    caught_alone(&world.verify(), Invariant::NoGeometry, "named like a policy and is none");
}

#[test]
fn a_link_is_caught_and_not_followed() {
    let world = World::honest();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a.stl"), b"solid a\n").unwrap();
    std::os::unix::fs::symlink(outside.path(), world.path("lake/more")).unwrap();
    let report = world.verify();
    caught_alone(&report, Invariant::NoGeometry, "links are not followed");
    assert!(!report.to_string().contains("STL"), "{report}");
}

#[test]
fn keys_of_another_length_are_caught() {
    let world = World::honest();
    let mut key = fs::read(world.path("collector.key")).unwrap_or_default();
    key.extend(b"ISO-10303-21;");
    fs::write(world.path("collector.key"), key).unwrap();
    caught_alone(&world.verify(), Invariant::NoGeometry, "is no file of a collector");
}

#[test]
fn bytes_in_values_are_caught_in_the_lake_and_in_opened_evidence() {
    let hidden = Pseudonym(*b"ISO-10303-21;\n..");
    let mut world = World::honest();
    world.row(3).principal = hidden;
    caught(&world.forged(), Invariant::NoGeometry, "looks like STEP");
    let mut world = World::honest();
    world.change_commit(3, |proof, _| proof.records[0].principal = hidden);
    caught(&world.forged(), Invariant::NoGeometry, "looks like STEP in hex");
    // What a subject signed may hold bytes of its own: the language of the notice.
    let mut world = World::honest();
    world.change_event(1, |event, _| {
        let imprimatur_consent::event::What::Consent { signed_event } = &mut event.what else {
            unreachable!()
        };
        signed_event.push_str(&hex::encode("ISO-10303-21;"));
    });
    caught(&world.forged(), Invariant::NoGeometry, "looks like STEP");
}

fn with(canaries: &[&str]) -> Wanted {
    let mut wanted = Wanted::default();
    for text in canaries {
        wanted.canaries.add(text).unwrap();
    }
    wanted
}

#[test]
fn a_canary_is_caught_in_every_disguise_and_never_told() {
    let world = World::honest();
    let (text, other) = ("Bracket-Left_v7.stl", "SN-0042-1337");
    let wanted = with(&[other, text]);
    let clean = world.look_for(&wanted);
    proven(&clean);
    let planted = clean.checks.iter().find(|one| one.invariant == Invariant::NoHardwareIdentifier);
    assert!(planted.unwrap().checked > 5, "{clean}");
    let reversed: String = text.chars().rev().collect();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let disguises: Vec<(&str, Vec<u8>)> = vec![
        ("canary 2", text.into()),
        ("canary 2", text.to_uppercase().into()),
        ("canary 2 back to front", reversed.into()),
        ("canary 2 in UTF-16", utf16),
        ("canary 2 in hex", hex::encode_upper(text).into()),
        ("canary 2 in hex", hex::encode(text.to_lowercase()).into()),
        ("canary 2 in base64", STANDARD.encode(text).into()),
        ("canary 2 in base64", STANDARD.encode(format!("a{text}b")).into()),
        ("canary 2 in base64", URL_SAFE.encode(format!("ab{text}c")).into()),
        ("canary 2 in base64", STANDARD.encode(text.to_uppercase()).into()),
    ];
    let logs = tempfile::tempdir().unwrap();
    let wanted = Wanted { logs: vec![logs.path().to_owned()], ..wanted };
    for (name, bytes) in disguises {
        let mut line = b"2026-11-22 a line of a log: ".to_vec();
        line.extend(bytes);
        fs::write(logs.path().join("collector.log"), &line).unwrap();
        let report = world.look_for(&wanted);
        caught_alone(&report, Invariant::NoHardwareIdentifier, &format!("holds {name}"));
        assert!(!told(&report).contains("racket"), "{report}");
    }
}

/// All that a report says.
fn told(report: &Report) -> String {
    format!("{report}{}", serde_json::to_string(report).unwrap())
}

#[test]
fn a_canary_in_a_name_or_a_packed_log_is_caught() {
    let (world, logs) = (World::honest(), tempfile::tempdir().unwrap());
    let wanted = Wanted { logs: vec![logs.path().to_owned()], ..with(&["bracket-left"]) };
    let packed = logs.path().join("collector.log.1.gz");
    fs::write(&packed, gzipped(b"an honest line\n")).unwrap();
    let report = world.look_for(&wanted);
    proven(&report);
    assert_eq!(report.scan.unwrap().log_files, 1);
    fs::write(&packed, gzipped(b"an uploaded Bracket-Left.gcode\n")).unwrap();
    caught_alone(&world.look_for(&wanted), Invariant::NoHardwareIdentifier, "holds canary 1");
    fs::write(&packed, b"\x1f\x8b\x08 no gzip").unwrap();
    caught_alone(&world.look_for(&wanted), Invariant::NoGeometry, "cannot be read");
    fs::remove_file(&packed).unwrap();
    fs::write(logs.path().join("BRACKET-LEFT"), b"").unwrap();
    caught_alone(&world.look_for(&wanted), Invariant::NoHardwareIdentifier, "holds canary 1");
}

#[test]
fn geometry_in_a_log_is_caught() {
    let (world, logs) = (World::honest(), tempfile::tempdir().unwrap());
    let wanted = Wanted { logs: vec![logs.path().to_owned()], ..Wanted::default() };
    let moves = "sent G1 X1 Y1\nsent G1 X2 Y2\nsent G1 X3 Y3\n".repeat(9);
    fs::write(logs.path().join("serial.log"), moves).unwrap();
    let report = world.look_for(&wanted);
    caught_alone(&report, Invariant::NoGeometry, "looks like G-code");
    let geometry = report.checks.iter().find(|one| one.invariant == Invariant::NoGeometry).unwrap();
    assert!(geometry.findings[0].place.ends_with("serial.log, byte 5"), "{report}");
    assert_eq!(geometry.failed, 1, "one for a file and a format: {report}");
}

#[test]
fn canaries_that_chance_would_find_are_refused() {
    let mut canaries = Canaries::default();
    assert_eq!(canaries.add("abc"), Err(CanaryError::Short(1)));
    assert_eq!(canaries.add(&"a".repeat(300)), Err(CanaryError::Long(1)));
    assert_eq!(canaries.add_lines("first-one\n\n  second-one \nx\n"), Err(CanaryError::Short(3)));
    assert_eq!(canaries.count(), 2);
    assert_eq!(format!("{canaries:?}"), "Canaries(2)");
    assert_eq!(canaries.add_lines(&"a canary\n".repeat(2000)), Err(CanaryError::Many));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// No bytes behind any anchor make a confirmation panic.
    #[test]
    fn arbitrary_bytes_behind_an_anchor_never_panic(
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let samples = samples();
        let (_, sample) = &samples[which.index(samples.len())];
        let mut all = sample[..=cut.index(sample.len())].to_vec();
        all.extend(bytes);
        let _names = found(&all);
        let _names = found(hex::encode(&all).as_bytes());
        let _names = found(STANDARD.encode(&all).as_bytes());
    }
}
