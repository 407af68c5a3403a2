//! Settings: what the owner writes in TOML, checked once, impossible to misuse after.
//!
//! An unknown key is an error. Without `[collector]` the agent reads printers and previews only.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use imprimatur_consent::{Category, Policy, PolicyError, VerifyingKey, policy};
use imprimatur_proto::telemetry::v1::NozzleClass;
use imprimatur_runtime::logs;
use serde::Deserialize;
use url::{Host, Url};

use crate::active::Active;
use crate::catalogue::{self, Model};
use crate::core::{AgentSettings, Farm, SPOOL_BYTES_MAX};
use crate::sources::SourceSettings;
use crate::uplink::{Broker, UplinkSettings};

/// A setting that cannot be used. Report it with its causes and exit with 64.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{file}`")]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Not TOML of the expected shape.
    #[error("cannot parse the settings")]
    Parse(#[source] toml::de::Error),
    /// The policy cannot be used.
    #[error("cannot use the policy")]
    Policy(#[source] PolicyError),
    /// A value is not what the key takes.
    #[error("`{key}` is `{got}`, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was written.
        got: String,
        /// What may be written.
        expected: &'static str,
    },
    /// The broker is on another machine and the connection would be readable on the way.
    #[error(
        "`collector.broker` leads to another machine without TLS: on the way anybody can read what \
         is sent and that it is sent; run a TLS tunnel on this machine, or set \
         `collector.allow_plaintext = true` in a network that you trust"
    )]
    Plaintext,
    /// TLS was asked for, which this program does not speak.
    #[error(
        "`collector.broker` wants TLS, which this program does not speak: run a TLS tunnel on this \
         machine and give its loopback address"
    )]
    Tls,
}

/// The file as the owner writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    /// Folder of the store and the socket. No default: the owner must know where it is.
    data_dir: PathBuf,
    /// Policy document, as given by the collector's operator. Default: the shipped strictest one,
    /// because nobody may be bound to terms that they did not choose.
    policy: Option<PathBuf>,
    /// Language of the notice, ISO 639-1: one of the policy's. Default `en`, which every policy has.
    #[serde(default = "english")]
    language: String,
    /// Categories that this host's administrator denies. Default none. There is no key that grants.
    #[serde(default)]
    deny: BTreeSet<Category>,
    /// File of the principal that the agents of one owner on this host share, 0600, made by the first
    /// grant. Default: each agent has its own.
    principal_file: Option<PathBuf>,
    /// Name of this agent among several on one printer. Only with `active_file`.
    name: Option<String>,
    /// File that holds the name of the agent whose owner uses the printer now. Default: this agent is
    /// alone.
    active_file: Option<PathBuf>,
    /// The list of printers that a farm's owner signed. Default: none.
    farm: Option<RawFarm>,
    /// Bytes of unsent batches, 2,048 to 1,073,741,824. Default 8,388,608: years of days.
    spool_bytes_max: Option<u64>,
    /// How log lines look: `text` (default, for people) or `json`.
    #[serde(default)]
    log_format: RawFormat,
    /// Where to send. Default: nowhere.
    collector: Option<RawCollector>,
    #[serde(default)]
    report: RawReport,
    #[serde(default)]
    machine: RawMachine,
    /// Printers to read. Default: none.
    #[serde(default)]
    source: Vec<SourceSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCollector {
    /// `mqtt://HOST:PORT`. Default `mqtt://127.0.0.1:1883`: a broker, or a tunnel to one, on this
    /// machine.
    #[serde(default = "loopback")]
    broker: String,
    /// The collector's Ed25519 public key, 64 hex digits, from its operator. No default: an answer
    /// of anybody else is not believed.
    key: String,
    /// Whether a broker on another machine may be reached without TLS. Default false.
    #[serde(default)]
    allow_plaintext: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFarm {
    /// The signed list. No default.
    mandate: PathBuf,
    /// Ed25519 public key of the farm's owner, 64 hex digits. No default.
    key: String,
    /// What this printer is called in the list. No default.
    printer: String,
}

fn english() -> String {
    "en".to_owned()
}

fn loopback() -> String {
    "mqtt://127.0.0.1:1883".to_owned()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReport {
    /// When a batch is made: at the end of the UTC `day` (default), or at the end of each `print`,
    /// which tells the collector's operator when it ended; for laboratories.
    #[serde(default)]
    seal_after: SealAfter,
}

/// When a batch is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealAfter {
    /// At the end of the UTC day.
    #[default]
    Day,
    /// At the end of each print; its moment tells when the print ended.
    Print,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMachine {
    /// Model by catalogue name, for example `prusa-mk4`. Default unknown: no source tells it.
    model: Option<String>,
    /// Firmware and its version, for example `klipper 0.12`. Default unknown.
    firmware: Option<String>,
    /// Nozzle diameter in millimetres, 0.05 to 5. Default: what sliced files say.
    nozzle_mm: Option<f64>,
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

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// For the decisions.
    pub agent: AgentSettings,
    /// For the connection; `None` without a collector.
    pub uplink: Option<UplinkSettings>,
    /// When a batch is made.
    pub seal_after: SealAfter,
    /// What the owner says of the machine.
    pub machine: Machine,
    /// Printers to read.
    pub sources: Vec<SourceSettings>,
    /// Who uses the printer, when several may.
    pub active: Option<Active>,
    /// How log lines look.
    pub log_format: logs::Format,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and what to write instead.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        Self::from_toml(&text(file)?)
    }

    /// Reads a document; relative paths are relative to the working folder.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn from_toml(document: &str) -> Result<Self, ConfigError> {
        let raw: Raw = toml::from_str(document).map_err(ConfigError::Parse)?;
        let policy = match &raw.policy {
            None => policy::STRICTEST.to_owned(),
            Some(file) => text(file)?,
        };
        let policy = Policy::read(&policy).map_err(ConfigError::Policy)?;
        let spool_bytes_max = raw.spool_bytes_max.unwrap_or(SPOOL_BYTES_MAX);
        if !(2048..=1_073_741_824).contains(&spool_bytes_max) {
            return Err(ConfigError::Value {
                key: "spool_bytes_max",
                got: spool_bytes_max.to_string(),
                expected: "2048..=1073741824 bytes",
            });
        }
        if !policy.notices.contains_key(&raw.language) {
            return Err(ConfigError::Value {
                key: "language",
                got: raw.language,
                expected: "a language of the policy's notices, such as `en`",
            });
        }
        let collector = raw.collector.as_ref().map(collector).transpose()?;
        let (collector, uplink) = collector.unzip();
        Ok(Self {
            agent: AgentSettings {
                data_dir: raw.data_dir,
                policy,
                collector,
                spool_bytes_max,
                language: raw.language,
                hardware_root: PathBuf::from("/"),
                deny: raw.deny,
                principal_file: raw.principal_file,
                farm: raw.farm.map(farm).transpose()?,
            },
            active: active(raw.name, raw.active_file)?,
            uplink,
            seal_after: raw.report.seal_after,
            machine: machine(&raw.machine)?,
            sources: raw.source,
            log_format: match raw.log_format {
                RawFormat::Text => logs::Format::Text,
                RawFormat::Json => logs::Format::Json,
            },
        })
    }
}

