//! A real `OctoPrint`: how it is found.

use imprimatur_agent::sources::SourceKind;
use imprimatur_testkit::peers::OctoPrint;

use crate::find::found;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_octoprint_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let peer = OctoPrint::start(folder.path()).await.unwrap();
    let told = found(peer.url(), SourceKind::OctoPrint).await;
    assert!(told.credential.contains("single permission STATUS"), "{told:?}");
    assert!(told.settings.contains("api_key_file"), "{told:?}");
    peer.stop().await.unwrap();
}
