//! The policies' limits: the stricter of what they say and what the program says is obeyed.

use super::*;

#[tokio::test]
async fn a_stricter_k_of_a_policy_withholds_a_group_of_thirty() {
    let mut fleet = Fleet::new();
    fleet.prints(30, "2026-11-21", &[DONE]);
    fleet.catalogue.rules.k = 20;
    let told = fleet.ask("print_count", "", "").await.unwrap();
    assert_eq!((told.k.get(), told.cells[0].principals), (20, 30));
    fleet.catalogue.rules.k = 40;
    let refused = fleet.ask("print_count", "", "").await;
    is_withheld(&refused);
    assert!(refused.unwrap_err().to_string().contains("at least 40 principals"));
    fleet.prints(45, "2026-11-21", &[DONE]);
    let told = fleet.ask("print_count", "", "").await.unwrap();
    assert_eq!(told.k.get(), 40);
    assert!(told.privacy.starts_with("Each group has at least 40 enrolled"), "{}", told.privacy);
    // A policy that asks for less than the program changes nothing.
    let mut few = Fleet::new();
    few.prints(19, "2026-11-21", &[DONE]);
    few.catalogue.rules.k = 10;
    is_withheld(&few.ask("print_count", "", "").await);
    // Who is the only principal is protected from nobody.
    fleet.publish();
    let settings = EngineSettings { k: Threshold::ALONE, ..EngineSettings::default() };
    let alone = Engine::open(fleet.folder.path(), settings).unwrap();
    let request = Request::parse("print_count", None, None, None).unwrap();
    assert_eq!(alone.answer(&request).await.unwrap().k.get(), 1);
}

#[tokio::test]
async fn stricter_percentages_of_a_policy_withhold_a_group_that_one_or_two_weigh_in() {
    let mut fleet = Fleet::new();
    fleet.prints(30, "2026-11-21", &[DONE]);
    for principal in [1, 2] {
        (0..9).for_each(|_| fleet.print(principal, "2026-11-21", &[DONE]));
    }
    let told = fleet.ask("print_count", "", "").await.unwrap();
    assert!(told.privacy.contains("more than 30 % of it, no two hold more than 50 %"));
    // Each of the two has 10 of 48 rows: 21 %, together 42 %.
    fleet.catalogue.rules.top1_percent = 20;
    let refused = fleet.ask("print_count", "", "").await;
    is_withheld(&refused);
    assert!(refused.unwrap_err().to_string().contains("more than 20 % of it"));
    fleet.catalogue.rules.top1_percent = 21;
    assert!(fleet.ask("print_count", "", "").await.is_ok());
    fleet.catalogue.rules.top2_percent = 41;
    is_withheld(&fleet.ask("print_count", "", "").await);
    fleet.catalogue.rules.top2_percent = 42;
    assert!(fleet.ask("print_count", "", "").await.is_ok());
}

#[tokio::test]
async fn a_catalogue_without_limits_is_not_asked() {
    let mut fleet = Fleet::new();
    fleet.prints(30, "2026-11-21", &[DONE]);
    let engine = fleet.publish();
    let path = fleet.folder.path().join("catalogue.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(json.as_object_mut().unwrap().remove("rules").is_some());
    fs::write(&path, json.to_string()).unwrap();
    let request = Request::parse("print_count", None, None, None).unwrap();
    let error = engine.answer(&request).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("let the collector publish anew"), "{cause}");
}
