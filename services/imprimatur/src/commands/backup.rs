//! `imprimatur backup`: copies that let nobody come back who was erased.

use std::path::Path;

use imprimatur_collector::control::{self, Ask, Told};
use imprimatur_collector::restore::restore;
use imprimatur_runtime::{Clock as _, SystemClock};

use super::ask::{ask, unexpected};
use super::json;
use crate::cli::records::{Backup, OfData};
use crate::error::CommandError;
use crate::say;

pub(super) async fn run(command: Backup) -> Result<(), CommandError> {
    match command {
        Backup::Create { to, of } => create(&to, &of).await,
        Backup::Restore { from, of } => bring_back(&from, &of).await,
        Backup::List(of) => list(&of).await,
    }
}

async fn create(to: &Path, of: &OfData) -> Result<(), CommandError> {
    // The collector may stand in another folder than this command.
    let to = std::path::absolute(to)
        .map_err(|source| CommandError::File { path: to.to_owned(), source })?;
    let Told::BackedUp(backup) = ask(&of.data, Ask::BackUp { to }).await? else {
        return Err(unexpected());
    };
    say::line(&if of.json {
        json(&serde_json::json!({
            "id": backup.id,
            "made": backup.made.to_string(),
            "expires": backup.expires.to_string(),
            "log_size": backup.log_size,
            "files": backup.files.len(),
        }))
    } else {
        format!(
            "backup {} of {} files; it must be gone by {}",
            backup.id,
            backup.files.len(),
            backup.expires
        )
    });
    Ok(())
}

async fn bring_back(from: &Path, of: &OfData) -> Result<(), CommandError> {
    let running = control::ask(&of.data, &Ask::Counts {}).await.map_err(CommandError::System)?;
    if running.is_some() {
        return Err(CommandError::No(
            "a collector runs in this folder; stop it, restore, start it again".to_owned(),
        ));
    }
    let (data, from) = (of.data.clone(), from.to_owned());
    let restoring = move || restore(&data, &from, SystemClock.now());
    let restored = tokio::task::spawn_blocking(restoring).await;
    let restored = restored.map_err(|error| CommandError::System(std::io::Error::other(error)))?;
    let restored = restored.map_err(CommandError::Collector)?;
    say::line(&if of.json {
        json(&restored)
    } else {
        let lost = restored.lost.map_or_else(
            || "no commit is missing".to_owned(),
            |(first, last)| format!("rows of commits {first} to {last} are not in the backup"),
        );
        format!(
            "restored backup {}; {} rows of erased subjects were taken out again; {lost}",
            restored.backup, restored.erased_rows
        )
    });
    Ok(())
}

async fn list(of: &OfData) -> Result<(), CommandError> {
    let Told::Backups(backups) = ask(&of.data, Ask::Backups {}).await? else {
        return Err(unexpected());
    };
    let today = SystemClock.today();
    let expired = backups.values().filter(|(_, expires)| *expires <= today).count();
    if of.json {
        let entry = |(id, (made, expires)): (&String, &(imprimatur_runtime::UtcDate, _))| {
            let (made, expires): (_, imprimatur_runtime::UtcDate) = (*made, *expires);
            serde_json::json!({
                "id": id,
                "made": made.to_string(),
                "expires": expires.to_string(),
                "expired": expires <= today,
            })
        };
        say::line(&json(&backups.iter().map(entry).collect::<Vec<_>>()));
    } else {
        for (id, (made, expires)) in &backups {
            let over = if *expires <= today { "  EXPIRED: destroy it" } else { "" };
            say::line(&format!("{id}  made {made}  gone by {expires}{over}"));
        }
    }
    match expired {
        // That a backup was destroyed cannot be seen from here; its end is named for whoever must.
        0 => Ok(()),
        expired => Err(CommandError::No(format!("{expired} backups must be gone by now"))),
    }
}
