//! Short print jobs for printers that need a file but no slicer.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// A job that heats, extrudes a little and ends.
///
/// Small numbers keep a test short: the virtual printers heat some ten degrees a second and a
/// layer takes about a second.
#[derive(Clone, Copy, Debug)]
pub struct ShortJob {
    /// Target of the hot end in degrees Celsius; waited for.
    pub hotend_celsius: u16,
    /// Target of the bed in degrees Celsius; not waited for.
    pub bed_celsius: u16,
    /// Number of layers, each four moves and a dwell of half a second.
    pub layers: u16,
}

impl Default for ShortJob {
    fn default() -> Self {
        Self { hotend_celsius: 180, bed_celsius: 40, layers: 4 }
    }
}

impl ShortJob {
    /// The job's text; moves hold `X`, `Y` and `Z`, so that a test can search for geometry.
    pub fn text(&self) -> String {
        let mut text = format!(
            "M140 S{}\nM109 S{}\nG28\nG90\nM83\nG1 Z0.2 F600\n",
            self.bed_celsius, self.hotend_celsius
        );
        for layer in 1..=self.layers {
            let height = f64::from(layer) * 0.2;
            // Writing to a string cannot fail.
            writeln!(
                text,
                "G1 Z{height:.3}\nG1 X20.125 Y20.125 E1 F3000\nG1 X40.625 E1\nG1 Y40.625 E1\n\
                 G1 X20.125 E1\nG4 P500"
            )
            .expect("string");
        }
        text.push_str("M104 S0\nM140 S0\n");
        text
    }

    /// Writes the job to `path`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, self.text())
    }
}
