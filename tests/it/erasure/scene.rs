//! A server with one owner, who is about to be erased, and some twenty neighbours, who stay.

use std::path::PathBuf;

use imprimatur_consent::{Category, SigningSeed};
use imprimatur_lake::{Catalogue, Row};
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{PrintReport, PrintTime};
use imprimatur_runtime::{Clock as _, SystemClock};
use imprimatur_testkit::wait;
use serde_json::Value;

use crate::agent::Host;
use crate::rig::{BOOK_HELD, Rig, SOON, sections};
use crate::wire::Device;

/// Answers round to five: these count as 20, and with the owner as 25.
pub(super) const NEIGHBOURS: usize = 22;

/// The server, the owner's agent, and what the owner was shown.
pub(super) struct Scene {
    pub(super) rig: Rig,
    pub(super) host: Host,
    /// The owner's id at the collector.
    pub(super) subject: String,
    pub(super) recovery_code: String,
}

impl Scene {
    /// All are enrolled, and one print of each is in the lake; the owner's tells temperatures, too.
    pub(super) async fn start() -> Self {
        // Logs say the most.
        let rig = Rig::start("trace").await;
        let mut tokens = rig.tokens(23).await;
        assert_eq!(tokens.len(), NEIGHBOURS + 1);
        let mut host = Host::of(&rig, "agent", "").with("IMPRIMATUR_LOG", "trace");
        let token = tokens.pop().unwrap();
        let granted = host.json(&["consent", "grant", "--yes", "print_time"]).await;
        // The first yes spends nothing, so that only the erasure can stop it from being sent again.
        host.grant(&["temperature", "--token", &token]).await;
        let recovery_code = granted["recovery_code"].as_str().unwrap().to_owned();
        host.spool(1);
        host.run().await;
        for (seed, token) in (100..).zip(&tokens) {
            Box::pin(neighbour(&rig, seed, token)).await;
        }
        rig.prints(NEIGHBOURS + 1).await;
        host.shows("/batches_waiting", &0.into()).await;
        let shown = host.json(&["consent", "show"]).await;
        let subject = shown["subject"].as_str().unwrap().to_owned();
        let scene = Self { rig, host, subject, recovery_code };
        scene.counts(NEIGHBOURS + 1).await;
        scene
    }

    /// The owner's row; `None` when no row of the lake tells temperatures.
    pub(super) fn row(&self) -> Option<Row> {
        let rows = self.rig.rows(RecordKind::Print);
        rows.into_iter().find(|row| sections(row).contains(&"temperature"))
    }

    pub(super) fn catalogue(&self) -> Catalogue {
        self.rig.catalogue().unwrap()
    }

    /// Waits until an answer counts this many principals, to the nearest five.
    pub(super) async fn counts(&self, principals: usize) {
        wait::until(SOON, "an answer about so many", async || {
            let answer = self.rig.ask(&["query", "print_duration", "--json"]).await;
            let told: Value = serde_json::from_str(&answer.out).unwrap_or_default();
            let counted = &told["cells"][0]["principals"];
            if *counted == (principals + 2) / 5 * 5 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await
        .unwrap();
    }

    pub(super) fn backup(&self) -> PathBuf {
        self.rig.folder().join("backup")
    }

    pub(super) async fn back_up(&self) {
        let to = self.backup().display().to_string();
        self.rig.ask(&["backup", "create", "--to", &to]).await.exits(0);
    }

    /// The owner asks to be erased; returns when the publisher has done it.
    pub(super) async fn erase(&self) {
        self.host.ask(&["erase"]).await;
        self.erased().await;
    }

    /// Waits until the register says that the erasure is done.
    pub(super) async fn erased(&self) {
        wait::until(SOON, "an erasure that is done", async || {
            let register = self.rig.ask(&["subject", "requests", "--json"]).await.exits(0).json();
            let done = |one: &Value| one["verb"] == "erase" && one["outcome"] == "done";
            let found = register.as_array().unwrap().iter().any(done);
            if found { Ok(()) } else { Err(register.to_string()) }
        })
        .await
        .unwrap();
    }

    /// Everything that can be proven of the stored bytes holds.
    pub(super) async fn verifies(&self) {
        for (what, code) in [("compliance", BOOK_HELD), ("ledger", 0)] {
            self.rig.ask(&[what, "verify"]).await.exits(code);
        }
    }

    /// Stops what writes, so that what is at rest can be read.
    pub(super) async fn rest(&mut self) {
        assert_eq!(self.host.end().await, Some(0));
        assert_eq!(self.rig.stop_bridge().await, Some(0));
        assert_eq!(self.rig.stop_collector().await, Some(0));
    }

    pub(super) async fn go_on(&mut self) {
        self.rig.start_collector().await;
        // A bridge that found no collector comes back when its wait is over, and until then a message is lost: agents
        // send it again, and those played here do not.
        self.rig.start_bridge().await;
        self.host.run().await;
    }
}

/// Somebody with a print of the same duration.
async fn neighbour(rig: &Rig, seed: u8, token: &str) {
    let mut device = Device::connect(rig, seed).await;
    let event = device.enrolment(token, &[Category::PrintTime]);
    device.tell(event).await;
    let batch = device.batch(1, vec![print()]);
    let verdict = device.submit(device.sealed(&batch)).await;
    assert_eq!(verdict.outcome(), Outcome::Stored, "{verdict:?}");
}

/// A print of today.
pub(super) fn print() -> PrintReport {
    PrintReport {
        start_date: SystemClock.today().0,
        print_time: Some(PrintTime { completed_duration: 1, ..Default::default() }),
        ..Default::default()
    }
}

/// A device that holds this key.
pub(super) async fn device(rig: &Rig, key: SigningSeed) -> Device {
    let subject = key.subject().to_string();
    Device::speak_as(rig, key, &subject).await
}
