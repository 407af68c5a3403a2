//! Who may come in: the one check of tokens, roles and rates, for HTTP and gRPC alike.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use imprimatur_consent::Digest;
use imprimatur_runtime::Clock;

use crate::problem::{Code, Problem};
use crate::rates::{Rate, Rates, network};
use crate::role::Role;
use crate::tokens::{Denied, Session, Tokens};

/// Who may call something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody: it tells nothing of the lake.
    Open,
    /// Whoever has one of these roles.
    Roles(&'static [Role]),
}

/// The check.
#[derive(Debug)]
pub(crate) struct Guard {
    tokens: Tokens,
    clock: Arc<dyn Clock>,
    by_token: Rates<Digest>,
    by_network: Rates<u64>,
}

impl Guard {
    pub(crate) fn new(data: &Path, with_token: Rate, without: Rate, clock: Arc<dyn Clock>) -> Self {
        Self {
            tokens: Tokens::of(data),
            by_token: Rates::new(with_token, Arc::clone(&clock)),
            by_network: Rates::new(without, Arc::clone(&clock)),
            clock,
        }
    }

    /// Lets a request in, or says why not. What has no token that counts is counted against the peer's network.
    pub(crate) fn admit<'a>(
        &self,
        authorization: impl Iterator<Item = &'a [u8]>,
        peer: IpAddr,
        access: Access,
    ) -> Result<Option<Session>, Problem> {
        let roles = match access {
            Access::Open => {
                self.by_network.take(network(peer)).map_err(too_many)?;
                return Ok(None);
            }
            Access::Roles(roles) => roles,
        };
        let found = bearer(authorization).ok_or(Denied::Unknown);
        let session = match found.and_then(|token| self.tokens.find(token, self.clock.today())) {
            Ok(session) => session,
            Err(denied) => {
                self.by_network.take(network(peer)).map_err(too_many)?;
                return Err(match denied {
                    Denied::Unknown => Problem::new(
                        Code::Unauthenticated,
                        "send a token as `Authorization: Bearer imq_..`; the operator makes one with \
                         `imprimatur token create`",
                    ),
                    Denied::Expired => Problem::new(
                        Code::Expired,
                        "the token's last day is over; ask the operator for a new one",
                    ),
                });
            }
        };
        self.by_token.take(session.token).map_err(too_many)?;
        if !roles.contains(&session.role) {
            let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            let (names, role) = (names.join(" or "), session.role);
            let detail = format!("this is for the role {names}; the token has the role {role}");
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(Some(session))
    }
}

fn too_many(after: Duration) -> Problem {
    let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1);
    let detail = format!("too many requests; come again in {seconds} s");
    Problem { retry_after: Some(seconds), ..Problem::new(Code::RateLimited, detail) }
}

/// The token of the one `Authorization: Bearer`; two headers are none.
fn bearer<'a>(mut headers: impl Iterator<Item = &'a [u8]>) -> Option<&'a str> {
    let (value, None) = (headers.next()?, headers.next()) else { return None };
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start_matches(' '))
}
