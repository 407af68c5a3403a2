//! Farms: an owner's yes for a list of printers in one signed act, and an administrator's no.
//!
//! A mandate's file is two lines: canonical JSON (one line, the keys in the order of [`Mandate`],
//! lists ascending without repeats), then 128 hex digits of Ed25519 by the farm's key over the
//! domain `imprimatur.mandate.v1`, a zero byte, and the first line without its end. Printers stand
//! in it as SHA-256 over `imprimatur.printer.v1\0`, the salt and the local name: a stray copy lists
//! no names, though who holds it can try likely ones.
//!
//! Whoever administers other people's printers has [`Denials`] only, which cannot say yes.

use std::collections::BTreeSet;

use imprimatur_runtime::UtcDate;
use sha2::{Digest as _, Sha256};

use crate::Category;
use crate::ids::{Digest, PrincipalId};
use crate::keys::{Domain, SigningSeed, VerifyingKey};

/// Printers in one mandate, at most.
pub const PRINTERS_MAX: usize = 10_000;

/// Days for which a mandate may hold, at most: as long as any yes.
pub const DAYS_MAX: u32 = 366;

/// A printer's local name, hidden by a mandate's salt.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct PrinterName(Digest);

impl PrinterName {
    /// Hides a name that the owner chose.
    pub fn of(salt: Digest, name: &str) -> Self {
        let hash = Sha256::new_with_prefix(b"imprimatur.printer.v1\0");
        Self(Digest(hash.chain_update(salt.0).chain_update(name).finalize().into()))
    }
}

/// A farm owner's yes for the printers that it lists.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mandate {
    /// The principal that consents for all of them.
    pub principal: PrincipalId,
    /// 32 random bytes that hide the names.
    pub salt: Digest,
    /// The printers; at least one, at most [`PRINTERS_MAX`].
    pub printers: BTreeSet<PrinterName>,
    /// What is granted; at least one category.
    pub categories: BTreeSet<Category>,
    /// The policy agreed to.
    pub policy: Digest,
    /// Language of the notice that the owner read, two letters of ISO 639-1.
    pub notice_language: String,
    /// When it was signed.
    pub date: UtcDate,
    /// The last day on which a printer may apply it; at most [`DAYS_MAX`] after the date.
    pub until: UtcDate,
}

/// Bytes that are no mandate of this farm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMandate {
    /// Not two lines, or not the canonical JSON of a mandate.
    #[error("not a mandate as it was signed; take the file again from whoever signed it")]
    Form,
    /// Not signed by this farm, or changed since.
    #[error("the mandate is not signed by this farm's key, or was changed since")]
    Signature,
    /// It lists nothing, too much, or holds for too long.
    #[error(
        "a mandate lists 1 to 10,000 printers and at least one category, names a language by two \
         letters, and holds for at most 366 days"
    )]
    Content,
}

impl Mandate {
    /// The mandate's file, signed.
    ///
    /// # Errors
    /// [`NotAMandate::Content`]: nobody would accept it.
    pub fn sign(&self, key: &SigningSeed) -> Result<Vec<u8>, NotAMandate> {
        self.within_bounds()?;
        let json = self.json();
        let signature = hex::encode(key.sign(Domain::Mandate, &json));
        Ok([json.as_slice(), b"\n", signature.as_bytes(), b"\n"].concat())
    }

    /// Reads a mandate's file. The signature is checked before anything else is read.
    ///
    /// # Errors
    /// [`NotAMandate`].
    pub fn open(bytes: &[u8], farm_key: VerifyingKey) -> Result<Self, NotAMandate> {
        let mut lines = bytes.split(|&byte| byte == b'\n');
        let (json, signature) = (lines.next(), lines.next());
        let (Some(json), Some(signature), Some([]), None) =
            (json, signature, lines.next(), lines.next())
        else {
            return Err(NotAMandate::Form);
        };
        let signature = hex::decode(signature).map_err(|_not_hex| NotAMandate::Form)?;
        if !farm_key.verifies(Domain::Mandate, json, &signature) {
            return Err(NotAMandate::Signature);
        }
        let read: Result<Self, _> = serde_json::from_slice(json);
        let mandate = read.map_err(|_other_shape| NotAMandate::Form)?;
        if mandate.json() != json {
            return Err(NotAMandate::Form);
        }
        mandate.within_bounds().map(|()| mandate)
    }

