//! Tokens of the query service: made, listed, revoked.

use imprimatur_door::tokens;
use imprimatur_runtime::{Clock as _, SystemClock};

use super::json;
use crate::cli::door::Token;
use crate::error::CommandError;
use crate::say;

/// A token as it is listed.
#[derive(serde::Serialize)]
struct Listed {
    name: String,
    role: imprimatur_door::Role,
    created: String,
    expires: String,
    expired: bool,
}

/// Runs one of the commands.
///
/// # Errors
/// [`CommandError`].
pub(super) fn run(command: &Token) -> Result<(), CommandError> {
    let today = SystemClock.today();
    match command {
        Token::Create(args) => {
            say::line(&tokens::create(&args.data, &args.name, args.role, args.days, today)?);
        }
        Token::Revoke(args) => tokens::revoke(&args.data, &args.name)?,
        Token::List(args) => {
            let listed = tokens::list(&args.data)?.into_iter().map(|token| Listed {
                name: token.name,
                role: token.role,
                created: token.created.to_string(),
                expires: token.expires.to_string(),
                expired: today > token.expires,
            });
            let listed: Vec<Listed> = listed.collect();
            if args.json {
                say::line(&json(&listed));
                return Ok(());
            }
            for one in listed {
                let ended = if one.expired { "  expired" } else { "" };
                say::line(&format!("{:<11} {}{ended}  {}", one.role, one.expires, one.name));
            }
        }
    }
    Ok(())
}
