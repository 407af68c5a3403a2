//! `Slic3r`, without a window.
//!
//! Keeps true: nothing of the account's own settings is read, and a hook finds programs in the given
//! folder and the system's, nowhere else.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::{PeerError, installed};

/// The slicer; there is nothing to start.
#[derive(Debug)]
pub struct Slic3r;

impl Slic3r {
    /// Slices `stl` into `output`, which is overwritten, for filament of 1.75 mm with what `options` say;
    /// `programs` is the folder where its hooks look first.
    ///
    /// # Errors
    /// When the slicer is not installed, fails, takes over two minutes or writes no file.
    pub async fn slice(
        stl: &Path,
        output: &Path,
        options: &[&OsStr],
        programs: &Path,
    ) -> Result<(), PeerError> {
        let mut command = Command::new(installed("slic3r", &["/usr/bin/slic3r"])?);
        command
            .args(["--no-gui", "--filament-diameter", "1.75", "--datadir"])
            .arg(output.with_extension("slicer"))
            .args(options)
            .args([OsStr::new("--output"), output.as_os_str(), stl.as_os_str()])
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        super::slice("slic3r", command, output).await.map(drop)
    }
}
