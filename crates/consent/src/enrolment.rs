//! Enrolment proofs: a one-time token that never travels, so that nobody on the way can spend it.
//!
//! The operator hands a token of 32 random bytes to a principal. Its verifier, the token's SHA-256,
//! stays with the collector. A grant carries a proof: 16 bytes that name the token (of the
//! verifier's SHA-256) and 16 bytes of HMAC-SHA256 under the verifier over principal and public
//! key. The proof is worth nothing to another principal or key.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::ids::{Digest, PrincipalId};

/// Length of a proof, bytes.
pub const PROOF_BYTES: usize = 32;

/// What the collector keeps of a token.
pub fn verifier(token: &[u8; 32]) -> Digest {
    Digest::of(token)
}

/// The name under which a proof's token is found.
pub fn name(verifier: Digest) -> [u8; 16] {
    first_half(&Digest::of(&verifier.0).0)
}

/// The proof that goes with a grant.
pub fn proof(verifier: Digest, principal: PrincipalId, public_key: &[u8]) -> Vec<u8> {
    [name(verifier), tag(verifier, principal, public_key)].concat()
}

/// The name in a proof; `None` when it is none.
pub fn name_in(proof: &[u8]) -> Option<[u8; 16]> {
    let whole: &[u8; PROOF_BYTES] = proof.try_into().ok()?;
    Some(first_half(whole))
}

/// Whether the proof was made with this token, for this principal and key.
pub fn proves(proof: &[u8], verifier: Digest, principal: PrincipalId, public_key: &[u8]) -> bool {
    let Some((name_part, tag_part)) = proof.split_at_checked(16) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&verifier.0) else { return false };
    mac.update(&principal.0);
    mac.update(public_key);
    name_part == name(verifier)
        && tag_part.len() == 16
        && mac.verify_truncated_left(tag_part).is_ok()
}

fn tag(verifier: Digest, principal: PrincipalId, public_key: &[u8]) -> [u8; 16] {
    // HMAC takes keys of any length, so this cannot fail; zeros prove nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&verifier.0) else { return [0; 16] };
    mac.update(&principal.0);
    mac.update(public_key);
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    first_half(&whole)
}

fn first_half(whole: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(whole) {
        *to = *from;
    }
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_principal_and_key() {
        let (mine, other) = (PrincipalId([1; 16]), PrincipalId([2; 16]));
        let verifier = verifier(&[7; 32]);
        let made = proof(verifier, mine, &[3; 32]);
        assert_eq!(made.len(), PROOF_BYTES);
        assert_eq!(name_in(&made), Some(name(verifier)));
        assert!(proves(&made, verifier, mine, &[3; 32]));
        assert!(!proves(&made, verifier, other, &[3; 32]));
        assert!(!proves(&made, verifier, mine, &[4; 32]));
        assert!(!proves(&made, super::verifier(&[8; 32]), mine, &[3; 32]));
        assert!(!proves(&made[..31], verifier, mine, &[3; 32]));
        // Neither the token nor its verifier can be read off a proof.
        assert!(!made.windows(16).any(|part| part == &[7; 16][..] || part == &verifier.0[..16]));
    }
}
