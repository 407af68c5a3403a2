//! The real query server on a synthetic lake, on a free port, with a token for each role.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{ports, wait};
use tempfile::TempDir;

use crate::{fleet, published};

/// A debug build opens the lake within a second or two; eight tests may start at once.
const START: Duration = Duration::from_mins(1);

/// Ends with the test.
pub(crate) struct Server {
    pub(crate) url: String,
    folder: TempDir,
    _process: Guarded,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fleet::publish(&data);
        published::store(&data, fleet::PUBLISHED);
        let listen = ports::loopback(ports::free().unwrap()).to_string();
        let mut command = imprimatur();
        command.arg("query-server").args(["--listen", &listen]).arg("--data").arg(&data);
        let process = Guarded::spawn("query-server", command, folder.path()).unwrap();
        let url = format!("http://{listen}/");
        wait::until(START, "the server's health", async || {
            let health = reqwest::get(format!("{url}healthz")).await;
            match health.and_then(reqwest::Response::error_for_status) {
                Ok(_healthy) => Ok(()),
                Err(error) => Err(format!("{error}: {}", process.log_text())),
            }
        })
        .await
        .unwrap();
        Self { url, folder, _process: process }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Makes a token of a role; its name says so.
    pub(crate) fn token(&self, role: &str) -> String {
        let name = format!("{role} at test");
        let mut command = imprimatur();
        command.args(["token", "create", "--role", role, "--name", &name, "--days", "7", "--data"]);
        let output = command.arg(self.data()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Takes the token of a role away.
    pub(crate) fn revoke(&self, role: &str) {
        let mut command = imprimatur();
        command.args(["token", "revoke", &format!("{role} at test"), "--data"]);
        let output = command.arg(self.data()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// What the server answers to a question without the page.
    pub(crate) async fn get(&self, token: &str, path: &str) -> reqwest::Response {
        let client = reqwest::Client::new();
        client.get(format!("{}{path}", self.url)).bearer_auth(token).send().await.unwrap()
    }
}

/// The program of this workspace, built beside the tests.
fn imprimatur() -> Command {
    let own = std::env::current_exe().unwrap();
    let built = own.parent().and_then(|deps| deps.parent()).map(|folder| folder.join("imprimatur"));
    let built = built.unwrap();
    assert!(built.exists(), "`imprimatur` is not built; build it and test: cargo xtask test");
    Command::new(built)
}
