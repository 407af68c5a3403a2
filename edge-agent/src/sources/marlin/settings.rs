//! Settings of a Marlin source.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::settings::{SettingsError, material, seconds};

/// Rates that boards are built with, bits per second.
const BAUDS: [u32; 10] =
    [9_600, 19_200, 38_400, 57_600, 76_800, 115_200, 230_400, 250_000, 500_000, 1_000_000];

/// Settings of a Marlin source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawMarlin")]
pub struct MarlinSettings {
    pub(crate) port: PathBuf,
    pub(crate) baud: u32,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
}

/// A Marlin source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMarlin {
    /// The device, such as `/dev/serial/by-id/usb-...`, which stays the same over restarts.
    port: PathBuf,
    /// Bits per second; default 115200, which most boards use.
    baud: Option<u32>,
    /// Seconds between two looks; default 5: each is up to three short lines; 1 to 60.
    poll_seconds: Option<f64>,
    /// What is loaded, since the firmware does not know it; default unknown.
    material: Option<String>,
}

impl TryFrom<RawMarlin> for MarlinSettings {
    type Error = SettingsError;

    fn try_from(raw: RawMarlin) -> Result<Self, SettingsError> {
        let baud = raw.baud.unwrap_or(115_200);
        if !BAUDS.contains(&baud) {
            let expected =
                "9600, 19200, 38400, 57600, 76800, 115200, 230400, 250000, 500000, 1000000";
            return Err(SettingsError::OutOfRange { key: "baud", expected });
        }
        if !raw.port.is_absolute() {
            return Err(SettingsError::Port);
        }
        Ok(Self {
            port: raw.port,
            baud,
            poll: seconds(raw.poll_seconds, 5.0, 60.0, "1 to 60 seconds")?,
            material: material(raw.material.as_deref())?,
        })
    }
}
