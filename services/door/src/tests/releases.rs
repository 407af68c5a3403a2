//! Releases: told as they were first told, and no more once somebody of their population is excluded.

use imprimatur_consent::Category;

use super::world::World;
use crate::Role;

#[tokio::test]
async fn a_release_is_the_same_bytes_until_somebody_of_its_population_is_excluded() {
    let world = World::new().await;
    let engineer = world.token(Role::Engineer);
    let none = world.get("/v1/releases", &engineer).await;
    assert_eq!(none.body, "{\"releases\":[]}");
    let id = world.release().await;
    let target = format!("/v1/releases/{id}");
    let told = world.get(&target, &engineer).await;
    assert_eq!((told.status, told.header("content-type")), (200, Some("application/json")));
    assert_eq!(told.json()["id"], *id);
    let kept = world.folder.path().join(format!("query/released/releases/{id}.json"));
    assert_eq!(told.body, std::fs::read_to_string(kept).unwrap());
    assert_eq!(world.get(&target, &world.token(Role::Compliance)).await.body, told.body);

    // A category that prints are not counted by is nothing to it.
    world.withdrawn(Category::Laser);
    assert_eq!(world.get(&target, &engineer).await.body, told.body);
    world.withdrawn(Category::Status);
    let gone = world.get(&target, &engineer).await;
    assert_eq!(gone.refusal(), (410, "withdrawn".to_owned()));
    assert!(gone.json()["detail"].as_str().unwrap().contains("is excluded"), "{gone:?}");
    let listed = world.get("/v1/releases", &engineer).await.json();
    assert_eq!(listed["releases"][0]["id"], *id);
    assert_eq!(listed["releases"][0]["withdrawn"]["reason"], "excluded");
    world.stop().await;
}

#[tokio::test]
async fn what_is_no_release_is_refused_and_nothing_is_told_without_a_catalogue() {
    let world = World::new().await;
    let id = world.release().await;
    let engineer = world.token(Role::Engineer);
    let (other, longer) = ("0".repeat(64), format!("{id}0"));
    for wrong in [other.as_str(), "0", "%2e%2e", "%ff", &longer] {
        let answer = world.get(&format!("/v1/releases/{wrong}"), &engineer).await;
        assert_eq!(answer.refusal(), (404, "not_found".to_owned()), "{wrong}");
    }
    std::fs::remove_file(world.folder.path().join("lake/catalogue.json")).unwrap();
    for target in ["/v1/releases".to_owned(), format!("/v1/releases/{id}")] {
        let answer = world.get(&target, &engineer).await;
        assert_eq!(answer.refusal(), (503, "not_published".to_owned()), "{target}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_noise_budget_is_among_the_numbers_of_operations() {
    let world = World::new().await;
    let operator = world.token(Role::Operator);
    let line = |days: u16, what: &str, epsilon: &str| {
        format!("imprimatur_query_epsilon{{days=\"{days}\",what=\"{what}\"}} {epsilon}\n")
    };
    let before = world.get("/metrics", &operator).await.body;
    assert!(before.contains(&line(30, "spent", "0.0")), "{before}");
    world.release().await;
    let after = world.get("/metrics", &operator).await.body;
    for (days, limit) in [(30, "1.0"), (365, "12.0")] {
        assert!(after.contains(&line(days, "spent", "0.1")), "{after}");
        assert!(after.contains(&line(days, "limit", limit)), "{after}");
    }
    std::fs::remove_file(world.folder.path().join("lake/catalogue.json")).unwrap();
    let none = world.get("/metrics", &operator).await.body;
    assert!(!none.contains("imprimatur_query_epsilon{"), "{none}");
    world.stop().await;
}
