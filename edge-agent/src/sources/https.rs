//! HTTPS to a maker's service outside of the local network, where an owner chose that: bounded, without redirects or proxies.
//!
//! Keeps true: nothing is sent before the service's certificate is verified for its name, by the
//! authorities in one file; a connection lives for one look.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::task::AbortOnDropHandle;
use url::{Url, form_urlencoded};

use super::error::SourceError;
use super::settings::{Secret, SettingsError};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Time for a connection, and for each answer.
const ANSWER_SECONDS_MAX: u64 = 20;

/// Where a service is: `https://HOST[:PORT]/PATH`, without credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Service(Url);

/// A service whose certificate can be verified.
pub(crate) struct Https {
    service: Service,
    name: ServerName<'static>,
    tls: TlsConnector,
    peer: &'static str,
}

/// An open connection.
pub(crate) struct Connection<'a> {
    https: &'a Https,
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

impl Service {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when it is not HTTPS or holds more than host, port and path.
    pub(crate) fn parse(text: &str) -> Result<Self, SettingsError> {
        let mut url = Url::parse(text).map_err(|_malformed| SettingsError::Service)?;
        let bare = url.username().is_empty() && url.password().is_none();
        if url.scheme() != "https" || url.host_str().is_none_or(str::is_empty) {
            return Err(SettingsError::Service);
        }
        if !bare || url.query().is_some() || url.fragment().is_some() {
            return Err(SettingsError::AddressParts);
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }

    /// The host, without the brackets of an address of IPv6.
    fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Https {
    /// A service whose certificate must lead to an authority in `authorities`, a file of PEM.
    pub(crate) async fn new(
        service: Service,
        authorities: &Path,
        peer: &'static str,
    ) -> Result<Self, SourceError> {
        let unreadable = |source| SourceError::Authorities { path: authorities.into(), source };
        let pem = tokio::fs::read(authorities).await.map_err(unreadable)?;
        let mut roots = RootCertStore::empty();
        // A bundle may hold authorities that this verifier does not know how to use.
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        let untrusted = |_none| SourceError::Untrusted { peer };
        let name = ServerName::try_from(service.host().to_owned());
        let name = name.map_err(|_no_name| SourceError::Untrusted { peer })?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(untrusted)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { service, name, tls: TlsConnector::from(Arc::new(config)), peer })
    }

    /// Connects and verifies.
    pub(crate) async fn open(&self) -> Result<Connection<'_>, SourceError> {
        in_time(self.connect()).await
    }

    async fn connect(&self) -> Result<Connection<'_>, SourceError> {
        let tcp = TcpStream::connect((self.service.host(), self.service.port())).await;
        let tcp = tcp.map_err(|_no_answer| SourceError::Unreachable)?;
        let tls = self.tls.connect(self.name.clone(), tcp).await;
        let tls = tls.map_err(|_untrusted| SourceError::Untrusted { peer: self.peer })?;
        let shaken = handshake(TokioIo::new(tls)).await;
        let (sender, driver) = shaken.map_err(|_closed| SourceError::Closed)?;
        let driver = tokio::spawn(async move {
            if let Err(reason) = driver.await {
                tracing::debug!(%reason, "a connection to a service ended");
            }
        });
        Ok(Connection { https: self, sender, _driver: AbortOnDropHandle::new(driver) })
    }
}

impl Connection<'_> {
    /// What is at `path`, for the bearer of `token`.
    pub(crate) async fn get(
        &mut self,
        path: &str,
        token: &Secret,
    ) -> Result<(StatusCode, Vec<u8>), SourceError> {
        let bearer = format!("Bearer {}", token.expose());
        let request = self.request(Method::GET, path)?.header(AUTHORIZATION, bearer);
        self.ask(request.body(Full::default())).await
    }

    /// The answer to a form.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<(StatusCode, Vec<u8>), SourceError> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .request(Method::POST, path)?
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request.body(Full::from(form))).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<hyper::http::request::Builder, SourceError> {
        let Service(base) = &self.https.service;
        let url = base.join(path).map_err(|_no_path| SourceError::KeyForm)?;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let host = match base.port() {
            Some(port) => format!("{}:{port}", base.host_str().unwrap_or_default()),
            None => base.host_str().unwrap_or_default().to_owned(),
        };
        let request = Request::builder().method(method).uri(target);
        Ok(request.header(HOST, host).header(ACCEPT, "application/json"))
    }

    async fn ask(
        &mut self,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
    ) -> Result<(StatusCode, Vec<u8>), SourceError> {
        // A secret or a path with characters that no header has.
        let request = request.map_err(|_no_request| SourceError::KeyForm)?;
        in_time(async {
            let response = self.sender.send_request(request).await;
            let response = response.map_err(|_ended| SourceError::Closed)?;
            let status = response.status();
            let mut rest = response.into_body();
            let mut body = Vec::new();
            while let Some(frame) = rest.frame().await {
                let frame = frame.map_err(|_ended| SourceError::Closed)?;
                let chunk = frame.data_ref().map_or(&[][..], |data| data);
                if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                    return Err(SourceError::TooLong { bytes_max: ANSWER_BYTES_MAX });
                }
                body.extend_from_slice(chunk);
            }
            Ok((status, body))
        })
        .await
    }
}

async fn in_time<T>(
    asking: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    match timeout(Duration::from_secs(ANSWER_SECONDS_MAX), asking).await {
        Ok(result) => result,
        Err(_elapsed) => Err(SourceError::Slow { seconds: ANSWER_SECONDS_MAX }),
    }
}
