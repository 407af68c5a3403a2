//! Frames: a signed batch with zeros up to one of three sizes, so that a length tells next to nothing.

use prost::Message;

use crate::canonical::Fault;
use crate::telemetry::v1::SignedBatch;
use crate::{Contract, capacity};

/// The sizes that a frame may have, bytes, ascending. The largest batch that the contract allows
/// (ten prints, ten days) with its header and signature is below 2,048.
pub const SIZES: [usize; 3] = [512, 1024, 2048];

/// Largest frame, bytes.
pub const BYTES_MAX: usize = 2048;

const _: () = assert!(SIZES.len() == 3 && capacity::FRAME_SIZES == 3);

/// A batch that fits no frame. Send its records in two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signed batch of {bytes} bytes fits no frame of at most {BYTES_MAX} bytes")]
pub struct TooLarge {
    /// Its size without padding.
    pub bytes: usize,
}

/// Puts a batch and its signature into the smallest frame that they fill exactly with padding.
///
/// # Errors
/// [`TooLarge`] when even the largest is too small.
pub fn seal(batch: Vec<u8>, signature: Vec<u8>) -> Result<Vec<u8>, TooLarge> {
    let mut signed = SignedBatch { batch, signature, padding: Vec::new() };
    let bare = signed.encoded_len();
    for size in SIZES {
        let Some(room) = size.checked_sub(bare) else { continue };
        // A padding field of p bytes takes p + 2 or, from 128 on, p + 3 bytes.
        for overhead in [2, 3] {
            let Some(padding) = room.checked_sub(overhead).filter(|&p| p > 0) else { continue };
            signed.padding = vec![0; padding];
            if signed.encoded_len() == size {
                return Ok(signed.encode_to_vec());
            }
        }
    }
    Err(TooLarge { bytes: bare })
}

/// Opens a frame: the right size, canonical, and zeros where zeros belong.
///
/// # Errors
/// The first [`Fault`]; [`Fault::NonCanonical`] for any other size or padding.
pub fn open(contract: &Contract, frame: &[u8]) -> Result<SignedBatch, Fault> {
    let signed: SignedBatch = contract.decode(frame)?;
    let zeros = signed.padding.iter().all(|&byte| byte == 0);
    if zeros && SIZES.contains(&frame.len()) { Ok(signed) } else { Err(Fault::NonCanonical) }
}
