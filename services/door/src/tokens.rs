//! Tokens: who may ask, as names, roles and SHA-256 in one file. No token itself is ever stored.
//!
//! `tokens.json` is `{"version":1,"tokens":[{"name","role","sha256","created","expires"}]}` with dates as
//! `YYYY-MM-DD`, of which the last one still counts. It is swapped whole and read again when it changed. A file
//! that cannot be read, or holds a key that this program does not know, admits nobody.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use imprimatur_consent::Digest;
use imprimatur_runtime::entropy::NoEntropy;
use imprimatur_runtime::{UtcDate, durable, entropy};

use crate::role::Role;

/// What each token begins with, so that people and scanners know one when they see it.
pub(crate) const PREFIX: &str = "imq_";

/// Letters after the prefix: 32 bytes.
const LETTERS: usize = 43;

/// Most tokens of one folder.
pub const TOKENS_MAX: usize = 1000;

/// Longest life of a token, days.
pub const DAYS_MAX: u32 = 366;

/// Longest name, letters.
pub const NAME_MAX: usize = 64;

/// The version that this program writes and reads.
const VERSION: u32 = 1;

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What the operator calls it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// SHA-256 of the token.
    pub sha256: Digest,
    /// When it was made.
    #[serde(with = "date")]
    pub created: UtcDate,
    /// The last day on which it counts.
    #[serde(with = "date")]
    pub expires: UtcDate,
}

/// Why a token could not be made, listed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A name that is too long, empty, or holds a letter of another kind. Choose another.
    #[error("`--name` takes 1 to {NAME_MAX} letters, digits, blanks and `-_.@`")]
    Name,
    /// A life that is none. Choose another.
    #[error("`--days` takes 1 to {DAYS_MAX}")]
    Days,
    /// There is a token of this name. Revoke it first, or choose another name.
    #[error("there is a token `{0}`; revoke it, or choose another name")]
    Taken(String),
    /// There is no token of this name. List them.
    #[error("there is no token `{0}`; `imprimatur token list` tells which there are")]
    Unknown(String),
    /// The folder holds as many as it may. Revoke some.
    #[error("there are {TOKENS_MAX} tokens; revoke some")]
    Full,
    /// The file cannot be read or written, or its folder is not there.
    #[error("cannot use `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is of another version, or was changed by hand. Restore it, or remove it and make new tokens.
    #[error("`{}` is no list of tokens of this version", path.display())]
    Garbled {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// No randomness. Try again.
    #[error("no token can be drawn")]
    Entropy(#[from] NoEntropy),
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    tokens: Vec<Token>,
}

/// Makes a token and gives it, once.
///
/// # Errors
/// [`TokenError`].
pub fn create(
    data: &Path,
    name: &str,
    role: Role,
    days: u32,
    today: UtcDate,
) -> Result<String, TokenError> {
    let is_letter = |letter: char| letter.is_alphanumeric() || " -_.@".contains(letter);
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX || !name.chars().all(is_letter) {
        return Err(TokenError::Name);
    }
    if days == 0 || days > DAYS_MAX {
        return Err(TokenError::Days);
    }
    let secret: [u8; 32] = entropy::bytes()?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
    let expires = UtcDate(today.0.saturating_add(days));
    let sha256 = Digest::of(token.as_bytes());
    let made = Token { name: name.to_owned(), role, sha256, created: today, expires };
    change(data, |tokens| {
        if tokens.iter().any(|one| one.name == name) {
            return Err(TokenError::Taken(name.to_owned()));
        }
        if tokens.len() >= TOKENS_MAX {
            return Err(TokenError::Full);
        }
        tokens.push(made);
        Ok(())
    })?;
    Ok(token)
}

/// All tokens, in the order in which they were made.
///
/// # Errors
/// [`TokenError`].
pub fn list(data: &Path) -> Result<Vec<Token>, TokenError> {
    read(&file(data))
}

/// Takes a token away; it is refused from now on.
///
/// # Errors
/// [`TokenError`].
pub fn revoke(data: &Path, name: &str) -> Result<(), TokenError> {
    change(data, |tokens| {
        let before = tokens.len();
        tokens.retain(|one| one.name != name);
        if tokens.len() == before {
            return Err(TokenError::Unknown(name.to_owned()));
        }
        Ok(())
    })
}

fn file(data: &Path) -> PathBuf {
    data.join("tokens.json")
}

/// Reads, changes and writes the file while nobody else does.
fn change(
    data: &Path,
    with: impl FnOnce(&mut Vec<Token>) -> Result<(), TokenError>,
) -> Result<(), TokenError> {
    let failed = |path: &Path, source| TokenError::File { path: path.to_owned(), source };
    let held = File::open(data).and_then(|folder| folder.lock().map(|()| folder));
    let held = held.map_err(|source| failed(data, source))?;
    let path = file(data);
    let mut tokens = read(&path)?;
    with(&mut tokens)?;
    let garbled = |source| TokenError::Garbled { path: path.clone(), source };
    let stored = Stored { version: VERSION, tokens };
    let bytes = serde_json::to_vec_pretty(&stored).map_err(garbled)?;
    durable::write(&path, &bytes).map_err(|source| failed(&path, source))?;
    drop(held);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Token>, TokenError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|source| TokenError::File { path: path.to_owned(), source })?,
    };
    let garbled = |source| TokenError::Garbled { path: path.to_owned(), source };
    let stored: Stored = serde_json::from_slice(&bytes).map_err(garbled)?;
    if stored.version != VERSION {
        let other = format!("version {} instead of {VERSION}", stored.version);
        return Err(garbled(serde::de::Error::custom(other)));
    }
    Ok(stored.tokens)
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What the operator calls the token.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The last day on which it counts.
    pub expires: UtcDate,
    /// Which token it is.
    pub(crate) token: Digest,
}

