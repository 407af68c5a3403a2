//! Models for slicers: a cube, written as ASCII STL.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// The eight corners' indices (bits x, y, z) of each face, counter-clockwise from outside.
const FACES: [[u8; 4]; 6] =
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]];

/// Writes a cube with an edge of `millimetres`, one corner at the origin, to `path`. The solid's
/// name is the file's stem, so a test can plant a name.
///
/// # Errors
/// When the file cannot be written.
pub fn cube(path: &Path, millimetres: f64) -> io::Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    fs::write(path, text(&name, millimetres))
}

fn text(name: &str, edge: f64) -> String {
    let mut stl = format!("solid {name}\n");
    for [a, b, c, d] in FACES {
        for triangle in [[a, b, c], [a, c, d]] {
            // Slicers take the direction from the order of the corners; a zero normal is usual.
            stl.push_str("facet normal 0 0 0\n outer loop\n");
            for corner in triangle {
                let at = |bit: u8| if corner & bit == 0 { 0.0 } else { edge };
                // Writing to a string cannot fail.
                writeln!(stl, "  vertex {} {} {}", at(4), at(2), at(1)).expect("string");
            }
            stl.push_str(" endloop\nendfacet\n");
        }
    }
    stl.push_str("endsolid ");
    stl.push_str(name);
    stl.push('\n');
    stl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cube_has_twelve_triangles_and_encloses_its_volume() {
        let stl = text("part", 6.0);
        let corners: Vec<Vec<f64>> = stl
            .lines()
            .filter_map(|line| line.trim().strip_prefix("vertex "))
            .map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect())
            .collect();
        assert_eq!(corners.len(), 36);
        // Signed tetrahedra over a closed, outward-facing surface add up to the volume.
        let volume: f64 = corners
            .chunks(3)
            .map(|t| {
                let (a, b, c) = (&t[0], &t[1], &t[2]);
                (a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
                    + a[2] * (b[0] * c[1] - b[1] * c[0]))
                    / 6.0
            })
            .sum();
        assert!((volume - 216.0).abs() < 1e-9, "{volume}");
    }
}
