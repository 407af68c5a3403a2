//! What a source is and how it does, for its owner's eyes only.

/// Kind of a source; its name in settings and for the owner is the variant in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// `OctoPrint`.
    OctoPrint,
    /// Klipper through Moonraker.
    Moonraker,
    /// `PrusaLink`, on its own host or inside a printer.
    PrusaLink,
    /// An Ultimaker 3 or of the S line.
    Ultimaker,
    /// A Formlabs printer through `PreFormServer` or the maker's cloud.
    Formlabs,
    /// A folder of sliced files.
    Gcode,
    /// Marlin on a serial port.
    Marlin,
    /// `RepRapFirmware` on a Duet.
    Duet,
    /// A Bambu Lab printer in the local network.
    Bambu,
    /// An industrial machine with OPC UA.
    OpcUa,
}

impl SourceKind {
    /// As it is written in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::OctoPrint => "octoprint",
            Self::Moonraker => "moonraker",
            Self::PrusaLink => "prusalink",
            Self::Ultimaker => "ultimaker",
            Self::Formlabs => "formlabs",
            Self::Gcode => "gcode",
            Self::Marlin => "marlin",
            Self::Duet => "duet",
            Self::Bambu => "bambu",
            Self::OpcUa => "opcua",
        }
    }
}

/// How a source does, for its owner's eyes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// What it is.
    pub kind: SourceKind,
    /// Where it is, without credentials.
    pub address: String,
    /// How it does.
    pub state: SourceState,
    /// What its owner should change although it can be read.
    pub advice: Option<&'static str>,
}

/// State of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It was not asked yet.
    Starting,
    /// It answers.
    Connected,
    /// It does not answer; the next attempt is planned.
    Retrying {
        /// Why, and what the owner can do.
        error: String,
        /// Seconds until the next attempt.
        next_seconds: u64,
    },
    /// The reader ended.
    Stopped,
}
