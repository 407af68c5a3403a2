//! A policy, as an operator writes it.

use imprimatur_consent::Policy;
use imprimatur_consent::policy::STRICTEST;

/// The shipped policy, and one that is cut.
pub fn seeds() -> Vec<Vec<u8>> {
    let strictest = STRICTEST.as_bytes().to_vec();
    let half = strictest[..strictest.len() / 2].to_vec();
    vec![strictest, half]
}

/// A policy that is read is read again alike, and an error names something.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Policy::read(text) {
        Ok(policy) => assert_eq!(Policy::read(text).unwrap().hash, policy.hash),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
