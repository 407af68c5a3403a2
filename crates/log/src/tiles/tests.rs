//! Names and widths of tiles as C2SP tlog-tiles gives them, and bundles of entries.

use super::*;

#[track_caller]
fn named(tile: Tile, expected: &str) {
    assert_eq!(tile.path(Path::new("")), Path::new(expected));
}

#[test]
fn tiles_have_the_names_of_the_specification() {
    let hashes = Holds::Hashes(0);
    named(Tile { holds: hashes, index: 0, width: 256 }, "tile/0/000");
    named(Tile { holds: hashes, index: 999, width: 1 }, "tile/0/999.p/1");
    named(Tile { holds: hashes, index: 1_000, width: 256 }, "tile/0/x001/000");
    named(Tile { holds: hashes, index: 1_234_067, width: 256 }, "tile/0/x001/x234/067");
    let entries = Tile { holds: Holds::Entries, index: 1_234_067, width: 255 };
    named(entries, "tile/entries/x001/x234/067.p/255");
}

#[test]
fn a_log_has_the_tiles_of_the_specification() {
    let of = |holds, size| -> Vec<u64> {
        lacking(0, size).filter(|tile| tile.holds == holds).map(|tile| tile.width).collect()
    };
    let level0 = of(Holds::Hashes(0), 70_000);
    assert_eq!(level0.len(), 274);
    assert_eq!(level0.iter().filter(|width| **width == 256).count(), 273);
    assert_eq!(level0.last(), Some(&112));
    assert_eq!(of(Holds::Entries, 70_000), level0);
    assert_eq!(of(Holds::Hashes(1), 70_000), [256, 17]);
    assert_eq!(of(Holds::Hashes(2), 70_000), [1]);
    assert!(of(Holds::Hashes(3), 70_000).is_empty());
    assert_eq!(of(Holds::Hashes(0), 256), [256]);
    assert_eq!(of(Holds::Hashes(1), 256), [1]);
    assert_eq!(lacking(0, 0).count(), 0);
    assert_eq!(lacking(300, 300).count(), 0);
    assert!(Tile::of(Holds::Hashes(7), 0, u64::MAX).is_some());
    assert!(Tile::of(Holds::Hashes(0), u64::MAX, u64::MAX).is_none());
}

#[test]
fn bundles_are_read_as_they_were_written() {
    let entries = vec![vec![1; 3], Vec::new(), vec![2; 65_535]];
    let bytes = bundle(&entries).unwrap();
    assert_eq!(bytes.get(..5), Some(&[0, 3, 1, 1, 1][..]));
    assert_eq!(unbundle(&bytes), Some(entries));
    assert_eq!(unbundle(&[]), Some(Vec::new()));
    assert_eq!(unbundle(&bytes[..bytes.len() - 1]), None);
    assert_eq!(unbundle(&[0]), None);
    assert_eq!(bundle(&[vec![0; 65_536]]), None);
}
