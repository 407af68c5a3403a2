//! The table of claims: one entry an invariant, in their order.

use imprimatur_consent::Invariant;

use super::{Known, Shown, controls};

pub(super) const ALL: [Known; 12] = [
    Known {
        invariant: Invariant::NoPermitNoRow,
        shown: Shown::ByBytes,
        rests_on: &[],
        how: "All events and commits are replayed in their one order by the rule that the gate uses; \
              every row of the lake, and every batch on its way there, is matched with the sealed evidence of \
              its commit; pseudonyms are made again from subject, principal and pepper; the standings that the \
              collector decides by are those of the events.",
        limit: "The date of a record and the day of an event on the device are the device's claim. \
                Commits of erased subjects cannot be opened any more; their rows must be gone.",
        stands_in: &["imprimatur-collector::gate no_permit_no_row"],
        controls: controls::PERMITS,
    },
    Known {
        invariant: Invariant::SilenceBeforeYes,
        shown: Shown::NotByBytes,
        rests_on: &[],
        how: "Nothing: silence leaves no bytes at the collector.",
        limit: "What a device did before its yes is seen only on its wire.",
        stands_in: &[
            "imprimatur-tests::it silence::before_any_grant_the_agent_opens_no_connection",
            "imprimatur-agent core::tests::without_an_answer_nothing_is_kept_said_or_drawn",
        ],
        controls: &[],
    },
    Known {
        invariant: Invariant::WithdrawalBinds,
        shown: Shown::Partly,
        rests_on: &[Invariant::NoPermitNoRow],
        how: "The replay of INV-1 refuses any commit after a withdrawal in the one order.",
        limit: "How soon the device stopped, and what its spool held, is not here.",
        stands_in: &[
            "imprimatur-tests::it consent::a_withdrawal_binds_at_once",
            "imprimatur-tests::it faults::revocation::after_the_reply_to_a_withdrawal_nothing_commits_under_full_load",
            "imprimatur-collector::gate a_withdrawal_and_batches_in_flight_have_one_order",
        ],
        controls: controls::WITHDRAWALS,
    },
    Known {
        invariant: Invariant::VerdictFreesSpool,
        shown: Shown::NotByBytes,
        rests_on: &[],
        how: "Nothing: spools are on devices.",
        limit: "What a device deleted, and when, is not here.",
        stands_in: &[
            "imprimatur-tests::it gate::forged_answers_free_nothing",
            "imprimatur-agent core::tests::only_the_collectors_word_on_these_bytes_frees_a_frame",
            "imprimatur-tests::it faults::kills::whatever_is_killed_under_load_nothing_is_lost_doubled_or_shown",
        ],
        controls: &[],
    },
    Known {
        invariant: Invariant::CountsOnce,
        shown: Shown::ByBytes,
        rests_on: &[],
        how: "No subject has two commits of one number; every published record has exactly one row, every \
              other commit is on its way; verdicts and commits are the same batches.",
        limit: "Commits that were published and expired are gone with their rows.",
        stands_in: &[
            "imprimatur-collector::gate a_granted_batch_is_stored_once_and_a_repeat_gets_the_first_verdict",
        ],
        controls: controls::ONCE,
    },
    Known {
        invariant: Invariant::RefusalsEmpty,
        shown: Shown::Partly,
        rests_on: &[Invariant::NoGeometry, Invariant::EvidenceFirst],
        how: "Every file is one that a collector has, so there is no file of refusals; the counts by reason \
              only grow and are no fewer than the refusals that the book remembers, of which it holds the \
              signed verdict and nothing else.",
        limit: "Repeats, and what was refused before its signature was checked, leave a count that nothing \
                can be held against; what was never counted leaves nothing.",
        stands_in: &[
            "imprimatur-tests::it gate::every_bad_input_is_refused_with_its_own_reason_over_the_wire",
            "imprimatur-collector::publish each_publication_logs_its_counts_of_commits_and_refusals",
        ],
        controls: controls::REFUSALS,
    },
    Known {
        invariant: Invariant::NoGeometry,
        shown: Shown::ByBytes,
        rests_on: &[],
        how: "Values: the contract is the one that was counted and is within its budget; every file of \
              the lake is read by the strict reader, and its rows, written again, give the same bytes. \
              Bytes: every file but the keys, every decoded value and the opened evidence are searched \
              for formats of models, pictures, toolpaths and containers, in plain, hex and base64; every \
              file is one that a collector has. Ceilings: no date of a subject tells more than ten prints and \
              one day report, counted anew from commits and rows.",
        limit: "Encrypted or split bytes look random. What values can tell at most is their budget of \
                bits, not nothing.",
        stands_in: &[
            "imprimatur-proto tests::the_contract_keeps_its_budget",
            "imprimatur-tests::it road::a_real_print_travels_the_whole_road_and_nothing_else_does",
        ],
        controls: controls::GEOMETRY,
    },
    Known {
        invariant: Invariant::NoHardwareIdentifier,
        shown: Shown::Partly,
        rests_on: &[],
        how: "The texts that were given as canaries are searched in all files but the keys, in values, \
              in opened evidence and in logs: in any case, reversed, in UTF-16, hex and base64.",
        limit: "Without canaries nothing is searched: bytes do not tell that they are a serial number. \
                Wires leave no bytes here.",
        stands_in: &[
            "imprimatur-tests::it road::a_real_print_travels_the_whole_road_and_nothing_else_does",
            "imprimatur-bridge::it carrying::no_log_line_names_a_subject_or_tells_a_payload",
            "imprimatur-collector::address the_address_of_a_peer_is_in_no_file_and_in_no_line",
        ],
        controls: controls::PLANTED,
    },
    Known {
        invariant: Invariant::EvidenceFirst,
        shown: Shown::ByBytes,
        rests_on: &[],
        how: "The Merkle tree is computed from all entries and compared with the signed checkpoint; every \
              event stands behind its own entry, every segment of evidence is named by the log, every \
              policy was announced before anybody agreed to it, and counts only grow. The book: its events, commits \
              and log are the published ones, every consent event has a receipt that is signed and proves \
              it, counters are what they count.",
        limit: "A whole history that was rewritten and signed again agrees with itself: give the \
                published key of the log and a checkpoint that was kept elsewhere.",
        stands_in: &[
            "imprimatur-agent core::tests::receipts::an_older_or_another_log_is_not_believed",
            "imprimatur-ledger tests::every_commit_has_its_evidence",
        ],
        controls: controls::EVIDENCE,
    },
    Known {
        invariant: Invariant::ErasureProvable,
        shown: Shown::ByBytes,
        rests_on: &[],
        how: "No row is older than the policies keep it; none is of an erased subject; every key that the \
              log calls destroyed is zeros; what cannot be opened was erased in the open; who asked for \
              erasure has no key any more when the deadline is over; every request is in the register and was \
              done by its due date; peppers past their time are gone; the inventory of backups is the log's.",
        limit: "Whether a backup is gone in time, and why an erasure under a legal hold that ended by itself \
                took as long as it did, is not here. Copies elsewhere, backups among them, are not here; the report lists until when each \
                backup may exist. What erased subjects said cannot be shown any more.",
        stands_in: &[
            "imprimatur-tests::it erasure::a_restored_backup_brings_nobody_back",
            "imprimatur-ledger tests::restore::a_keyring_from_the_backup_brings_nobody_back",
        ],
        controls: controls::ERASURE,
    },
    Known {
        invariant: Invariant::OnlyGroups,
        shown: Shown::NotByBytes,
        rests_on: &[],
        how: "Nothing: answers are not kept.",
        limit: "Which questions were asked, and what was answered, is not here.",
        stands_in: &[
            "imprimatur-query tests::below_k_is_refused_and_at_k_is_answered",
            "imprimatur-query tests::one_principal_can_neither_fill_nor_flood_a_group",
            "imprimatur-query tests::an_answer_reads_well_and_holds_no_pseudonym",
        ],
        controls: &[],
    },
    Known {
        invariant: Invariant::Bounded,
        shown: Shown::NotByBytes,
        rests_on: &[],
        how: "Nothing: bounds are kept while programs run.",
        limit: "A queue that overflowed leaves no bytes here.",
        stands_in: &[
            "imprimatur-tests::it gate::every_bad_input_is_refused_with_its_own_reason_over_the_wire",
            "imprimatur-bridge::it broker_rules::nothing_is_retained_and_nothing_large_is_taken",
            "imprimatur-agent core::tests::a_full_spool_drops_the_oldest_and_tells_it_later",
        ],
        controls: &[],
    },
];
