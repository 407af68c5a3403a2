//! Models for slicers: cubes and prisms, written as ASCII STL.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// The eight corners' indices (bits x, y, z) of each face, counter-clockwise from outside.
const FACES: [[u8; 4]; 6] =
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]];

/// Three corners, counter-clockwise from outside.
type Triangle = [[f64; 3]; 3];

/// Writes a cube with an edge of `millimetres`, one corner at the origin, to `path`. The solid's
/// name is the file's stem, so a test can plant a name.
///
/// # Errors
/// When the file cannot be written.
pub fn cube(path: &Path, millimetres: f64) -> io::Result<()> {
    write(path, &cube_triangles(millimetres))
}

/// Writes an upright prism over a regular polygon of so many sides, all in millimetres, as [`cube`] does.
///
/// # Errors
/// When the file cannot be written.
pub fn prism(path: &Path, sides: u32, radius: f64, height: f64) -> io::Result<()> {
    write(path, &prism_triangles(sides, radius, height))
}

fn write(path: &Path, triangles: &[Triangle]) -> io::Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    fs::write(path, text(&name, triangles))
}

fn cube_triangles(edge: f64) -> Vec<Triangle> {
    let corner = |corner: u8| {
        let at = |bit: u8| if corner & bit == 0 { 0.0 } else { edge };
        [at(4), at(2), at(1)]
    };
    let halves = FACES.iter().flat_map(|&[a, b, c, d]| [[a, b, c], [a, c, d]]);
    halves.map(|triangle| triangle.map(corner)).collect()
}

fn prism_triangles(sides: u32, radius: f64, height: f64) -> Vec<Triangle> {
    let corner = |side: u32, z: f64| {
        let angle = std::f64::consts::TAU * f64::from(side % sides) / f64::from(sides);
        [radius + radius * angle.cos(), radius + radius * angle.sin(), z]
    };
    let side = |side: u32| {
        let (a, b) = (corner(side, 0.0), corner(side + 1, 0.0));
        let (above_a, above_b) = (corner(side, height), corner(side + 1, height));
        let (below, above) = ([radius, radius, 0.0], [radius, radius, height]);
        [[below, b, a], [above, above_a, above_b], [a, b, above_b], [a, above_b, above_a]]
    };
    (0..sides).flat_map(side).collect()
}

fn text(name: &str, triangles: &[Triangle]) -> String {
    let mut stl = format!("solid {name}\n");
    for triangle in triangles {
        // Slicers take the direction from the order of the corners; a zero normal is usual.
        stl.push_str("facet normal 0 0 0\n outer loop\n");
        for [x, y, z] in triangle {
            // Writing to a string cannot fail.
            writeln!(stl, "  vertex {x} {y} {z}").expect("string");
        }
        stl.push_str(" endloop\nendfacet\n");
    }
    stl.push_str("endsolid ");
    stl.push_str(name);
    stl.push('\n');
    stl
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signed tetrahedra over a closed, outward-facing surface add up to the volume.
    fn volume(stl: &str) -> f64 {
        let corners: Vec<Vec<f64>> = stl
            .lines()
            .filter_map(|line| line.trim().strip_prefix("vertex "))
            .map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect())
            .collect();
        let tetrahedron = |t: &[Vec<f64>]| {
            let (a, b, c) = (&t[0], &t[1], &t[2]);
            (a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
                + a[2] * (b[0] * c[1] - b[1] * c[0]))
                / 6.0
        };
        corners.chunks(3).map(tetrahedron).sum()
    }

    #[test]
    fn a_cube_has_twelve_triangles_and_encloses_its_volume() {
        let stl = text("part", &cube_triangles(6.0));
        assert_eq!(stl.matches("vertex").count(), 36);
        assert!((volume(&stl) - 216.0).abs() < 1e-9);
    }

    #[test]
    fn a_prism_encloses_its_volume() {
        for sides in 3..9 {
            let stl = text("part", &prism_triangles(sides, 4.0, 3.0));
            let angle = std::f64::consts::TAU / f64::from(sides);
            let expected = f64::from(sides) * 8.0 * angle.sin() * 3.0;
            assert!((volume(&stl) - expected).abs() < 1e-9, "{sides}");
        }
    }
}