fn farm(raw: RawFarm) -> Result<Farm, ConfigError> {
    let expected = "the public key of the farm's owner, 64 hex digits";
    let RawFarm { mandate, key, printer } = raw;
    match key.parse() {
        Ok(key) => Ok(Farm { mandate, key, printer }),
        Err(_no_key) => Err(ConfigError::Value { key: "farm.key", got: key, expected }),
    }
}

fn active(name: Option<String>, file: Option<PathBuf>) -> Result<Option<Active>, ConfigError> {
    let wrong = |key, got| {
        let expected = "`name` and `active_file` together, the name one word";
        ConfigError::Value { key, got, expected }
    };
    match (name, file) {
        (None, None) => Ok(None),
        (Some(name), Some(file)) if !name.is_empty() && !name.contains(char::is_whitespace) => {
            Ok(Some(Active { name, file }))
        }
        (Some(name), _) => Err(wrong("name", name)),
        (None, Some(file)) => Err(wrong("active_file", file.display().to_string())),
    }
}

fn text(file: &Path) -> Result<String, ConfigError> {
    let refuse = |cause| ConfigError::File { file: file.to_owned(), cause };
    fs::read_to_string(file).map_err(refuse)
}

fn collector(raw: &RawCollector) -> Result<(VerifyingKey, UplinkSettings), ConfigError> {
    let expected = "the collector's public key, 64 hex digits";
    let wrong =
        |_no_key| ConfigError::Value { key: "collector.key", got: raw.key.clone(), expected };
    let key = raw.key.parse().map_err(wrong)?;
    let (broker, local) = broker(&raw.broker)?;
    if !local && !raw.allow_plaintext {
        return Err(ConfigError::Plaintext);
    }
    Ok((key, UplinkSettings::new(broker)))
}

