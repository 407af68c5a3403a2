//! Asking a collector: over its socket while it runs, or its folder while nobody does.

use std::path::Path;

use imprimatur_collector::control::{self, Ask, Told};
use imprimatur_collector::operator::Operator;
use imprimatur_runtime::SystemClock;

use crate::error::CommandError;

/// What the collector of this folder says. A refusal is an error.
///
/// # Errors
/// [`CommandError::File`] when there is no collector's folder, [`CommandError::Collector`] when it
/// cannot be opened, [`CommandError::No`] when the answer is no.
pub(super) async fn ask(data: &Path, request: Ask) -> Result<Told, CommandError> {
    let told = control::ask(data, &request).await.map_err(CommandError::System)?;
    let told = match told {
        Some(told) => told,
        // Nobody runs: the folder is ours for a moment.
        None => alone(data, request).await?,
    };
    match told {
        Told::Refused(why) => Err(CommandError::No(why)),
        told => Ok(told),
    }
}

async fn alone(data: &Path, request: Ask) -> Result<Told, CommandError> {
    let path = data.join("book.redb");
    if !path.exists() {
        let source = std::io::ErrorKind::NotFound.into();
        return Err(CommandError::File { path, source });
    }
    let data = data.to_owned();
    let answered = tokio::task::spawn_blocking(move || {
        let operator = Operator::alone(data, SystemClock::shared())?;
        Ok::<_, CommandError>(operator.answer(&request))
    });
    answered.await.map_err(|panicked| CommandError::System(std::io::Error::other(panicked)))?
}

/// The collector said something else than was asked: another version of the program.
pub(super) fn unexpected() -> CommandError {
    CommandError::No("the collector is of another version; restart it with this one".to_owned())
}
