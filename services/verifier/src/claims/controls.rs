//! The negative controls: for each check the test that builds what it must find.

mod erasure;

use super::Control;
pub(super) use erasure::ERASURE;

const fn control(check: &'static str, test: &'static str) -> Control {
    Control { check, test }
}

/// Of INV-1.
pub(super) const PERMITS: &[Control] = &[
    control(
        "each section had a grant",
        "imprimatur-verifier tests::a_section_that_was_never_granted_is_caught",
    ),
    control(
        "nothing was committed after a withdrawal",
        "imprimatur-verifier tests::a_commit_after_the_withdrawal_is_caught",
    ),
    control(
        "no record began before its grant",
        "imprimatur-verifier tests::a_row_of_before_the_grant_is_caught",
    ),
    control(
        "consent is signed by its subject",
        "imprimatur-verifier tests::a_forged_consent_is_caught",
    ),
    control("each row has evidence", "imprimatur-verifier tests::a_row_without_evidence_is_caught"),
    control(
        "each row is under the pseudonym of its evidence",
        "imprimatur-verifier tests::a_row_under_another_pseudonym_is_caught",
    ),
    control(
        "each commit has a subject that gave consent",
        "imprimatur-verifier tests::controls::a_commit_of_nobody_is_caught",
    ),
    control(
        "each record has the epoch of its policy",
        "imprimatur-verifier tests::controls::a_wrong_epoch_is_caught",
    ),
    control(
        "each row says what its evidence says",
        "imprimatur-verifier tests::controls::a_row_that_differs_from_its_evidence_is_caught",
    ),
    control(
        "positions are one order",
        "imprimatur-verifier tests::controls::positions_that_repeat_are_caught",
    ),
    control(
        "an owner's act is signed by the owner",
        "imprimatur-verifier tests::forgeries::an_act_that_its_owner_did_not_sign_is_found",
    ),
    control(
        "a subject has one slot",
        "imprimatur-verifier tests::forgeries::a_subject_in_two_slots_is_found",
    ),
    control(
        "the overview tells the coverage that the events add up to",
        "imprimatur-verifier tests::overview::an_overview_that_is_not_what_the_events_add_up_to_is_caught",
    ),
    control(
        "the catalogue tells since when somebody's rows of a category are used no more",
        "imprimatur-verifier tests::marks::a_mark_that_is_not_that_of_the_events_is_caught",
    ),
    control(
        "the catalogue tells the limits of the policies",
        "imprimatur-verifier tests::marks::limits_that_are_not_those_of_the_policies_are_caught",
    ),
    control(
        "no release stands whose population changed",
        "imprimatur-verifier tests::marks::a_release_that_stands_after_an_exclusion_is_caught",
    ),
    control(
        "each release is its own and paid for",
        "imprimatur-verifier tests::marks::a_release_that_is_not_paid_for_is_caught",
    ),
    control(
        "the book stands as its events say",
        "imprimatur-verifier tests::book::a_standing_that_its_events_do_not_give_is_caught",
    ),
    control(
        "pseudonyms are made of subject, principal and pepper",
        "imprimatur-verifier tests::book::a_pseudonym_that_is_not_its_subjects_is_caught",
    ),
    control(
        "each section on its way had a grant",
        "imprimatur-verifier tests::book::a_commit_without_a_grant_that_waits_for_the_lake_is_caught",
    ),
    control(
        "each batch on its way is that of its commit",
        "imprimatur-verifier tests::book::a_batch_on_its_way_that_is_changed_is_caught",
    ),
];

/// Of INV-3.
pub(super) const WITHDRAWALS: &[Control] = &[control(
    "nothing was committed after a withdrawal",
    "imprimatur-verifier tests::a_commit_after_the_withdrawal_is_caught",
)];

/// Of INV-5.
pub(super) const ONCE: &[Control] = &[
    control(
        "a number is committed once",
        "imprimatur-verifier tests::a_batch_that_counts_twice_is_caught",
    ),
    control(
        "a row is there once",
        "imprimatur-verifier tests::a_row_that_is_there_twice_is_caught",
    ),
    control(
        "a published record has its row",
        "imprimatur-verifier tests::a_row_that_is_missing_is_caught",
    ),
    control(
        "a commit is published within days",
        "imprimatur-verifier tests::controls::a_commit_that_is_never_published_is_caught",
    ),
    control(
        "a restore excuses only what it lost",
        "imprimatur-verifier tests::forgeries::a_restore_excuses_only_what_it_lost",
    ),
    control(
        "each commit has its verdict, and each verdict its commit",
        "imprimatur-verifier tests::book::answers::a_verdict_that_is_missing_or_false_is_caught",
    ),
    control(
        "each commit is in the lake or on its way, never both",
        "imprimatur-verifier tests::book::a_batch_that_was_taken_off_its_way_is_caught",
    ),
];

