//! A modified agent: it tries at a collector's door what must be refused, and says what came back.
//!
//! It has no privilege: it draws throw-away keys, grants consent as any owner may, and erases
//! what it said in the end. `docs/attack.md` lists what it tries with the answer that each must get.
//! Something honest must be taken first, else a refusal proves nothing. What is allowed is used as a
//! channel: values are filled with random bits, read back from what is stored, and counted.

mod answer;
mod attack;
mod cases;
mod door;
mod error;
mod goodput;
mod layout;
mod mqtt;
mod report;
mod subject;
mod wire;

pub use attack::{Settings, attack};
pub use error::AttackError;
pub use report::{Attempt, Channel, Goodput, Report, Verdict};