    /// SHA-256 of the canonical JSON: what a consent event's `mandate_hash` holds.
    pub fn hash(&self) -> Digest {
        Digest::of(&self.json())
    }

    /// Whether it lists the printer of this local name.
    pub fn names(&self, printer_name: &str) -> bool {
        self.printers.contains(&PrinterName::of(self.salt, printer_name))
    }

    /// Whether it may be applied on this day.
    pub fn holds(&self, today: UtcDate) -> bool {
        (self.date..=self.until).contains(&today)
    }

    /// What it grants to a printer on a day: nothing to one that it does not list, nothing before
    /// or after its time.
    pub fn grants(&self, printer_name: &str, today: UtcDate) -> BTreeSet<Category> {
        let applies = self.names(printer_name) && self.holds(today);
        if applies { self.categories.clone() } else { BTreeSet::new() }
    }

    fn json(&self) -> Vec<u8> {
        // Maps with keys that are no text, the only cause of an error, do not occur.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn within_bounds(&self) -> Result<(), NotAMandate> {
        let language = self.notice_language.as_bytes();
        let fits = (1..=PRINTERS_MAX).contains(&self.printers.len())
            && !self.categories.is_empty()
            && language.len() == 2
            && language.iter().all(u8::is_ascii_lowercase)
            && self.date <= self.until
            && self.until.0 - self.date.0 <= DAYS_MAX;
        if fits { Ok(()) } else { Err(NotAMandate::Content) }
    }
}

/// What an administrator of other people's printers forbids. It can only take away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denials(pub BTreeSet<Category>);

/// An administrator's file that cannot be used. Report it; until then everything is denied.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the denials; write `deny = [\"CATEGORY\", ..]` and nothing else")]
pub struct NotDenials(#[source] toml::de::Error);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDenials {
    deny: BTreeSet<Category>,
}

impl Denials {
    /// Everything: what holds while the file cannot be read.
    pub fn everything() -> Self {
        Self(Category::ALL.into())
    }

    /// Reads an administrator's file: TOML with the one key `deny`.
    ///
    /// # Errors
    /// [`NotDenials`].
    pub fn read(text: &str) -> Result<Self, NotDenials> {
        toml::from_str(text).map(|raw: RawDenials| Self(raw.deny)).map_err(NotDenials)
    }

    /// Whether a category is forbidden.
    pub fn denies(&self, category: Category) -> bool {
        self.0.contains(&category)
    }

    /// What is left of what an owner granted.
    pub fn leave(&self, granted: &BTreeSet<Category>) -> BTreeSet<Category> {
        granted.difference(&self.0).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::TODAY;

    fn farm() -> SigningSeed {
        SigningSeed::from_seed(&[6; 32])
    }

    fn key_of(seed: &SigningSeed) -> VerifyingKey {
        VerifyingKey::from_bytes(&seed.public()).unwrap()
    }

    fn mandate() -> Mandate {
        let salt = Digest([7; 32]);
        Mandate {
            principal: PrincipalId([9; 16]),
            salt,
            printers: ["hall 1", "hall 2"].map(|name| PrinterName::of(salt, name)).into(),
            categories: [Category::Status, Category::Faults].into(),
            policy: Digest([5; 32]),
            notice_language: "en".to_owned(),
            date: TODAY,
            until: UtcDate(TODAY.0 + 30),
        }
    }

    #[test]
    fn a_mandate_is_read_back_by_its_farm_only() {
        let bytes = mandate().sign(&farm()).unwrap();
        assert_eq!(Mandate::open(&bytes, key_of(&farm())), Ok(mandate()));
        let other = key_of(&SigningSeed::from_seed(&[8; 32]));
        assert_eq!(Mandate::open(&bytes, other), Err(NotAMandate::Signature));
        assert!(!String::from_utf8(bytes).unwrap().contains("hall"));
    }

    #[test]
    fn any_changed_byte_is_found() {
        let bytes = mandate().sign(&farm()).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(Mandate::open(&changed, key_of(&farm())).is_err(), "{place}");
        }
        assert!(Mandate::open(&bytes[..bytes.len() - 1], key_of(&farm())).is_err());
        assert!(Mandate::open(&[bytes.as_slice(), b"\n"].concat(), key_of(&farm())).is_err());
    }

