//! Settings of a Duet source.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::settings::{Address, KeySource, SettingsError, material, seconds};

/// Settings of a Duet source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawDuet")]
pub struct DuetSettings {
    pub(crate) address: Address,
    pub(crate) password: Option<KeySource>,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
    /// Diameter of the filament, millimetres.
    pub(crate) filament: Option<f64>,
}

/// A Duet source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDuet {
    /// `http://HOST`, in the local network.
    url: String,
    /// File that holds the machine's password (M551); without it none is sent.
    password_file: Option<PathBuf>,
    /// Seconds between two looks while a print runs, twice that while none does; default 5: each
    /// is five or six short questions; 1 to 60.
    poll_seconds: Option<f64>,
    /// What is loaded, since the board does not know it; default unknown.
    material: Option<String>,
    /// Diameter of the filament, millimetres, 1 to 4; without it no amount is told, since the board
    /// counts the length alone.
    filament_mm: Option<f64>,
}

impl TryFrom<RawDuet> for DuetSettings {
    type Error = SettingsError;

    fn try_from(raw: RawDuet) -> Result<Self, SettingsError> {
        if raw.filament_mm.is_some_and(|millimetres| !(1.0..=4.0).contains(&millimetres)) {
            let expected = "1 to 4 millimetres";
            return Err(SettingsError::OutOfRange { key: "filament_mm", expected });
        }
        Ok(Self {
            address: Address::parse(&raw.url)?,
            password: raw.password_file.map(KeySource::File),
            poll: seconds(raw.poll_seconds, 5.0, 60.0, "1 to 60 seconds")?,
            material: material(raw.material.as_deref())?,
            filament: raw.filament_mm,
        })
    }
}
