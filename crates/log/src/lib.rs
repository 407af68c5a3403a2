//! The transparency log: an append-only Merkle tree whose signed checkpoints anybody can check.
//!
//! The formats are those of others, so that other tools can read them: RFC 6962 hashing, C2SP
//! signed notes, checkpoints and tiles. Tree, proofs, notes, witnesses and entries are pure; `tiles` and
//! `audit` touch one folder. Nothing here knows what an entry means.

pub mod audit;
pub mod entry;
pub mod memory;
pub mod note;
pub mod proof;
pub mod tiles;
pub mod tree;
pub mod witness;

pub use audit::{AuditError, Audited, audit, audit_each};
pub use entry::Entry;
pub use memory::MemoryLog;
pub use note::{Checkpoint, LogKey, NoteError, Origin};
pub use proof::{ProofError, verify_consistency, verify_inclusion};
pub use tiles::{TileError, TileReader, TileWriter};
pub use tree::{Entries, Frontier, Nodes, TreeError};
pub use witness::Witness;
