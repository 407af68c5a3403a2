//! Settings of a folder that a slicer writes to.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::sources::settings::{SettingsError, seconds};

/// Settings of a G-code folder source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawGcode")]
pub struct GcodeSettings {
    pub(crate) folder: PathBuf,
    pub(crate) poll: Duration,
}

/// A G-code folder as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGcode {
    /// Folder that the slicer writes to.
    folder: PathBuf,
    /// Seconds between two looks; default 10; 1 to 3600.
    poll_seconds: Option<f64>,
}

impl TryFrom<RawGcode> for GcodeSettings {
    type Error = SettingsError;

    fn try_from(raw: RawGcode) -> Result<Self, SettingsError> {
        let poll = seconds(raw.poll_seconds, 10.0, 3600.0, "1 to 3600 seconds")?;
        Ok(Self { folder: raw.folder, poll })
    }
}
