//! `PrusaSlicer`, FFF and SLA, without a window.
//!
//! Keeps true: settings go in by a configuration file, as a user's would, so that the slicer writes
//! them into its output; nothing of the account's own slicer settings is read.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use super::{PeerError, file_error, installed, write};

/// Which settings to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The slicer's own defaults.
    Defaults,
    /// A Marlin printer with thumbnails, notes, a print host and its key: everything personal that
    /// a slicer can write.
    Full,
    /// A Klipper printer.
    Klipper,
    /// A resin printer; the output is an SL1 archive.
    Sla,
}

impl Profile {
    fn text(self) -> &'static str {
        match self {
            Self::Defaults => "",
            Self::Full => include_str!("../../peers/prusaslicer-full.ini"),
            Self::Klipper => include_str!("../../peers/prusaslicer-klipper.ini"),
            Self::Sla => include_str!("../../peers/prusaslicer-sla.ini"),
        }
    }

    fn export(self) -> &'static str {
        match self {
            Self::Sla => "--export-sla",
            Self::Defaults | Self::Full | Self::Klipper => "--export-gcode",
        }
    }
}

/// The slicer; there is nothing to start.
#[derive(Debug)]
pub struct PrusaSlicer;

impl PrusaSlicer {
    /// Slices `stl` into `output`, which is overwritten. `settings` are put over the profile's, by
    /// the names that a `PrusaSlicer` configuration file uses (`post_process` runs a hook).
    ///
    /// Beside `output` stay `NAME.ini` (the settings), `NAME.slicer` (the slicer's folder) and its logs.
    ///
    /// # Errors
    /// When the slicer is not installed, fails, takes over two minutes or writes no file.
    pub async fn slice(
        stl: &Path,
        output: &Path,
        profile: Profile,
        settings: &[(&str, &str)],
    ) -> Result<(), PeerError> {
        let program = installed("prusa-slicer", &["/usr/bin/prusa-slicer"])?;
        let ini = output.with_extension("ini");
        write(&ini, &merge(profile.text(), settings))?;
        let mut command = Command::new(program);
        command
            .arg(profile.export())
            .args([OsStr::new("--load"), ini.as_os_str()])
            .arg("--datadir")
            .arg(output.with_extension("slicer"))
            .args([OsStr::new("--output"), output.as_os_str()])
            .arg(stl);
        super::slice("prusa-slicer", command, output).await.map(drop)
    }

    /// What `prusa-slicer --help` says in its first line: name and version.
    ///
    /// # Errors
    /// When the slicer is not installed.
    pub fn version() -> Result<String, PeerError> {
        let program = installed("prusa-slicer", &["/usr/bin/prusa-slicer"])?;
        let Output { stdout, .. } = Command::new(&program)
            .arg("--help")
            .output()
            .map_err(|source| file_error(&program, source))?;
        Ok(String::from_utf8_lossy(&stdout).lines().next().unwrap_or_default().to_owned())
    }
}

/// The profile without the keys that `settings` name, then `settings`.
fn merge(profile: &str, settings: &[(&str, &str)]) -> String {
    let named = |line: &&str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        settings.iter().any(|(name, _)| *name == key)
    };
    let mut text = String::new();
    for line in profile.lines().filter(|line| !named(line)) {
        text.push_str(line);
        text.push('\n');
    }
    for (name, value) in settings {
        // Writing to a string cannot fail.
        writeln!(text, "{name} = {value}").expect("string");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_replace_those_of_the_profile() {
        assert_eq!(merge("a = 1\nb = 2\n", &[("b", "3"), ("c", "4")]), "a = 1\nb = 3\nc = 4\n");
    }
}
