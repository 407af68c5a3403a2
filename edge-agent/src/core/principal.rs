//! The principal that the agents of one owner share: drawn by the first grant, gone with the last
//! withdrawal.
//!
//! A file of mode 0600: `{"principal": hex, "holders": [hex, ..]}`. A holder is a random number that
//! one agent drew with its key; when the last one leaves, the file goes, and the next grant draws a
//! new principal. `FILE.lock` keeps two agents from changing it at once.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use imprimatur_consent::PrincipalId;
use imprimatur_runtime::durable;
use imprimatur_runtime::entropy;

use crate::store::trusted_file;

/// Who holds a principal: 16 random bytes, never sent.
pub(super) type Holder = [u8; 16];

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    principal: PrincipalId,
    holders: Vec<String>,
}

/// The shared principal, drawn now if nobody holds one.
///
/// # Errors
/// When the file cannot be read, written or believed: nothing is granted then.
pub(super) fn join(file: &Path, holder: Holder) -> io::Result<PrincipalId> {
    let _lock = lock(file)?;
    let mut shared = if let Some(shared) = read(file)? {
        shared
    } else {
        let principal = PrincipalId(entropy::bytes().map_err(io::Error::other)?);
        Shared { principal, holders: Vec::new() }
    };
    shared.holders.push(hex::encode(holder));
    write(file, &shared)?;
    Ok(shared.principal)
}

/// Gives the principal up. A file that cannot be written keeps it alive, no more: the withdrawal
/// does not wait for it.
pub(super) fn leave(file: &Path, holder: Holder) {
    if let Err(error) = try_leave(file, holder) {
        tracing::warn!(%error, "the shared principal's file cannot be changed: remove it");
    }
}

fn try_leave(file: &Path, holder: Holder) -> io::Result<()> {
    let _lock = lock(file)?;
    let Some(mut shared) = read(file)? else { return Ok(()) };
    let holder = hex::encode(holder);
    shared.holders.retain(|other| *other != holder);
    if shared.holders.is_empty() { fs::remove_file(file) } else { write(file, &shared) }
}

fn lock(file: &Path) -> io::Result<File> {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let mut options = File::options();
    let lock = options.write(true).create(true).truncate(false).mode(0o600).open(name)?;
    lock.lock()?;
    Ok(lock)
}

fn read(file: &Path) -> io::Result<Option<Shared>> {
    trusted_file(file).map_err(io::Error::other)?;
    match fs::read(file) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(serde_json::from_slice(&read?)?)),
    }
}

fn write(file: &Path, shared: &Shared) -> io::Result<()> {
    durable::write(file, &serde_json::to_vec(shared)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn agents_of_one_owner_share_a_principal_until_the_last_one_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("principal");
        let first = join(&file, [1; 16]).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(join(&file, [2; 16]).unwrap(), first);
        leave(&file, [1; 16]);
        assert_eq!(join(&file, [3; 16]).unwrap(), first, "one still holds it");
        leave(&file, [2; 16]);
        leave(&file, [3; 16]);
        assert!(!file.exists());
        assert_ne!(join(&file, [4; 16]).unwrap(), first);
    }

    #[test]
    fn a_file_that_others_may_write_or_that_is_damaged_gives_no_principal() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("principal");
        join(&file, [1; 16]).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(join(&file, [2; 16]).is_err());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(join(&file, [2; 16]).is_ok());
        fs::write(&file, "{").unwrap();
        assert!(join(&file, [3; 16]).is_err());
    }
}
