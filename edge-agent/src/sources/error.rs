//! Why a source does not answer, in words that tell its owner what to do next.
//!
//! No variant holds what the peer wrote: error bodies quote paths, file names and G-code. No text
//! of one names a path: it may hold a person's name, and texts are logged.

use std::path::PathBuf;

use crate::told::chain;

/// A source that cannot be read just now; the reader waits and tries again.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nobody answers at the address. Retry.
    #[error("no answer: is it switched on, and is `url` right")]
    Unreachable,
    /// An answer did not come in time. Retry.
    #[error("no answer within {seconds} s")]
    Slow {
        /// The time allowed.
        seconds: u64,
    },
    /// The key is refused. Retry slowly: the owner may repair it on the other side.
    #[error("the API key is refused by {peer}: {remedy}")]
    Refused {
        /// The program.
        peer: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The password is refused. Retry slowly: the owner may repair it on either side.
    #[error("the password is refused by {peer}: {remedy}")]
    Password {
        /// The program.
        peer: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// No certificate is written down. Retry slowly: the owner decides whether it is the printer's.
    #[error(
        "the settings do not name the printer's certificate: compare what was seen, and write it"
    )]
    CertificateUnknown {
        /// SHA-256 of what was seen.
        seen: String,
    },
    /// Another certificate than the one that is written down. Retry slowly, as above.
    #[error(
        "the certificate is not the one in the settings: was the printer reset, or is it another"
    )]
    CertificateOther {
        /// SHA-256 of what was seen.
        seen: String,
    },
    /// The broker answers and the printer does not. Retry.
    #[error("the broker answers, but no report comes: is `serial` right")]
    NoReport,
    /// The peer serves as many clients as it can. Retry, later and later.
    #[error("{peer} serves as many clients as it can: close a browser window that shows it")]
    Full {
        /// The program.
        peer: &'static str,
    },
    /// Something answers that is not the expected program. Retry.
    #[error("{peer} answered with status {status}: does `url` lead to it")]
    Status {
        /// The program.
        peer: &'static str,
        /// HTTP status, or JSON-RPC error code.
        status: i64,
    },
    /// An answer is not of the expected form. Retry.
    #[error("the answer is not of the form that {peer} uses: does `url` lead to it")]
    Malformed {
        /// The program.
        peer: &'static str,
    },
    /// An answer is longer than any that the reader needs. Retry.
    #[error("the answer is longer than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// The connection ended. Retry.
    #[error("the connection ended")]
    Closed,
    /// The file of trusted authorities cannot be read. Retry after the owner repaired it.
    #[error("cannot read the certificates that are trusted: write their file as `ca_file`")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The service's certificate cannot be verified; nothing was sent. Retry.
    #[error(
        "no connection to {peer} can be trusted: is the clock right, and does `ca_file` hold its \
         authority"
    )]
    Untrusted {
        /// The service.
        peer: &'static str,
    },
    /// The service does not know the printer, or not for this account. Retry slowly.
    #[error("{peer} does not know the printer: is it in this account, and is `printer` right")]
    NoPrinter {
        /// The service.
        peer: &'static str,
    },
    /// The service was asked too often, by whatever programs of the account. Retry, later and later.
    #[error("{peer} was asked too often: make `poll_seconds` longer, here or in other programs")]
    Limited {
        /// The service.
        peer: &'static str,
    },
    /// The program answers, its printer host does not yet. Retry.
    #[error("{peer} runs, but its printer host does not answer yet")]
    NotReady {
        /// The program.
        peer: &'static str,
    },
    /// The file that holds the key cannot be read. Retry after the owner repaired it.
    #[error("cannot read the file of the key")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key in the file cannot be sent in a header. Retry after the owner repaired it.
    #[error("the API key is empty or has characters that no key has")]
    KeyForm,
    /// The folder cannot be read. Retry after the owner repaired it.
    #[error("cannot read the folder")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The serial port cannot be opened. Retry: it may be plugged in again.
    #[error("cannot open the serial port: is the printer plugged in, and may this account use it")]
    Port {
        /// The device.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another program has the serial port. Retry slowly: the owner decides who reads it.
    #[error(
        "another program has the serial port: end it, or read the printer through that program"
    )]
    PortTaken {
        /// The device.
        path: PathBuf,
    },
    /// The port is open and says nothing intelligible. Retry, with the port kept open.
    #[error(
        "nothing intelligible comes over the serial port: is the printer on, and is `baud` right"
    )]
    Silent,
    /// The machine does not offer the security or the login that is set. Retry slowly.
    #[error("{peer} does not offer this `security`, or not this kind of login: ask its operator")]
    NotOffered {
        /// The machine.
        peer: &'static str,
    },
    /// The machine refuses the agent's certificate. Retry slowly: its operator decides.
    #[error("{peer} does not trust the agent: let its operator accept `certificate.der`")]
    NotAccepted {
        /// The machine.
        peer: &'static str,
    },
    /// The agent's own certificate cannot be made or read. Retry after the owner repaired it.
    #[error("cannot make or read the agent's own certificate and key")]
    Identity {
        /// Their folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A node is not what its role takes. Retry slowly: the owner or the machine's maker repairs it.
    #[error("the node of `{role}` {fault}")]
    Node {
        /// The role.
        role: &'static str,
        /// What is wrong.
        fault: NodeFault,
    },
    /// Nobody takes the readings any more: the agent stops. The reader ends.
    #[error("the reader's queue is closed")]
    QueueClosed,
}

/// Why a node of a machine cannot be read in its role; nothing of what the machine said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeFault {
    /// The machine has no such namespace.
    #[error("is in a namespace that the machine does not have: is its URI right")]
    Namespace,
    /// The machine has no such node, or not for this login.
    #[error("is not there, or this login may not read it")]
    Absent,
    /// Its value is a list, a text or a structure.
    #[error("holds no single number: choose another node")]
    Number,
    /// The value of a state is a list or a structure.
    #[error("holds neither a whole number nor a text: choose another node")]
    Word,
    /// The machine gives it a unit that its role does not take.
    #[error("has a unit that this role does not take: choose another node")]
    Unit,
    /// The machine gives it another unit than the settings.
    #[error("has another unit than the settings say: correct `unit`")]
    OtherUnit,
    /// Neither the machine nor the settings give it a unit.
    #[error("has no unit: write `unit` beside it")]
    NoUnit,
    /// It is in watts, and full scale is not known.
    #[error("is in watts: write the laser's full power as `laser_watts`")]
    FullScale,
}

impl SourceError {
    /// The error with its causes and places, for the owner's own status line. The log gets
    /// [`chain`], because a path may name a person.
    pub fn told(&self) -> String {
        match self {
            Self::KeyFile { path, .. }
            | Self::Folder { path, .. }
            | Self::Authorities { path, .. }
            | Self::Port { path, .. }
            | Self::Identity { path, .. }
            | Self::PortTaken { path } => {
                format!("{} (`{}`)", chain(self), path.display())
            }
            Self::CertificateUnknown { seen } | Self::CertificateOther { seen } => {
                format!("{} (`certificate_sha256 = \"{seen}\"`)", chain(self))
            }
            other => chain(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn the_owner_is_told_a_path_and_the_log_is_not() {
        let source = || Error::from(ErrorKind::NotFound);
        let path = PathBuf::from("/home/jane/key");
        let key = SourceError::KeyFile { path: path.clone(), source: source() };
        for error in [key, SourceError::Folder { path, source: source() }] {
            assert!(error.told().contains("/home/jane/key"));
            assert!(!chain(&error).contains("jane"));
        }
    }
}