/// Why a token admits nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It is none, or was revoked.
    Unknown,
    /// Its last day is over.
    Expired,
}

/// The tokens of one folder as they are now.
#[derive(Debug)]
pub(crate) struct Tokens {
    path: PathBuf,
    seen: Mutex<Option<Seen>>,
}

/// What was read last, and of which file.
#[derive(Clone, Debug)]
struct Seen {
    of: Option<Mark>,
    tokens: Arc<Vec<Token>>,
}

/// What changes when the file does: each writing makes a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Tokens {
    pub(crate) fn of(data: &Path) -> Self {
        Self { path: file(data), seen: Mutex::default() }
    }

    /// Who presents this token.
    pub(crate) fn find(&self, presented: &str, today: UtcDate) -> Result<Session, Denied> {
        let letters = presented.strip_prefix(PREFIX).ok_or(Denied::Unknown)?;
        if letters.len() != LETTERS {
            return Err(Denied::Unknown);
        }
        let digest = Digest::of(presented.as_bytes());
        let tokens = self.now();
        let found = tokens.iter().find(|token| token.sha256 == digest).ok_or(Denied::Unknown)?;
        if today > found.expires {
            return Err(Denied::Expired);
        }
        let (name, role, expires) = (found.name.clone(), found.role, found.expires);
        Ok(Session { name, role, expires, token: digest })
    }

    /// The tokens, read again if the file changed; none when it cannot be read.
    fn now(&self) -> Arc<Vec<Token>> {
        let of = fs::metadata(&self.path).ok().as_ref().map(mark);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = seen.as_ref().filter(|seen| seen.of == of) {
            return Arc::clone(&same.tokens);
        }
        let tokens = Arc::new(read(&self.path).unwrap_or_else(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "nobody is admitted until the tokens can be read");
            Vec::new()
        }));
        *seen = Some(Seen { of, tokens: Arc::clone(&tokens) });
        tokens
    }
}

fn mark(metadata: &Metadata) -> Mark {
    let changed = (metadata.mtime(), metadata.mtime_nsec());
    Mark { inode: metadata.ino(), bytes: metadata.len(), changed }
}

/// Dates as people write them.
mod date {
    use imprimatur_runtime::UtcDate;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(date: &UtcDate, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(date)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UtcDate, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn day(text: &str) -> UtcDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_told_once_and_only_its_digest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (data, today) = (folder.path(), day("2026-11-22"));
        let tokens = Tokens::of(data);
        assert_eq!(tokens.find("imq_x", today), Err(Denied::Unknown));
        let token = create(data, "anna", Role::Engineer, 30, today).unwrap();
        assert_eq!(token.len(), PREFIX.len() + LETTERS);
        let session = tokens.find(&token, today).unwrap();
        assert_eq!((session.name.as_str(), session.role), ("anna", Role::Engineer));
        assert_eq!(session.expires, day("2026-12-22"));
        let text = fs::read_to_string(file(data)).unwrap();
        assert!(
            !text.contains(token.trim_start_matches(PREFIX))
                && text.contains("\"expires\": \"2026-12-22\"")
        );
        assert_eq!(fs::metadata(file(data)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(tokens.find(&token, day("2026-12-22")).is_ok());
        assert_eq!(tokens.find(&token, day("2026-12-23")), Err(Denied::Expired));
        let garbled = format!("{}!", token.chars().take(46).collect::<String>());
        assert_eq!(tokens.find(&garbled, today), Err(Denied::Unknown));
        revoke(data, "anna").unwrap();
        assert_eq!(tokens.find(&token, today), Err(Denied::Unknown));
        assert!(matches!(revoke(data, "anna"), Err(TokenError::Unknown(_))));
    }

    #[test]
    fn what_cannot_be_read_whole_admits_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (data, today) = (folder.path(), day("2026-11-22"));
        let token = create(data, "anna", Role::Engineer, 30, today).unwrap();
        let tokens = Tokens::of(data);
        let good = fs::read_to_string(file(data)).unwrap();
        for bad in [
            good.replace("\"name\"", "\"surplus\": 1, \"name\""),
            good.replace("\"version\": 1", "\"version\": 2"),
            good.replace("engineer", "root"),
            good.chars().take(100).collect(),
        ] {
            assert!(tokens.find(&token, today).is_ok());
            fs::write(file(data), &bad).unwrap();
            assert_eq!(tokens.find(&token, today), Err(Denied::Unknown), "{bad}");
            assert!(matches!(list(data), Err(TokenError::Garbled { .. })), "{bad}");
            let made = create(data, "otto", Role::Operator, 1, today);
            assert!(matches!(made, Err(TokenError::Garbled { .. })), "{bad}");
            durable::write(&file(data), good.as_bytes()).unwrap();
        }
    }

    #[test]
    fn names_and_lives_have_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let make =
            |name: &str, days| create(folder.path(), name, Role::Engineer, days, day("2026-11-22"));
        for name in ["", "a\nb", "a\u{1b}[0m", &"x".repeat(NAME_MAX + 1)] {
            assert!(matches!(make(name, 1), Err(TokenError::Name)), "{name:?}");
        }
        assert!(matches!(make("x", 0), Err(TokenError::Days)));
        assert!(matches!(make("x", DAYS_MAX + 1), Err(TokenError::Days)));
        assert!(make("x", DAYS_MAX).is_ok());
        assert!(matches!(make("x", 1), Err(TokenError::Taken(_))));
        let nowhere = folder.path().join("nowhere");
        let made = create(&nowhere, "y", Role::Engineer, 1, day("2026-11-22"));
        assert!(matches!(made, Err(TokenError::File { .. })));
    }
}