/// Of INV-6.
pub(super) const REFUSALS: &[Control] = &[
    control(
        "no file but a collector's own",
        "imprimatur-verifier tests::scan::a_stranger_is_caught_and_a_leftover_of_a_crash_is_not",
    ),
    control(
        "counts do not go back",
        "imprimatur-verifier tests::counts_that_do_not_add_up_are_caught",
    ),
    control(
        "refusals are no fewer than their verdicts",
        "imprimatur-verifier tests::book::answers::counters_that_are_not_what_they_count_are_caught",
    ),
];

/// Of INV-7.
pub(super) const GEOMETRY: &[Control] = &[
    control(
        "no format in any file",
        "imprimatur-verifier tests::scan::geometry_beside_the_evidence_is_caught_wherever_it_lies",
    ),
    control(
        "overview and report hold counts, dates and words alone",
        "imprimatur-verifier tests::overview::a_file_for_the_console_with_anything_else_in_it_is_caught",
    ),
    control(
        "every format in every disguise",
        "imprimatur-verifier tests::scan::every_format_is_found_plain_in_hex_and_in_base64_at_each_alignment",
    ),
    control(
        "no format in values and opened evidence",
        "imprimatur-verifier tests::scan::bytes_in_values_are_caught_in_the_lake_and_in_opened_evidence",
    ),
    control(
        "no container",
        "imprimatur-verifier tests::scan::a_container_is_caught_and_the_lakes_own_pages_are_not",
    ),
    control(
        "no file but a collector's own",
        "imprimatur-verifier tests::scan::a_stranger_is_caught_and_a_leftover_of_a_crash_is_not",
    ),
    control(
        "no link out of the folder",
        "imprimatur-verifier tests::scan::a_link_is_caught_and_not_followed",
    ),
    control("no format in logs", "imprimatur-verifier tests::scan::geometry_in_a_log_is_caught"),
    control(
        "files are byte for byte what was published",
        "imprimatur-verifier tests::a_file_with_other_bytes_is_caught",
    ),
    control(
        "the contract is the one that was counted",
        "imprimatur-verifier tests::controls::another_contract_is_caught",
    ),
    control(
        "values are bounded integers of the contract",
        "imprimatur-lake tests::forged_columns_are_named",
    ),
    control(
        "no bytes beside the columns",
        "imprimatur-lake tests::bytes_beside_the_columns_are_found",
    ),
    control(
        "the contract keeps its budget",
        "imprimatur-proto tests::a_field_without_fitting_options_fails_the_build",
    ),
    control(
        "keys have the length of keys",
        "imprimatur-verifier tests::scan::keys_of_another_length_are_caught",
    ),
    control(
        "no folder is too deep to be read",
        "imprimatur-verifier tests::controls::a_folder_that_is_too_deep_is_caught",
    ),
    control(
        "no date tells more than ten prints and a day report",
        "imprimatur-verifier tests::book::answers::a_date_that_tells_more_than_it_may_is_caught",
    ),
    control(
        "the book counts what each date has told",
        "imprimatur-verifier tests::book::answers::counts_of_a_date_that_leave_room_for_more_are_caught",
    ),
    control(
        "batches on their way hold values of the contract alone",
        "imprimatur-verifier tests::book::a_batch_on_its_way_that_is_changed_is_caught",
    ),
];

/// Of INV-8.
pub(super) const PLANTED: &[Control] = &[
    control(
        "no canary in any disguise",
        "imprimatur-verifier tests::scan::a_canary_is_caught_in_every_disguise_and_never_told",
    ),
    control(
        "no canary in a name or a packed log",
        "imprimatur-verifier tests::scan::a_canary_in_a_name_or_a_packed_log_is_caught",
    ),
];

