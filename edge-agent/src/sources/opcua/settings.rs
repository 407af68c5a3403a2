//! Settings of an OPC UA source: how the machine is reached, and which of its nodes play which role.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use opcua_crypto::SecurityPolicy;
use serde::Deserialize;

use super::nodes::{Mapped, Mapping, NodePath, Role, StateWord};
use super::units::Unit;
use super::values::WORD_MAX;
use crate::sources::fingerprint::Fingerprint;
use crate::sources::settings::{Address, KeySource, SettingsError, material, seconds};

/// Where machines listen, unless the address says otherwise.
const PORT: u16 = 4840;

/// Values of a state that are told apart, at most.
const STATES_MAX: usize = 32;

/// Settings of an OPC UA source.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawOpcUa")]
pub struct OpcUaSettings {
    /// `opc.tcp://HOST:PORT/PATH`.
    pub(crate) url: String,
    pub(crate) access: Access,
    pub(crate) mapping: Mapping,
    pub(crate) poll: Duration,
    pub(crate) material: Option<MaterialFamily>,
}

/// How the machine is spoken to.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Readable on the way, by nobody's account.
    Open,
    /// Signed and encrypted.
    Secured(Secured),
}

/// What a connection that is signed and encrypted needs.
#[derive(Clone, Debug)]
pub(crate) struct Secured {
    pub(crate) policy: SecurityPolicy,
    /// The machine's certificate; without it nothing is sent.
    pub(crate) certificate: Option<Fingerprint>,
    /// Folder of the agent's own certificate and key.
    pub(crate) identity: PathBuf,
    /// Name and password; nobody's account without.
    pub(crate) login: Option<(String, KeySource)>,
}

/// An OPC UA source as the owner writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOpcUa {
    /// `opc.tcp://HOST:PORT/PATH`, in the local network; port 4840 unless it says another.
    url: String,
    /// How messages are signed and encrypted. Default `Basic256Sha256`, which every machine has.
    #[serde(default)]
    security: RawSecurity,
    /// SHA-256 of the machine's certificate, 64 hexadecimal digits, colons allowed. Without it
    /// nothing is sent: the error tells what was seen, to be compared and written here.
    certificate_sha256: Option<String>,
    /// Folder where the agent makes and keeps its own certificate and key. No default.
    identity_dir: Option<PathBuf>,
    /// Name of an account that may only read. Default: nobody's.
    user: Option<String>,
    /// File of its password.
    password_file: Option<PathBuf>,
    /// Seconds between two looks while a print runs, 1 to 60; default 5.
    poll_seconds: Option<f64>,
    /// What is loaded, as machines name no family; default unknown.
    material: Option<String>,
    /// Full power of the laser, watts, more than 0 to 100,000; for a node in watts.
    laser_watts: Option<f64>,
    /// Nodes by role; `state` is needed.
    nodes: BTreeMap<Role, RawNode>,
    /// What the values of `state` stand for. Default: the names of OPC 40501-1.
    states: Option<BTreeMap<String, StateWord>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum RawSecurity {
    #[default]
    Basic256Sha256,
    #[serde(rename = "Aes128_Sha256_RsaOaep")]
    Aes128Sha256RsaOaep,
    #[serde(rename = "Aes256_Sha256_RsaPss")]
    Aes256Sha256RsaPss,
    #[serde(rename = "none")]
    None,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a node id, or a table of `node`, `unit` and `scale`")]
enum RawNode {
    Id(String),
    More(RawMore),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMore {
    node: String,
    /// Its unit, where the machine does not say.
    unit: Option<Unit>,
    /// By what its number is multiplied; default 1.
    scale: Option<f64>,
}

/// A setting of an OPC UA source that cannot be used. Report and exit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpcUaSettingsError {
    /// One that other sources have as well.
    #[error(transparent)]
    Common(#[from] SettingsError),
    /// `url` is no address.
    #[error("`url` is not an address such as `opc.tcp://192.168.1.40:4840`")]
    Url,
    /// Something to be kept secret, for a connection that is readable.
    #[error(
        "`security = \"none\"` is readable on the way: it takes no `user`, `password_file`, \
         `certificate_sha256` or `identity_dir`"
    )]
    Readable,
    /// No place for the agent's own key.
    #[error(
        "`identity_dir` is missing: a folder where the agent keeps its own certificate and key"
    )]
    Identity,
    /// A name without a password, or the other way round.
    #[error("give both `user`, of at most 128 characters, and `password_file`, or none of them")]
    Login,
    /// No node tells what the machine does.
    #[error("`nodes` has no `state`: without it no print is seen")]
    NoState,
    /// A node cannot be one.
    #[error(
        "the node of `{role}` is not a node id such as `nsu=http://maker.example/machine;s=Laser.Power`"
    )]
    Node {
        /// The role.
        role: &'static str,
    },
    /// A unit or scale does not fit the role.
    #[error("`unit` or `scale` of `{role}` does not fit it: see docs/sources.md")]
    Unit {
        /// The role.
        role: &'static str,
    },
    /// A temperature without its set-point, or the other way round.
    #[error("`{role}` needs `{partner}` beside it")]
    Alone {
        /// The role.
        role: &'static str,
        /// What it lacks.
        partner: &'static str,
    },
    /// The table of states cannot be one.
    #[error("`states` has 1 to {STATES_MAX} values of at most {WORD_MAX} bytes")]
    States,
}