    #[test]
    fn what_is_signed_but_not_canonical_is_no_mandate() {
        let resigned = |json: String| {
            let signature = hex::encode(farm().sign(Domain::Mandate, json.as_bytes()));
            let bytes = format!("{json}\n{signature}\n");
            Mandate::open(bytes.as_bytes(), key_of(&farm()))
        };
        let json = String::from_utf8(mandate().json()).unwrap();
        assert_eq!(resigned(json.clone()), Ok(mandate()));
        assert_eq!(resigned(json.replacen(':', ": ", 1)), Err(NotAMandate::Form));
        let more = json.replacen('{', "{\"more\":1,", 1);
        assert_eq!(resigned(more), Err(NotAMandate::Form));
        let twice = json.replacen("\"status\"", "\"status\",\"status\"", 1);
        assert_eq!(resigned(twice), Err(NotAMandate::Form));
        // A signature for another purpose counts for nothing.
        let signature = hex::encode(farm().sign(Domain::Consent, json.as_bytes()));
        let foreign = format!("{json}\n{signature}\n");
        let foreign = Mandate::open(foreign.as_bytes(), key_of(&farm()));
        assert_eq!(foreign, Err(NotAMandate::Signature));
    }

    #[test]
    fn it_grants_to_listed_printers_in_its_time() {
        let mandate = mandate();
        let day = |after| UtcDate(TODAY.0 + after);
        assert_eq!(mandate.grants("hall 1", TODAY), mandate.categories);
        assert_eq!(mandate.grants("hall 1", day(30)), mandate.categories);
        assert!(mandate.grants("hall 1", day(31)).is_empty());
        assert!(mandate.grants("hall 1", UtcDate(TODAY.0 - 1)).is_empty());
        assert!(mandate.grants("hall 3", TODAY).is_empty());
        // The same name under another salt is another name.
        let resalted = Mandate { salt: Digest([8; 32]), ..mandate };
        assert!(!resalted.names("hall 1"));
    }

    #[track_caller]
    fn unsignable(change: impl Fn(&mut Mandate)) {
        let mut changed = mandate();
        change(&mut changed);
        assert_eq!(changed.sign(&farm()), Err(NotAMandate::Content));
    }

    #[test]
    fn a_mandate_has_bounds() {
        unsignable(|mandate| mandate.printers.clear());
        unsignable(|mandate| mandate.categories.clear());
        unsignable(|mandate| mandate.notice_language = "EN".to_owned());
        unsignable(|mandate| mandate.notice_language = "eng".to_owned());
        unsignable(|mandate| mandate.until = UtcDate(mandate.date.0 - 1));
        unsignable(|mandate| mandate.until = UtcDate(mandate.date.0 + DAYS_MAX + 1));
        unsignable(|mandate| {
            let name = |number: usize| PrinterName::of(mandate.salt, &number.to_string());
            mandate.printers = (0..=PRINTERS_MAX).map(name).collect();
        });
        let longest = Mandate { until: UtcDate(TODAY.0 + DAYS_MAX), ..mandate() };
        assert!(longest.sign(&farm()).is_ok());
    }

    #[test]
    fn an_administrator_only_denies() {
        let denials = Denials::read("deny = [\"faults\"]").unwrap();
        assert_eq!(denials.leave(&mandate().categories), [Category::Status].into());
        assert!(denials.denies(Category::Faults) && !denials.denies(Category::Status));
        assert!(Denials::everything().leave(&Category::ALL.into()).is_empty());
        for text in ["grant = [\"laser\"]", "deny = []\ngrant = []", "deny = [\"lasers\"]", "x"] {
            assert!(Denials::read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn denials_never_add(
            deny in prop::collection::btree_set(prop::sample::select(&Category::ALL), 0..12),
            granted in prop::collection::btree_set(prop::sample::select(&Category::ALL), 0..12),
        ) {
            let left = Denials(deny.clone()).leave(&granted);
            prop_assert!(left.is_subset(&granted) && left.is_disjoint(&deny));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            prop_assert!(Mandate::open(&bytes, key_of(&farm())).is_err());
        }
    }
}
