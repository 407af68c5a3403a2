//! The signatures: by which bytes each format of models, pictures, toolpaths and containers is known.
//!
//! An anchor is what the automaton looks for; the rest of the signature is confirmed at its place.
//! Bits are those of anchor and confirmation together, in random bytes.

use super::confirm;

/// One format.
#[derive(Debug)]
pub(crate) struct Rule {
    /// As the report names it.
    pub(crate) name: &'static str,
    /// Bytes of which one stands at the beginning, 3 or more.
    pub(crate) anchors: &'static [&'static [u8]],
    /// Whether letters of the anchor may have either case.
    pub(crate) any_case: bool,
    /// Bytes from the anchor on that the confirmation may want.
    pub(crate) reach: usize,
    /// Whether the bytes, which begin with an anchor, are of this format.
    pub(crate) confirm: fn(&[u8]) -> bool,
}

/// Name of the rule that pages of our own Parquet files fit.
pub(crate) const ZSTD: &str = "a zstd frame";

/// Bytes that the confirmation of a line or a header wants, at most.
const SHORT: usize = 1024;

const fn fixed(name: &'static str, anchors: &'static [&'static [u8]]) -> Rule {
    Rule { name, anchors, any_case: false, reach: 0, confirm: confirm::always }
}

const fn text(name: &'static str, anchors: &'static [&'static [u8]]) -> Rule {
    Rule { any_case: true, ..fixed(name, anchors) }
}

/// All of them.
pub(crate) const RULES: &[Rule] = &[
    // 96 bits and three numbers.
    Rule { reach: SHORT, confirm: confirm::stl_normal, ..text("STL (text)", &[b"facet normal"]) },
    // 80 bits and more.
    text("3MF", &[b"schemas.microsoft.com/3dmanufacturing", b"<vertex x=", b"<triangle v1="]),
    // 104 bits and an element.
    Rule { reach: SHORT, confirm: confirm::amf, ..text("AMF", &[b"<coordinates>"]) },
    // 88 bits.
    fixed("PLY", &[b"ply\nformat ", b"ply\r\nformat "]),
    // 24 bits, and three lines of three numbers: 200 bits and more.
    Rule { reach: SHORT, confirm: confirm::obj, ..fixed("OBJ", &[b"\nv "]) },
    // 96 bits.
    text("STEP", &[b"ISO-10303-21"]),
    // 24 bits three times, with letter and number each.
    Rule {
        reach: SHORT,
        confirm: confirm::gcode,
        ..text(
            "G-code",
            &[
                b"G0 ", b"G1 ", b"G2 ", b"G3 ", b"G00 ", b"G01 ", b"G0X", b"G1X", b"G0Y", b"G1Y",
                b"G00X", b"G01X",
            ],
        )
    },
    // 128 bits and a size.
    Rule {
        reach: SHORT,
        confirm: confirm::thumbnail,
        ..text(
            "a slicer's thumbnail",
            &[b"thumbnail begin ", b"thumbnail_QOI begin ", b"thumbnail_JPG begin "],
        )
    },
    // 64 bits.
    fixed("PNG", &[b"\x89PNG\r\n\x1a\n"]),
    // 32 bits and 40.
    Rule {
        reach: 16,
        confirm: confirm::jpeg,
        ..fixed("JPEG", &[b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1"])
    },
    // 32 bits and 46.
    Rule { reach: 16, confirm: confirm::qoi, ..fixed("QOI", &[b"qoif"]) },
    // 208 bits; 40 bits and 16 printable bytes, 22.
    text("SVG", &[b"http://www.w3.org/2000/svg"]),
    Rule { reach: 32, confirm: confirm::svg, ..text("SVG", &[b"<svg ", b"<svg\n", b"<svg\r"]) },
    // 64 bits; 104 bits.
    fixed("glTF", &[b"glTF\x01\0\0\0", b"glTF\x02\0\0\0", b"\"bufferViews\""]),
    // 32 bits and 30.
    Rule { reach: SHORT, confirm: confirm::zip, ..fixed("a zip archive", &[b"PK\x03\x04"]) },
    // 24 bits, 3 of flags, and deflated data that unpacks to its checksum or to 64 KiB: none of 200,000
    // tries with random bytes, so 17 bits and more.
    Rule {
        reach: confirm::BLOCK,
        confirm: confirm::gzip,
        ..fixed("a gzip stream", &[b"\x1f\x8b\x08"])
    },
    // 32 bits, 1 reserved, and a first block that decodes to its end: none of 200,000 tries, so 17 and
    // more.
    Rule { reach: confirm::BLOCK, confirm: confirm::zstd, ..fixed(ZSTD, &[b"\x28\xb5\x2f\xfd"]) },
    // 48 bits, the number pi.
    fixed("a bzip2 stream", &[b"1AY&SY"]),
    // 48 bits each.
    fixed("a 7z archive", &[b"7z\xbc\xaf\x27\x1c"]),
    fixed("an xz stream", &[b"\xfd7zXZ\0"]),
];

/// Facets of binary STL, and the two laws of whole files.
pub(crate) const FACETS: &str = "STL (binary facets)";
/// A whole file that begins like a text STL.
pub(crate) const SOLID: &str = "STL (text, by its first line)";
/// A whole file whose length is that of its triangles.
pub(crate) const SIZED: &str = "STL (binary, by its length)";

/// How many formats are searched for.
pub(crate) fn count() -> usize {
    RULES.len() + [FACETS, SOLID, SIZED].len()
}
