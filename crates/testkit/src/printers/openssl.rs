//! Certificates of played printers and services, made by OpenSSL's own program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::peers::{PeerError, installed, make_folder, write};

/// What makes a certificate for this host that is its own authority.
const CONFIGURATION: &str = "[req]\ndistinguished_name = dn\nx509_extensions = v3\nprompt = no\n\
    [dn]\nCN = played service\n[v3]\nbasicConstraints = critical, CA:FALSE\n\
    subjectAltName = IP:127.0.0.1\n";

/// A command of OpenSSL.
pub(super) fn openssl() -> Result<Command, PeerError> {
    Ok(Command::new(installed("openssl", &["/usr/bin/openssl"])?))
}

/// Runs a program to its end; gives what it wrote.
pub(super) fn run(what: &str, mut command: Command) -> Result<Vec<u8>, PeerError> {
    let output = command.output().map_err(|source| PeerError::run(what, source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(PeerError::Failed { what: what.to_owned(), log })
}

/// A certificate for 127.0.0.1 and its key, in a folder of their own.
#[derive(Debug)]
pub(super) struct Certificate {
    folder: PathBuf,
}

impl Certificate {
    /// Makes one in `folder`.
    pub(super) fn make(folder: &Path) -> Result<Self, PeerError> {
        let certificate = Self { folder: folder.to_owned() };
        make_folder(folder)?;
        let configuration = folder.join("openssl.cnf");
        write(&configuration, CONFIGURATION)?;
        let mut command = openssl()?;
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-nodes", "-days", "2", "-config"]).arg(configuration);
        command.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(certificate.path());
        run("openssl", command)?;
        Ok(certificate)
    }

    /// The certificate, in PEM: who trusts it trusts the service.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// What serves it.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, PeerError> {
        let failed = |source: std::io::Error| PeerError::run("a TLS server", source);
        let no_pem = |error| failed(std::io::Error::other(format!("{error}")));
        let chain = CertificateDer::from_pem_file(self.path()).map_err(no_pem)?;
        let key = PrivateKeyDer::from_pem_file(self.folder.join("key.pem")).map_err(no_pem)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![chain], key))
            .map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
