//! The kinds of sources: whose settings they are, and the reader of each.

use serde::Deserialize;
#[cfg(any(test, not(feature = "opcua")))]
use serde::{Deserializer, de::Error as _};

use super::bambu::settings::BambuSettings;
use super::duet::settings::DuetSettings;
use super::formlabs::settings::FormlabsSettings;
use super::gcode::settings::GcodeSettings;
use super::link::Serve;
use super::marlin::settings::MarlinSettings;
use super::moonraker::settings::MoonrakerSettings;
use super::octoprint::settings::OctoPrintSettings;
#[cfg(feature = "opcua")]
use super::opcua::{self, settings::OpcUaSettings};
use super::prusalink::settings::PrusaLinkSettings;
use super::status::SourceKind;
use super::ultimaker::settings::UltimakerSettings;
use super::{bambu, duet, formlabs, gcode, marlin, moonraker, octoprint, prusalink, ultimaker};

/// Settings of one source; `kind` is a name of [`SourceKind`].
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SourceSettings {
    /// `OctoPrint`.
    OctoPrint(OctoPrintSettings),
    /// Klipper through Moonraker.
    Moonraker(MoonrakerSettings),
    /// `PrusaLink`.
    PrusaLink(PrusaLinkSettings),
    /// An Ultimaker 3 or of the S line.
    Ultimaker(UltimakerSettings),
    /// A Formlabs printer through `PreFormServer` or the maker's cloud.
    Formlabs(FormlabsSettings),
    /// A folder that a slicer writes to.
    Gcode(GcodeSettings),
    /// Marlin on a serial port.
    Marlin(MarlinSettings),
    /// `RepRapFirmware` on a Duet.
    Duet(DuetSettings),
    /// A Bambu Lab printer in the local network.
    Bambu(BambuSettings),
    /// An industrial machine with OPC UA.
    OpcUa(OpcUaSettings),
}

/// Settings of a source that a build leaves out: there are none.
#[cfg(any(test, not(feature = "opcua")))]
#[cfg_attr(feature = "opcua", expect(unreachable_pub, reason = "public where it is left out"))]
#[derive(Clone, Copy, Debug)]
pub enum NotBuilt {}

#[cfg(not(feature = "opcua"))]
use NotBuilt as OpcUaSettings;

#[cfg(any(test, not(feature = "opcua")))]
impl<'de> Deserialize<'de> for NotBuilt {
    fn deserialize<D: Deserializer<'de>>(_from: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(
            "this build of the agent does not read OPC UA: take the one for industrial machines, \
             which docs/install.md says how to make",
        ))
    }
}

impl SourceSettings {
    /// The reader that they are for.
    pub(super) fn reader(self) -> (SourceKind, Box<dyn Serve>) {
        match self {
            Self::OctoPrint(own) => (SourceKind::OctoPrint, Box::new(octoprint::Reader::new(own))),
            Self::Moonraker(own) => (SourceKind::Moonraker, Box::new(moonraker::Reader::new(own))),
            Self::PrusaLink(own) => (SourceKind::PrusaLink, Box::new(prusalink::Reader::new(own))),
            Self::Ultimaker(own) => (SourceKind::Ultimaker, Box::new(ultimaker::Reader::new(own))),
            Self::Formlabs(FormlabsSettings::PreForm(own)) => {
                (SourceKind::Formlabs, Box::new(formlabs::Reader::new(own)))
            }
            Self::Formlabs(FormlabsSettings::Dashboard(own)) => {
                (SourceKind::Formlabs, Box::new(formlabs::dashboard::Reader::new(*own)))
            }
            Self::Gcode(own) => (SourceKind::Gcode, Box::new(gcode::watch::Reader::new(own))),
            Self::Marlin(own) => (SourceKind::Marlin, Box::new(marlin::Reader::new(own))),
            Self::Duet(own) => (SourceKind::Duet, Box::new(duet::Reader::new(own))),
            Self::Bambu(own) => (SourceKind::Bambu, Box::new(bambu::Reader::new(own))),
            #[cfg(feature = "opcua")]
            Self::OpcUa(own) => (SourceKind::OpcUa, Box::new(opcua::Reader::new(own))),
            #[cfg(not(feature = "opcua"))]
            Self::OpcUa(none) => match none {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_left_out_names_the_build_that_has_it() {
        #[derive(Debug, Deserialize)]
        #[serde(tag = "kind", rename_all = "lowercase")]
        enum Kinds {
            OpcUa(NotBuilt),
        }
        let text = "kind = \"opcua\"\nurl = \"opc.tcp://machine\"\n[nodes]\nstate = \"i=1\"";
        let error = toml::from_str::<Kinds>(text).unwrap_err().to_string();
        assert!(error.contains("the one for industrial machines"), "{error}");
        #[cfg(not(feature = "opcua"))]
        assert_eq!(toml::from_str::<SourceSettings>(text).unwrap_err().to_string(), error);
    }
}
