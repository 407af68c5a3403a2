//! TLS to a printer that has a certificate of its maker's own: the one that its owner wrote down.
//!
//! Keeps true: only the certificate whose SHA-256 is in the settings is spoken to, and its key is
//! proved in the handshake; what another one was is kept, so that the owner can be told. Names and
//! issuers are not looked at: the fingerprint says more.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
};

use crate::sources::fingerprint::Fingerprint;

/// Verifies by fingerprint.
#[derive(Debug)]
pub(super) struct Pin {
    expected: Option<Fingerprint>,
    other: Mutex<Option<Fingerprint>>,
    provider: Arc<CryptoProvider>,
}

impl Pin {
    pub(super) fn new(expected: Option<Fingerprint>) -> Arc<Self> {
        let provider = Arc::new(ring::default_provider());
        Arc::new(Self { expected, other: Mutex::new(None), provider })
    }

    /// The certificate that was shown instead of the expected one.
    pub(super) fn other(&self) -> Option<Fingerprint> {
        *self.other.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settings of a connection; `None` when the provider has no version of TLS, which it has.
    pub(super) fn client(self: &Arc<Self>) -> Option<Arc<ClientConfig>> {
        let versions = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .ok()?;
        let own = Arc::clone(self);
        let config = versions.dangerous().with_custom_certificate_verifier(own);
        Some(Arc::new(config.with_no_client_auth()))
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = Fingerprint::of(end_entity);
        if self.expected == Some(seen) {
            return Ok(ServerCertVerified::assertion());
        }
        *self.other.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
