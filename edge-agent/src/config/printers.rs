//! The printers of a file: the one that it is about, or a `[[printer]]` for each of several.
//!
//! What stands at the top holds for all of them, `deny` among it; a `[[printer]]` adds what is its own
//! and takes nothing back. No key, at the top or in a table, says yes. Each printer has its own store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use imprimatur_consent::{Category, Policy, VerifyingKey};
use imprimatur_proto::telemetry::v1::NozzleClass;
use serde::Deserialize;

use super::{ConfigError, Raw, SPOOL_BYTES_MAX};
use crate::active::Active;
use crate::catalogue::{self, Model};
use crate::core::{AgentSettings, Farm};
use crate::host;
use crate::printer::Name;
use crate::sources::SourceSettings;

/// Printers of one host, at most: each has a store in memory and a connection when it has to say
/// something. A larger farm has several hosts.
pub(super) const PRINTERS_MAX: usize = 64;

/// Smallest and largest bound of a spool, bytes: one frame, and 1 GiB.
const SPOOL_BYTES: std::ops::RangeInclusive<u64> = 2048..=1_073_741_824;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFarm {
    /// The signed list. No default.
    mandate: PathBuf,
    /// Ed25519 public key of the farm's owner, 64 hex digits. No default.
    key: String,
    /// What the one printer is called in the list. No default. Not beside `[[printer]]`.
    printer: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMachine {
    /// Model by catalogue name, for example `prusa-mk4`. Default unknown: no source tells it.
    model: Option<String>,
    /// Firmware and its version, for example `klipper 0.12`. Default unknown.
    firmware: Option<String>,
    /// Nozzle diameter in millimetres, 0.05 to 5. Default: what sliced files say.
    nozzle_mm: Option<f64>,
}

/// One of several printers as the owner writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrinter {
    /// One word of small letters, digits and hyphens; its own. No default.
    name: String,
    /// Categories that are denied here, besides those that the host denies. Default none.
    #[serde(default)]
    deny: BTreeSet<Category>,
    /// As at the top, for this printer. Default: as at the top.
    spool_bytes_max: Option<u64>,
    /// As at the top, for this printer. Default: this agent is alone at it.
    active_file: Option<PathBuf>,
    /// What it is called in the farm's list. Default: its name.
    farm: Option<RawPlace>,
    /// What the owner says of it.
    machine: Option<RawMachine>,
    /// Where it is read. Default: nowhere.
    #[serde(default)]
    source: Vec<SourceSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlace {
    /// What the printer is called in the list. No default.
    printer: String,
}

/// What the owner says of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Machine {
    /// The model.
    pub model: Option<Model>,
    /// Catalogue number of the firmware.
    pub firmware: Option<u32>,
    /// Class of the nozzle.
    pub nozzle: Option<NozzleClass>,
}

/// Checked settings of one printer.
#[derive(Clone, Debug)]
pub struct PrinterSettings {
    /// Its name among several; absent where the file is for one.
    pub name: Option<Name>,
    /// For the decisions.
    pub agent: AgentSettings,
    /// What the owner says of the machine.
    pub machine: Machine,
    /// Where it is read.
    pub sources: Vec<SourceSettings>,
    /// Who uses it, when several may.
    pub active: Option<Active>,
}

/// The printers of a file; at least one.
pub(super) fn of(
    mut raw: Raw,
    policy: &Policy,
    collector: Option<VerifyingKey>,
) -> Result<Vec<PrinterSettings>, ConfigError> {
    let tables = std::mem::take(&mut raw.printer);
    let farm = raw.farm.take();
    let host = AgentSettings {
        data_dir: raw.data_dir.clone(),
        policy: policy.clone(),
        collector,
        spool_bytes_max: spool(raw.spool_bytes_max, SPOOL_BYTES_MAX)?,
        language: raw.language.clone(),
        hardware_root: PathBuf::from("/"),
        deny: raw.deny.clone(),
        principal_file: raw.principal_file.clone(),
        farm: None,
    };
    if tables.is_empty() {
        return alone(raw, host, farm).map(|printer| vec![printer]);
    }
    if tables.len() > PRINTERS_MAX {
        let (got, expected) = (tables.len().to_string(), "1 to 64 tables");
        return Err(ConfigError::Value { key: "printer", got, expected });
    }
    let beside = [
        ("source", !raw.source.is_empty()),
        ("machine", raw.machine.is_some()),
        ("active_file", raw.active_file.is_some()),
        ("farm.printer", farm.as_ref().is_some_and(|farm| farm.printer.is_some())),
    ];
    if let Some((key, _)) = beside.into_iter().find(|(_, there)| *there) {
        return Err(ConfigError::Mixed { key });
    }
    let mut several = Several { host, farm, name: raw.name, sources: BTreeMap::new() };
    let mut printers = Vec::new();
    for (place, table) in tables.into_iter().enumerate() {
        let called = match table.get("name").and_then(toml::Value::as_str) {
            Some(name) => name.to_owned(),
            None => format!("number {}", place.saturating_add(1)),
        };
        let read = several.printer(table, &printers);
        let read =
            read.map_err(|cause| ConfigError::Printer { printer: called, cause: Box::new(cause) })?;
        printers.push(read);
    }
    if let Some(name) = several.name
        && printers.iter().all(|printer| printer.active.is_none())
    {
        return Err(not_together("name", name));
    }
    Ok(printers)
}

