//! The agent's own certificate and key towards machines: made once, kept in the owner's folder.
//!
//! The certificate names the program and nothing of its host or owner. The key is readable for its
//! owner alone from the moment that its file exists.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use opcua_crypto::{CertificateStore, PrivateKey, X509, X509Data};

use crate::sources::error::SourceError;

/// What the program is called, in its certificate and to the machine.
pub(super) const NAME: &str = "imprimatur-agent";

/// Its identifier, the same in certificate and session, as machines compare them.
pub(super) const URI: &str = "urn:imprimatur:agent";

/// Bits of the key: what all policies take.
const KEY_BITS: u32 = 2048;

/// A machine's operator accepts the certificate by hand, so it holds for ten years.
const DAYS: u32 = 3653;

/// Held while both are made: several printers of one agent may share the folder.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The agent's certificate and key.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certificate: X509,
    pub(super) key: PrivateKey,
    folder: PathBuf,
}

impl Identity {
    /// Reads both from `folder`, or makes them; slow, so not for an async task.
    ///
    /// # Errors
    /// [`SourceError::Identity`] when that is not possible.
    pub(super) fn at(folder: &Path) -> Result<Self, SourceError> {
        let refuse = |source| SourceError::Identity { path: folder.to_owned(), source };
        let paths = ["certificate.der", "key.pem"].map(|name| folder.join(name));
        let one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if !paths.iter().all(|path| path.exists()) {
            make(folder, &paths).map_err(refuse)?;
        }
        drop(one);
        let [certificate, key] = paths;
        let unusable = |_text| refuse(io::Error::from(io::ErrorKind::InvalidData));
        Ok(Self {
            certificate: CertificateStore::read_cert(&certificate).map_err(unusable)?,
            key: CertificateStore::read_pkey(&key).map_err(unusable)?,
            folder: folder.to_owned(),
        })
    }

    /// A store for the library, and what removes again what the library keeps of a machine: its
    /// certificate, under a name that it chose.
    pub(super) fn store(&self, machine: &str) -> (CertificateStore, Kept) {
        let paths = ["certificate.der", "key.pem"].map(|name| self.folder.join(name));
        let [certificate, key] = paths.each_ref().map(|path| Some(path.as_path()));
        let kept = Kept(self.folder.join(format!("now-{machine}")));
        let (mut store, _, _) = CertificateStore::new_with_x509_data(
            &kept.0,
            false,
            certificate,
            key,
            None::<X509Data>,
        );
        // The one certificate that comes here is the one that the owner wrote down.
        store.set_trust_unknown_certs(true);
        store.set_skip_verify_certs(true);
        (store, kept)
    }
}

/// A folder that goes with this.
pub(super) struct Kept(PathBuf);

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("a machine's certificate could not be removed again: {}", error.kind());
        }
    }
}

/// Makes both beside their places and moves them, the certificate last: without it both are made anew.
fn make(folder: &Path, places: &[PathBuf; 2]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let [certificate, key] = places;
    let [new_certificate, new_key] = ["certificate.new", "key.new"].map(|name| folder.join(name));
    // The library opens files as they are: this one is private before anything is in it.
    OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new_key)?;
    let of = X509Data {
        key_size: KEY_BITS,
        common_name: NAME.to_owned(),
        organization: String::new(),
        organizational_unit: String::new(),
        country: String::new(),
        state: String::new(),
        alt_host_names: X509Data::alt_host_names(URI, None, false, false, false),
        certificate_duration_days: DAYS,
    };
    CertificateStore::create_certificate_and_key(&of, true, &new_certificate, &new_key)
        .map_err(io::Error::other)?;
    fs::rename(&new_key, key)?;
    fs::rename(&new_certificate, certificate)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("opcua");
        let first = Identity::at(&own).unwrap();
        let again = Identity::at(&own).unwrap();
        let der = |one: &Identity| one.certificate.to_der().unwrap();
        assert_eq!(der(&first), der(&again));
        let mode = |name: &str| fs::metadata(own.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("key.pem"), mode("")), (0o600, 0o700));
        assert!(first.certificate.is_application_uri_valid(URI).is_ok());
        assert_eq!(first.certificate.common_name().unwrap(), format!("CN={NAME}"));
        // A key that is no key is not replaced behind its owner's back.
        fs::write(own.join("key.pem"), "x").unwrap();
        assert!(matches!(Identity::at(&own), Err(SourceError::Identity { .. })));
    }
}
