//! Cases 1 to 3, 7, 8, 11, 14, 15, 17 and 18: what is no consent, and whose it is not.

use imprimatur_consent::{Category, Domain};
use imprimatur_proto::canonical;
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, SignedConsentEvent};

use crate::attack::Attack;
use crate::error::AttackError;
use crate::subject::{framed, print};
use crate::wire;

const TIME: [Category; 1] = [Category::PrintTime];

pub(crate) async fn run(attack: &mut Attack) -> Result<(), AttackError> {
    no_yes(attack).await?;
    old_or_other(attack).await?;
    signatures(attack).await?;
    incomplete(attack).await
}

/// No state, an unanswered question, a no.
async fn no_yes(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let mut nobody = attack.subject()?;
    let frame = nobody.prints(&[print(today, 1)]);
    attack.frames(1, "a batch before any consent", "unauthenticated", [frame]).await?;
    let mut silent = attack.subject()?;
    let asked = silent.says(Decision::Unspecified, &TIME, today);
    let asked = ConsentEvent { requested_date: today, ..asked };
    let event = silent.signed(&asked);
    attack.events(2, "a question without an answer as consent", "unauthenticated", [event]).await?;
    let frame = silent.prints(&[print(today, 1)]);
    attack
        .frames(2, "a batch after a question that nobody answered", "unauthenticated", [frame])
        .await?;
    // A no is always heard, and permits nothing.
    let mut refuser = attack.subject()?;
    let event = refuser.says(Decision::Withdrawn, &TIME, today);
    attack.door.tell(&refuser.signed(&event)).await?;
    let mut header = refuser.header();
    header.policy_hash = vec![0; 32];
    let print = canonical::encode(&print(today, 1));
    let frame = refuser.frame(wire::batch(&canonical::encode(&header), &[print], &[]));
    attack.frames(3, "a batch after a no", "no_grant", [frame]).await
}

/// Too old, of the future, of another notice.
async fn old_or_other(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let mut late = attack.subject()?;
    let grants = [today - 400, today - 37].map(|date| late.says(Decision::Granted, &TIME, date));
    let grants = grants.map(|event| late.signed(&event));
    attack
        .events(
            7,
            "a grant whose time is over, or too old to be believed",
            "date_out_of_range",
            grants,
        )
        .await?;
    let renewal = late.says(Decision::Renewed, &TIME, today);
    let renewal = late.signed(&renewal);
    attack.events(7, "a renewal of what was never granted", "unauthenticated", [renewal]).await?;
    let unknown = late.says(Decision::Granted, &TIME, today);
    let unknown = late.signed(&ConsentEvent { policy_hash: vec![5; 32], ..unknown });
    attack
        .events(8, "a grant under a notice that nobody offers", "policy_unknown", [unknown])
        .await?;
    let mut header = attack.honest.header();
    header.policy_hash = vec![5; 32];
    let print_of = |date| canonical::encode(&print(date, 1));
    let frame = wire::batch(&canonical::encode(&header), &[print_of(today)], &[]);
    let frame = attack.honest.frame(frame);
    attack
        .frames(
            8,
            "a batch under another notice than the one agreed to",
            "policy_mismatch",
            [frame],
        )
        .await?;
    let future = late.says(Decision::Granted, &TIME, today + 3);
    let future = late.signed(&future);
    attack.events(18, "a grant of the future", "date_out_of_range", [future]).await?;
    let frame = attack.honest.prints(&[print(today + 3, 1)]);
    attack.frames(18, "a print of the future", "date_out_of_range", [frame]).await
}

/// Keys of others, other domains, a second person.
async fn signatures(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let thief = attack.subject()?;
    let header = attack.honest.header_bytes();
    let batch = wire::batch(&header, &[canonical::encode(&print(today, 1))], &[]);
    let forged = framed(batch.clone(), thief.key.sign(Domain::Batch, &batch));
    let none = framed(batch.clone(), vec![0; 64]);
    attack.frames(11, "a batch in another's name", "unauthenticated", [forged, none]).await?;
    let event = attack.honest.says(Decision::Granted, &[Category::Laser], today);
    let bytes = canonical::encode(&event);
    let signature = thief.key.sign(Domain::Consent, &bytes);
    let forged = canonical::encode(&SignedConsentEvent { event: bytes, signature });
    attack.events(11, "a grant in another's name", "unauthenticated", [forged]).await?;
    let other_domain = framed(batch.clone(), attack.honest.key.sign(Domain::Consent, &batch));
    attack
        .frames(
            14,
            "a batch under a signature made for a consent event",
            "unauthenticated",
            [other_domain],
        )
        .await?;
    let own = attack.honest.key.sign(Domain::Receipt, &canonical::encode(&event));
    let receipt = SignedConsentEvent { event: canonical::encode(&event), signature: own };
    attack
        .events(
            14,
            "a receipt of one's own making as an event",
            "unauthenticated",
            [canonical::encode(&receipt)],
        )
        .await?;
    let second = ConsentEvent { principal: vec![6; 16], ..event };
    let second = attack.honest.signed(&second);
    attack
        .events(17, "a grant of another person for the same printer", "unauthenticated", [second])
        .await
}

/// What a yes must have.
async fn incomplete(attack: &mut Attack) -> Result<(), AttackError> {
    let mut implied = attack.subject()?;
    let whole = implied.says(Decision::Granted, &TIME, attack.today);
    let lacking = [
        ConsentEvent { method: 0, ..whole.clone() },
        ConsentEvent { method: 4, ..whole.clone() },
        ConsentEvent { affirmation: 0, ..whole.clone() },
        ConsentEvent { notice_language: Vec::new(), ..whole.clone() },
        ConsentEvent { notice_language: b"xx".to_vec(), ..whole.clone() },
        ConsentEvent { mandate_hash: vec![7; 32], ..whole.clone() },
        ConsentEvent { categories: Vec::new(), ..whole },
    ];
    let lacking = lacking.map(|event| implied.signed(&event));
    attack
        .events(
            15,
            "a yes without method, affirmation, notice or category",
            "unauthenticated",
            lacking,
        )
        .await
}
