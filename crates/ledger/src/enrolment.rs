//! Enrolment: one-time tokens by which an operator vouches that a principal is a real one.
//!
//! Only enrolled principals count toward k; forged ones would make k worthless. The book keeps a
//! token's verifier, never the token, and a grant carries a proof of it, never the token either
//! ([`imprimatur_consent::enrolment`]).

use imprimatur_consent::{Digest, PrincipalId, enrolment};
use imprimatur_runtime::entropy;
use redb::ReadableTable as _;

use crate::book::{Book, BookError, Txn};
use crate::tables::{ENROLLED, TOKENS};

/// A fresh one-time token, to be handed to one principal. Written as 64 hex digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub [u8; 32]);

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUse {
    /// The principal is enrolled.
    Enrolled,
    /// Unknown, or spent by another principal.
    Invalid,
}

impl Book {
    /// Draws that many tokens.
    ///
    /// # Errors
    /// [`BookError`]; none is valid then.
    pub fn issue_tokens(&self, count: u32) -> Result<Vec<Token>, BookError> {
        let txn = self.begin()?;
        let mut tokens = Vec::new();
        for _ in 0..count {
            let token = Token(entropy::bytes()?);
            let mut table = txn.raw.open_table(TOKENS)?;
            let verifier = enrolment::verifier(&token.0);
            table.insert(enrolment::name(verifier), verifier.0.as_slice())?;
            tokens.push(token);
        }
        txn.commit()?;
        Ok(tokens)
    }
}

impl Txn {
    /// Spends the token of a proof for a principal. Spending it again for the same principal changes
    /// nothing.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn spend_token(
        &self,
        proof: &[u8],
        principal: PrincipalId,
        public_key: &[u8],
    ) -> Result<TokenUse, BookError> {
        let Some(name) = enrolment::name_in(proof) else { return Ok(TokenUse::Invalid) };
        let mut tokens = self.raw.open_table(TOKENS)?;
        let known = tokens.get(name)?.map(|found| found.value().to_vec());
        let parts = known.as_ref().and_then(|known| known.split_first_chunk::<32>());
        let Some((verifier, owner)) = parts else { return Ok(TokenUse::Invalid) };
        let foreign = !owner.is_empty() && owner != principal.0;
        if foreign || !enrolment::proves(proof, Digest(*verifier), principal, public_key) {
            return Ok(TokenUse::Invalid);
        }
        tokens.insert(name, [verifier.as_slice(), &principal.0].concat().as_slice())?;
        self.raw.open_table(ENROLLED)?.insert(principal.0, ())?;
        Ok(TokenUse::Enrolled)
    }
}
