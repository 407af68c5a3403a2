//! The contract: messages, field rules, canonical codec and quantisers, all read from one schema.
//!
//! The `.proto` files under `imprimatur/` are the truth. The build refuses a field without options
//! and a schema over its capacity budget. At run time [`contract`] gives the same rules to the
//! agent (stripper, quantiser), the collector (gate), the lake (columns) and the verifier.

pub mod canonical;
pub mod capacity;
pub mod category;
pub mod frame;
pub mod models;
pub mod quantise;
pub mod record;
pub mod rules;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;
use sha2::{Digest, Sha256};

pub use category::{Category, UnknownCategory};

/// Messages of `imprimatur.policy.v1`, generated.
pub mod policy {
    /// Version 1.
    #[expect(clippy::pedantic, reason = "generated code")]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/imprimatur.policy.v1.rs"));
    }
}

/// Messages of `imprimatur.telemetry.v1`, generated.
pub mod telemetry {
    /// Version 1.
    #[expect(clippy::pedantic, reason = "generated code")]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/imprimatur.telemetry.v1.rs"));
    }
}

/// Messages of `imprimatur.consent.v1`, generated.
pub mod consent {
    /// Version 1.
    #[expect(clippy::pedantic, reason = "generated code")]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/imprimatur.consent.v1.rs"));
    }
}

/// Messages of `imprimatur.rights.v1`, generated.
pub mod rights {
    /// Version 1.
    #[expect(clippy::pedantic, reason = "generated code")]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/imprimatur.rights.v1.rs"));
    }
}

/// Messages and services of `imprimatur.ingest.v1`, generated.
pub mod ingest {
    /// Version 1.
    #[expect(
        clippy::pedantic,
        clippy::as_conversions,
        clippy::clone_on_ref_ptr,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/imprimatur.ingest.v1.rs"));
    }
}

/// One place for each value field of the contract, generated from the schema.
pub mod field {
    use super::FieldId;

    include!(concat!(env!("OUT_DIR"), "/fields.rs"));
}

/// The place of a field in [`rules::Rules::fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub(crate) usize);

/// Descriptors of all contract files with their options, as `google.protobuf.FileDescriptorSet`;
/// what gRPC reflection serves.
pub static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The contract as the program holds it.
#[derive(Debug)]
pub struct Contract {
    rules: rules::Rules,
    capacity: capacity::Capacity,
    hash: [u8; 32],
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the build read the same bytes and would have failed")]
    let (pool, rules) = DescriptorPool::decode(DESCRIPTORS)
        .ok()
        .and_then(|pool| rules::Rules::read(&pool).ok().map(|rules| (pool, rules)))
        .expect("the descriptors that the build checked");
    let mut hasher = Sha256::new();
    for name in ["imprimatur/policy/v1/policy.proto", "imprimatur/telemetry/v1/telemetry.proto"] {
        if let Some(file) = pool.get_file_by_name(name) {
            hasher.update(file.encode_to_vec());
        }
    }
    let capacity = capacity::Capacity::of(&rules);
    Contract { rules, capacity, hash: hasher.finalize().into() }
});

/// The contract that this program was built with.
pub fn contract() -> &'static Contract {
    &CONTRACT
}

impl Contract {
    /// The rules of every field.
    pub fn rules(&self) -> &rules::Rules {
        &self.rules
    }

    /// What the contract can tell.
    pub fn capacity(&self) -> capacity::Capacity {
        self.capacity
    }

    /// SHA-256 of the descriptors of the policy options and the telemetry messages: the name of
    /// this contract on the wire.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The rule of one field.
    pub fn rule(&self, field: FieldId) -> &rules::FieldRule {
        #[expect(clippy::indexing_slicing, reason = "a `FieldId` is made from this very list")]
        &self.rules.fields[field.0]
    }
}
