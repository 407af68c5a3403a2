//! Adopting: what another version sealed or kept is sealed again under this contract, or deleted.

use super::consent::next;
use super::counts::Fate;
use super::seal::{Contents, of_this_contract, opened, spool_again, strip};
use super::spool::unwrap;
use super::state::number;
use super::{AgentError, Core, Noted};
use crate::store::Space;

impl Core {
    /// Seals frames of another contract, made before an update, again under this one. An offered
    /// frame waits for its verdict, because it may be stored; what cannot be read is deleted.
    pub(super) fn adopt(&mut self) -> Result<(), AgentError> {
        self.purge_damaged()?;
        let Some(mut identity) = self.state.identity.clone() else { return Ok(()) };
        let (mut again, mut gone) = (Vec::new(), Vec::new());
        for (key, value) in self.store.scan(Space::Spool, b"")? {
            let sequence = number("spool key", &key)?;
            let Some(held) = unwrap(sequence, &value) else { continue };
            match opened(held.frame) {
                Err(_other_contract) => gone.push((sequence, value)),
                Ok(batch) if !held.offered && !of_this_contract(&batch) => {
                    again.push((sequence, Contents::of(&batch), value));
                }
                Ok(_) => {}
            }
        }
        let mut unread = Vec::new();
        for pending in self.pending()? {
            if strip(pending.kind, &pending.report, &[]).is_err() {
                unread.push(pending.key);
            }
        }
        if again.is_empty() && gone.is_empty() && unread.is_empty() {
            return Ok(());
        }
        let mut sequence = identity.next_batch;
        let count = u64::try_from(again.len()).unwrap_or(u64::MAX);
        identity.next_batch = sequence.saturating_add(count);
        identity.contract_refused = None;
        let mut reserved = self.draft();
        reserved.state.identity = Some(identity.clone());
        self.commit(reserved)?;
        let mut draft = self.draft();
        let purged = u64::try_from(gone.len() + unread.len()).unwrap_or(u64::MAX);
        for (number, value) in gone {
            draft.free(number, &value, Fate::Purged, 0);
        }
        for key in unread {
            draft.change.remove(Space::Pending, &key);
            draft.state.counts.records.purged += 1;
        }
        for (number, contents, value) in again {
            draft.free(number, &value, Fate::Again, contents.len());
            spool_again(&mut draft, &identity, contents, next(&mut sequence))?;
        }
        if purged > 0 {
            tracing::warn!(purged, "what this version cannot read was deleted unsent");
            draft.note(Noted::Unreadable { purged });
        }
        self.commit(draft)
    }
}
