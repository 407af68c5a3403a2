//! The negative controls of erasure and what follows from it.

use super::control;
use crate::claims::Control;

/// Of INV-10.
pub(in crate::claims) const ERASURE: &[Control] = &[
    control(
        "no row is kept too long",
        "imprimatur-verifier tests::forgeries::a_row_that_is_kept_too_long_is_found",
    ),
    control(
        "who asked for erasure has no key after the deadline",
        "imprimatur-verifier tests::retention::a_key_that_outlives_the_deadline_of_its_erasure_is_caught",
    ),
    control(
        "a destroyed key is gone",
        "imprimatur-verifier tests::forgeries::a_destroyed_key_that_was_put_back_is_found",
    ),
    control(
        "no key went in silence",
        "imprimatur-verifier tests::forgeries::a_key_that_was_destroyed_in_silence_is_found",
    ),
    control(
        "no row of an erased subject",
        "imprimatur-verifier tests::forgeries::a_row_of_an_erased_subject_is_found",
    ),
    control(
        "an erasure comes in time",
        "imprimatur-verifier tests::forgeries::an_erasure_that_does_not_come_is_found",
    ),
    control(
        "nothing is passed off as erased",
        "imprimatur-verifier tests::forgeries::an_event_that_is_passed_off_as_an_erased_subjects_is_found",
    ),
    control(
        "each request is in the register, and no other",
        "imprimatur-verifier tests::book::requests::a_request_that_was_taken_out_or_put_in_is_caught",
    ),
    control(
        "each request has days that a policy allows",
        "imprimatur-verifier tests::book::requests::a_request_with_days_that_no_policy_allows_is_caught",
    ),
    control(
        "each request is done in time",
        "imprimatur-verifier tests::book::requests::a_request_that_is_done_late_or_not_at_all_is_caught",
    ),
    control(
        "an erasure waits for a legal hold alone",
        "imprimatur-verifier tests::book::requests::an_erasure_that_claims_a_hold_without_one_is_caught",
    ),
    control(
        "the inventory of backups is the log's",
        "imprimatur-verifier tests::book::requests::a_backup_that_is_not_in_the_inventory_as_in_the_log_is_caught",
    ),
    control(
        "peppers and secrets of marks go in time",
        "imprimatur-verifier tests::book::requests::a_key_past_its_time_is_caught",
    ),
    control(
        "the book names nothing that was erased",
        "imprimatur-verifier tests::book::requests::what_is_left_of_an_erased_subject_is_caught",
    ),
    control(
        "a restore forgets no request",
        "imprimatur-verifier tests::book::restores::a_request_that_a_restore_forgot_is_caught",
    ),
    control(
        "a restore brings nothing of an erased subject back",
        "imprimatur-verifier tests::book::restores::what_a_restore_brought_back_of_an_erased_subject_is_caught",
    ),
    control(
        "a restore leaves no key that nothing names",
        "imprimatur-verifier tests::book::restores::a_key_that_a_restore_left_without_a_name_is_caught",
    ),
];