/// Of INV-9.
pub(super) const EVIDENCE: &[Control] = &[
    control(
        "the overview tells the log's checkpoint and no more answers than were counted",
        "imprimatur-verifier tests::overview::an_overview_that_tells_more_answers_or_another_log_is_caught",
    ),
    control(
        "the log is there and whole",
        "imprimatur-verifier tests::an_empty_log_beside_evidence_is_caught",
    ),
    control(
        "no byte of evidence or log was changed",
        "imprimatur-verifier tests::flips::every_changed_byte_of_evidence_and_log_is_found_or_means_nothing",
    ),
    control(
        "policies are those that were announced",
        "imprimatur-verifier tests::a_policy_that_was_never_published_is_caught",
    ),
    control(
        "counts do not go back",
        "imprimatur-verifier tests::counts_that_do_not_add_up_are_caught",
    ),
    control(
        "the log's tail is there",
        "imprimatur-verifier tests::forgeries::a_log_whose_tail_was_cut_is_found",
    ),
    control(
        "the log continues a kept checkpoint",
        "imprimatur-verifier tests::forgeries::a_log_that_was_written_again_is_found_by_an_anchor",
    ),
    control(
        "a kept checkpoint is cosigned by its witnesses",
        "imprimatur-log witness::tests::a_forged_absent_or_foreign_cosignature_is_refused",
    ),
    control(
        "the log is signed by its published key",
        "imprimatur-verifier tests::forgeries::a_log_that_was_replaced_with_its_key_is_found_by_who_knows_the_key",
    ),
    control(
        "the checkpoint is signed",
        "imprimatur-verifier tests::forgeries::a_checkpoint_of_another_key_is_found",
    ),
    control(
        "each event is what the log committed to",
        "imprimatur-verifier tests::forgeries::an_event_that_was_changed_and_sealed_again_is_found",
    ),
    control(
        "each entry has one event",
        "imprimatur-verifier tests::forgeries::an_entry_that_two_events_claim_is_found",
    ),
    control(
        "each entry has its event",
        "imprimatur-verifier tests::forgeries::an_event_whose_evidence_was_removed_is_found",
    ),
    control(
        "each segment is there",
        "imprimatur-verifier tests::forgeries::a_segment_of_commits_that_was_removed_or_replaced_is_found",
    ),
    control(
        "each seal opens at its place",
        "imprimatur-verifier tests::forgeries::a_seal_that_was_broken_or_moved_is_found",
    ),
    control(
        "events have the order of the log",
        "imprimatur-verifier tests::forgeries::events_in_another_order_than_the_log_are_found",
    ),
    control(
        "each entry is understood",
        "imprimatur-verifier tests::controls::an_entry_that_is_no_event_is_caught",
    ),
    control(
        "nobody agreed before a policy was announced",
        "imprimatur-verifier tests::forgeries::a_consent_before_its_policy_was_announced_is_found",
    ),
    control(
        "a policy is what was announced",
        "imprimatur-verifier tests::forgeries::a_policy_that_was_announced_as_something_else_is_found",
    ),
    control(
        "events of the book are those of the evidence",
        "imprimatur-verifier tests::book::an_event_that_differs_from_its_evidence_is_caught",
    ),
    control(
        "commits of the book are those of the evidence",
        "imprimatur-verifier tests::book::a_commit_that_was_put_into_the_book_is_caught",
    ),
    control(
        "the log inside the book is the published one",
        "imprimatur-verifier tests::book::a_log_inside_the_book_that_differs_is_caught",
    ),
    control(
        "positions and policies of the book are those of its events and log",
        "imprimatur-verifier tests::book::a_position_or_a_policy_of_nobody_is_caught",
    ),
    control(
        "each consent event has its receipt",
        "imprimatur-verifier tests::book::answers::a_receipt_that_is_missing_is_caught",
    ),
    control(
        "a receipt says and proves what its event was",
        "imprimatur-verifier tests::book::answers::a_receipt_that_says_something_else_is_caught",
    ),
    control(
        "a receipt is signed by the collector and of its event",
        "imprimatur-verifier tests::book::answers::a_receipt_that_another_key_signed_or_that_is_of_another_event_is_caught",
    ),
    control(
        "counters are what they count",
        "imprimatur-verifier tests::book::answers::counters_that_are_not_what_they_count_are_caught",
    ),
    control(
        "a verdict is signed and of its batch",
        "imprimatur-verifier tests::book::answers::a_verdict_that_is_missing_or_false_is_caught",
    ),
    control(
        "every entry of the book can be read",
        "imprimatur-verifier tests::book::a_table_that_cannot_be_read_is_caught",
    ),
    control(
        "the book is whole",
        "imprimatur-verifier tests::book::copies::a_book_that_was_damaged_is_caught",
    ),
];