/// The one printer of a file.
fn alone(
    raw: Raw,
    host: AgentSettings,
    farm: Option<RawFarm>,
) -> Result<PrinterSettings, ConfigError> {
    let farm = farm.map(|farm| {
        let expected = "what this printer is called in the list";
        let missing = || ConfigError::Value { key: "farm.printer", got: String::new(), expected };
        let printer = farm.printer.clone().ok_or_else(missing)?;
        listed(&farm, printer)
    });
    Ok(PrinterSettings {
        name: None,
        agent: AgentSettings { farm: farm.transpose()?, ..host },
        machine: machine(&raw.machine.unwrap_or_default())?,
        sources: raw.source,
        active: active(raw.name, raw.active_file)?,
    })
}

/// What several printers share while they are read.
struct Several {
    host: AgentSettings,
    farm: Option<RawFarm>,
    name: Option<String>,
    /// The sources as they are written, and whose they are.
    sources: BTreeMap<String, Name>,
}

impl Several {
    fn printer(
        &mut self,
        table: toml::Table,
        before: &[PrinterSettings],
    ) -> Result<PrinterSettings, ConfigError> {
        let written = table.get("source").and_then(toml::Value::as_array).cloned();
        let raw: RawPrinter = table.try_into().map_err(ConfigError::Parse)?;
        let wrong = |expected| ConfigError::Value { key: "name", got: raw.name.clone(), expected };
        let name: Name = raw.name.parse().map_err(|_not_one| wrong(Name::EXPECTED))?;
        if before.iter().any(|printer| printer.name.as_ref() == Some(&name)) {
            return Err(wrong("a name that no other printer has"));
        }
        for source in written.unwrap_or_default() {
            let expected = "a source that no other printer has: one would be told as two";
            if let Some(other) = self.sources.insert(source.to_string(), name.clone()) {
                let got = format!("that of `{other}`");
                return Err(ConfigError::Value { key: "source", got, expected });
            }
        }
        let farm = match (&self.farm, raw.farm) {
            (Some(farm), Some(place)) => Some(listed(farm, place.printer)?),
            (Some(farm), None) => Some(listed(farm, name.to_string())?),
            (None, None) => None,
            (None, Some(place)) => {
                let (got, expected) = (place.printer, "a `[farm]` with its list at the top");
                return Err(ConfigError::Value { key: "farm.printer", got, expected });
            }
        };
        let active_name = self.name.clone().filter(|_| raw.active_file.is_some());
        let host = self.host.clone();
        Ok(PrinterSettings {
            agent: AgentSettings {
                data_dir: host::folder(&host.data_dir, &name),
                spool_bytes_max: spool(raw.spool_bytes_max, host.spool_bytes_max)?,
                deny: host.deny.union(&raw.deny).copied().collect(),
                farm,
                ..host
            },
            machine: machine(&raw.machine.unwrap_or_default())?,
            sources: raw.source,
            active: active(active_name, raw.active_file)?,
            name: Some(name),
        })
    }
}

fn spool(given: Option<u64>, default: u64) -> Result<u64, ConfigError> {
    let bytes = given.unwrap_or(default);
    if SPOOL_BYTES.contains(&bytes) {
        return Ok(bytes);
    }
    let expected = "2048..=1073741824 bytes";
    Err(ConfigError::Value { key: "spool_bytes_max", got: bytes.to_string(), expected })
}

fn listed(farm: &RawFarm, printer: String) -> Result<Farm, ConfigError> {
    let expected = "the public key of the farm's owner, 64 hex digits";
    let RawFarm { mandate, key, .. } = farm;
    match key.parse() {
        Ok(key) => Ok(Farm { mandate: mandate.clone(), key, printer }),
        Err(_no_key) => Err(ConfigError::Value { key: "farm.key", got: key.clone(), expected }),
    }
}

fn active(name: Option<String>, file: Option<PathBuf>) -> Result<Option<Active>, ConfigError> {
    match (name, file) {
        (None, None) => Ok(None),
        (Some(name), Some(file)) if !name.is_empty() && !name.contains(char::is_whitespace) => {
            Ok(Some(Active { name, file }))
        }
        (Some(name), _) => Err(not_together("name", name)),
        (None, Some(file)) => Err(not_together("active_file", file.display().to_string())),
    }
}

fn not_together(key: &'static str, got: String) -> ConfigError {
    let expected = "`name` and `active_file` together, the name one word";
    ConfigError::Value { key, got, expected }
}

fn machine(raw: &RawMachine) -> Result<Machine, ConfigError> {
    let model = raw.model.as_deref().map(|name| {
        let wrong = || ConfigError::Value {
            key: "machine.model",
            got: name.to_owned(),
            expected: "a name of the catalogue, such as `prusa-mk4`, or `other`",
        };
        catalogue::model(name).ok_or_else(wrong)
    });
    let firmware = raw.firmware.as_deref().map(|text| {
        let wrong = || ConfigError::Value {
            key: "machine.firmware",
            got: text.to_owned(),
            expected: "name and version, such as `klipper 0.12`",
        };
        let (name, version) = text.split_once(' ').ok_or_else(wrong)?;
        Ok(catalogue::firmware(name, version.trim()))
    });
    let nozzle = raw.nozzle_mm.map(|mm| match mm {
        fine if (0.05..0.35).contains(&fine) => Ok(NozzleClass::Fine),
        standard if (0.35..0.5).contains(&standard) => Ok(NozzleClass::Standard),
        large if (0.5..0.7).contains(&large) => Ok(NozzleClass::Large),
        extra if (0.7..=5.0).contains(&extra) => Ok(NozzleClass::ExtraLarge),
        other => Err(ConfigError::Value {
            key: "machine.nozzle_mm",
            got: other.to_string(),
            expected: "0.05..=5 millimetres",
        }),
    });
    Ok(Machine {
        model: model.transpose()?,
        firmware: firmware.transpose()?,
        nozzle: nozzle.transpose()?,
    })
}