impl TryFrom<RawOpcUa> for OpcUaSettings {
    type Error = OpcUaSettingsError;

    fn try_from(raw: RawOpcUa) -> Result<Self, OpcUaSettingsError> {
        let watts = raw.laser_watts;
        if watts.is_some_and(|watts| !(watts > 0.0 && watts <= 100_000.0)) {
            let expected = "more than 0 to 100,000 watts";
            return Err(SettingsError::OutOfRange { key: "laser_watts", expected }.into());
        }
        let nodes = raw.nodes.iter().map(|(role, node)| Ok((*role, mapped(*role, node)?)));
        let nodes: BTreeMap<Role, Mapped> = nodes.collect::<Result<_, OpcUaSettingsError>>()?;
        if !nodes.contains_key(&Role::State) {
            return Err(OpcUaSettingsError::NoState);
        }
        for (role, partner) in nodes.keys().filter_map(|role| Some((role, role.partner()?))) {
            if !nodes.contains_key(&partner) {
                let (role, partner) = (role.name(), partner.name());
                return Err(OpcUaSettingsError::Alone { role, partner });
            }
        }
        let states = raw.states.clone().unwrap_or_else(standard_states);
        let fits = (1..=STATES_MAX).contains(&states.len());
        if !fits || states.keys().any(|value| value.is_empty() || value.len() > WORD_MAX) {
            return Err(OpcUaSettingsError::States);
        }
        Ok(Self {
            url: url(&raw.url)?,
            mapping: Mapping { nodes, states, laser_watts: watts },
            poll: seconds(raw.poll_seconds, 5.0, 60.0, "1 to 60 seconds")?,
            material: material(raw.material.as_deref())?,
            access: access(raw)?,
        })
    }
}

/// The address with its port, as the machine is asked for it.
fn url(text: &str) -> Result<String, OpcUaSettingsError> {
    let bare = text.strip_prefix("opc.tcp://").ok_or(OpcUaSettingsError::Url)?;
    let url = Address::parse(&format!("http://{bare}"))?.http("");
    let host = url.host_str().ok_or(OpcUaSettingsError::Url)?;
    // Without a port `url` takes that of the scheme, which is another one here.
    let is_80 = bare.split('/').next().is_some_and(|place| place.ends_with(":80"));
    let port = if is_80 { 80 } else { url.port().unwrap_or(PORT) };
    Ok(format!("opc.tcp://{host}:{port}{}", url.path().trim_end_matches('/')))
}

fn mapped(role: Role, raw: &RawNode) -> Result<Mapped, OpcUaSettingsError> {
    let (text, unit, scale) = match raw {
        RawNode::Id(text) => (text, None, None),
        RawNode::More(more) => (&more.node, more.unit, more.scale),
    };
    let name = role.name();
    let fits = unit.is_none_or(|unit| Some(unit.quantity()) == role.quantity());
    let scales =
        scale.is_none_or(|scale| role.quantity().is_some() && scale.is_finite() && scale > 0.0);
    if !fits || !scales {
        return Err(OpcUaSettingsError::Unit { role: name });
    }
    let path = NodePath::parse(text).ok_or(OpcUaSettingsError::Node { role: name })?;
    Ok(Mapped { path, unit, scale: scale.unwrap_or(1.0) })
}

fn access(raw: RawOpcUa) -> Result<Access, OpcUaSettingsError> {
    let policy = match raw.security {
        RawSecurity::Basic256Sha256 => SecurityPolicy::Basic256Sha256,
        RawSecurity::Aes128Sha256RsaOaep => SecurityPolicy::Aes128Sha256RsaOaep,
        RawSecurity::Aes256Sha256RsaPss => SecurityPolicy::Aes256Sha256RsaPss,
        RawSecurity::None => {
            let file = raw.password_file.is_some() || raw.identity_dir.is_some();
            let secret = file || raw.user.is_some() || raw.certificate_sha256.is_some();
            return if secret { Err(OpcUaSettingsError::Readable) } else { Ok(Access::Open) };
        }
    };
    let login = match (raw.user, raw.password_file) {
        (None, None) => None,
        (Some(user), Some(file)) if (1..=128).contains(&user.chars().count()) => {
            Some((user, KeySource::File(file)))
        }
        _ => return Err(OpcUaSettingsError::Login),
    };
    let pin = raw.certificate_sha256.as_deref();
    let pin = pin.map(|text| Fingerprint::parse(text).ok_or(SettingsError::Certificate));
    let identity = raw.identity_dir.ok_or(OpcUaSettingsError::Identity)?;
    Ok(Access::Secured(Secured { policy, certificate: pin.transpose()?, identity, login }))
}

/// The names of the states of a production by OPC 40501-1, 8.4.8. `Initializing` stands for nothing: a
/// print may follow or not. Nobody says who aborted.
fn standard_states() -> BTreeMap<String, StateWord> {
    let states = [
        ("Running", StateWord::Printing),
        ("Interrupted", StateWord::Paused),
        ("Ended", StateWord::Done),
        ("Aborted", StateWord::Ended),
    ];
    states.map(|(name, word)| (name.to_owned(), word)).into()
}
