//! Enrolment: one-time tokens by which an operator vouches that a principal is a real one.
//!
//! Only enrolled principals count toward k; forged ones would make k worthless. The book keeps a
//! token's verifier, never the token, and a grant carries a proof of it, never the token either
//! ([`imprimatur_consent::enrolment`]).

use imprimatur_consent::{Digest, PrincipalId, Standing, SubjectId, enrolment};
use imprimatur_runtime::entropy;
use redb::ReadableTable as _;

use crate::book::Book;
use crate::error::BookError;
use crate::tables::TOKENS;
use crate::txn::Txn;

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
    /// Spends the token of a proof for the principal of a recorded subject. Spending it again for
    /// the same principal changes nothing.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn spend_token(&self, proof: &[u8], subject: SubjectId) -> Result<TokenUse, BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(TokenUse::Invalid) };
        let Some(mut held) = self.held(slot)? else { return Ok(TokenUse::Invalid) };
        let Standing { principal, public_key, .. } = held.standing;
        let Some(name) = self.token(proof, principal, &public_key.0)? else {
            return Ok(TokenUse::Invalid);
        };
        let mut tokens = self.raw.open_table(TOKENS)?;
        let verifier = tokens.get(name)?.map(|found| found.value().to_vec());
        let verifier = verifier.and_then(|known| known.first_chunk::<32>().copied());
        let Some(verifier) = verifier else { return Ok(TokenUse::Invalid) };
        tokens.insert(name, [&verifier[..], &slot.to_be_bytes()].concat().as_slice())?;
        drop(tokens);
        held.enrolled = true;
        self.hold(slot, &held)?;
        Ok(TokenUse::Enrolled)
    }

    /// Whether a proof would be taken for this principal and key: nothing is spent.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn token_valid(
        &self,
        proof: &[u8],
        principal: PrincipalId,
        public_key: &[u8],
    ) -> Result<bool, BookError> {
        Ok(self.token(proof, principal, public_key)?.is_some())
    }

    /// The name of the token that a proof proves, unless another principal spent it.
    fn token(
        &self,
        proof: &[u8],
        principal: PrincipalId,
        public_key: &[u8],
    ) -> Result<Option<[u8; 16]>, BookError> {
        let Some(name) = enrolment::name_in(proof) else { return Ok(None) };
        let tokens = self.raw.open_table(TOKENS)?;
        let known = tokens.get(name)?.map(|found| found.value().to_vec());
        let parts = known.as_ref().and_then(|known| known.split_first_chunk::<32>());
        let Some((verifier, spent_by)) = parts else { return Ok(None) };
        let owner = match <[u8; 8]>::try_from(spent_by) {
            Ok(slot) => self.known(u64::from_be_bytes(slot)).map(|known| known.principal),
            Err(_unspent) => Some(principal),
        };
        let proves = enrolment::proves(proof, Digest(*verifier), principal, public_key);
        Ok(Some(name).filter(|_| proves && owner == Some(principal)))
    }
}
