//! Enrolment: one-time tokens by which an operator vouches that a principal is a real one.
//!
//! Only enrolled principals count toward k; forged ones would make k worthless. The book keeps the
//! SHA-256 of a token, never the token.

use imprimatur_consent::{Digest, PrincipalId};
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
            table.insert(Digest::of(&token.0).0, [].as_slice())?;
            tokens.push(token);
        }
        txn.commit()?;
        Ok(tokens)
    }
}

impl Txn {
    /// Spends a token for a principal. Spending it again for the same principal changes nothing.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn spend_token(&self, token: &[u8], principal: PrincipalId) -> Result<TokenUse, BookError> {
        let key = Digest::of(token).0;
        let mut tokens = self.raw.open_table(TOKENS)?;
        let owner = tokens.get(key)?.map(|found| found.value().to_vec());
        match owner.as_deref() {
            Some([]) => {}
            Some(owner) if owner == principal.0 => return Ok(TokenUse::Enrolled),
            Some(_) | None => return Ok(TokenUse::Invalid),
        }
        tokens.insert(key, principal.0.as_slice())?;
        self.raw.open_table(ENROLLED)?.insert(principal.0, ())?;
        Ok(TokenUse::Enrolled)
    }
}
