//! A real Moonraker: how it is found.

use imprimatur_agent::sources::SourceKind;
use imprimatur_testkit::peers::{Laser, Moonraker};

use crate::find::found;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_moonraker_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let peer = Moonraker::start(folder.path(), Laser::None).await.unwrap();
    let told = found(peer.url(), SourceKind::Moonraker).await;
    assert!(told.settings.contains("api_key_file"), "it trusts nobody: {told:?}");
    peer.stop().await.unwrap();
}
