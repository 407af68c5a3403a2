//! All by which an owner could be found again, and the search for it.

use imprimatur_consent::{Digest, Pseudonym, RecoveryCode, SigningSeed};
use imprimatur_proto::consent::v1::{ConsentEvent, SignedConsentEvent};
use imprimatur_proto::contract;
use imprimatur_testkit::mqtt;
use imprimatur_testkit::search::occurrences;
use imprimatur_testkit::tap::Direction;

use super::places::{self, Place};
use super::scene::Scene;

/// Read while the owner is known.
pub(super) struct Canaries {
    all: Vec<(&'static str, Vec<u8>)>,
    /// The owner's key.
    pub(super) key: SigningSeed,
    /// The first grant, as it was sent.
    pub(super) grant: Vec<u8>,
    pub(super) subject: Pseudonym,
    pub(super) principal: Pseudonym,
}

impl Canaries {
    /// Of an owner whose agent does not run.
    pub(super) fn of(scene: &Scene) -> Self {
        let state = places::state(&scene.host.data());
        let seed: Digest = state["identity"]["seed"].as_str().unwrap().parse().unwrap();
        let key = SigningSeed::from_seed(&seed.0);
        assert_eq!(key.subject().to_string(), scene.subject);
        let code: RecoveryCode = scene.recovery_code.parse().unwrap();
        let recovery = code.key();
        let (grant, frame) = (sent(scene, "consent"), sent(scene, "batch"));
        let signed: SignedConsentEvent = contract().decode(&grant).unwrap();
        let event: ConsentEvent = contract().decode(&signed.event).unwrap();
        assert_eq!(event.recovery_key, recovery.public(), "the code that was shown");
        let row = scene.row().unwrap();
        let all = vec![
            ("subject", key.subject().0.to_vec()),
            ("key", seed.0.to_vec()),
            ("public key", key.public().to_vec()),
            ("principal", event.principal),
            ("signature", signed.signature),
            ("frame hash", Digest::of(&frame).0.to_vec()),
            ("recovery key", recovery.public().to_vec()),
            ("recovery seed", recovery.seed().to_vec()),
            ("recovery subject", recovery.subject().0.to_vec()),
            ("recovery code", scene.recovery_code.clone().into_bytes()),
            ("recovery code as typed", scene.recovery_code.replace('-', "").into_bytes()),
            ("pseudonym of the subject", row.subject.0.to_vec()),
            ("pseudonym of the principal", row.principal.0.to_vec()),
            // Of all prints only the owner's tells temperatures.
            ("values", b"Temperature".to_vec()),
        ];
        Self { all, key, grant, subject: row.subject, principal: row.principal }
    }

    /// Every canary that is in a place, by name.
    fn found(&self, (place, bytes): &Place) -> Vec<String> {
        let there = |canary: &&(&str, Vec<u8>)| {
            let decoded = canary.0 != "values" || place == "rows of the lake";
            decoded && !occurrences(bytes, &canary.1).is_empty()
        };
        self.all.iter().filter(there).map(|(name, _)| format!("{name} in {place}")).collect()
    }

    pub(super) fn are_nowhere(&self, places: &[Place]) {
        let found: Vec<String> = places.iter().flat_map(|place| self.found(place)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }

    /// Pseudonyms in the rows of a lake are all that a backup tells.
    pub(super) fn are_sealed_in(&self, backup: &[Place]) {
        let found: Vec<String> = backup.iter().flat_map(|place| self.found(place)).collect();
        assert!(found.iter().any(|one| one.ends_with(".parquet")), "no row is in it: {found:#?}");
        let clear = found.iter().find(|one| !one.starts_with("pseudonym"));
        assert_eq!(clear, None, "in clear");
    }

    /// The opposite: while the owner is known, the search finds each where it must be, and the code
    /// and the secrets that it makes not even then.
    pub(super) fn are_where_they_must_be(&self, places: &[Place]) {
        let found: Vec<String> = places.iter().flat_map(|place| self.found(place)).collect();
        for (name, place) in [
            ("pseudonym of the subject", "rows of the lake"),
            ("pseudonym of the principal", "rows of the lake"),
            ("pseudonym of the principal", "catalogue.json"),
            ("values", "rows of the lake"),
            ("key", "entries of the agent"),
            ("subject", "entries of the agent"),
            ("principal", "entries of the agent"),
            ("recovery key", "entries of the agent"),
        ] {
            let there =
                |one: &String| one.starts_with(&format!("{name} in ")) && one.ends_with(place);
            assert!(found.iter().any(there), "no {name} in {place}: {found:#?}");
        }
        let code =
            |one: &&String| one.starts_with("recovery code") || one.starts_with("recovery s");
        assert_eq!(found.iter().find(code), None, "the code is kept nowhere");
        let lawful = ["/lake/", "rows of the lake", "agent-data/store", "entries of the agent"];
        let elsewhere = |one: &&String| !lawful.iter().any(|place| one.contains(place));
        assert_eq!(found.iter().find(elsewhere), None, "in clear");
    }
}

/// The first that the owner's agent published on a topic of this kind.
fn sent(scene: &Scene, kind: &str) -> Vec<u8> {
    let topic = format!("imprimatur/v1/{}/{kind}", scene.subject);
    let all = mqtt::published(&scene.rig.agents, Direction::ToServer);
    all.into_iter().find(|one| one.topic == topic).unwrap().payload
}
