//! Each rule of a policy and its opposite; the shipped policies; no text makes the reader panic.

use proptest::prelude::*;

use super::*;

/// The strictest policy with one text replaced.
#[track_caller]
fn changed(from: &str, to: &str) -> Result<Policy, Vec<Problem>> {
    assert!(STRICTEST.contains(from), "{from}");
    check(&STRICTEST.replacen(from, to, 1))
}

#[track_caller]
fn accepts(from: &str, to: &str) -> Policy {
    changed(from, to).unwrap_or_else(|problems| panic!("{}", PolicyError(problems)))
}

/// Refused for exactly one problem: this key, a text in it, at the line of this text.
#[track_caller]
fn rejects(from: &str, to: &str, key: &str, expected: &str) {
    let text = STRICTEST.replacen(from, to, 1);
    let problems = changed(from, to).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("{}", PolicyError(problems)) };
    assert_eq!(problem.key, key, "{problem}");
    assert!(problem.to_string().contains(expected), "{problem}");
    let line = text.lines().nth(problem.line - 1).unwrap();
    let last = key.rsplit('.').next().unwrap();
    let place = key.rsplit('.').find(|part| line.contains(part));
    let missing = problem.problem.starts_with("is missing");
    assert!(missing || place.is_some() || line.contains('"'), "{last} is not on `{line}`");
    assert!(!problem.advice.is_empty());
}

