//! What a collector must be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use imprimatur_consent::policy::STRICTEST;
use imprimatur_ledger::Label;

use crate::region::Region;

/// Settings of one collector.
#[derive(Clone, Debug)]
pub struct CollectorSettings {
    /// Where gRPC listens; port 0 takes a free one. Loopback unless the operator says otherwise.
    pub listen: SocketAddr,
    /// Where metrics are told, when they shall be; port 0 takes a free one.
    pub metrics: Option<SocketAddr>,
    /// Folder of the book, the key, the lake and the evidence.
    pub data: PathBuf,
    /// The texts of the policies to which consent is taken, beside those in `policies` below the
    /// data; at least one.
    pub policies: Vec<String>,
    /// Where the collector and its disk stand.
    pub region: Region,
    /// Longest wait before committed batches are published to the lake.
    pub publish_every: Duration,
    /// What all that comes is, for the life of the folder: what is synthetic is labelled so in the
    /// catalogue.
    pub label: Label,
}

impl CollectorSettings {
    /// A collector on a free loopback port with the shipped policy and a publication each second.
    pub fn local(data: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            metrics: None,
            data,
            policies: vec![STRICTEST.to_owned()],
            region: Region::eea(),
            publish_every: Duration::from_secs(1),
            label: Label::Real,
        }
    }

    /// The folder of the policies that were published.
    pub fn published(&self) -> PathBuf {
        self.data.join("policies")
    }

    /// The folder of the log's tiles and checkpoint.
    pub fn log(&self) -> PathBuf {
        self.data.join("log")
    }

    /// The folder of the lake: Parquet files and the catalogue.
    pub fn lake(&self) -> PathBuf {
        self.data.join("lake")
    }

    /// The folder of the evidence that the verifier reads.
    pub fn evidence(&self) -> PathBuf {
        self.data.join("evidence")
    }

    /// The file of the collector's private key.
    pub fn key(&self) -> PathBuf {
        self.data.join("collector.key")
    }
}
