//! Pairs of solids that real slicers put into the same bins: their files leave the same bytes, too.

use std::path::PathBuf;

use imprimatur_proto::{contract, field};
use imprimatur_testkit::peers::{CuraEngine, Profile, PrusaSlicer};
use imprimatur_testkit::stl;

use super::{Twin, live_slice, twins};

/// Pairs of each slicer that must have equal bins.
const PAIRS: usize = 10;

/// Edges of the cubes, millimetres; each has a prism of the same volume beside it.
const EDGES: [f64; 14] =
    [5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0];

/// Two solids of one volume, with names of their own.
fn solids(folder: &std::path::Path, edge: f64, sides: u32) -> [PathBuf; 2] {
    let cube = folder.join(format!("Acme secret bracket {edge}.stl"));
    stl::cube(&cube, edge).unwrap();
    let prism = folder.join(format!("プロトタイプ-{edge}-{sides}.stl"));
    let angle = std::f64::consts::TAU / f64::from(sides);
    let radius = (edge * edge * 2.0 / (f64::from(sides) * angle.sin())).sqrt();
    stl::prism(&prism, sides, radius, edge).unwrap();
    [cube, prism]
}

/// What the slicer says behind this word, the last time.
fn says<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.lines().rev().find_map(|line| line.strip_prefix(word)).map(str::trim)
}

/// `1h 2m 3s` in seconds.
fn seconds(span: &str) -> f64 {
    let part = |word: &str| {
        let (count, unit) = word.split_at(word.len() - 1);
        let each = [("d", 86_400.0), ("h", 3_600.0), ("m", 60.0), ("s", 1.0)];
        let each = each.into_iter().find(|(name, _)| *name == unit).unwrap().1;
        count.parse::<f64>().unwrap() * each
    };
    span.split(' ').map(part).sum()
}

/// The bins that a file says it belongs to, in the slicer's own words.
fn bins(text: &str) -> [u32; 2] {
    let prusa = says(text, "; estimated printing time (normal mode) =").map(seconds);
    let cura = says(text, ";TIME_ELAPSED:").map(|text| text.parse().unwrap());
    let grams = says(text, "; total filament used [g] =").map_or(0.0, |text| text.parse().unwrap());
    let bin = |field, value| contract().quantise(field, value);
    let time = prusa.or(cura).unwrap();
    [bin(field::PRINT_TIME_COMPLETED_DURATION, time), bin(field::PRINT_MATERIAL_AMOUNT, grams)]
}

/// Slices pairs until enough have equal bins, and lets each twin print its own.
async fn pairs(slice: impl AsyncFn(&PathBuf, &PathBuf)) {
    let mut twins = twins(|_, _| ());
    let folder = tempfile::tempdir().unwrap();
    let mut equal = 0;
    for (at, edge) in EDGES.into_iter().enumerate() {
        let solids = solids(folder.path(), edge, 3 + u32::try_from(at % 6).unwrap());
        let files = solids.each_ref().map(|solid| solid.with_extension("gcode"));
        let mut texts = Vec::new();
        for (solid, file) in solids.iter().zip(&files) {
            slice(solid, file).await;
            texts.push(std::fs::read_to_string(file).unwrap());
        }
        if equal == PAIRS || bins(&texts[0]) != bins(&texts[1]) {
            continue;
        }
        assert_ne!(texts[0], texts[1]);
        for (twin, file) in twins.iter_mut().zip(&files) {
            live_slice(twin, file);
        }
        equal += 1;
    }
    assert_eq!(equal, PAIRS, "too few pairs of solids have equal bins");
    let spools = twins.each_ref().map(|twin: &Twin| {
        assert_eq!(twin.reports.len(), PAIRS);
        twin.room.agent.seal_all().unwrap();
        twin.room.spool()
    });
    assert!(!spools[0].is_empty());
    assert_eq!(spools[0], spools[1], "a solid was seen on the wire");
}

#[tokio::test]
async fn pairs_of_solids_that_prusaslicer_slices_leave_the_same_bytes() {
    pairs(async |solid, file| {
        PrusaSlicer::slice(solid, file, Profile::Full, &[]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn pairs_of_solids_that_cura_slices_leave_the_same_bytes() {
    pairs(async |solid, file| {
        CuraEngine::slice(solid, file, "creality_ender3").await.unwrap();
    })
    .await;
}