#[test]
fn the_shipped_policies_are_whole() {
    for (name, text) in SHIPPED {
        let policy = Policy::read(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((policy.name.as_str(), policy.version), (name, 1));
        assert_eq!(policy.hash, Digest::of(text.as_bytes()));
        assert!(policy.notice("en").contains("Nothing is collected unless you say yes"));
        assert_eq!(policy.notice("xx"), policy.notice("en"));
        assert!(policy.keeps.len() >= 10, "{name}");
    }
    let strictest = Policy::read(STRICTEST).unwrap();
    assert_eq!(strictest.purposes.len(), Category::ALL.len());
    assert_eq!(strictest.notices.keys().collect::<Vec<_>>(), ["de", "en", "nl"]);
    assert_ne!(strictest.notices["de"].hash, strictest.notices["nl"].hash);
}

#[test]
fn each_policy_offers_what_its_promises_name() {
    let offered = |name: &str| {
        let (_, text) = SHIPPED.into_iter().find(|(shipped, _)| *shipped == name).unwrap();
        let policy = Policy::read(text).unwrap();
        let names: Vec<&str> = policy.purposes.keys().map(|category| category.name()).collect();
        (names.join(" "), policy.epoch)
    };
    let month = |names: &str| (names.to_owned(), EpochLength::Month);
    let account = "machine temperature material settings status faults";
    assert_eq!(offered("ultimaker-account-2019"), month(account));
    let families = ("machine material settings slicing".to_owned(), EpochLength::Day);
    assert_eq!(offered("ultimaker-cura-2020"), families);
    assert_eq!(offered("formlabs-install-2018"), month("print_time laser"));
    let second = "print_time temperature material laser";
    assert_eq!(offered("formlabs-dashboard-2018"), month(second));
    let device = "machine print_time temperature material status faults";
    assert_eq!(offered("stratasys-2018"), month(device));
    assert_eq!(offered("pixeljet-2018"), month("machine print_time material status faults"));
}

#[test]
fn no_shipped_policy_promises_less_than_the_rows() {
    for (name, text) in SHIPPED {
        let policy = Policy::read(text).unwrap();
        let Deadlines {
            answer_days,
            erasure_live_hours,
            erasure_days,
            complaint_days,
            notice_days,
            backup_days,
        } = policy.deadlines;
        assert!(
            answer_days <= 30 && erasure_days <= 30 && backup_days <= 30,
            "{name}: U19-9 U20-9"
        );
        assert!(complaint_days <= 45 && notice_days >= 30, "{name}: U20-13 U20-14");
        assert!(erasure_live_hours <= 72, "{name}");
        assert_eq!(policy.regions, ["EEA"], "{name}: U20-16");
        assert!(policy.minimum_age.is_some_and(|age| age >= 13), "{name}: U20-21");
        assert!(policy.query.k >= 20 && policy.query.k_released >= 50, "{name}: F18-12");
        assert!(policy.validity_months <= 12 && policy.retention.day_days <= 396, "{name}");
        // Refused promises are kept by none: implied consent, rows or consent without an end.
        for refused in ["F18-21", "S18-8", "S18-15", "P18-12", "P18-13"] {
            assert!(!policy.keeps.contains_key(refused), "{name}: {refused}");
        }
    }
}

#[test]
fn a_change_of_one_byte_is_another_policy() {
    let policy = accepts("# The strictest policy", "# the strictest policy");
    assert_ne!(policy.hash, Policy::read(STRICTEST).unwrap().hash);
}

#[test]
fn numbers_have_limits() {
    for (key, least, most) in [
        ("retention.print_days", 1, 90),
        ("retention.day_days", 1, 396),
        ("retention.evidence_months", 1, 36),
        ("deadlines.answer_days", 1, 30),
        ("deadlines.erasure_live_hours", 1, 72),
        ("deadlines.erasure_days", 1, 30),
        ("deadlines.complaint_days", 1, 45),
        ("deadlines.notice_days", 30, 365),
        ("deadlines.backup_days", 1, 30),
        ("consent.minimum_age", 13, 21),
        ("consent.validity_months", 1, 12),
        ("consent.ask_again_months", 6, 120),
        ("query.k", 10, 50),
        ("query.k_released", 20, 1_000_000),
        ("query.top1_percent", 1, 30),
        ("query.top2_percent", 30, 50),
        ("query.epsilon_release_milli", 1, 100),
        ("query.epsilon_month_milli", 100, 1000),
        ("query.epsilon_year_milli", 1000, 12_000),
    ] {
        let (_, name) = key.split_once('.').unwrap();
        let line = STRICTEST.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        accepts(line, &format!("{name} = {least}"));
        accepts(line, &format!("{name} = {most}"));
        let advice = |to: String| format!("write a whole number from {to}");
        rejects(line, &format!("{name} = {}", least - 1), key, &advice(format!("{least} to")));
        rejects(line, &format!("{name} = -1"), key, "is -1");
        rejects(line, &format!("{name} = \"never\""), key, "is of the kind string");
        rejects(line, &format!("{name} = inf"), key, "is of the kind float");
        if key != "consent.minimum_age" {
            rejects(line, "", key, "is missing");
        }
        if key != "query.k" {
            rejects(line, &format!("{name} = {}", most + 1), key, &format!("is {}", most + 1));
        }
    }
}

#[test]
fn retention_has_an_end() {
    rejects("print_days = 90", "print_days = 0", "retention.print_days", "is 0");
    rejects("day_days = 396", "day_days = 36500", "retention.day_days", "from 1 to 396");
    let whole = "[retention]\nprint_days = 90\nday_days = 396\nevidence_months = 36\n";
    rejects(whole, "", "retention", "nothing is kept for ever");
}

#[test]
fn an_age_may_be_left_out_and_then_authority_is_affirmed_alone() {
    assert_eq!(accepts("minimum_age = 16\n", "").minimum_age, None);
    rejects("minimum_age = 16", "minimum_age = 12", "consent.minimum_age", "is 12");
}

#[test]
fn what_only_implies_a_yes_is_no_method() {
    let methods = "methods = [\"command\", \"page\", \"mandate\"]";
    assert_eq!(accepts(methods, "methods = [\"page\"]").methods, [Method::Page].into());
    for implied in ["register", "continue", "read", "use", "unspecified"] {
        let to = format!("methods = [\"page\", \"{implied}\"]");
        rejects(methods, &to, "consent.methods", "what only implies a yes is no consent");
    }
    rejects(methods, "methods = []", "consent.methods", "is empty");
    rejects(methods, "methods = \"page\"", "consent.methods", "is of the kind string");
    rejects(methods, "methods = [1]", "consent.methods", "value of kind integer");
}

#[test]
fn purposes_have_texts_and_their_own_categories() {
    let text = "en = \"To improve print profiles.\"";
    rejects(text, "en = \" \"", "purposes.profiles.text.en", "is empty");
    rejects(text, "", "purposes.profiles.text.en", "is missing");
    let problems = changed("[purposes.profiles.text]", "[purposes.profiles.texts]").unwrap_err();
    assert_eq!(problems.len(), 2, "{}", PolicyError(problems));
    assert_eq!(problems[0].key, "purposes.profiles.text");
    let laser = "categories = [\"laser\"]";
    let key = "purposes.laser_health.categories";
    rejects(laser, "categories = []", key, "is empty");
    rejects(laser, "categories = [\"laser\", \"lasers\"]", key, "names `lasers`");
    rejects(laser, "categories = [\"laser\", \"laser\"]", key, "named before");
    let moved = changed(laser, "categories = [\"laser\", \"print_time\"]").unwrap_err();
    assert!(moved.iter().any(|problem| problem.problem.contains("collects for `usage`")));
    rejects(
        "[purposes.linking]\ncategories = [\"identity\"]\n[purposes.linking.text]",
        "[purposes.marketing]\ncategories = [\"identity\"]\n[purposes.marketing.text]",
        "purposes.marketing",
        "no purpose of the contract",
    );
}

#[test]
fn a_category_may_be_left_out() {
    let (_, text) = SHIPPED[2];
    assert!(!Policy::read(text).unwrap().offers(Category::Machine));
    assert!(Policy::read(text).unwrap().offers(Category::Laser));
    assert!(check(&text.replace("[purposes.", "[reasons.")).is_err());
}

#[test]
fn every_language_is_whole() {
    let german = STRICTEST.lines().find(|line| line.starts_with("de = \"Um Druckprofile")).unwrap();
    rejects(german, "", "purposes.profiles.text.de", "though the notice has it");
    let french = format!("{german}\nfr = \"Pour améliorer\"");
    rejects(german, &french, "purposes.profiles.text.fr", "language without a notice");
    let unknown = format!("{german}\nDEU = \"x\"");
    rejects(german, &unknown, "purposes.profiles.text.DEU", "is no language");
}

#[test]
fn english_is_always_there() {
    let text = STRICTEST.replace("en = ", "fr = ");
    let problems = check(&text).unwrap_err();
    assert_eq!(problems.len(), 12, "{}", PolicyError(problems));
    assert!(problems.iter().all(|problem| problem.key.rsplit_once('.').unwrap().1 == "en"));
    // All languages may be others beside English.
    assert!(check(&STRICTEST.replace("nl = ", "fr = ")).is_ok());
}

#[test]
fn regions_and_epochs_are_known() {
    let regions = "regions = [\"EEA\"]";
    assert_eq!(accepts(regions, "regions = [\"NL\", \"DE\"]").regions, ["NL", "DE"]);
    rejects(regions, "regions = [\"Europe\"]", "regions", "names `Europe`");
    rejects(regions, "regions = []", "regions", "is empty");
    let epoch = "pseudonym_epoch = \"month\"";
    assert_eq!(accepts(epoch, "pseudonym_epoch = \"day\"").epoch, EpochLength::Day);
    rejects(epoch, "pseudonym_epoch = \"year\"", "pseudonym_epoch", "is `year`");
}

#[test]
fn unknown_keys_are_no_keys() {
    rejects("version = 1", "version = 1\nsurprise = 2", "surprise", "no key of a policy");
    rejects("[query]", "[query]\nkk = 2", "query.kk", "no key of a policy");
    rejects("[operator]", "[operator]\nlogo = \"x\"", "operator.logo", "no key of a policy");
}

#[test]
fn a_promise_is_kept_by_its_row() {
    rejects("U19-5 = ", "U19-15 = ", "keeps.U19-15", "no promise");
    rejects("U19-5 = ", "X-5 = ", "keeps.X-5", "no promise");
    rejects("U19-5 = ", "U19-05 = ", "keeps.U19-05", "no promise");
    assert!(accepts("U19-5 = ", "U19-14 = ").keeps.contains_key("U19-14"));
}

const CHANGE: &str = "[change]
supersedes = \"0101010101010101010101010101010101010101010101010101010101010101\"
announced = \"2026-11-01\"
effective = \"2026-12-01\"
grown = [\"laser\"]

[query]";

#[test]
fn what_grew_is_announced_long_enough_before() {
    let change = accepts("[query]", CHANGE).change.unwrap();
    assert_eq!(change.grown, [Category::Laser].into());
    assert_eq!(change.supersedes, Digest([1; 32]));
    let soon = CHANGE.replace("2026-12-01", "2026-11-30");
    rejects("[query]", &soon, "change.effective", "at least 30 days before");
    // What did not grow may hold at once, but not before.
    let nothing = soon.replace("grown = [\"laser\"]", "");
    assert!(accepts("[query]", &nothing).change.unwrap().grown.is_empty());
    let before = nothing.replace("2026-11-30", "2026-10-31");
    rejects("[query]", &before, "change.effective", "before it is announced");
    // A longer notice asks for more.
    let text = STRICTEST.replace("[query]", CHANGE).replace("notice_days = 30", "notice_days = 31");
    assert_eq!(check(&text).unwrap_err().len(), 1);
}

#[test]
fn a_later_version_says_what_it_replaces() {
    rejects("version = 1", "version = 2", "change", "is missing");
    let text = STRICTEST.replace("version = 1", "version = 2").replace("[query]", CHANGE);
    assert_eq!(check(&text).unwrap().version, 2);
    let bad = CHANGE.replace("\"0101", "\"xx01");
    rejects("[query]", &bad, "change.supersedes", "64 hex digits");
    let bad = CHANGE.replace("\"2026-11-01\"", "\"1 November\"");
    rejects("[query]", &bad, "change.announced", "YYYY-MM-DD");
    let bad = CHANGE.replace("[\"laser\"]", "[\"lasers\"]");
    rejects("[query]", &bad, "change.grown", "names `lasers`");
}

#[test]
fn what_is_not_offered_cannot_grow() {
    let (_, text) = SHIPPED[1];
    let problems = check(&text.replace("[query]", CHANGE)).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].problem.contains("does not offer"));
    let offered = CHANGE.replace("laser", "slicing");
    assert!(check(&text.replace("[query]", &offered)).is_ok());
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_lines() {
    let text = STRICTEST
        .replace("version = 1", "version = 0")
        .replace("minimum_age = 16", "minimum_age = 6")
        .replace("k = 20", "k = 2")
        .replace("answer_days = 30", "answer_days = 300\nanswers = 3");
    let problems = check(&text).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    let expected =
        ["version", "consent.minimum_age", "deadlines.answer_days", "deadlines.answers", "query.k"];
    assert_eq!(keys, expected);
    for problem in &problems {
        let name = problem.key.rsplit('.').next().unwrap();
        let line = text.lines().nth(problem.line - 1).unwrap();
        assert!(line.starts_with(name), "{problem} on `{line}`");
    }
    let shown = PolicyError(problems).to_string();
    assert!(shown.contains("line 6: `version` is 0; write a whole number from 1"), "{shown}");
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let problems = check("name = \"x\"\nversion = \n").unwrap_err();
    assert_eq!((problems[0].line, problems[0].key.as_str()), (2, ""));
    assert!(problems[0].problem.starts_with("not TOML"));
    assert!(check("").unwrap_err().len() >= 10);
    assert!(check(&format!("a = {}", "[".repeat(BYTES_MAX - 4))).is_err());
}

#[test]
fn a_policy_has_a_greatest_length() {
    let padded =
        |length: usize| format!("{STRICTEST}#{}", "x".repeat(length - STRICTEST.len() - 1));
    assert!(check(&padded(BYTES_MAX)).is_ok());
    let problems = check(&padded(BYTES_MAX + 1)).unwrap_err();
    assert!(problems[0].to_string().contains("262145 bytes"), "{}", problems[0]);
}

#[test]
fn epochs_are_days_or_months() {
    let date: UtcDate = "2026-11-22".parse().unwrap();
    assert_eq!(
        (EpochLength::Day.epoch(date), EpochLength::Month.epoch(date)),
        (20_261_122, 202_611)
    );
    assert_eq!(EpochLength::Month.epoch(date), date.month());
    assert_eq!(epoch_last_day(20_261_122), Some(date));
    assert_eq!(epoch_last_day(202_611), "2026-11-30".parse().ok());
    for none in [0, 202_613, 20_261_131, 20_260_001, u32::MAX] {
        assert_eq!(epoch_last_day(none), None, "{none}");
    }
}

proptest! {
    #[test]
    fn every_date_lies_in_its_epoch(days in 0..60_000_u32) {
        for length in [EpochLength::Day, EpochLength::Month] {
            let epoch = length.epoch(UtcDate(days));
            let last = epoch_last_day(epoch).unwrap();
            prop_assert!(last >= UtcDate(days));
            prop_assert_eq!(length.epoch(last), epoch);
            prop_assert_ne!(length.epoch(UtcDate(last.0 + 1)), epoch);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text: String) {
        prop_assert!(check(&text).is_err());
    }

    /// Policies with pieces cut out, doubled or replaced are read or refused with reasons.
    #[test]
    fn a_mutated_policy_is_read_without_a_panic(
        which in 0..SHIPPED.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..60_usize, piece()), 1..6),
    ) {
        let mut letters: Vec<char> = SHIPPED[which].1.chars().collect();
        for (at, length, piece) in cuts {
            let from = at.index(letters.len().max(1)).min(letters.len());
            let to = (from + length).min(letters.len());
            letters.splice(from..to, piece.chars());
        }
        let text: String = letters.into_iter().collect();
        let lines = text.split('\n').count();
        if let Err(problems) = check(&text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!((1..=lines).contains(&problem.line));
                prop_assert!(!problem.advice.is_empty());
            }
        }
    }

    /// Lines taken from anywhere and put elsewhere: valid TOML of wrong shape.
    #[test]
    fn a_shuffled_policy_is_read_without_a_panic(
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8),
    ) {
        let mut lines: Vec<&str> = STRICTEST.lines().collect();
        for (from, to) in moves {
            let line = lines.remove(from.index(lines.len()));
            lines.insert(to.index(lines.len()), line);
        }
        let read = check(&lines.join("\n"));
        prop_assert!(read.is_ok() || !read.unwrap_err().is_empty());
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[\\[\\]\"={}.,#\n]{1,6}",
        Just("[[purposes]]\n".to_owned()),
        Just("9223372036854775807".to_owned()),
        Just("0x_ff".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("{ a = 1 }".to_owned()),
        any::<String>(),
    ]
}
