//! Settings of a Moonraker source, and which of the owner's names stands for what.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;

use crate::sources::settings::{Address, KeySource, Secret, SettingsError, key, material, seconds};

/// Settings of a Moonraker source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawMoonraker")]
pub struct MoonrakerSettings {
    pub(crate) address: Address,
    pub(crate) key: Option<KeySource>,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
    pub(crate) roles: MoonrakerRoles,
}

/// Which of the owner's own Klipper names stands for what; names stay in the reader.
#[derive(Clone, Debug, Default)]
pub struct MoonrakerRoles {
    /// Object name of the light source, `output_pin NAME`.
    pub laser: Option<String>,
    /// Object name of the tank or powder-bed heater, `heater_generic NAME`.
    pub process: Option<String>,
    /// Object name of the run-out sensor, `filament_switch_sensor NAME`.
    pub run_out: Option<String>,
    /// Object name of the electronics sensor, `temperature_sensor NAME`.
    pub electronics: Option<String>,
}

/// A Moonraker source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMoonraker {
    /// `http://HOST:PORT`, in the local network.
    url: String,
    /// Key, where Moonraker wants one. It can do everything: prefer the file.
    api_key: Option<Secret>,
    /// File that holds the key.
    api_key_file: Option<PathBuf>,
    /// Seconds between two readings of the heaters; default 2; 1 to 60. Moonraker sends by itself.
    poll_seconds: Option<f64>,
    /// What is loaded, where files do not say; default unknown.
    material: Option<String>,
    /// Name of the `[output_pin NAME]` that is the light source; default none.
    laser_pin: Option<String>,
    /// Name of the `[heater_generic NAME]` of the tank or powder bed; default none.
    process_heater: Option<String>,
    /// Name of the `[filament_switch_sensor NAME]` that tells a run-out; default none.
    run_out_sensor: Option<String>,
    /// Name of the `[temperature_sensor NAME]` of the electronics; default none.
    electronics_sensor: Option<String>,
}

impl TryFrom<RawMoonraker> for MoonrakerSettings {
    type Error = SettingsError;

    fn try_from(raw: RawMoonraker) -> Result<Self, SettingsError> {
        let roles = MoonrakerRoles {
            laser: named("output_pin", raw.laser_pin, "laser_pin")?,
            process: named("heater_generic", raw.process_heater, "process_heater")?,
            run_out: named("filament_switch_sensor", raw.run_out_sensor, "run_out_sensor")?,
            electronics: named("temperature_sensor", raw.electronics_sensor, "electronics_sensor")?,
        };
        Ok(Self {
            address: Address::parse(&raw.url)?,
            key: key(raw.api_key, raw.api_key_file)?,
            poll: seconds(raw.poll_seconds, 2.0, 60.0, "1 to 60 seconds")?,
            material: material(raw.material.as_deref())?,
            roles,
        })
    }
}

/// The Klipper object of a name; `printer.cfg` writes it behind the section's kind.
fn named(
    section: &str,
    name: Option<String>,
    key: &'static str,
) -> Result<Option<String>, SettingsError> {
    let Some(name) = name else { return Ok(None) };
    let fits = (1..=64).contains(&name.len())
        && name.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if fits { Ok(Some(format!("{section} {name}"))) } else { Err(SettingsError::Name { key }) }
}
