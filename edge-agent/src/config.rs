//! Settings: what the owner writes in TOML, checked once, impossible to misuse after.
//!
//! An unknown key is an error. Without `[collector]` the agent reads printers and previews only. A file
//! is for one printer, or has a `[[printer]]` table for each of several.

mod printers;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use imprimatur_consent::{Category, Policy, PolicyError, VerifyingKey, policy};
use imprimatur_runtime::logs;
use serde::Deserialize;
use url::{Host, Url};

pub use self::printers::{Machine, PrinterSettings};
use self::printers::{RawFarm, RawMachine};
use crate::core::SPOOL_BYTES_MAX;
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
    /// One of the printers cannot be used.
    #[error("printer `{printer}` cannot be used")]
    Printer {
        /// Its name, or which in the file it is.
        printer: String,
        /// Why.
        #[source]
        cause: Box<ConfigError>,
    },
    /// A key for one printer stands beside `[[printer]]`.
    #[error(
        "`{key}` stands beside `[[printer]]`: the file is for one printer or for several; move it \
         into the `[[printer]]` that it belongs to"
    )]
    Mixed {
        /// The key.
        key: &'static str,
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
    /// Categories that this host's administrator denies, for all printers. Default none. There is no
    /// key that grants.
    #[serde(default)]
    deny: BTreeSet<Category>,
    /// File of the principal that the agents of one owner on this host share, 0600, made by the first
    /// grant. Default: each agent has its own.
    principal_file: Option<PathBuf>,
    /// Name of this agent among several on one printer. Only with `active_file`, here or in a
    /// `[[printer]]`.
    name: Option<String>,
    /// File that holds the name of the agent whose owner uses the printer now. Default: this agent is
    /// alone. Not beside `[[printer]]`.
    active_file: Option<PathBuf>,
    /// The list of printers that a farm's owner signed. Default: none.
    farm: Option<RawFarm>,
    /// Bytes of unsent batches of each printer, 2,048 to 1,073,741,824. Default 8,388,608: years of
    /// days.
    spool_bytes_max: Option<u64>,
    /// How log lines look: `text` (default, for people) or `json`.
    #[serde(default)]
    log_format: RawFormat,
    /// Where to send. Default: nowhere.
    collector: Option<RawCollector>,
    #[serde(default)]
    report: RawReport,
    /// What the owner says of the one printer. Not beside `[[printer]]`.
    machine: Option<RawMachine>,
    /// Where the one printer is read. Default: nowhere. Not beside `[[printer]]`.
    #[serde(default)]
    source: Vec<SourceSettings>,
    /// Several printers, 1 to 64. Each is read on its own, so that an error can name it. Default: the
    /// file is for one printer.
    #[serde(default)]
    printer: Vec<toml::Table>,
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

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the stores and the socket.
    pub data_dir: PathBuf,
    /// The policy that is shown and consented to.
    pub policy: Policy,
    /// Language of the notice: one of the policy's.
    pub language: String,
    /// For the connections; `None` without a collector.
    pub uplink: Option<UplinkSettings>,
    /// When a batch is made.
    pub seal_after: SealAfter,
    /// How log lines look.
    pub log_format: logs::Format,
    /// The printers, by their place in the file. One without a name stands alone; several have names.
    pub printers: Vec<PrinterSettings>,
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
        if !policy.notices.contains_key(&raw.language) {
            return Err(ConfigError::Value {
                key: "language",
                got: raw.language,
                expected: "a language of the policy's notices, such as `en`",
            });
        }
        let collector = raw.collector.as_ref().map(collector).transpose()?;
        let (collector, uplink) = collector.unzip();
        let (data_dir, language) = (raw.data_dir.clone(), raw.language.clone());
        let (seal_after, log_format) = (raw.report.seal_after, raw.log_format);
        Ok(Self {
            printers: printers::of(raw, &policy, collector)?,
            data_dir,
            policy,
            language,
            uplink,
            seal_after,
            log_format: match log_format {
                RawFormat::Text => logs::Format::Text,
                RawFormat::Json => logs::Format::Json,
            },
        })
    }

    /// Whether the file has `[[printer]]`.
    pub fn several(&self) -> bool {
        self.printers.iter().any(|printer| printer.name.is_some())
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

#[cfg(test)]
mod tests;
