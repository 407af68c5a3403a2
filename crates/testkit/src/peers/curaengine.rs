//! Cura's engine, without Cura's window.
//!
//! Keeps true: machines are described by the definitions that Cura's own package installs.

use std::path::Path;
use std::process::Command;

use super::{PeerError, installed};

/// Where the package `cura` puts its definitions.
const RESOURCES: &str = "/usr/share/cura/resources";

/// The engine; there is nothing to start.
#[derive(Debug)]
pub struct CuraEngine;

impl CuraEngine {
    /// Slices `stl` into `output`, which is overwritten, for the machine of that name, such as
    /// `creality_ender3`. Gives what the engine said, among it time and volume.
    ///
    /// # Errors
    /// When engine or definition are not installed, it fails, takes over two minutes or writes no file.
    pub async fn slice(stl: &Path, output: &Path, machine: &str) -> Result<String, PeerError> {
        let program = installed("CuraEngine", &["/usr/bin/CuraEngine"])?;
        let definition = format!("{RESOURCES}/definitions/{machine}.def.json");
        let definition = installed("the definitions of cura", &[&definition])?;
        let mut command = Command::new(program);
        command
            .env(
                "CURA_ENGINE_SEARCH_PATH",
                format!("{RESOURCES}/definitions:{RESOURCES}/extruders"),
            )
            .args(["slice", "-v", "-j"])
            .arg(definition)
            .arg("-o")
            .arg(output)
            .args(["-e0", "-l"])
            .arg(stl);
        super::slice("CuraEngine", command, output).await
    }
}
