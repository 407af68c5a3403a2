//! The kinds of sources: whose settings they are, and the reader of each.

use serde::Deserialize;

use super::bambu::settings::BambuSettings;
use super::duet::settings::DuetSettings;
use super::formlabs::settings::FormlabsSettings;
use super::gcode::settings::GcodeSettings;
use super::link::Serve;
use super::marlin::settings::MarlinSettings;
use super::moonraker::settings::MoonrakerSettings;
use super::octoprint::settings::OctoPrintSettings;
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
        }
    }
}