/// The broker, and whether it is on this machine. No name is resolved.
fn broker(text: &str) -> Result<(Broker, bool), ConfigError> {
    let expected = "an address such as `mqtt://127.0.0.1:1883`, without name, password or path";
    let wrong = || ConfigError::Value { key: "collector.broker", got: text.to_owned(), expected };
    let url = Url::parse(text).map_err(|_malformed| wrong())?;
    if matches!(url.scheme(), "mqtts" | "ssl" | "tls") {
        return Err(ConfigError::Tls);
    }
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let path = matches!(url.path(), "" | "/");
    if url.scheme() != "mqtt" || !bare || !path {
        return Err(wrong());
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    // A scheme that `url` does not know leaves addresses as names.
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let local = match (&ip, url.host()) {
        (Ok(ip), _) => ip.is_loopback(),
        (Err(_), Some(Host::Domain(name))) => name == "localhost",
        (Err(_), _) => false,
    };
    Ok((Broker { host: host.to_owned(), port: url.port().unwrap_or(1883) }, local))
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

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn chain(error: &dyn std::error::Error) -> String {
        let next = error.source().map(chain).unwrap_or_default();
        format!("{error}: {next}")
    }

    #[track_caller]
    fn rejects(text: &str, expected: &str) {
        let error = Config::from_toml(&format!("data_dir = \"d\"\n{text}")).unwrap_err();
        assert!(chain(&error).contains(expected), "{}", chain(&error));
    }

    #[track_caller]
    fn rejects_broker(broker: &str, expected: &str) {
        rejects(&format!("[collector]\nkey = \"{KEY}\"\nbroker = \"{broker}\""), expected);
    }

    #[test]
    fn unusable_settings_are_named() {
        rejects("spool_bytes_maximum = 5", "unknown field `spool_bytes_maximum`");
        rejects("spool_bytes_max = 5", "`spool_bytes_max` is `5`, expected 2048..=1073741824");
        rejects("[collector]", "missing field `key`");
        rejects("[collector]\nkey = \"12\"", "`collector.key` is `12`, expected the collector's");
        rejects("[report]\nseal_after = \"hour\"", "unknown variant `hour`");
        rejects("[machine]\nmodel = \"toaster\"", "`machine.model` is `toaster`");
        rejects("[machine]\nfirmware = \"klipper\"", "`machine.firmware` is `klipper`");
        rejects("[machine]\nnozzle_mm = 0", "`machine.nozzle_mm` is `0`");
        rejects("[[source]]\nkind = \"telepathy\"", "unknown variant `telepathy`");
        rejects("language = \"xx\"", "`language` is `xx`");
        rejects("deny = [\"geometry\"]", "unknown variant `geometry`");
        rejects("grant = [\"status\"]", "unknown field `grant`");
        rejects("name = \"anna\"", "`name` is `anna`, expected `name` and `active_file` together");
        rejects("active_file = \"/run/active\"", "`active_file` is `/run/active`");
        rejects("[farm]\nmandate = \"m\"\nprinter = \"p\"\nkey = \"12\"", "`farm.key` is `12`");
        rejects("policy = \"/nowhere/policy.toml\"", "cannot read `/nowhere/policy.toml`");
        assert!(Config::from_toml("").is_err());
    }

    #[test]
    fn a_broker_on_another_machine_needs_a_word() {
        rejects_broker("mqtt://printer-farm:1883", "allow_plaintext");
        rejects_broker("mqtt://192.168.1.5", "leads to another machine without TLS");
        rejects_broker("mqtts://broker.example", "wants TLS");
        rejects_broker("http://127.0.0.1", "`collector.broker` is");
        rejects_broker("mqtt://user:word@127.0.0.1", "without name, password or path");
        for local in ["mqtt://127.0.0.1:1884", "mqtt://localhost", "mqtt://[::1]:1883"] {
            let text = format!("[collector]\nkey = \"{KEY}\"\nbroker = \"{local}\"");
            Config::from_toml(&format!("data_dir = \"d\"\n{text}")).unwrap();
        }
        let far = "broker = \"mqtt://10.0.0.1\"\nallow_plaintext = true";
        let text = format!("data_dir = \"d\"\n[collector]\nkey = \"{KEY}\"\n{far}");
        let broker = Config::from_toml(&text).unwrap().uplink.unwrap().broker;
        assert_eq!((broker.host.as_str(), broker.port), ("10.0.0.1", 1883));
    }

    #[test]
    fn the_default_reads_and_sends_nothing() {
        let config = Config::from_toml("data_dir = \"d\"").unwrap();
        assert!(config.uplink.is_none() && config.agent.collector.is_none());
        assert_eq!((config.sources.len(), config.seal_after), (0, SealAfter::Day));
        assert_eq!(config.agent.policy.name, "strictest");
    }

    #[test]
    fn what_the_example_has_in_comments_can_be_used() {
        let key = "\nkey = \"".to_owned() + KEY + "\"";
        let farm = format!("[farm]\nmandate = \"/m\"\nprinter = \"hall 1\"{key}");
        let text = "data_dir = \"d\"\ndeny = [\"identity\"]\nname = \"anna\"\n\
                    active_file = \"/run/a\"\nprincipal_file = \"p\"\nlanguage = \"en\"\n";
        let config = Config::from_toml(&format!("{text}{farm}")).unwrap();
        assert_eq!(config.active.map(|active| active.name).as_deref(), Some("anna"));
        assert_eq!(config.agent.farm.map(|farm| farm.printer).as_deref(), Some("hall 1"));
        assert!(config.agent.deny.contains(&Category::Identity));
    }

    #[test]
    fn the_example_is_what_it_says() {
        let config = Config::from_toml(include_str!("../config/agent.toml")).unwrap();
        assert_eq!(config.machine.model.map(|model| model.name), Some("prusa-mk4"));
        assert_eq!((config.uplink.is_some(), config.sources.len()), (true, 1));
    }
}
