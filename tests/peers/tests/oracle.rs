//! The oracle sees real loss, and none where there is none: the same kill of a broker and of Imprimatur.

use imprimatur_peers::{Fault, Kind, Subject};

/// One for all, so that the kill comes at the same acknowledgement.
const SEED: u64 = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_mosquitto_with_persistence_loses_what_it_acknowledged_and_the_oracle_sees_it() {
    let peer = Subject::Broker(Kind::Mosquitto);
    let outcome = peer.under(Fault::Kill, 1, SEED).await.unwrap();
    assert!(outcome.acknowledged > 50, "{outcome:?}");
    assert!(outcome.lost > 0, "the oracle is blind: {outcome:?}");
    assert_eq!(outcome.wrong, 0, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imprimatur_killed_the_same_way_loses_and_doubles_nothing() {
    let outcome = Subject::Imprimatur.under(Fault::Kill, 1, SEED).await.unwrap();
    assert!(outcome.acknowledged > 50, "{outcome:?}");
    assert_eq!((outcome.lost, outcome.doubled, outcome.wrong), (0, 0, 0), "{outcome:?}");
}
